//! `loupe measure IMAGE MASK`

use crate::args::image::{ImageArgs, ViewArgs};
use crate::printer::{Ended, Printer};
use anyhow::Result;
use loupe_app::measure::{LabelMeasures, MaskOptions, MeasureOptions, measure};
use loupe_core::words::counted;
use std::path::PathBuf;

/// Measure a given mask on an image: volume, diameters, values, and the shape values of pyradiomics.
///
/// The mask is a label map (NIfTI, NRRD, MetaImage, .npy), a DICOM segmentation, a structure set or, for a flat image
/// or with `--slice`, a picture in which not 0 is inside. It has to lie on the image's voxels. Each label is measured
/// by itself, whether labels overlap or not.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Image file or series folder.
    image: PathBuf,

    /// Mask file.
    mask: PathBuf,

    /// Only this label, by its number or name.
    #[arg(long, value_name = "LABEL")]
    label: Option<String>,

    /// Take the nearest voxel of a mask whose voxels do not lie on the image's, instead of refusing it.
    #[arg(long)]
    resample_mask: bool,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    images: ImageArgs,
}

pub(crate) fn run(args: &Args, out: &mut Printer) -> Result<Ended> {
    let document = measure(&MeasureOptions {
        image: args.image.display().to_string(),
        media: args.view.media(&args.image)?,
        images: args.images.options(),
        mask: args.mask.clone(),
        mask_options: MaskOptions { resample: args.resample_mask, label: args.label.clone() },
    })?;
    for note in &document.notes {
        out.say(&format!("note: {note}"));
    }
    for shared in &document.overlaps {
        let [a, b] = shared.labels;
        out.say(&format!("note: labels {a} and {b} share {}", counted(shared.voxels, "voxel")));
    }
    if out.json {
        out.document(&document)?;
        return Ok(Ended::Well);
    }
    for label in &document.labels {
        for line in lines(label) {
            out.line(&line)?;
        }
    }
    Ok(Ended::Well)
}

fn lines(m: &LabelMeasures) -> Vec<String> {
    let code = m.label.code.as_ref().map(|c| format!(" ({} {}, {})", c.scheme, c.value, c.meaning));
    let mut all = vec![format!("{:>3}  {}{}", m.label.number, m.label.title(), code.unwrap_or_default())];
    let mut line = |text: String| all.push(format!("       {text}"));
    if let Some(solid) = &m.solid {
        let slices = solid.slices.map(|[a, b]| format!(", slices {a} to {b}")).unwrap_or_default();
        line(format!("{}, {:.3} ml{slices}", counted(solid.voxels, "voxel"), solid.volume_mm3 / 1000.0));
        if let Some(slice) = solid.slice_of_longest {
            let (longest, within) = (solid.longest_mm, solid.longest_in_slice_mm);
            line(format!("longest {longest:.2} mm in space, {within:.2} mm within slice {slice}"));
        }
    }
    if let Some(flat) = &m.flat {
        let area = flat.area_mm2.map(|v| format!(", {v:.2} mm²")).unwrap_or_default();
        let longest = match flat.longest_mm {
            Some(mm) => format!("{mm:.2} mm"),
            None => format!("{:.2} px", flat.longest_px),
        };
        line(format!("{} px{area}, longest {longest}", flat.area_px));
    }
    if m.solid.as_ref().is_some_and(|s| s.voxels == 0) || m.flat.as_ref().is_some_and(|f| f.area_px == 0) {
        line("empty: nothing is inside".to_owned());
    }
    if let Some(v) = &m.intensities {
        let unit = m.unit.map(|u| format!(" {u}")).unwrap_or_default();
        line(format!("mean {:.3} ± {:.3}{unit}, {:.3} to {:.3}", v.mean, v.sd, v.min, v.max));
    }
    for (name, value, unit) in m.shape.iter().flat_map(|shape| shape.named()) {
        let value = value.map_or_else(|| "–".to_owned(), |v| format!("{v:.6}"));
        line(format!("{name:<24}{value:>16} {unit}").trim_end().to_owned());
    }
    all
}
