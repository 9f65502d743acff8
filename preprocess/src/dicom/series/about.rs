//! What tells a series from its neighbours, out of the header of its first file.

use crate::dicom::functional::place;
use crate::dicom::inspect::names;
use crate::dicom::seg::is_segmentation;
use loupe_dicom::object::{Dataset, Object};
use loupe_dicom::{Tag, tags};
use serde::Serialize;

/// A fact that is the same for all images of a phase and may differ between phases, with its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PhaseFact {
    /// What it says.
    pub name: &'static str,
    /// What is given, with its unit.
    pub value: String,
}

/// What a header says of its series. Free text is among the identifiers alone.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct About {
    pub number: Option<i64>,
    /// Modality (0008,0060).
    pub modality: Option<String>,
    /// Image Type (0008,0008).
    pub image_type: Vec<String>,
    /// Convolution Kernel (0018,1210).
    pub kernel: Option<String>,
    pub phase: Vec<PhaseFact>,
    pub identifiers: Vec<(String, String)>,
    /// Frame of Reference UID (0020,0052).
    pub frame_of_reference: Option<String>,
    /// Is it a segmentation, whose frames are masks?
    pub segmentation: bool,
}

impl About {
    pub(super) fn read(object: &Object) -> Self {
        let data = &object.data;
        let code = |tag| {
            let of_code = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_' || c == ' ';
            values(data, tag)
                .into_iter()
                .filter(|v| v.len() <= 16 && v.chars().all(of_code))
                .collect::<Vec<_>>()
        };
        // Kernels are short names of the maker's; what is longer is text that somebody typed.
        let kernel = [data, place(data, 0, tags::CT_RECONSTRUCTION_SEQUENCE)].iter().find_map(|set| {
            let of_kernel = |v: &String| {
                v.len() <= 16 && v.chars().all(|c| c.is_ascii_alphanumeric() || "+-_. /".contains(c))
            };
            let parts: Vec<String> =
                values(set, tags::CONVOLUTION_KERNEL).into_iter().filter(of_kernel).collect();
            (!parts.is_empty()).then(|| parts.join("\\"))
        });
        Self {
            number: data.integer(tags::SERIES_NUMBER),
            modality: code(tags::MODALITY).into_iter().next(),
            image_type: code(tags::IMAGE_TYPE),
            kernel,
            phase: phase(data),
            identifiers: names(object),
            frame_of_reference: data.text(tags::FRAME_OF_REFERENCE_UID).filter(|uid| !uid.is_empty()),
            segmentation: is_segmentation(data),
        }
    }
}

/// The parts of a text with backslashes.
fn values(data: &Dataset, tag: Tag) -> Vec<String> {
    let text = data.text(tag).unwrap_or_default();
    text.split('\\').map(|v| v.trim().to_owned()).filter(|v| !v.is_empty()).collect()
}

/// What says in which phase images were taken.
fn phase(data: &Dataset) -> Vec<PhaseFact> {
    let cardiac = place(data, 0, tags::CARDIAC_SYNCHRONIZATION_SEQUENCE);
    let echo = place(data, 0, tags::MR_ECHO_SEQUENCE);
    let number = |set: &Dataset, tag: Tag| set.number(tag).filter(|v| v.is_finite());
    let fact = |name, value: Option<String>| value.map(|value| PhaseFact { name, value });
    let with = |unit: &'static str| move |v: f64| format!("{v}{unit}");
    let temporal = number(data, tags::TEMPORAL_POSITION_IDENTIFIER).map(|n| {
        let of = number(data, tags::NUMBER_OF_TEMPORAL_POSITIONS);
        of.map_or_else(|| n.to_string(), |of| format!("{n} of {of}"))
    });
    let given = |tag: Tag| data.text(tag).is_some_and(|text| !text.trim().is_empty());
    // The agent is free text; that there was one tells the series apart.
    let contrast =
        given(tags::CONTRAST_BOLUS_AGENT) || !data.items(tags::CONTRAST_BOLUS_AGENT_SEQUENCE).is_empty();
    [
        fact("temporal position", temporal),
        fact("cardiac phase", number(cardiac, tags::NOMINAL_PERCENTAGE_OF_CARDIAC_PHASE).map(with(" %"))),
        fact("trigger time", number(data, tags::TRIGGER_TIME).map(with(" ms"))),
        fact(
            "echo time",
            number(echo, tags::EFFECTIVE_ECHO_TIME)
                .or_else(|| number(data, tags::ECHO_TIME))
                .map(with(" ms")),
        ),
        fact(
            "b-value",
            number(place(data, 0, tags::MR_DIFFUSION_SEQUENCE), tags::DIFFUSION_B_VALUE).map(with(" s/mm²")),
        ),
        fact("acquisition", data.integer(tags::ACQUISITION_NUMBER).map(|n| n.to_string())),
        fact("contrast agent", contrast.then(|| "given".to_owned())),
    ]
    .into_iter()
    .flatten()
    .collect()
}
