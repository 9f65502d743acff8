//! What a build that leaves out a format says about its files.

/// About a parquet file.
#[cfg(not(feature = "parquet"))]
pub(crate) const NO_PARQUET: &str =
    "this build reads and writes no parquet; build it with the feature `parquet`";

/// About an xlsx file.
#[cfg(not(feature = "xlsx"))]
pub(crate) const NO_XLSX: &str = "this build reads no xlsx; build it with the feature `xlsx`";
