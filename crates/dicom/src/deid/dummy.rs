//! Values that say nothing, new UIDs and moved dates.

use super::options::Options;
use crate::uid;
use dicom_core::VR;

/// What stands where text was.
pub(super) const REMOVED: &str = "REMOVED";

/// A value that says nothing, valid for its VR.
pub(super) fn of(vr: VR, bytes: &[u8]) -> Vec<u8> {
    match vr {
        VR::DA => b"19000101".to_vec(),
        VR::TM => b"000000".to_vec(),
        VR::DT => b"19000101000000".to_vec(),
        VR::AS => b"000Y".to_vec(),
        VR::IS | VR::DS => b"0".to_vec(),
        VR::PN => b"ANONYMOUS".to_vec(),
        // A URI must stay one.
        VR::UR => b"urn:removed".to_vec(),
        VR::AE | VR::CS | VR::LO | VR::LT | VR::SH | VR::ST | VR::UC | VR::UT => REMOVED.into(),
        VR::UI => b"2.25.0".to_vec(),
        _ => vec![0; bytes.len()],
    }
}

/// New UIDs for one or several; the standard's own stay.
pub(super) fn uids(bytes: &[u8], options: &Options) -> Vec<u8> {
    each(bytes, |old| match old.is_empty() || old.starts_with("1.2.840.10008.") {
        true => old.to_owned(),
        false => uid::hashed(&options.secret, old.as_bytes()),
    })
}

/// UIDs of classes and coding schemes as they are; anything else in their place becomes a new one.
pub(super) fn class_uids(bytes: &[u8], coding: bool, options: &Options) -> Vec<u8> {
    each(bytes, |old| {
        // The standard's own, and those of HL7's registry of coding schemes.
        let public = old.starts_with("1.2.840.10008.") || old.starts_with("2.16.840.1.113883.6.");
        match old.is_empty() || (uid::is_valid(old) && (public || !coding)) {
            true => old.to_owned(),
            false => uid::hashed(&options.secret, old.as_bytes()),
        }
    })
}

fn each(bytes: &[u8], new: impl Fn(&str) -> String) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let parts = text.split('\\').map(|one| new(one.trim_matches([' ', '\0'])));
    parts.collect::<Vec<_>>().join("\\").into_bytes()
}

/// Dates (`DA`) or the date of date-times (`DT`), moved by `days`; what is no date becomes a dummy.
pub(super) fn shifted(vr: VR, bytes: &[u8], days: i64) -> Vec<u8> {
    each(bytes, |old| {
        if old.is_empty() {
            return String::new();
        }
        // The old form with points (PS3.5 6.2) is written anew.
        let plain: String =
            if vr == VR::DA { old.chars().filter(|c| *c != '.').collect() } else { old.to_owned() };
        let moved = moved(&plain, days).filter(|new| vr == VR::DT || new.len() == 8);
        moved.unwrap_or_else(|| String::from_utf8_lossy(&of(vr, &[])).into_owned())
    })
}

/// `YYYYMMDD…` moved; a date-time without a day moves by its year and month's first day.
fn moved(text: &str, days: i64) -> Option<String> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (date, rest) = text.split_at_checked(digits.min(8))?;
    if !rest.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'+' | b'-')) {
        return None;
    }
    let part = |range: std::ops::Range<usize>| date.get(range)?.parse::<i64>().ok();
    let (year, month, day) = match date.len() {
        8 => (part(0..4)?, part(4..6)?, part(6..8)?),
        6 => (part(0..4)?, part(4..6)?, 1),
        4 => (part(0..4)?, 1, 1),
        _ => return None,
    };
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let [year, month, day] = civil(days_of(year, month, day).checked_add(days)?);
    let new = format!("{year:04}{month:02}{day:02}");
    (0..=9999).contains(&year).then(|| format!("{}{rest}", new.get(..date.len()).unwrap_or_default()))
}

/// Days since 1 March of year 0 of the Gregorian calendar, where years begin in March so that the leap day is their last.
fn days_of(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month < 3 { (year - 1, month + 9) } else { (year, month - 3) };
    year * 365 + year.div_euclid(4) - year.div_euclid(100)
        + year.div_euclid(400)
        + (153 * month + 2) / 5
        + day
        - 1
}

fn civil(days: i64) -> [i64; 3] {
    // 146 097 days are 400 years; the first guess is a year too late at most.
    let mut year = (days * 400).div_euclid(146_097) + 1;
    while days_of(year, 3, 1) > days {
        year -= 1;
    }
    let in_year = days - days_of(year, 3, 1);
    let month = (5 * in_year + 2) / 153;
    let day = in_year - (153 * month + 2) / 5 + 1;
    if month < 10 { [year, month + 3, day] } else { [year + 1, month - 9, day] }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn every_day_has_one_number() {
        let first = days_of(1899, 12, 25);
        let mut last = civil(first - 1);
        for n in 0..60_000 {
            let [year, month, day] = civil(first + n);
            assert_eq!(days_of(year, month, day), first + n);
            assert!([year, month, day] > last && day <= 31 && (1..=12).contains(&month));
            last = [year, month, day];
        }
        // 29 February 2000 is the day before 1 March, as in every fourth century.
        assert_eq!(civil(days_of(2000, 3, 1) - 1), [2000, 2, 29]);
        assert_eq!(civil(days_of(1900, 3, 1) - 1), [1900, 2, 28]);
    }

    #[test]
    fn dates_move_and_keep_their_distance() {
        let to = |vr, text: &str, days| String::from_utf8(shifted(vr, text.as_bytes(), days)).unwrap();
        assert_eq!(to(VR::DA, "20240301", -1), "20240229");
        assert_eq!(to(VR::DA, "2024.03.01 ", -366), "20230301");
        assert_eq!(to(VR::DT, "20240101235959.123+0100", -1), "20231231235959.123+0100");
        assert_eq!(to(VR::DT, "2024", -365), "2023");
        assert_eq!(to(VR::DA, "20240101\\20240108", 31), "20240201\\20240208");
        assert_eq!(to(VR::DA, "Doe^Jane", -1), "19000101");
        assert_eq!(to(VR::DT, "20240101 Doe", -1), "19000101000000");
        assert_eq!(to(VR::DA, "", -1), "");
    }
}
