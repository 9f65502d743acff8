//! Options of the profile.

/// What becomes of dates and times (PS3.15 E.3.6).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Dates {
    /// They go.
    #[default]
    Removed,
    /// All dates of a patient move by the same number of days, so that the time between them stays; times of day stay.
    Shifted,
    /// They stay.
    Kept,
}

/// Options of the profile (PS3.15 E.3): what to keep although the basic profile would not.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Mixed into new UIDs: the same secret gives the same UIDs, so files of a study stay together
    /// over several runs; whoever does not know it cannot test guesses of the old ones.
    pub secret: Vec<u8>,
    /// Retain UIDs.
    pub keep_uids: bool,
    /// Retain device identity.
    pub keep_device: bool,
    /// Retain institution identity.
    pub keep_institution: bool,
    /// Retain patient characteristics (age, sex, size, weight).
    pub keep_patient_characteristics: bool,
    /// Retain safe private attributes: numbers and code strings of table E.3.10-1.
    pub keep_safe_private: bool,
    /// Longitudinal temporal information.
    pub dates: Dates,
}
