//! `inspect`, `render` and `deidentify` from outside, on the small files of `preprocess/tests/codecs`
//! (made by `make.py` there; their patient is made up).

use crate::common::{loupe, source, text};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

/// What the files hold that must never be seen.
const SECRETS: [&str; 7] = ["Doe", "Jane", "4711", "19500101", "20200229", "General Hospital", "3680043"];

fn said(out: &Output) -> (String, String) {
    (text(&out.stdout), text(&out.stderr))
}

fn codecs() -> PathBuf {
    source("preprocess/tests/codecs")
}

/// Files below a folder, by relative name.
fn files(folder: &Path) -> Vec<(String, Vec<u8>)> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(at) = open.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                open.push(path);
            } else {
                let name = path.strip_prefix(folder).unwrap().to_string_lossy().into_owned();
                found.push((name, fs::read(&path).unwrap()));
            }
        }
    }
    found.sort();
    found
}

fn holds(bytes: &[u8], part: &str) -> bool {
    bytes.windows(part.len()).any(|w| w == part.as_bytes())
}

/// A folder whose very names say who the patient is.
fn patients(dir: &Path) -> PathBuf {
    let folder = dir.join("Doe_Jane_4711");
    fs::create_dir(&folder).unwrap();
    for entry in fs::read_dir(codecs()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|e| e == "dcm") {
            fs::copy(&path, folder.join(format!("Doe-{}", path.file_name().unwrap().display()))).unwrap();
        }
    }
    fs::write(folder.join("Jane.txt"), "not an image").unwrap();
    folder
}

#[test]
fn copies_are_free_of_the_patient_and_agree_between_runs() {
    let dir = tempfile::tempdir().unwrap();
    let source = patients(dir.path());
    let secret = dir.path().join("secret");
    fs::write(&secret, "a long and private sentence").unwrap();
    let [first, second, third] = ["one", "two", "three"].map(|name| dir.path().join(name));
    let run = |to: &Path, more: &[&str]| {
        let mut args = vec!["deidentify", source.to_str().unwrap(), "-o", to.to_str().unwrap()];
        args.extend(more);
        loupe(&args)
    };
    let with_secret = ["--secret", secret.to_str().unwrap()];
    let out = run(&first, &with_secret);
    let (stdout, stderr) = said(&out);
    assert_eq!(out.status.code(), Some(0), "{stderr}");
    let golden = format!(
        "18 files of 1 patient written to {} after PS3.15 2026c\n1 file is not DICOM and left out\n",
        first.display()
    );
    assert_eq!((stdout.as_str(), stderr.as_str()), (golden.as_str(), ""));
    let copies = files(&first);
    assert_eq!(copies.len(), 18);
    for (name, bytes) in &copies {
        for secret in SECRETS {
            assert!(!name.contains(secret) && !holds(bytes, secret), "{secret} is left in {name}");
        }
    }
    assert!(run(&second, &with_secret).status.success());
    assert_eq!(copies, files(&second), "the same secret, the same copies");
    assert!(run(&third, &["--keep", "dates,patient"]).status.success());
    let others = files(&third);
    assert!(others.iter().all(|(name, _)| copies.iter().all(|(n, _)| n != name)), "UIDs cannot be guessed");
    assert!(others.iter().any(|(_, bytes)| holds(bytes, "20200229")), "dates were to be kept");
    assert_eq!(run(&first, &with_secret).status.code(), Some(2), "a folder that is not empty");

    // The copy looks like the original.
    let shot = |file: &Path, to: &str| {
        let png = dir.path().join(to);
        assert!(loupe(&["render", file.to_str().unwrap(), "-o", png.to_str().unwrap()]).status.success());
        fs::read(png).unwrap()
    };
    let originals = files(&source);
    let mut before: Vec<Vec<u8>> = originals
        .iter()
        .filter(|(name, _)| name.ends_with(".dcm"))
        .map(|(name, _)| shot(&source.join(name), "a.png"))
        .collect();
    let mut after: Vec<Vec<u8>> = copies.iter().map(|(name, _)| shot(&first.join(name), "b.png")).collect();
    before.sort();
    after.sort();
    assert_eq!(before, after);
}

#[test]
fn damaged_files_fail_alone_and_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let source = dir.path().join("in");
    fs::create_dir(&source).unwrap();
    let whole = fs::read(codecs().join("explicit.dcm")).unwrap();
    fs::write(source.join("a.dcm"), &whole).unwrap();
    // Nested far beyond anything sensible.
    let mut deep = whole;
    for _ in 0..200 {
        deep.extend([0xE0, 0x7F, 0x11, 0x00, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF]);
        deep.extend([0xFE, 0xFF, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]);
    }
    fs::write(source.join("b_Doe.dcm"), &deep).unwrap();
    let to = dir.path().join("out");
    let out = loupe(&["deidentify", source.to_str().unwrap(), "-o", to.to_str().unwrap(), "--json"]);
    assert_eq!(out.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&found["written"], &found["failed"][0]["file"]), (&1.into(), &2.into()), "{found}");
    let failed = &found["failed"][0];
    assert!(failed["error"].as_str().unwrap().contains("nested"));
    assert!(failed["name"].as_str().unwrap().ends_with("b_Doe.dcm"), "as it was given");
    let nothing = dir.path().join("empty");
    fs::create_dir(&nothing).unwrap();
    let out = loupe(&["deidentify", nothing.to_str().unwrap(), "-o", dir.path().join("x").to_str().unwrap()]);
    assert_eq!(out.status.code(), Some(2));
}

#[test]
fn identifiers_are_shown_on_request_only() {
    let file = codecs().join("explicit.dcm");
    let (shown, _) = said(&loupe(&["inspect", file.to_str().unwrap()]));
    assert!(SECRETS.iter().all(|secret| !shown.contains(secret)), "{shown}");
    for line in
        ["stored as    12 of 16 bits", "rescaled     × 1 + -1024", "orientation  LPS", "modality     CT"]
    {
        assert!(shown.contains(line), "{line:?} is not in\n{shown}");
    }
    let (shown, _) = said(&loupe(&["inspect", file.to_str().unwrap(), "--identifiers"]));
    assert!(shown.contains("Doe^Jane") && shown.contains("4711"), "{shown}");
}

#[test]
fn gaps_are_refused_until_told_otherwise() {
    let dir = tempfile::tempdir().unwrap();
    let whole = fs::read(codecs().join("explicit.dcm")).unwrap();
    let text = |from: &str, to: String, bytes: &mut [u8]| {
        let at = bytes.windows(from.len()).rposition(|w| w == from.as_bytes()).unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    };
    for z in [1, 2, 3, 5, 6] {
        let mut bytes = whole.clone();
        text("-5.0\\-4.0\\3.0", format!("-5.0\\-4.0\\{z}.0"), &mut bytes);
        text("10.1.77.1", format!("10.1.77.{z}"), &mut bytes);
        fs::write(dir.path().join(format!("{z}.dcm")), bytes).unwrap();
    }
    let folder = dir.path().to_str().unwrap();
    let (shown, _) = said(&loupe(&["inspect", folder]));
    assert!(shown.contains("refused") && shown.contains("--irregular"), "{shown}");
    assert!(shown.contains("stored as    12 of 16 bits, Explicit VR Little Endian"), "{shown}");
    let png = dir.path().join("a.png");
    let args = ["render", folder, "-o", png.to_str().unwrap(), "--plane", "coronal", "--json"];
    assert_eq!(loupe(&args).status.code(), Some(2));
    for (rule, rows) in [("nearest", 6), ("resample", 6)] {
        let out = loupe(&[&args[..], &["--irregular", rule]].concat());
        assert!(out.status.success(), "{}", said(&out).1);
        let origin: Value = serde_json::from_slice(&out.stdout).unwrap();
        // The picture has square pixels, and is what its sizes are those of.
        let bytes = fs::read(&png).unwrap();
        let size = [16, 20].map(|at| u32::from_be_bytes(bytes[at..at + 4].try_into().unwrap()));
        assert_eq!(origin["source_size"], serde_json::json!(size), "{rule}");
        let [across, down] = [0, 1].map(|n| origin["spacing_mm"][n].as_f64().unwrap());
        assert!((down * f64::from(size[1]) / f64::from(rows) - 1.0).abs() < 1e-6, "{rule}: steps of 1 mm");
        assert!((across - down).abs() < 0.5 * across, "{rule}");
    }
    let split = loupe(&[&args[..], &["--irregular", "split"]].concat());
    assert!(said(&split).1.contains("--series"), "{}", said(&split).1);
    assert!(loupe(&[&args[..], &["--irregular", "split", "--series", "0"]].concat()).status.success());
}

#[test]
fn volumes_become_the_input_of_models() {
    let dir = tempfile::tempdir().unwrap();
    let path = |name: &str| dir.path().join(name).to_string_lossy().into_owned();
    // 7 × 5 × 4 voxels of 1.5 × 2 × 3 mm.
    let volume = source("preprocess/tests/volumes/codes_q0_s1.nii");
    let volume = volume.to_string_lossy().into_owned();
    let prepare = |to: &str, more: &[&str]| -> Value {
        let out = path(to);
        let made = loupe(&[&["prepare", &volume, "-o", &out, "--json"], more].concat());
        let (stdout, stderr) = said(&made);
        assert!(made.status.success(), "{stderr}");
        let record: Value = serde_json::from_str(&stdout).unwrap();
        let written: Value =
            serde_json::from_slice(&fs::read(Path::new(&out).join("prepared.json")).unwrap()).unwrap();
        assert_eq!(record, written);
        record
    };
    let says = |record: &Value, words: &str| record["steps"].as_array().unwrap().iter().any(|s| s == words);
    let size = |file: &str| -> [u32; 2] {
        // Width and height stand in the first chunk of a PNG.
        let png = fs::read(path(file)).unwrap();
        [16, 20].map(|at| u32::from_be_bytes(png[at..at + 4].try_into().unwrap()))
    };

    let slices = prepare("slices", &["--slices", "even:2", "--plane", "coronal", "--window", "full"]);
    assert_eq!(slices["pictures"].as_array().unwrap().len(), 2);
    assert!(says(&slices, "slices [0, 4]"), "{slices}");
    assert_eq!(slices["pictures"][1]["origin"]["slice"], 4);

    let montage = prepare("montage", &["--montage", "3", "--slices", "all"]);
    assert_eq!(montage["pictures"].as_array().unwrap().len(), 1);
    assert_eq!(size("montage/000.png"), [21, 10]);
    let _ = prepare("mip", &["--mip", "--plane", "axial"]);
    assert_eq!(files(Path::new(&path("mip"))).len(), 2);

    let steps =
        ["--orient", "ras", "--spacing", "1,1,1", "--crop", "8,8,8", "--keep-volume", "--slices", "every:4"];
    let steps = prepare("steps", &steps);
    assert!(says(&steps, "orientation RAS") && says(&steps, "slices [0, 4]"), "{steps}");
    let kept: Value =
        serde_json::from_slice(&loupe(&["inspect", &path("steps/volume.nii.gz"), "--json"]).stdout).unwrap();
    assert_eq!(kept[0]["found"]["size"], serde_json::json!([8, 8, 8]));
    assert_eq!(kept[0]["found"]["orientation"], "RAS");

    let around = ["--slices", "around:0", "--mask", &volume];
    let refused = loupe(&[&["prepare", &volume, "-o", &path("around")], &around[..]].concat());
    assert!(said(&refused).1.contains("is no label"), "{:?}", said(&refused));

    // A mask that nothing would be made of is no option to be passed over.
    for (more, why) in
        [(&["--slices", "all"], "--slices around"), (&["--recipe", "m3d"], "cannot be used with")]
    {
        let folder = path("unused");
        let unused = [&["prepare", &volume, "-o", &folder, "--mask", &volume], &more[..]].concat();
        let refused = loupe(&unused);
        assert!(!refused.status.success() && said(&refused).1.contains(why), "{:?}", said(&refused));
        assert!(!Path::new(&folder).exists());
    }

    let medgemma = prepare("medgemma", &["--recipe", "medgemma-ct"]);
    assert_eq!(medgemma["pictures"].as_array().unwrap().len(), 4);
    assert_eq!(medgemma["pictures"][3]["caption"], "SLICE 4");
    let named = |record: &Value| {
        record["steps"].to_string().contains("recipe medgemma-ct (Google-Health/medgemma d89262c")
    };
    assert!(named(&medgemma), "{medgemma}");
    let m3d = prepare("m3d", &["--recipe", "m3d"]);
    assert_eq!(
        (&m3d["volume"], m3d["pictures"].as_array().unwrap().len()),
        (&Value::from("volume.nii.gz"), 0)
    );

    let names = said(&loupe(&["list", "recipes"])).0;
    let unknown = said(&loupe(&["prepare", &volume, "-o", &path("x"), "--recipe", "nope"])).1;
    for name in [
        "medgemma-ct",
        "medgemma-ct-serving",
        "medgemma1-ct",
        "medgemma-mr",
        "ct-chat",
        "m3d",
        "merlin",
        "radfm",
        "fleming-vl",
        "hulu-med",
    ] {
        assert!(names.contains(name), "{name}: {names}");
    }
    assert!(unknown.contains("loupe list recipes"), "{unknown}");
    let asked = loupe(&["ask", &volume, "what is this?", "--recipe", "m3d"]);
    assert!(said(&asked).1.contains("loupe prepare"), "{:?}", said(&asked));
    assert!(loupe(&["ask", &volume, "what is this?", "--recipe", "medgemma-ct"]).status.success());
}
