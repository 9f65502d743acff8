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
