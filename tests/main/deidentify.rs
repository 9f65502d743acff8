//! `loupe deidentify` from outside: patients over several calls, text in pixels, and the copies in the eyes of other programs.

use crate::common::{json, loupe, real_data, source, text};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Letters that no UID and no hexadecimal pseudonym can hold by chance.
const PATIENT: &str = "WXYZ";
/// The study date of the small files of `preprocess/tests/codecs`.
const STUDY_DATE: &str = "20200229";

/// A folder with a file of each patient; their numbers are as long as that of the original, 4711.
fn folder(dir: &Path, name: &str, patients: &[&str]) -> PathBuf {
    let folder = dir.join(name);
    fs::create_dir(&folder).unwrap();
    let bytes = fs::read(source("preprocess/tests/codecs/explicit.dcm")).unwrap();
    for (n, patient) in patients.iter().enumerate() {
        let mut copy = bytes.clone();
        let at = copy.windows(4).position(|w| w == b"4711").unwrap();
        copy[at..at + 4].copy_from_slice(patient.as_bytes());
        fs::write(folder.join(format!("{n}-{patient}.dcm")), copy).unwrap();
    }
    folder
}

/// Paths below a folder, by their parts.
fn below(folder: &Path) -> Vec<Vec<String>> {
    let mut found = Vec::new();
    let mut open = vec![(folder.to_owned(), Vec::new())];
    while let Some((at, parts)) = open.pop() {
        for entry in fs::read_dir(at).unwrap().flatten() {
            let mut parts: Vec<String> = parts.clone();
            parts.push(entry.file_name().to_string_lossy().into_owned());
            if entry.path().is_dir() { open.push((entry.path(), parts)) } else { found.push(parts) }
        }
    }
    found.sort();
    found
}

fn str(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn a_key_keeps_patients_over_calls() {
    let dir = tempfile::tempdir().unwrap();
    let first = folder(dir.path(), "first", &["WXYZ", "KLMN"]);
    let second = folder(dir.path(), "second", &["HIJK", "WXYZ"]);
    let key = dir.path().join("key.json");
    let [one, two, three] = ["one", "two", "three"].map(|name| dir.path().join(name));
    let run = |from: &Path, to: &Path, more: &[&str]| {
        let mut args = vec!["deidentify", str(from), "-o", str(to), "--key", str(&key), "--shift-dates"];
        args.extend(more);
        loupe(&args)
    };
    let out = run(&first, &one, &["--pseudonym", "R{n:03}"]);
    assert!(out.status.success(), "{}", text(&out.stderr));
    assert!(run(&second, &two, &[]).status.success());
    let copies = |folder: &Path| {
        let parts = below(folder);
        assert!(parts.iter().all(|p| p.len() == 4), "patient, study, series, object: {parts:?}");
        parts
    };
    let patients = |folder: &Path| copies(folder).into_iter().map(|p| p[0].clone()).collect::<BTreeSet<_>>();
    assert_eq!(patients(&one), BTreeSet::from(["R001", "R002"].map(str::to_owned)));
    // Names decide the order: HIJK comes first, and WXYZ is known as the first file of the first call.
    assert_eq!(patients(&two), BTreeSet::from(["R001", "R003"].map(str::to_owned)));
    let of = |folder: &Path, patient: &str| copies(folder).into_iter().find(|p| p[0] == patient).unwrap();
    assert_eq!(of(&one, "R001"), of(&two, "R001"), "the same UIDs");
    let bytes = |folder: &Path| {
        fs::read(of(folder, "R001").iter().fold(folder.to_owned(), |f, p| f.join(p))).unwrap()
    };
    assert_eq!(bytes(&one), bytes(&two), "the same dates");
    assert!(!bytes(&one).windows(8).any(|w| w == STUDY_DATE.as_bytes()));

    // The key is the one place that knows.
    let said: Value = serde_json::from_slice(&fs::read(&key).unwrap()).unwrap();
    assert_eq!(said["patients"][0]["patient"], PATIENT);
    assert_eq!(said["patients"][0]["pseudonym"], "R001");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
    }
    let out = run(&first, &three, &["--pseudonym", "S{n}"]);
    assert_eq!(out.status.code(), Some(2), "another template than the key's");
    let inside = three.join("key.json");
    let out = loupe(&["deidentify", str(&first), "-o", str(&three), "--key", str(&inside)]);
    assert_eq!(out.status.code(), Some(2));
    assert!(text(&out.stderr).contains("outside the output folder") && !three.exists());
    // A key that nobody named lies beside the copies.
    let out = loupe(&["deidentify", str(&first), "-o", str(&three), "--pseudonym", "R{n}"]);
    assert!(out.status.success() && text(&out.stderr).contains("three-key.json"), "{}", text(&out.stderr));
    assert!(dir.path().join("three-key.json").is_file());
    assert_eq!(patients(&three), BTreeSet::from(["R1", "R2"].map(str::to_owned)));
}

#[test]
fn patients_without_a_key_stay_apart() {
    let dir = tempfile::tempdir().unwrap();
    let files = folder(dir.path(), "in", &["WXYZ", "KLMN", "WXYZ"]);
    let to = dir.path().join("out");
    let found = json(&["deidentify", str(&files), "-o", str(&to), "--json"]);
    assert_eq!((&found["written"], &found["patients"]), (&3.into(), &2.into()));
    assert_eq!(found["edition"], "PS3.15 2026c");
    let names = below(&to);
    assert!(
        names.iter().flatten().all(|part| !part.contains(PATIENT) && !part.contains("KLMN")),
        "{names:?}"
    );
    // Copies among the originals would be read by the next call.
    let inside = loupe(&["deidentify", str(&files), "-o", str(&files.join("copies"))]);
    assert!(inside.status.success() && text(&inside.stderr).contains("inside the folder that is read"));
    std::fs::remove_dir_all(files.join("copies")).unwrap();
    // Old UIDs that stay in copies do not stand in their names.
    let kept = dir.path().join("kept");
    assert!(loupe(&["deidentify", str(&files), "-o", str(&kept), "--keep", "uids"]).status.success());
    assert!(below(&kept).iter().flatten().all(|part| !part.contains("3680043")));
}

#[test]
fn files_with_text_in_the_pixels_are_named() {
    let dir = tempfile::tempdir().unwrap();
    let folder = folder(dir.path(), "in", &["WXYZ", "KLMN"]);
    let marked = folder.join("0-WXYZ.dcm");
    let mut bytes = fs::read(&marked).unwrap();
    // A secondary capture by its modality.
    let modality = bytes.windows(8).position(|w| w == b"\x08\x00\x60\x00CS\x02\x00").unwrap() + 8;
    bytes[modality..modality + 2].copy_from_slice(b"SC");
    fs::write(&marked, bytes).unwrap();
    let run = |to: &str, more: &[&str]| {
        let to = dir.path().join(to);
        let mut args = vec!["deidentify", str(&folder), "-o", str(&to)];
        args.extend(more);
        loupe(&args)
    };
    let out = run("a", &[]);
    assert_eq!(out.status.code(), Some(0));
    assert!(text(&out.stderr).contains(str(&marked)), "{}", text(&out.stderr));
    assert!(!text(&out.stderr).contains("1-KLMN.dcm"));
    let out = run("b", &["--refuse-burned-in", "--json"]);
    assert_eq!(out.status.code(), Some(1));
    let found: Value = serde_json::from_slice(&out.stdout).unwrap();
    assert_eq!((&found["written"], &found["failed"][0]["name"]), (&1.into(), &str(&marked).into()));
    let out = run("c", &["--refuse-burned-in", "--blank", "modality=SC:0,0,2,2"]);
    assert_eq!(out.status.code(), Some(0), "{}", text(&out.stderr));
    assert!(text(&out.stderr).contains("blanked"));
    for wrong in ["0,0,0,2", "0,0,2", "x", "modality=SC", "colour=red:0,0,2,2", "size=9:0,0,2,2"] {
        assert_eq!(run("d", &["--blank", wrong]).status.code(), Some(2), "{wrong}");
    }
    assert_eq!(run("d", &["--keep", "dates", "--shift-dates"]).status.code(), Some(2));
}

/// Every DICOM file of the test data, looked at by dciodvfy, dsrdump, pydicom and highdicom, as it is and with markers planted in
/// every text, date and UID (`tests/deid/plant.py`).
#[test]
fn copies_are_clean_and_whole_for_other_programs() {
    let Some(data) = real_data("") else { return };
    let python = std::env::var("LOUPE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    let has = Command::new(&python).args(["-c", "import pydicom, highdicom"]).output();
    if !has.is_ok_and(|out| out.status.success()) {
        eprintln!("skipped: {python} has no pydicom and highdicom; LOUPE_TEST_PYTHON may name another");
        return;
    }
    let out = Command::new(python)
        .arg(source("tests/deid/plant.py"))
        .args([Path::new(env!("CARGO_BIN_EXE_loupe")), &data, &source("crates/dicom/src/deid/profile.csv")])
        .output()
        .unwrap();
    let said = text(&out.stdout);
    eprintln!("{said}");
    assert!(out.status.success(), "{said}{}", text(&out.stderr));
}
