//! Models that read a prompt with one stack of layers and write the reply with another. A prompt is read whole, because
//! every token of it sees every other; what asks share is the features of their pictures.

pub(crate) mod family;
mod job;
pub(crate) mod load;
mod options;
mod prepare;
mod reply;
mod serve;
pub(crate) mod settings;
