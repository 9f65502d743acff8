//! Replies that another tool has written, as a run folder that every command can read.
