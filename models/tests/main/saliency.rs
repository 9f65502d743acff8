//! Attribution by an information bottleneck held against torch (`tests/parity/make_saliency.py`): with the same noise, all
//! steps included, maps within 1e-5.

use crate::common::{Values, folder, largest_difference, picture};
use crate::pairs::Case;
use loupe_core::{Bottleneck, PairEncoder, Picture};
use serde_json::Value;
use std::path::PathBuf;

struct Reference {
    encoder: Box<dyn PairEncoder>,
    picture: Picture,
    facts: Value,
    values: Vec<u8>,
}

impl Reference {
    fn of(path: &std::path::Path) -> Self {
        let facts: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let family = if facts["family"] == "clip" { "clip" } else { "biomedclip" };
        let case = Case::all(family).into_iter().find(|c| facts["case"] == c.name.as_str()).unwrap();
        let n = |i: usize| facts["picture"][i].as_u64().unwrap();
        Self {
            encoder: case.load(),
            picture: picture(n(0) as usize, n(1) as usize, n(2)),
            values: std::fs::read(path.with_extension("safetensors")).unwrap(),
            facts,
        }
    }

    fn all() -> Vec<(String, Self)> {
        let files = std::fs::read_dir(folder("saliency")).unwrap().map(|e| e.unwrap().path());
        let mut paths: Vec<PathBuf> = files.filter(|p| p.extension().is_some_and(|e| e == "json")).collect();
        paths.sort();
        assert_eq!(paths.len(), 4);
        paths.iter().map(|p| (p.file_stem().unwrap().to_string_lossy().into_owned(), Self::of(p))).collect()
    }

    fn bottleneck(&self) -> Bottleneck {
        let n = |name: &str| self.facts[name].as_u64().unwrap();
        Bottleneck {
            layer: n("layer") as usize,
            beta: self.facts["beta"].as_f64().unwrap(),
            steps: n("steps") as usize,
            seed: n("seed"),
            ..Bottleneck::default()
        }
    }

    fn text(&self) -> &str {
        self.facts["text"].as_str().unwrap()
    }
}

#[test]
fn maps_equal_the_reference() {
    for (name, mut reference) in Reference::all() {
        let (how, text) = (reference.bottleneck(), reference.text().to_owned());
        let found = reference.encoder.saliency(&reference.picture, &text, &how).unwrap();
        let capacity = Values::of(&reference.values, "capacity").floats();
        let most = capacity.iter().copied().fold(0f32, f32::max);
        let off = largest_difference(&found.cells, &capacity) / most;
        assert!(off <= 1e-5, "{name}: the information of cells differs by {off} of the largest");
        let map = found.map().unwrap();
        assert_eq!(map.side as u64, reference.facts["side"].as_u64().unwrap());
        let off = largest_difference(&map.values, &Values::of(&reference.values, "map").floats());
        assert!(off <= 1e-5, "{name}: maps differ by {off}");
        // The seed decides, and nothing else does.
        let again = reference.encoder.saliency(&reference.picture, &text, &how).unwrap();
        assert_eq!(again, found, "{name}");
        let other = Bottleneck { seed: how.seed + 1, ..how };
        let other = reference.encoder.saliency(&reference.picture, &text, &other).unwrap();
        assert_ne!(other.cells, found.cells, "{name}");
    }
}

#[test]
fn settings_that_do_not_fit_are_refused_by_name() {
    let (_, mut reference) = Reference::all().remove(0);
    let mut refused = |change: fn(&mut Bottleneck)| {
        let mut how = Bottleneck { layer: 0, ..Bottleneck::default() };
        change(&mut how);
        reference.encoder.saliency(&reference.picture, "a chest x ray", &how).unwrap_err().to_string()
    };
    for (change, words) in [
        ((|how| how.layer = 1) as fn(&mut Bottleneck), "from 0 to 0 have one behind"),
        (|how| how.steps = 0, "steps"),
        (|how| how.steps = 65, "1 to 64"),
        (|how| how.draws = 0, "draws"),
        (|how| how.beta = f64::NAN, "beta"),
    ] {
        let error = refused(change);
        assert!(error.contains(words), "{error}");
    }
}
