//! De-identification: the Basic Application Level Confidentiality Profile of PS3.15 annex E.
//!
//! `profile.csv` is table E.1-1 (made by `profile.py`). What the table leaves to the type of an
//! attribute (`X/Z`, `X/D`, …) takes the form that is valid for every type. Cleaning free text (`C`)
//! cannot be done by a program that does not understand it, so such text is removed.

mod burned_in;

pub use burned_in::burned_in_text;

use crate::object::{Dataset, Element, Object, Slice, Value};
use crate::uid;
use dicom_core::dictionary::{DataDictionary, DataDictionaryEntry};
use dicom_core::{Tag, VR};
use dicom_dictionary_std::{StandardDataDictionary, tags};
use std::collections::HashMap;
use std::sync::OnceLock;

const TABLE: &str = include_str!("profile.csv");

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
    /// Retain longitudinal temporal information with full dates.
    pub keep_dates: bool,
}

/// A de-identified file and what a person still has to look at.
pub struct Deidentified {
    /// The file.
    pub object: Object,
    /// Warnings, in words.
    pub warnings: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Action {
    Remove,
    Empty,
    Dummy,
    Uid,
}

struct ProfileRow {
    action: Action,
    kept_by: &'static str,
}

fn table() -> &'static HashMap<Tag, ProfileRow> {
    static ROWS: OnceLock<HashMap<Tag, ProfileRow>> = OnceLock::new();
    ROWS.get_or_init(|| {
        let row = |line: &'static str| {
            let mut parts = line.split(',');
            let tag = u32::from_str_radix(parts.next()?, 16).ok()?;
            let action = match parts.next()? {
                "X" => Action::Remove,
                "Z" | "X/Z" => Action::Empty,
                // The sequences of `X/Z/U` hold UIDs, which are replaced inside.
                "U" | "X/Z/U" => Action::Uid,
                _ => Action::Dummy,
            };
            let kept_by = parts.next().unwrap_or_default();
            Some((Tag((tag >> 16) as u16, tag as u16), ProfileRow { action, kept_by }))
        };
        TABLE.lines().filter_map(row).collect()
    })
}

/// De-identifies a file; pixels stay as they are.
pub fn deidentify(object: &Object, options: &Options) -> Deidentified {
    let mut object = object.clone();
    let mut warnings: Vec<String> = burned_in_text(&object.data).map(str::to_owned).into_iter().collect();
    if object.truncated_in.is_some() {
        warnings.push("the file was cut off; what is missing could not be checked".to_owned());
    }
    clean(&mut object.data, options, false);
    object.data.put_text(tags::PATIENT_IDENTITY_REMOVED, "YES");
    let method = "PS3.15 E.1-1 basic profile; free text removed; pixels unchanged";
    object.data.put_text(tags::DEIDENTIFICATION_METHOD, method);
    let dates = if options.keep_dates { "UNMODIFIED" } else { "REMOVED" };
    object.data.put_text(tags::LONGITUDINAL_TEMPORAL_INFORMATION_MODIFIED, dates);
    object.meta = Dataset::default();
    Deidentified { object, warnings }
}

/// Applies the table to a data set and its items; `everything` replaces what the table leaves, for
/// the inside of sequences that the table wants to be dummies.
fn clean(data: &mut Dataset, options: &Options, everything: bool) {
    // Private attributes, curves and overlay contents (rows 50XX and 60XX) may hold anything.
    data.retain(|e| e.tag.0 % 2 == 0 && e.tag.0 >> 8 != 0x50 && !is_overlay(e.tag));
    data.retain(|e| action(e, options) != Some(Action::Remove));
    for element in data.elements_mut() {
        let action = action(element, options);
        let bytes = match &mut element.value {
            Value::Items(items) => {
                match action {
                    Some(Action::Empty) => items.clear(),
                    Some(Action::Dummy) => items.iter_mut().for_each(|item| clean(item, options, true)),
                    _ => items.iter_mut().for_each(|item| clean(item, options, everything)),
                }
                continue;
            }
            Value::Bytes(slice) => slice.bytes(),
            Value::Fragments(_) => continue,
        };
        let replaced = match (action, element.vr) {
            (Some(Action::Empty), _) => Vec::new(),
            (Some(Action::Uid), _) => new_uids(bytes, options),
            (Some(Action::Dummy), vr) => dummy(vr, bytes),
            (_, VR::UI) if everything && !options.keep_uids => new_uids(bytes, options),
            (_, vr) if everything => dummy(vr, bytes),
            _ => continue,
        };
        element.value = Value::Bytes(Slice::owned(replaced));
    }
}

fn is_overlay(tag: Tag) -> bool {
    tag.0 >> 8 == 0x60 && matches!(tag.1, 0x3000 | 0x4000)
}

fn action(element: &Element, options: &Options) -> Option<Action> {
    let Some(row) = table().get(&element.tag) else { return beyond_the_table(element, options) };
    let kept = row.kept_by.chars().any(|letter| match letter {
        'u' => options.keep_uids,
        'd' => options.keep_device,
        'i' => options.keep_institution,
        'p' => options.keep_patient_characteristics,
        't' => options.keep_dates,
        _ => false,
    });
    (!kept).then_some(row.action)
}

/// What the table forgets or leaves to its reader: names of people wherever they stand, the patient's
/// dates in another calendar, and UIDs of objects and frames of reference, which must agree with
/// those that the table replaces.
fn beyond_the_table(element: &Element, options: &Options) -> Option<Action> {
    match element.vr {
        VR::PN => Some(Action::Empty),
        VR::UI if !options.keep_uids => {
            let keyword = StandardDataDictionary.by_tag(element.tag)?.alias();
            let names_an_object =
                ["InstanceUID", "FrameOfReferenceUID"].iter().any(|part| keyword.contains(part));
            names_an_object.then_some(Action::Uid)
        }
        _ => matches!(
            element.tag,
            tags::PATIENT_BIRTH_DATE_IN_ALTERNATIVE_CALENDAR
                | tags::PATIENT_DEATH_DATE_IN_ALTERNATIVE_CALENDAR
        )
        .then_some(Action::Remove),
    }
}

/// A value that says nothing, valid for its VR.
fn dummy(vr: VR, bytes: &[u8]) -> Vec<u8> {
    match vr {
        VR::DA => b"19000101".to_vec(),
        VR::TM => b"000000".to_vec(),
        VR::DT => b"19000101000000".to_vec(),
        VR::AS => b"000Y".to_vec(),
        VR::IS | VR::DS => b"0".to_vec(),
        VR::PN => b"ANONYMOUS".to_vec(),
        VR::AE | VR::CS | VR::LO | VR::LT | VR::SH | VR::ST | VR::UC | VR::UR | VR::UT => b"REMOVED".to_vec(),
        VR::UI => b"2.25.0".to_vec(),
        _ => vec![0; bytes.len()],
    }
}

/// New UIDs for one or several; the standard's own stay.
fn new_uids(bytes: &[u8], options: &Options) -> Vec<u8> {
    let text = String::from_utf8_lossy(bytes);
    let new = text.split('\\').map(|one| {
        let old = one.trim_matches([' ', '\0']);
        if old.is_empty() || old.starts_with("1.2.840.10008.") {
            return old.to_owned();
        }
        uid::hashed(&options.secret, old.as_bytes())
    });
    new.collect::<Vec<_>>().join("\\").into_bytes()
}
