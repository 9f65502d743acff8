//! Runs, metrics, profiles of other harnesses, statistics and tables.

pub mod metrics;
