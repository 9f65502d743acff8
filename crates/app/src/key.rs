//! The key of de-identified copies: which pseudonym stands for which patient, and the secret behind new UIDs and dates.
//!
//! A file of its own, apart from the copies, that only its owner may read. A later call reads it back, so that a patient keeps the
//! pseudonym, and UIDs and distances in time agree over all calls.

use crate::error::{AppError, InStep};
use loupe_core::files::{SETTINGS_BYTES, read_at_most, write_private};
use loupe_preprocess::dicom::deid::{Options, Subject};
use serde::{Deserialize, Serialize};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// Bytes of a new secret, written as hexadecimal digits.
const SECRET_BYTES: usize = 32;
/// Template of a key that is begun without one.
const TEMPLATE: &str = "P{n:04}";
/// Longest pseudonym: what Patient ID holds (PS3.5 table 6.2-1).
const LONGEST: usize = 64;

/// The file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Contents {
    /// Says what the file is.
    loupe_key: u32,
    pseudonym: String,
    secret: String,
    patients: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    /// Patient ID, with its issuer when there is one; the study of files without.
    patient: String,
    pseudonym: String,
    shift_days: i64,
}

/// A key file and what is in it.
pub(crate) struct Key {
    path: PathBuf,
    contents: Contents,
    template: Template,
    known: HashMap<String, usize>,
}

impl Key {
    /// Reads a key, or begins one with `secret` when there is no such file.
    pub(crate) fn open(
        path: &Path,
        template: Option<&str>,
        secret: impl FnOnce() -> Vec<u8>,
    ) -> Result<Self, AppError> {
        let step = || format!("the key {} could not be used", path.display());
        let contents = match read_at_most(path, SETTINGS_BYTES) {
            Ok(bytes) => {
                only_the_owner(path)?;
                // What the parser says could quote the file.
                serde_json::from_slice::<Contents>(&bytes)
                    .ok()
                    .filter(|c| c.loupe_key == 1)
                    .ok_or_else(|| AppError::input("it is not a key that loupe wrote, or it is damaged"))
                    .step(step)?
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Contents {
                loupe_key: 1,
                pseudonym: template.unwrap_or(TEMPLATE).to_owned(),
                secret: secret().iter().take(SECRET_BYTES).map(|b| format!("{b:02x}")).collect(),
                patients: Vec::new(),
            },
            Err(error) => return Err(error).step(step),
        };
        if let Some(wanted) = template.filter(|wanted| *wanted != contents.pseudonym) {
            let known = &contents.pseudonym;
            return Err(AppError::input(format!(
                "the key was begun with --pseudonym {known}, not {wanted}; leave the option out or begin another key"
            )));
        }
        if contents.secret.len() < SECRET_BYTES {
            return Err(AppError::input(
                "the secret of the key is too short; anyone could then test guesses of the old UIDs",
            ));
        }
        let template = Template::parse(&contents.pseudonym)?;
        let known = contents.patients.iter().enumerate().map(|(n, e)| (e.patient.clone(), n)).collect();
        Ok(Self { path: path.to_owned(), contents, template, known })
    }

    /// What new UIDs and dates are made of.
    pub(crate) fn secret(&self) -> Vec<u8> {
        self.contents.secret.clone().into_bytes()
    }

    /// Who stands for a patient. A new one is on the disk before it is used, so that no copy is without its key.
    pub(crate) fn subject(&mut self, patient: &str, options: &Options) -> Result<Subject, std::io::Error> {
        let at = match self.known.get(patient) {
            Some(at) => *at,
            None => {
                let at = self.contents.patients.len();
                let pseudonym = self.template.of(at + 1);
                let shift_days = Subject::hashed(patient, options).shift_days;
                self.contents.patients.push(Entry { patient: patient.to_owned(), pseudonym, shift_days });
                self.known.insert(patient.to_owned(), at);
                self.save()?;
                at
            }
        };
        let entry = self.contents.patients.get(at);
        let entry = entry.ok_or_else(|| std::io::Error::other("the key lost a patient"))?;
        Ok(Subject { pseudonym: entry.pseudonym.clone(), shift_days: entry.shift_days })
    }

    fn save(&self) -> std::io::Result<()> {
        write_private(&self.path, |to| serde_json::to_writer_pretty(to, &self.contents).map_err(Into::into))
    }
}

/// Refuses a key that others may read.
fn only_the_owner(path: &Path) -> Result<(), AppError> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(path).map_or(0, |facts| facts.permissions().mode());
        if mode & 0o077 != 0 {
            let path = path.display();
            return Err(AppError::input(format!(
                "others than its owner may read the key {path}; run chmod 600 on it first"
            )));
        }
    }
    Ok(())
}

/// Errors when the key would lie among the copies.
pub(crate) fn must_be_apart(key: &Path, output: &Path) -> Result<(), AppError> {
    match lies_in(key, output) {
        true => Err(AppError::input(
            "the key says who the copies are of, so it must not lie among them; name a place outside the output folder",
        )),
        false => Ok(()),
    }
}

/// Is a path, which need not be there yet, inside a folder or the folder itself?
pub(crate) fn lies_in(path: &Path, folder: &Path) -> bool {
    let whole = |path: &Path| {
        // A folder that is not there yet lies in one that is.
        let mut rest = Vec::new();
        let mut at = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
        loop {
            if let Ok(found) = at.canonicalize() {
                return rest.iter().rev().fold(found, |path, name| path.join(name));
            }
            match (at.file_name().map(ToOwned::to_owned), at.parent().map(Path::to_owned)) {
                (Some(name), Some(parent)) => {
                    rest.push(name);
                    at = parent;
                }
                _ => return at,
            }
        }
    };
    whole(path).starts_with(whole(folder))
}

/// How pseudonyms are written: words around one number.
struct Template {
    before: String,
    digits: usize,
    after: String,
}

impl Template {
    fn parse(text: &str) -> Result<Self, AppError> {
        let refused = || {
            let form = "letters, digits, '-', '_' or '.' around one {n} or {n:03}";
            AppError::input(format!("a pseudonym is written with {form}, as in R{{n:03}}; found {text:?}"))
        };
        let (before, rest) = text.split_once('{').ok_or_else(refused)?;
        let (number, after) = rest.split_once('}').ok_or_else(refused)?;
        let digits = match number.strip_prefix('n').map(|n| n.strip_prefix(":0")) {
            Some(None) if number == "n" => 1,
            Some(Some(digits)) => digits.parse().ok().filter(|d| (1..=12).contains(d)).ok_or_else(refused)?,
            _ => return Err(refused()),
        };
        let plain =
            |part: &str| part.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.'));
        if !plain(before)
            || !plain(after)
            || before.starts_with('.')
            || before.len() + after.len() > LONGEST - 12
        {
            return Err(refused());
        }
        Ok(Self { before: before.to_owned(), digits, after: after.to_owned() })
    }

    fn of(&self, n: usize) -> String {
        format!("{}{n:0digits$}{}", self.before, self.after, digits = self.digits)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]

    use super::*;

    #[test]
    fn templates_number_patients() {
        let of = |text: &str, n| Template::parse(text).map(|t| t.of(n)).ok();
        assert_eq!(of("R{n:03}", 7).as_deref(), Some("R007"));
        assert_eq!(of("site-2_{n}.b", 12).as_deref(), Some("site-2_12.b"));
        assert_eq!(of("R{n:02}", 1234).as_deref(), Some("R1234"));
        for wrong in
            ["R", "R{n", "R{m}", "R{n:3}", "R{n:0}", "../{n}", "R/{n}", "R{n}{n}", "a^{n}", "{n:0x}", ""]
        {
            assert_eq!(of(wrong, 1), None, "{wrong}");
        }
    }

    #[test]
    fn a_key_is_read_back_and_lies_apart() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key.json");
        let options = Options { secret: vec![7; 32], ..Options::default() };
        let mut key = Key::open(&path, Some("R{n:03}"), || vec![7; 32]).unwrap();
        assert!(!path.exists(), "a key without patients is none");
        let first = key.subject("4711", &options).unwrap();
        let second = key.subject("Doe of Ward", &options).unwrap();
        assert_eq!([&first.pseudonym, &second.pseudonym], ["R001", "R002"]);
        assert_eq!(key.subject("4711", &options).unwrap(), first);
        let mut again = Key::open(&path, None, || panic!("the key has one")).unwrap();
        assert_eq!(again.secret(), key.secret());
        assert_eq!(again.subject("Doe of Ward", &options).unwrap(), second);
        assert_eq!(again.subject("new", &options).unwrap().pseudonym, "R003");
        assert!(Key::open(&path, Some("S{n}"), Vec::new).is_err(), "another template");
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |bits| std::fs::set_permissions(&path, std::fs::Permissions::from_mode(bits)).unwrap();
            assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
            mode(0o640);
            assert!(Key::open(&path, None, Vec::new).is_err(), "others may read it");
            mode(0o600);
        }
        std::fs::write(dir.path().join("other"), "Doe^Jane").unwrap();
        #[cfg(unix)]
        std::fs::set_permissions(
            dir.path().join("other"),
            std::os::unix::fs::PermissionsExt::from_mode(0o600),
        )
        .unwrap();
        let said = Key::open(&dir.path().join("other"), None, Vec::new).err().unwrap().to_string();
        assert!(!said.contains("Doe"), "{said}");

        let output = dir.path().join("not/there");
        assert!(must_be_apart(&output.join("../there/key"), &output).is_err() || cfg!(not(unix)));
        assert!(must_be_apart(&output.join("key"), &output).is_err());
        assert!(must_be_apart(&dir.path().join("not/therefore"), &output).is_ok());
    }
}
