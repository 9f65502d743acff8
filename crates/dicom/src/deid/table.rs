//! The tables of PS3.15 annex E, made by `profile.py`.

use super::options::{Dates, Options};
use dicom_core::{Tag, VR};
use std::collections::HashMap;
use std::sync::OnceLock;

const PROFILE: &str = include_str!("profile.csv");
const CONTENT: &str = include_str!("content.csv");
const PRIVATE: &str = include_str!("private.csv");

/// The edition of the standard whose tables these are.
pub const EDITION: &str = "PS3.15 2026c";

/// What is done to an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Action {
    Remove,
    Empty,
    Dummy,
    Uid,
    /// Dates move, times stay.
    Shift,
    /// A sequence whose items are cleaned by the rules for what is in them.
    Clean,
    /// As it is; items of sequences are cleaned.
    Keep,
}

/// A row: what the basic profile does, and the options that keep the attribute.
#[derive(Debug, Clone, Copy)]
struct Row {
    action: Action,
    kept_by: &'static str,
}

impl Row {
    fn of(action: &str, kept_by: &'static str) -> Self {
        let action = match action {
            "X" => Action::Remove,
            "Z" => Action::Empty,
            "U" => Action::Uid,
            "C" => Action::Clean,
            "K" => Action::Keep,
            _ => Action::Dummy,
        };
        Self { action, kept_by }
    }

    fn under(self, options: &Options, vr: VR) -> Action {
        for letter in self.kept_by.chars() {
            let kept = match letter {
                'u' => options.keep_uids,
                'd' => options.keep_device,
                'i' => options.keep_institution,
                'p' => options.keep_patient_characteristics,
                _ => match options.dates {
                    Dates::Kept => true,
                    Dates::Shifted if matches!(vr, VR::DA | VR::DT) => return Action::Shift,
                    // Times of day and the zone they are in keep the distances.
                    Dates::Shifted => matches!(vr, VR::TM | VR::SH),
                    Dates::Removed => false,
                },
            };
            if kept {
                return Action::Keep;
            }
        }
        self.action
    }
}

fn rows(table: &'static str) -> impl Iterator<Item = Vec<&'static str>> {
    table.lines().filter(|line| !line.starts_with('#')).map(|line| line.split(',').collect())
}

/// What the profile does to an attribute; `None` when no row names it.
pub(super) fn attribute(tag: Tag, vr: VR, options: &Options) -> Option<Action> {
    static ROWS: OnceLock<HashMap<Tag, Row>> = OnceLock::new();
    let table = ROWS.get_or_init(|| {
        let row = |parts: Vec<&'static str>| {
            let [tag, action, kept_by] = parts.try_into().ok()?;
            let tag = u32::from_str_radix(tag, 16).ok()?;
            Some((Tag((tag >> 16) as u16, tag as u16), Row::of(action, kept_by)))
        };
        rows(PROFILE).filter_map(row).collect()
    });
    table.get(&tag).map(|row| row.under(options, vr))
}

/// What the profile does to a content item by its concept; `None` when table E.3.4-1 does not name it.
pub(super) fn content(scheme: &str, code: &str, value_type: &str, options: &Options) -> Option<Action> {
    static ROWS: OnceLock<HashMap<[&'static str; 3], Row>> = OnceLock::new();
    let table = ROWS.get_or_init(|| {
        let row = |parts: Vec<&'static str>| {
            let [scheme, code, value_type, action, kept_by] = parts.try_into().ok()?;
            Some(([scheme, code, value_type], Row::of(action, kept_by)))
        };
        rows(CONTENT).filter_map(row).collect()
    });
    let vr = match value_type {
        "DATE" => VR::DA,
        "DATETIME" => VR::DT,
        "TIME" => VR::TM,
        _ => VR::UT,
    };
    table.get(&[scheme, code, value_type]).map(|row| row.under(options, vr))
}

/// The value representation of a private attribute that is thought to be safe: number or code string.
pub(super) fn safe_private(group: u16, offset: u8, creator: &str) -> Option<VR> {
    static ROWS: OnceLock<HashMap<(u16, u8, &'static str), VR>> = OnceLock::new();
    let table = ROWS.get_or_init(|| {
        let row = |parts: Vec<&'static str>| {
            let [group, offset, vr, creator] = parts.try_into().ok()?;
            let group = u16::from_str_radix(group, 16).ok()?;
            let offset = u8::from_str_radix(offset, 16).ok()?;
            Some(((group, offset, creator), vr.parse().ok()?))
        };
        rows(PRIVATE).filter_map(row).collect()
    });
    table.get(&(group, offset, creator)).copied()
}
