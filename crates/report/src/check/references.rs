//! Does what a DICOM object refers to exist, and does it belong to the same patient, study and frame of reference?

use super::report::CheckReport;
use crate::dicom::SourceStudy;
use loupe_dicom::object::Value;
use loupe_dicom::{Dataset, tags};
use std::collections::{BTreeMap, BTreeSet};

/// How deep sequences are followed.
const DEEPEST: usize = 32;

/// A reference to an object: class and instance.
pub(super) type Reference = (String, String);

/// Every reference anywhere in a data set, with how often it is made.
pub(super) fn all(data: &Dataset) -> BTreeMap<Reference, usize> {
    let mut found = BTreeMap::new();
    gather(data, 0, &mut found);
    found
}

fn gather(data: &Dataset, depth: usize, found: &mut BTreeMap<Reference, usize>) {
    let reference =
        data.text(tags::REFERENCED_SOP_CLASS_UID).zip(data.text(tags::REFERENCED_SOP_INSTANCE_UID));
    if let Some(reference) = reference {
        *found.entry(reference).or_default() += 1;
    }
    for element in data.elements() {
        if let (Value::Items(items), true) = (&element.value, depth < DEEPEST) {
            items.iter().for_each(|item| gather(item, depth + 1, found));
        }
    }
}

pub(super) fn check(data: &Dataset, source: Option<&SourceStudy>, report: &mut CheckReport) {
    let references = all(data);
    if references.is_empty() && data.text(tags::MODALITY).as_deref() != Some("DOC") {
        report.warning("the object refers to no other object");
    }
    let Some(source) = source else {
        report.unchecked(
            "whether the objects that it refers to exist, and their geometry: name them with --source",
        );
        return;
    };
    let known: BTreeMap<&str, &str> =
        source.files.iter().map(|f| (f.instance.as_str(), f.class.as_str())).collect();
    // A study is referred to by its own UID under a class that is retired.
    let studies: BTreeSet<&str> = source.files.iter().map(|f| f.study.as_str()).collect();
    let objects = references.keys().filter(|(_, instance)| !studies.contains(instance.as_str()));
    let (mut missing, mut other_class, mut all) = (0, 0, 0);
    for (class, instance) in objects {
        all += 1;
        match known.get(instance.as_str()) {
            None => missing += 1,
            Some(own) if own != class => other_class += 1,
            Some(_) => {}
        }
    }
    if missing > 0 {
        report.error(format!("{missing} of {all} objects that it refers to are not in the source"));
    }
    if other_class > 0 {
        report.error(format!("{other_class} references name another SOP class than the object has"));
    }
    let Some(first) = source.files.first() else { return };
    if data.text(tags::STUDY_INSTANCE_UID).as_deref() != Some(first.study.as_str()) {
        report.error("its Study Instance UID is not that of the source: a viewer shows it in another study");
    }
    let series: BTreeSet<&str> = source.files.iter().map(|f| f.series.as_str()).collect();
    if data.text(tags::SERIES_INSTANCE_UID).is_some_and(|uid| series.contains(uid.as_str())) {
        report.error("its Series Instance UID is that of a source series, whose modality is another");
    }
    let same = |tag, what: &str, report: &mut CheckReport| {
        if data.text(tag) != first.data.text(tag) {
            report.error(format!("its {what} is not that of the source"));
        }
    };
    same(tags::PATIENT_ID, "Patient ID", report);
    same(tags::STUDY_DATE, "Study Date", report);
    let frames: BTreeSet<String> = source
        .files
        .iter()
        .filter(|f| references.contains_key(&(f.class.clone(), f.instance.clone())))
        .filter_map(|f| f.frame_of_reference())
        .collect();
    if let Some(own) = data.text(tags::FRAME_OF_REFERENCE_UID)
        && !frames.is_empty()
        && !frames.contains(&own)
    {
        report.error("its Frame of Reference UID is not that of the images that it refers to");
    }
}
