//! Codes of labels: SNOMED CT for names that have one meaning, a scheme of our own for all others.

use loupe_core::labels::{CodedConcept, Label};
use loupe_core::words::hex;
use sha2::{Digest, Sha256};

/// Scheme of codes that are made of the label's words (PS3.16 section 8: private schemes begin with `99`).
pub const OWN_SCHEME: &str = "99LOUPE";

/// Anatomical structures: SNOMED CT code, meaning, and other names.
const STRUCTURES: &[(&str, &str, &[&str])] = &[
    ("10200004", "Liver", &[]),
    ("78961009", "Spleen", &[]),
    ("64033007", "Kidney", &[]),
    ("18639004", "Left kidney", &["kidney left"]),
    ("9846003", "Right kidney", &["kidney right"]),
    ("15776009", "Pancreas", &[]),
    ("28231008", "Gallbladder", &["gall bladder"]),
    ("69695003", "Stomach", &[]),
    ("89837001", "Urinary bladder", &["bladder"]),
    ("32849002", "Esophagus", &["oesophagus"]),
    ("44567001", "Trachea", &[]),
    ("15825003", "Aorta", &[]),
    ("80891009", "Heart", &[]),
    ("39607008", "Lung", &[]),
    ("44029006", "Left lung", &["lung left"]),
    ("3341006", "Right lung", &["lung right"]),
    ("12738006", "Brain", &[]),
    ("41216001", "Prostate", &[]),
    ("69748006", "Thyroid gland", &["thyroid"]),
];

/// Findings: SNOMED CT code, meaning, and other names.
const FINDINGS: &[(&str, &str, &[&str])] = &[
    ("52988006", "Lesion", &[]),
    ("4147007", "Mass", &[]),
    ("27925004", "Nodule", &[]),
    ("72704001", "Fracture", &[]),
    ("36118008", "Pneumothorax", &[]),
    ("60046008", "Pleural effusion", &["effusion"]),
    ("233604007", "Pneumonia", &[]),
    ("8186001", "Cardiomegaly", &["enlarged heart"]),
    ("46621007", "Atelectasis", &[]),
    ("95436008", "Pulmonary consolidation", &["consolidation"]),
];

/// A label's words in small letters with single blanks.
fn plain(words: &str) -> String {
    let words: String = words.chars().map(|c| if matches!(c, '_' | '-') { ' ' } else { c }).collect();
    words.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase()
}

fn among(table: &[(&str, &str, &[&str])], words: &str) -> Option<CodedConcept> {
    let words = plain(words);
    let named = |(_, meaning, others): &&(&str, &str, &[&str])| {
        plain(meaning) == words || others.contains(&words.as_str())
    };
    table.iter().find(named).map(|(value, meaning, _)| concept(value, "SCT", meaning))
}

/// A concept.
pub(crate) fn concept(value: &str, scheme: &str, meaning: &str) -> CodedConcept {
    CodedConcept { value: value.to_owned(), scheme: scheme.to_owned(), meaning: meaning.to_owned() }
}

/// The code of a label: SNOMED CT where its words have one meaning there, else one of [`OWN_SCHEME`] made of its words, the
/// same each time.
pub fn code_of(words: &str) -> CodedConcept {
    among(FINDINGS, words).or_else(|| among(STRUCTURES, words)).unwrap_or_else(|| {
        let digest = Sha256::digest(plain(words).as_bytes());
        let value: String = hex(&digest).chars().take(15).collect();
        concept(&format!("L{value}"), OWN_SCHEME, words.trim())
    })
}

/// Category and type of a segment: its own codes, else what its name means, else a tissue that only its name tells.
pub(crate) fn segment_codes(label: &Label) -> [CodedConcept; 2] {
    let name = label.title();
    let kind = label.code.clone().filter(|c| !c.value.is_empty()).unwrap_or_else(|| code_of(&name));
    let structure = || concept("123037004", "SCT", "Anatomical Structure");
    let altered = || concept("49755003", "SCT", "Morphologically Altered Structure");
    let category = label.category.clone().filter(|c| !c.value.is_empty()).unwrap_or_else(|| {
        if STRUCTURES.iter().any(|(value, ..)| *value == kind.value) {
            structure()
        } else if FINDINGS.iter().any(|(value, ..)| *value == kind.value) {
            altered()
        } else {
            concept("85756007", "SCT", "Tissue")
        }
    });
    [category, kind]
}
