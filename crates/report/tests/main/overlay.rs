//! Drawing: where the pixels are, and that nothing a caller passes can break it.

use loupe_core::{Box2, Mask, Picture, Point2};
use loupe_report::{Drawing, Style, draw, png};
use proptest::prelude::*;

fn grey(width: usize, height: usize) -> Picture {
    Picture::new(width, height, 1, vec![100u8; width * height]).unwrap()
}

#[test]
fn a_box_has_its_line_on_the_edge_and_leaves_the_inside_alone() {
    let region = Box2::new(20.0, 30.0, 60.0, 50.0);
    let drawn =
        draw(&grey(100, 80), &[Drawing::Box { region, tag: String::new(), style: Style::Model }]).unwrap();
    let orange = loupe_report::overlay::PALETTE[0];
    assert_eq!(drawn.pixel(40, 30).unwrap(), orange, "top edge");
    assert_eq!(drawn.pixel(40, 49).unwrap(), orange, "bottom edge");
    assert_eq!(drawn.pixel(20, 40).unwrap(), orange, "left edge");
    assert_eq!(drawn.pixel(59, 40).unwrap(), orange, "right edge");
    assert_eq!(drawn.pixel(40, 40).unwrap(), [100, 100, 100], "inside");
    assert_eq!(drawn.pixel(5, 5).unwrap(), [100, 100, 100], "outside");
}

#[test]
fn a_reference_box_is_dashed() {
    let region = Box2::new(10.0, 10.0, 90.0, 60.0);
    let drawn = draw(&grey(100, 80), &[Drawing::Box { region, tag: String::new(), style: Style::Reference }])
        .unwrap();
    let orange = loupe_report::overlay::PALETTE[0];
    let on = (10..90).filter(|&x| drawn.pixel(x, 10).unwrap() == orange).count();
    assert!((30..60).contains(&on), "about half of the edge is drawn, got {on} of 80");
}

#[test]
fn the_tag_is_written_and_the_png_reads_back() {
    let region = Box2::new(20.0, 40.0, 60.0, 70.0);
    let plain =
        draw(&grey(100, 80), &[Drawing::Box { region, tag: String::new(), style: Style::Model }]).unwrap();
    let tagged =
        draw(&grey(100, 80), &[Drawing::Box { region, tag: "1 nodule".into(), style: Style::Model }])
            .unwrap();
    assert_ne!(plain.pixels(), tagged.pixels());
    let back = image::load_from_memory(&png(&tagged).unwrap()).unwrap().into_rgb8();
    assert_eq!((back.width(), back.height()), (100, 80));
    assert_eq!(back.into_raw(), tagged.pixels());
}

proptest! {
    #[test]
    fn no_drawing_panics(w in 1usize..40, h in 1usize..40, v in prop::array::uniform4(prop_oneof![Just(f64::NAN), Just(1e300), Just(-1e300), -50.0..90.0f64]), tag in ".{0,12}") {
        let region = Box2::new(v[0], v[1], v[2], v[3]);
        let mask = Mask::new(w, h, (0..w * h).map(|n| n % 3 == 0).collect()).unwrap();
        let drawn = draw(&grey(w, h), &[
            Drawing::Box { region, tag: tag.clone(), style: Style::Model },
            Drawing::Box { region, tag: tag.clone(), style: Style::Reference },
            Drawing::Point { at: Point2::new(v[0], v[1]), tag },
            Drawing::Mask(mask),
        ]).unwrap();
        prop_assert_eq!((drawn.width(), drawn.height(), drawn.channels()), (w, h, 3));
    }
}
