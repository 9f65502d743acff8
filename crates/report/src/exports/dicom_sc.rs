//! Pictures with findings drawn on them as Secondary Capture images (PS3.3 A.8.1), for viewers that show nothing else. One file an
//! image with a finding, in the pixels that the model was shown; what is drawn cannot be taken off again.

use crate::dicom::codes::concept;
use crate::dicom::derived::{DerivedKind, begin, code, finish, reference};
use crate::exports::exporter::{Export, ExportError, ExportFile, Exported, Exporter, ImageFinding, Scope};
use crate::overlay::{Drawing, Style, draw};
use loupe_core::Picture;
use loupe_dicom::{Dataset, VR, tags};

/// The format of this file.
pub static EXPORTERS: &[Exporter] = &[Exporter {
    name: "dicom-sc",
    about: "pictures with findings drawn on them as DICOM Secondary Capture",
    scope: Scope::Study,
    write,
}];

const KIND: DerivedKind = DerivedKind {
    class: "1.2.840.10008.5.1.4.1.1.7",
    modality: "OT",
    series_number: 9005,
    description: "Findings by model, drawn",
};

fn write(export: &Export<'_>) -> Result<Exported, ExportError> {
    let study = export.study()?;
    let mut out = Exported::default();
    for (number, image) in export.images.iter().enumerate() {
        let here: Vec<&ImageFinding<'_>> = export.findings.iter().filter(|f| f.image == image.name).collect();
        let Some(file) = image.files.first().and_then(|n| study.files.get(*n)).filter(|_| !here.is_empty())
        else {
            continue;
        };
        let picture = (export.pictures)(number)?;
        let drawn = draw(&picture.to_rgb(), &drawings(&picture, &here))?;
        let mut data = begin(file, &KIND, export.author);
        data.put_text(tags::INSTANCE_NUMBER, &(out.files.len() + 1).to_string());
        data.put_text(tags::CONVERSION_TYPE, "WSD");
        // Required of a series whose part of the body may be one of a pair; empty says that it is not known.
        data.put_text(tags::LATERALITY, &file.data.text(tags::LATERALITY).unwrap_or_default());
        data.put_text(tags::IMAGE_TYPE, "DERIVED\\SECONDARY");
        data.put_text(tags::DERIVATION_DESCRIPTION, "Findings of a model drawn on the image; not verified");
        data.put_text(tags::PATIENT_ORIENTATION, "");
        data.put_text(tags::LOSSY_IMAGE_COMPRESSION, "00");
        let burned = file.data.text(tags::BURNED_IN_ANNOTATION).unwrap_or_else(|| "NO".to_owned());
        data.put_text(tags::BURNED_IN_ANNOTATION, &burned);
        let place = image.origin.map(|origin| study.frame_of(origin, image.files));
        if let Some(Ok((at, _))) = place {
            let mut source = reference(study, at);
            source.put_items(
                tags::PURPOSE_OF_REFERENCE_CODE_SEQUENCE,
                vec![code(&concept("121322", "DCM", "Source image for image processing operation"))],
            );
            data.put_items(tags::SOURCE_IMAGE_SEQUENCE, vec![source]);
        }
        pixels(&mut data, &drawn)?;
        let name = format!("sc-{:04}.dcm", out.files.len() + 1);
        out.files.push(ExportFile { name, bytes: finish(data)? });
    }
    match out.files.is_empty() {
        true => Err(ExportError::Nothing("no finding lies on an image that is stored in a DICOM object")),
        false => Ok(out),
    }
}

/// The findings in pixels of the picture, which is the whole view.
pub(super) fn drawings(picture: &Picture, findings: &[&ImageFinding<'_>]) -> Vec<Drawing> {
    let one = |(n, f): (usize, &&ImageFinding<'_>)| {
        let label = f.finding.label.as_deref().unwrap_or_default();
        let tag = format!("{} {label}", n + 1).trim().to_owned();
        if let Some(mask) = f.finding.as_mask() {
            let source = mask.to_mask().and_then(|m| m.in_source(&f.finding.origin))?;
            return Some(Drawing::Mask(source));
        }
        let moved = f.finding.moved_to(0, &picture.origin)?;
        match (moved.as_box(), moved.as_point()) {
            (Some(region), _) => Some(Drawing::Box { region, tag, style: Style::Model }),
            (_, Some(at)) => Some(Drawing::Point { at, tag }),
            _ => None,
        }
    };
    findings.iter().enumerate().filter_map(one).collect()
}

/// Image pixel of eight bits a sample (PS3.3 C.7.6.3).
fn pixels(data: &mut Dataset, picture: &Picture) -> Result<(), ExportError> {
    let side = |got| {
        let what = "a side of the picture";
        u16::try_from(got).map_err(|_| ExportError::TooMany { what, got, limit: usize::from(u16::MAX) })
    };
    data.put_shorts(tags::SAMPLES_PER_PIXEL, &[3]);
    data.put_text(tags::PHOTOMETRIC_INTERPRETATION, "RGB");
    data.put_shorts(tags::PLANAR_CONFIGURATION, &[0]);
    data.put_shorts(tags::ROWS, &[side(picture.height())?]);
    data.put_shorts(tags::COLUMNS, &[side(picture.width())?]);
    data.put_shorts(tags::BITS_ALLOCATED, &[8]);
    data.put_shorts(tags::BITS_STORED, &[8]);
    data.put_shorts(tags::HIGH_BIT, &[7]);
    data.put_shorts(tags::PIXEL_REPRESENTATION, &[0]);
    data.put_bytes(tags::PIXEL_DATA, VR::OB, picture.pixels().to_vec());
    Ok(())
}
