//! Which label of a mask file the reference of a sample means.

use loupe_core::Label;
use loupe_core::labels::LabelError;
use loupe_core::words::counted;

/// The label that a reference means, by a number or name that stands for it alone: `value`, which is a number; else
/// `label`; else none, for all that are there. That only a label map may mean: what a segmentation or structure set
/// keeps apart (`apart`) is not united without a word.
///
/// # Errors
/// When there is no such label, or one of several would have to be guessed; says how to name one.
pub(crate) fn chosen<'a>(
    labels: &[&Label],
    value: Option<&'a str>,
    label: &'a str,
    apart: bool,
) -> Result<Option<&'a str>, String> {
    let numbers: Vec<String> = labels.iter().map(|l| l.number.to_string()).collect();
    let (numbers, count) = (numbers.join(", "), counted(labels.len(), "label"));
    if let Some(value) = value {
        return Label::find(labels, value).map(|_| Some(value)).map_err(|e| e.to_string());
    }
    match Label::find(labels, label) {
        Ok(_) => Ok(Some(label)),
        Err(LabelError::Ambiguous(_)) => Err(format!(
            "several labels of the mask are called {label:?}; write the number of one as \"label\" of the mask"
        )),
        Err(_) if !apart || labels.len() < 2 => Ok(None),
        Err(_) if label.is_empty() => Err(format!(
            "the mask has {count} ({numbers}), and the row does not say which is meant; write the number or name of \
             one as \"label\" of the mask"
        )),
        Err(error) => Err(format!(
            "{error}; the \"label\" of the mask in the row has to be the number or name of one of them"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn one_of_several_labels_is_named_or_asked_for() {
        let of = |number, name: &str| Label { number, name: Some(name.to_owned()), ..Label::default() };
        let all = [of(1, "Liver"), of(3, "Cyst"), of(4, "cyst"), of(7, "3")];
        let all: Vec<&Label> = all.iter().collect();
        let means = |value, label, apart| chosen(&all, value, label, apart);
        assert_eq!(means(None, " liver ", true), Ok(Some(" liver ")));
        assert_eq!((means(None, "3", true), means(Some("4"), "", false)), (Ok(Some("3")), Ok(Some("4"))));
        let none = means(None, "", true).unwrap_err();
        assert!(none.contains("4 labels (1, 3, 4, 7)") && none.contains("\"label\""), "{none}");
        let strange = means(None, "spleen", true).unwrap_err();
        assert!(strange.contains("no label \"spleen\"; it has"), "{strange}");
        assert!(means(None, "cyst", false).unwrap_err().contains("several labels"));
        assert!(means(Some("2"), "Liver", false).unwrap_err().contains("no label \"2\""));
        // A label map as a whole, and the only label of an object, may be called anything.
        assert_eq!((means(None, "", false), means(None, "organs", false)), (Ok(None), Ok(None)));
        assert_eq!(chosen(&all[..1], None, "", true), Ok(None));
    }
}
