//! Prints, for each folder named on standard input, a JSON object: of its DICOM series how many slices are shown in the
//! series as in their files alone, and whether the files in another order give the same. The section on series of
//! `docs/reference/conformance.md` is made from it (`preprocess/tests/conformance/dicom.py`).
#![allow(clippy::print_stdout)]

use loupe_core::View;
use loupe_core::media::{MediaError, Plane, SliceAt};
use loupe_dicom::tags;
use loupe_preprocess::DecodeLimits;
use loupe_preprocess::dicom::Image;
use loupe_preprocess::dicom::files::{self, Blob};
use loupe_preprocess::dicom::series::{Content, Options, Phase, Series, load_all};
use loupe_preprocess::volume_facts::SliceMaking;
use loupe_preprocess::volume_io::ReadVolume;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::io::BufRead;
use std::path::Path;

fn main() {
    for line in std::io::stdin().lock().lines().map_while(Result::ok) {
        let found = folder(Path::new(&line)).unwrap_or_else(|e| json!({ "refused": e.to_string() }));
        println!("{}", json!({ "folder": line, "found": found }));
    }
}

fn folder(path: &Path) -> Result<Value, MediaError> {
    let (limits, options) = (DecodeLimits::default(), Options::default());
    let mut blobs = files::collect(path, &limits)?;
    let all = load_all(blobs.clone(), &options)?;
    blobs.reverse();
    let again = load_all(blobs.clone(), &options)?;
    let by_uid: HashMap<String, &Blob> =
        blobs.iter().filter_map(|blob| Some((uid(blob, &limits)?, blob))).collect();
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    let mut count = |what| *counts.entry(what).or_default() += 1;
    for (n, one) in all.iter().enumerate() {
        count("series");
        count(if again.get(n).is_some_and(|other| same(one, other)) { "same order" } else { "other order" });
        let Ok(Content::Volumes(phases)) = &one.content else { continue };
        for Phase { volume, facts } in phases {
            let read = ReadVolume { facts: facts.clone(), ..ReadVolume::of(volume.clone()) };
            for k in 0..volume.shape()[0] {
                count(slice(&read, k, &by_uid, &limits)?);
            }
        }
    }
    Ok(json!(counts))
}

/// Whether slice `k` of the volume is shown as its file is.
fn slice(
    read: &ReadVolume,
    k: usize,
    by_uid: &HashMap<String, &Blob>,
    limits: &DecodeLimits,
) -> Result<&'static str, MediaError> {
    let Some(facts) = read.facts.slice(k) else { return Ok("no facts") };
    let [instance] = facts.instances.as_slice() else { return Ok("made of several") };
    let blob = instance.sop_instance_uid.as_ref().and_then(|uid| by_uid.get(uid));
    let Some(blob) = blob.filter(|_| facts.making == SliceMaking::Stored) else {
        return Ok("made of several");
    };
    if facts.presentation.first().is_none() {
        return Ok("no window");
    }
    let image = Image::parse(blob.read(limits)?, limits)?;
    let alone = image.picture(&View { frame: instance.frame, ..View::default() })?;
    let view = View { plane: Plane::Stored, slice: Some(SliceAt::Index(k)), ..View::default() };
    let shown = read.picture(&view)?;
    if (shown.width(), shown.height()) != (alone.width(), alone.height()) {
        return Ok("tile of a mosaic");
    }
    let pairs = shown.pixels().iter().zip(alone.pixels());
    Ok(if pairs.clone().all(|(a, b)| a.abs_diff(*b) <= 1) { "alike" } else { "WRONG" })
}

fn uid(blob: &Blob, limits: &DecodeLimits) -> Option<String> {
    let object = loupe_dicom::parse::parse(blob.read(limits).ok()?, limits).ok()?;
    object.data.text(tags::SOP_INSTANCE_UID)
}

fn same(one: &Series, other: &Series) -> bool {
    match (&one.content, &other.content) {
        (Ok(Content::Volumes(a)), Ok(Content::Volumes(b))) => a == b,
        (Ok(Content::Frames(a)), Ok(Content::Frames(b))) => {
            let path = |blob: &Blob| match blob {
                Blob::File(path) => path.clone(),
                Blob::Memory(_) => Path::new("").to_owned(),
            };
            a.len() == b.len() && a.iter().zip(b).all(|(x, y)| (path(&x.0), x.1) == (path(&y.0), y.1))
        }
        (Err(a), Err(b)) => a == b,
        _ => false,
    }
}
