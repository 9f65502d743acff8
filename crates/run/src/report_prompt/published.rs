//! Report templates by name: loupe's own and published prompts, one file each in `published/`, one line each here.

use super::template::ReportTemplate;
use loupe_core::words::did_you_mean;

/// A template that comes with loupe.
#[derive(Debug, Clone, Copy)]
pub struct PublishedTemplate {
    /// Name on the command line.
    pub name: &'static str,
    /// Whose prompt it is, and where it is published.
    pub source: &'static str,
    /// The file.
    pub text: &'static str,
}

/// Every template, the default first.
pub static REPORT_TEMPLATES: &[PublishedTemplate] = &[
    PublishedTemplate {
        name: "loupe",
        source: "loupe's own: findings and impression in one pass, all images, priors first",
        text: include_str!("published/loupe.jinja"),
    },
    PublishedTemplate {
        name: "loupe-two-pass",
        source: "loupe's own: findings, then the impression of them",
        text: include_str!("published/loupe-two-pass.jinja"),
    },
    PublishedTemplate {
        name: "phantom",
        source: "loupe's own: asks for finding, side, size and change and makes a report of the answers; the default of the built-in model",
        text: include_str!("published/phantom.jinja"),
    },
    PublishedTemplate {
        name: "chexagent",
        source: "CheXagent (Stanford-AIMI/CheXagent e4f31e6, evaluation_chexbench): findings from an indication, at most two images",
        text: include_str!("published/chexagent.jinja"),
    },
    PublishedTemplate {
        name: "maira-2",
        source: "MAIRA-2 (microsoft/maira-2, processing_maira2.py): findings of the frontal view, with lateral and prior where given",
        text: include_str!("published/maira-2.jinja"),
    },
    PublishedTemplate {
        name: "maira-2-grounded",
        source: "MAIRA-2 (microsoft/maira-2, processing_maira2.py, get_grounding): findings with boxes",
        text: include_str!("published/maira-2-grounded.jinja"),
    },
    PublishedTemplate {
        name: "medgemma",
        source: "MedGemma (google/medgemma-4b-it, model card): a description of one image",
        text: include_str!("published/medgemma.jinja"),
    },
    PublishedTemplate {
        name: "m3d",
        source: "M3D (BAAI-DCAI/M3D, prompts of M3D-Cap): a report of a volume",
        text: include_str!("published/m3d.jinja"),
    },
    PublishedTemplate {
        name: "radfm",
        source: "RadFM (chaoyi-wu/RadFM, caption prompts): a caption with findings",
        text: include_str!("published/radfm.jinja"),
    },
];

/// The template of that name.
///
/// # Errors
/// When there is none; the message names the nearest.
pub fn report_template(name: &str) -> Result<ReportTemplate, String> {
    let known = || REPORT_TEMPLATES.iter().map(|template| template.name);
    match REPORT_TEMPLATES.iter().find(|template| template.name == name) {
        Some(found) => ReportTemplate::new(found.name, found.source, found.text),
        None => {
            let near = did_you_mean(name, known());
            let all = known().collect::<Vec<_>>().join(", ");
            Err(format!(
                "no report template is called {name:?}{near}; there are {all}, or name a file of your own"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use std::path::Path;

    #[test]
    fn every_file_is_a_template_and_every_template_a_file() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/report_prompt/published");
        let names =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
        let mut files: Vec<String> = names.collect();
        files.sort();
        let mut known: Vec<String> =
            REPORT_TEMPLATES.iter().map(|template| format!("{}.jinja", template.name)).collect();
        known.sort();
        assert_eq!(files, known);
    }
}
