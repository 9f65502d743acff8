//! Lists of cases: a row a case, as CSV with a header or as JSON lines.

use crate::error::StudyError;
use crate::reading::LesionPlace;
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// A row.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CaseRow {
    /// Name of the case in the file of readings, and the id by which runs of arms know it.
    pub case: String,
    /// Image file, or folder of a series; several are separated by `;` and shown side by side.
    image: String,
    /// The images by their paths, which count from the folder of the list.
    #[serde(skip)]
    pub images: Vec<PathBuf>,
    /// An earlier study to be shown beside it.
    pub prior: Option<PathBuf>,
    /// Slice of the first image that is shown first, from 0; all slices are shown without it, else `around` on either side.
    pub slice: Option<usize>,
    /// Window by the name of its preset.
    pub window: Option<String>,
    /// What is asked about it.
    pub question: Option<String>,
    /// Is the disease there? As files of readings have it.
    pub truth: Option<String>,
    /// Patient or other unit.
    pub group: Option<String>,
    /// `name@slices:x0,y0,x1,y1` in pixels of the source, separated by `;`. Slices are `7` or `5-9`, from 0; a name may have a weight, as in
    /// `a=0.7@7:…`. `name@2/slices:…` is on the second image, `name@prior/slices:…` on the earlier study; a lesion that is seen on several
    /// has one name.
    pub lesions: Option<String>,
    /// `1` for training.
    pub training: Option<String>,
    /// What is said after a case for training.
    pub feedback: Option<String>,
}

impl CaseRow {
    fn check(&self, line: usize) -> Result<(), StudyError> {
        let wrong = |what: &str| Err(StudyError::line(line as u64, what.to_owned()));
        if self.case.trim().is_empty() || self.images.is_empty() {
            return wrong("the list of cases needs `case` and `image` in each row");
        }
        for (name, cell) in [("truth", &self.truth), ("training", &self.training)] {
            if yes_or_no(cell.as_deref()).is_none() {
                return wrong(&format!("`{name}` is neither 1 nor 0"));
            }
        }
        if self.places().is_none() {
            return wrong(
                "`lesions` is not like `name@7:10,20,30,40`, separated by `;`; on a further image of the row like `name@2/7:…`, on its earlier study like `name@prior/7:…`",
            );
        }
        Ok(())
    }

    /// The truth; nothing where it is not given.
    pub fn truth(&self) -> Option<bool> {
        yes_or_no(self.truth.as_deref()).flatten()
    }

    /// For training?
    pub fn is_training(&self) -> bool {
        yes_or_no(self.training.as_deref()).flatten() == Some(true)
    }

    /// Its lesions with the slices and pixels of the source; `None` when the cell is not of the form. The earlier study comes after the
    /// images.
    pub fn places(&self) -> Option<Vec<LesionPlace>> {
        let text = self.lesions.as_deref().unwrap_or_default();
        let images = self.images.len();
        let series = |name: &str| match name.trim() {
            "prior" => self.prior.is_some().then_some(images),
            number => number.parse().ok().filter(|n| (1..=images).contains(n)).map(|n| n - 1),
        };
        let one = |part: &str| {
            let (name, place) = part.split_once('@')?;
            match place.split_once('/') {
                Some((image, place)) => lesion(name, series(image)?, place),
                None => lesion(name, 0, place),
            }
        };
        text.split(';').map(str::trim).filter(|part| !part.is_empty()).map(one).collect()
    }
}

fn yes_or_no(cell: Option<&str>) -> Option<Option<bool>> {
    match cell.map(|c| c.trim().to_ascii_lowercase()).as_deref() {
        None | Some("") => Some(None),
        Some("1" | "true" | "yes" | "positive") => Some(Some(true)),
        Some("0" | "false" | "no" | "negative") => Some(Some(false)),
        Some(_) => None,
    }
}

fn lesion(name: &str, series: usize, place: &str) -> Option<LesionPlace> {
    let (name, weight) = match name.split_once('=') {
        Some((name, weight)) => {
            (name, Some(weight.trim().parse().ok().filter(|w: &f64| w.is_finite() && *w > 0.0)?))
        }
        None => (name, None),
    };
    let (slices, sides) = place.split_once(':').unwrap_or(("0", place));
    let (first, last) = slices.split_once('-').unwrap_or((slices, slices));
    let slices = [first.trim().parse().ok()?, last.trim().parse().ok()?];
    let sides: Vec<f64> = sides.split(',').map(|s| s.trim().parse().ok()).collect::<Option<_>>()?;
    let xyxy: [f64; 4] = sides.try_into().ok()?;
    let name = name.trim();
    (!name.is_empty() && slices[0] <= slices[1] && xyxy[0] < xyxy[2] && xyxy[1] < xyxy[3])
        .then(|| LesionPlace { name: name.to_owned(), weight, series, slices, xyxy })
}

/// Reads a list; `.jsonl` and `.ndjson` are JSON lines, anything else is CSV. Paths count from its folder.
///
/// # Errors
/// With the line that cannot be read.
pub fn read_list(path: &Path) -> Result<Vec<CaseRow>, StudyError> {
    let text = read_text_at_most(path, SETTINGS_BYTES)?;
    let lines = matches!(path.extension().and_then(|e| e.to_str()), Some("jsonl" | "ndjson"));
    let mut rows: Vec<CaseRow> = Vec::new();
    if lines {
        for (n, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            rows.push(
                serde_json::from_str(line).map_err(|e| {
                    StudyError::line(n, format!("is no row of a list of cases: {}", field(&e)))
                })?,
            );
        }
    } else {
        let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        for row in reader.deserialize() {
            rows.push(row?);
        }
    }
    let folder = path.parent().unwrap_or(Path::new(""));
    for (n, row) in rows.iter_mut().enumerate() {
        let images = row.image.split(';').map(str::trim).filter(|path| !path.is_empty());
        row.images = images.map(|path| folder.join(path)).collect();
        row.prior = row.prior.take().filter(|p| !p.as_os_str().is_empty()).map(|p| folder.join(p));
        row.check(n + if lines { 1 } else { 2 })?;
    }
    Ok(rows)
}

/// What serde says of a field, without what stood in it.
fn field(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Data => "a field is unknown or of another kind",
        _ => "it is not a JSON object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lesions_are_read_with_their_slices_and_weights() {
        let row = |text: &str| CaseRow { lesions: Some(text.to_owned()), ..CaseRow::default() };
        let all = row("a=0.7@5-9:1,2,3,4.5; b=0.3@7:0,0,9,9").places().unwrap_or_default();
        assert_eq!((all[0].slices, all[0].xyxy, all[0].weight), ([5, 9], [1.0, 2.0, 3.0, 4.5], Some(0.7)));
        assert_eq!((all[1].name.as_str(), all[1].slices), ("b", [7, 7]));
        assert_eq!(row("c@1,2,3,4").places().unwrap_or_default()[0].slices, [0, 0]);
        let several = CaseRow {
            images: vec!["cc.dcm".into(), "mlo.dcm".into()],
            prior: Some("then".into()),
            ..row("a@0:1,2,3,4; a@2/0:5,6,7,8; b@prior/3-4:1,2,3,4")
        };
        let all = several.places().unwrap_or_default();
        let places: Vec<_> = all.iter().map(|l| (l.name.as_str(), l.series, l.slices)).collect();
        assert_eq!(places, [("a", 0, [0, 0]), ("a", 1, [0, 0]), ("b", 2, [3, 4])]);
        for wrong in ["a@3/0:1,2,3,4", "a@0/0:1,2,3,4", "a@now/0:1,2,3,4"] {
            assert_eq!(
                CaseRow { lesions: Some(wrong.to_owned()), ..several.clone() }.places(),
                None,
                "{wrong}"
            );
        }
        assert_eq!(row("a@prior/0:1,2,3,4").places(), None, "there is no earlier study");
        for wrong in ["a", "a@1:3,3,1,1", "a@1:1,2,3", "@1:1,1,2,2", "a=-1@1:1,1,2,2"] {
            assert_eq!(row(wrong).places(), None, "{wrong}");
        }
    }
}
