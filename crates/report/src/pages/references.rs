//! Places of the reference on the pictures of a page.

use crate::pages::document::{BoxKind, PageBox};
use loupe_core::{Origin, Sample, Target};

/// Boxes of the reference to picture `number` on what `shown` shows of it.
pub(crate) fn reference_boxes(sample: &Sample, number: usize, shown: &Origin) -> Vec<PageBox> {
    let (Target::Boxes(all), Some(shown_from_source)) = (&sample.target, shown.source_from_self.inverse())
    else {
        return Vec::new();
    };
    let here = all.iter().filter(|b| b.picture == number);
    here.map(|b| PageBox {
        xyxy: shown_from_source.boxed(b.at).xyxy(),
        label: b.label.clone(),
        kind: BoxKind::Reference,
    })
    .collect()
}
