//! Small cases for reading.

use loupe_core::loader::DisplayMaterial;
use loupe_core::{Intensities, Picture, Window};
use loupe_report::WindowPreset;
use loupe_report::pages::document::BoxKind;
use loupe_report::pages::kit::place::{Mark, MarkPlace};
use loupe_report::pages::kit::series::Series;
use loupe_study::design::Design;
use loupe_study::reading::{ArmOutput, CaseMaterial, HiddenText, LesionPlace};
use std::path::Path;

/// Two arms over two sessions, three readers.
pub(crate) const DETECTION: &str = "[study]
title = 'Nodules'
seed = 7
instructions = 'Read.'
sessions = 2
washout_days = 28
repeats = 0.1
min_gap = 3
[cases]
list = 'archive/list.csv'
[[arm]]
name = 'unaided'
[[arm]]
name = 'aided'
run = 'run-7f'
show = ['marks', 'text']
[[reader]]
code = 'r1'
[[reader]]
code = 'r2'
[[reader]]
code = 'r3'
[[question]]
pack = 'detection'
";

pub(crate) fn design(text: &str) -> Design {
    Design::parse(text, Path::new("")).unwrap()
}

pub(crate) fn presets() -> Vec<WindowPreset> {
    vec![WindowPreset { name: "lung".into(), centre: -600.0, width: 1500.0 }]
}

/// Slices of a phantom with or without a bright spot, in Hounsfield units.
pub(crate) fn series(number: usize, truth: bool, slices: usize) -> Series {
    let (w, h) = (48usize, 40usize);
    let slice = |z: usize| {
        let value = |i: usize| {
            let (x, y) = ((i % w) as f32, (i / w) as f32);
            let noise = ((i * 2_654_435_761 + number * 97 + z * 31) >> 3) % 40;
            let spot = truth && z == 1 && (x - 30.0).hypot(y - 12.0) < 5.0;
            if spot { 60.0 } else { -850.0 + noise as f32 }
        };
        let values: Vec<f32> = (0..w * h).map(value).collect();
        let window = Window::linear(-600.0, 1500.0);
        let pixels: Vec<u8> = values.iter().map(|v| window.level(f64::from(*v))).collect();
        let mut picture = Picture::new(w, h, 1, pixels).unwrap();
        picture.origin.window = Some(window);
        picture.origin.spacing_mm = Some([0.8, 1.0]);
        let intensities = Intensities { width: w, height: h, values, inverted: false, hounsfield: true };
        DisplayMaterial { picture, intensities: Some(intensities), encoded: None }
    };
    Series::of(&(0..slices).map(slice).collect::<Vec<_>>(), 1).unwrap()
}

pub(crate) fn cases(design: &Design, n: usize) -> Vec<CaseMaterial> {
    let one = |number: usize| {
        let truth = number.is_multiple_of(2);
        let place = MarkPlace::Box([25.0, 7.0, 35.0, 17.0]);
        let mark = Mark { id: None, slice: 1, label: "1 nodule".into(), kind: BoxKind::Model, place };
        let help = ArmOutput {
            marks: vec![if truth { vec![mark] } else { Vec::new() }],
            text: Some(
                if truth { "A nodule <img src=x onerror=\"window.broken=1\">." } else { "No nodule." }.into(),
            ),
            trace: Vec::new(),
        };
        CaseMaterial {
            name: format!("patient-{number:03}"),
            training: false,
            series: vec![(String::new(), series(number, truth, 3))],
            question: None,
            truth: Some(truth),
            group: None,
            lesions: if truth {
                vec![LesionPlace {
                    name: "1".into(),
                    weight: None,
                    series: 0,
                    slices: [0, 2],
                    xyxy: [25.0, 7.0, 35.0, 17.0],
                }]
            } else {
                Vec::new()
            },
            prior: None,
            feedback: None,
            outputs: design
                .arms
                .iter()
                .map(|a| if a.run.is_some() { help.clone() } else { ArmOutput::default() })
                .collect(),
            hidden: vec![HiddenText { what: "the name of a case", text: format!("patient-{number:03}") }],
        }
    };
    (0..n).map(one).collect()
}
