//! Arguments that several commands share, each a struct of clap's that becomes a plain option of `loupe_app`.

pub(crate) mod bertscore;
pub(crate) mod image;
pub(crate) mod judge;
pub(crate) mod limits;
pub(crate) mod model;
pub(crate) mod replies;
pub(crate) mod rethink;
pub(crate) mod saliency;
pub(crate) mod score;
pub(crate) mod server;
pub(crate) mod shard;
pub(crate) mod table;
