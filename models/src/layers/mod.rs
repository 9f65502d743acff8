//! Building blocks that families share. Activations are packed: one row a token, no padding.

pub(crate) mod attention;
pub(crate) mod decoder;
pub(crate) mod fused;
pub(crate) mod kv;
pub(crate) mod linear;
pub(crate) mod norm;
pub(crate) mod packed;
pub(crate) mod rope;
