//! Parts that networks are made of.

pub(crate) mod activation;
pub(crate) mod attention;
pub(crate) mod fused;
pub(crate) mod kv;
pub(crate) mod linear;
pub(crate) mod multi_head;
pub(crate) mod norm;
pub(crate) mod packed;
pub(crate) mod rope;
pub(crate) mod sight;
pub(crate) mod vars;

/// Is every value a finite number? What a network gives is read only then: NaN and infinity compare, round and
/// sort like any other value, and would end as a mask or a reply.
pub(crate) fn all_finite(values: &[f32]) -> bool {
    values.iter().all(|v| v.is_finite())
}
