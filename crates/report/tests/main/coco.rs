//! COCO's formats, in pixels of the source.

use loupe_core::MediaError;
use loupe_core::mask::Rle;
use loupe_core::{Box2, Finding, Map2, Mask, Origin, Point2};
use loupe_report::dicom::Author;
use loupe_report::exports::coco::{detections, masks};
use loupe_report::exports::{EXPORTERS, Export, ExportError, ExportImage, ExportOptions, ImageFinding};

/// A picture that shows the source's lower right quarter at twice the size.
fn quarter() -> Origin {
    let mut origin = Origin::of_size(8, 6);
    origin.source_from_self = Map2::scale_then_shift(0.5, 0.5, 4.0, 3.0);
    origin
}

fn on<'a>(image: &'a str, finding: &'a Finding) -> ImageFinding<'a> {
    ImageFinding { image, finding }
}

/// Images that were looked at.
fn looked_at<'a>(names: &[&'a str]) -> Vec<ExportImage<'a>> {
    names.iter().map(|name| ExportImage::new(name, [8, 6])).collect()
}

fn named(finding: Finding, label: &str) -> Finding {
    finding.with(Some(label.into()), Some(0.25))
}

#[test]
fn images_keep_their_numbers_whatever_was_found_on_them() {
    let region = Box2::new(2.0, 2.0, 6.0, 4.0);
    let mass = named(Finding::region(0, region, quarter()), "mass");
    let nodule = named(Finding::region(0, region, Origin::of_size(8, 6)), "nodule");
    let nameless = Finding::region(1, region, Origin::of_size(8, 6));
    let spot = Finding::spot(0, Point2::new(1.0, 1.0), quarter());
    let findings = [on("b.png", &mass), on("a.png", &nodule), on("a.png", &spot), on("b.png", &nameless)];
    let all = detections(&looked_at(&["nothing.png", "a.png", "b.png"]), &findings);
    let row = |n: usize| (all[n].image_id, all[n].category_id, all[n].bbox, all[n].score);
    assert_eq!(all.len(), 3, "a point has no box");
    assert_eq!(row(0), (3, 1, [5.0, 4.0, 2.0, 1.0], Some(0.25)));
    assert_eq!(row(1), (2, 2, [2.0, 2.0, 4.0, 2.0], Some(0.25)));
    assert_eq!(row(2), (3, 3, [2.0, 2.0, 4.0, 2.0], None));
    assert_eq!((all[2].image.as_str(), all[2].label.as_str()), ("b.png", "finding"));
    let written = serde_json::to_value(&all).unwrap();
    assert_eq!((&written[0]["score"], written[2].get("score")), (&0.25.into(), None), "no score is invented");
    // A slice that a second look went to is none of those that were given.
    assert_eq!(detections(&looked_at(&["a.png"]), &[on("a.png#slice=3", &nodule)])[0].image_id, 2);
}

#[test]
fn masks_come_back_on_the_source_with_their_outlines() {
    let bits = |n: usize| (2..6).contains(&(n % 8)) && (2..4).contains(&(n / 8));
    let mask = Mask::new(8, 6, (0..48).map(bits).collect()).unwrap();
    let zoomed = named(Finding::mask(0, Rle::of(&mask), quarter()), "mass");
    let plain = named(Finding::mask(0, Rle::of(&mask), Origin::of_size(8, 6)), "mass");
    let file =
        masks(&looked_at(&["none.png", "a.png"]), &[on("a.png", &plain), on("a.png", &zoomed)]).unwrap();
    assert_eq!(
        file["images"],
        serde_json::json!([
            { "id": 1, "file_name": "none.png", "width": 8, "height": 6 },
            { "id": 2, "file_name": "a.png", "width": 8, "height": 6 }
        ])
    );
    assert_eq!(file["categories"], serde_json::json!([{ "id": 1, "name": "mass" }]));
    let [a, b] = [0, 1].map(|n| &file["annotations"][n]);
    assert_eq!((&a["area"], &a["segmentation"]), (&8.into(), &serde_json::to_value(Rle::of(&mask)).unwrap()));
    assert_eq!(a["polygons"], serde_json::json!([[2.0, 2.0, 6.0, 2.0, 6.0, 4.0, 2.0, 4.0]]));
    assert_eq!((&b["id"], &b["image_id"], &b["area"]), (&2.into(), &2.into(), &2.into()));
    assert_eq!(b["bbox"], serde_json::json!([5.0, 4.0, 2.0, 1.0]));
    let broken = Finding::mask(0, Rle { size: [6, 8], counts: vec![7] }, quarter());
    let refused = masks(&[], &[on("a.png", &plain), on("a.png", &broken)]);
    assert!(matches!(refused, Err(ExportError::Mask(1))), "{refused:?}");
    let exporter = EXPORTERS.by_name("coco-masks").unwrap();
    let (images, findings) = (looked_at(&["none.png", "a.png"]), [on("a.png", &plain), on("a.png", &zoomed)]);
    let none = |_: usize| Err(MediaError::NotFound);
    let (author, options) = (Author::default(), ExportOptions::default());
    let written = (exporter.write)(&Export {
        images: &images,
        findings: &findings,
        references: &[],
        study: None,
        labels: None,
        author: &author,
        pictures: &none,
        options: &options,
    })
    .unwrap();
    assert_eq!(serde_json::from_slice::<serde_json::Value>(&written.files[0].bytes).unwrap(), file);
    assert!(
        EXPORTERS.by_name("coco-mask").err().unwrap().to_string().contains("did you mean \"coco-masks\"?")
    );
}
