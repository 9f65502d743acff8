//! What a radiology report is written from: the images of a study and of its priors, and what is known beside.
//!
//! A [`Sample`] that asks for a report keeps this among its tags, so that a run folder holds it, it can be told apart by it, and a
//! sample of any other set is a study without anything known beside its images.

use crate::sample::Sample;
use serde::{Deserialize, Serialize};

/// Tags of a sample that say something of the study.
const INDICATION: &str = "indication";
const TECHNIQUE: &str = "technique";
const COMPARISON: &str = "comparison";
const PRIOR_REPORT: &str = "prior_report";
const AGE_BAND: &str = "age_band";
const SEX: &str = "sex";
/// The views of all images in order, priors last, with `|` between them; empty where one is not known.
const VIEWS: &str = "views";
/// How many of the last images are of earlier studies.
const PRIOR_IMAGES: &str = "prior_images";

/// From which side a radiograph was taken, as far as prompts tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Projection {
    /// From the front or the back: PA, AP.
    Frontal,
    /// From a side: LL, RL, lateral.
    Lateral,
}

impl Projection {
    /// The projection that a view is: View Position (0018,5101) of DICOM, or a word of worklists. Nothing where it is neither.
    ///
    /// ```
    /// use loupe_core::study::Projection;
    /// assert_eq!(Projection::of("AP supine"), Some(Projection::Frontal));
    /// assert_eq!(Projection::of("LEFT LATERAL"), Some(Projection::Lateral));
    /// assert_eq!(Projection::of("MLO"), None);
    /// ```
    pub fn of(view: &str) -> Option<Self> {
        let lower = view.to_lowercase();
        let mut words = lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        words.find_map(|word| match word {
            "pa" | "ap" | "frontal" | "posteroanterior" | "anteroposterior" => Some(Self::Frontal),
            "lateral" | "lat" | "ll" | "rl" | "lld" | "rld" => Some(Self::Lateral),
            _ => None,
        })
    }
}

/// An image of a study.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct StudyImage {
    /// The view as the worklist or the file says it: `PA`, `LATERAL`, `axial` …; never empty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub view: Option<String>,
    /// Is it of an earlier study?
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub prior: bool,
}

impl StudyImage {
    /// From which side it was taken, where its view says so.
    pub fn projection(&self) -> Option<Projection> {
        self.view.as_deref().and_then(Projection::of)
    }
}

/// A study to report on.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Study {
    /// One for each image of the sample, in its order: those of the study, then those of earlier ones.
    pub images: Vec<StudyImage>,
    /// Why the study was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub indication: Option<String>,
    /// How it was made.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub technique: Option<String>,
    /// What it is compared with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub comparison: Option<String>,
    /// The report on the earlier study.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prior_report: Option<String>,
    /// Decade of life, such as `60-69`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_band: Option<String>,
    /// As the worklist says it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sex: Option<String>,
}

impl Study {
    /// The study that a sample asks about. Of a sample that says nothing of its images all are of the study.
    pub fn of(sample: &Sample) -> Self {
        let text = |name: &str| sample.tag(name).filter(|text| !text.is_empty()).map(str::to_owned);
        let count = sample.media.len();
        let priors: usize = sample.tag(PRIOR_IMAGES).and_then(|n| n.parse().ok()).unwrap_or(0).min(count);
        let mut views = sample.tag(VIEWS).unwrap_or_default().split('|');
        let image = |at| StudyImage {
            view: views.next().filter(|view| !view.is_empty()).map(str::to_owned),
            prior: at >= count - priors,
        };
        Self {
            images: (0..count).map(image).collect(),
            indication: text(INDICATION),
            technique: text(TECHNIQUE),
            comparison: text(COMPARISON),
            prior_report: text(PRIOR_REPORT),
            age_band: text(AGE_BAND),
            sex: text(SEX),
        }
    }

    /// Writes it into the tags of `sample`, whose images are in the order of [`Study::images`].
    pub fn tag(&self, sample: &mut Sample) {
        let views: Vec<String> = self
            .images
            .iter()
            .map(|image| image.view.as_deref().unwrap_or_default().replace('|', "/"))
            .collect();
        let priors = self.images.iter().filter(|image| image.prior).count();
        let texts = [
            (INDICATION, self.indication.clone()),
            (TECHNIQUE, self.technique.clone()),
            (COMPARISON, self.comparison.clone()),
            (PRIOR_REPORT, self.prior_report.clone()),
            (AGE_BAND, self.age_band.clone()),
            (SEX, self.sex.clone()),
            (VIEWS, views.iter().any(|view| !view.is_empty()).then(|| views.join("|"))),
            (PRIOR_IMAGES, (priors > 0).then(|| priors.to_string())),
        ];
        let given = texts.into_iter().filter_map(|(name, text)| Some((name.to_owned(), text?)));
        sample.tags.extend(given);
    }

    /// Is anything known of an earlier study: an image, or its report?
    pub fn has_prior(&self) -> bool {
        self.prior_report.is_some() || self.images.iter().any(|image| image.prior)
    }
}

/// The decade of life of an age in years, so that nobody is known by it; from 90 on all are one.
///
/// ```
/// use loupe_core::study::age_band;
/// assert_eq!([age_band(7), age_band(64), age_band(101)], ["0-9", "60-69", "90+"]);
/// ```
pub fn age_band(years: u32) -> String {
    match years {
        90.. => "90+".to_owned(),
        _ => {
            let from = years / 10 * 10;
            format!("{from}-{}", from + 9)
        }
    }
}
