//! Drawing, cutting and enlarging: pixels stay where they were and the way back is kept.

use crate::models;
use loupe_core::{Box2, Given, Mask, Point2};
use loupe_rethink::actions::{self, Tools};
use loupe_rethink::pixels::{RED, crop, overlay, rectangles, smart_resize};
use loupe_rethink::{Request, Settings, run};
use loupe_testing::{Nearest, Script, picture};
use proptest::prelude::*;

proptest! {
    #[test]
    fn a_crop_keeps_pixels_and_is_black_outside(w in 1usize..40, h in 1usize..30, grey: bool, x in -20.0f64..50.0,
                                                y in -20.0f64..40.0, dx in 1.0f64..40.0, dy in 1.0f64..40.0) {
        let p = picture(w, h, if grey { 1 } else { 3 });
        let cut = crop(&p, [x, y, x + dx, y + dy]).unwrap();
        for v in 0..cut.height() {
            for u in 0..cut.width() {
                let at = cut.origin.source_from_self.point(Point2::new(u as f64 + 0.5, v as f64 + 0.5));
                let inside = at.x >= 0.0 && at.y >= 0.0;
                let want = inside.then(|| p.pixel(at.x as usize, at.y as usize)).flatten();
                prop_assert_eq!(cut.pixel(u, v).unwrap(), want.unwrap_or(&[0, 0, 0][..p.channels()]));
            }
        }
    }

    #[test]
    fn a_zoom_knows_its_way_back(w in 30usize..200, h in 30usize..200, x in 0.0f64..0.8, y in 0.0f64..0.8,
                                 dx in 0.1f64..0.5, dy in 0.1f64..0.5, zw in 10usize..300, zh in 10usize..300,
                                 u in 0.0f64..1.0, v in 0.0f64..1.0) {
        let p = picture(w, h, 3);
        let nearest = Nearest::default();
        let tools = Tools { segmenter: None, resampler: &nearest, loader: None };
        let region = [x * w as f64, y * h as f64, (x + dx) * w as f64, (y + dy) * h as f64];
        let shown = actions::zoom(&p, region, |_, _| (zw, zh), "bicubic", &tools).unwrap();
        let cut = crop(&p, region).unwrap();
        let whole = shown.origin.source_from_self.boxed(shown.bounds());
        let want = cut.origin.source_from_self.boxed(cut.bounds());
        prop_assert!(whole.xyxy().iter().zip(want.xyxy()).all(|(a, b)| (a - b).abs() < 1e-6));
        let at = Point2::<Given>::new(u * zw as f64, v * zh as f64);
        let back = shown.origin.source_from_self.inverse().unwrap().point(shown.origin.source_from_self.point(at));
        prop_assert!(back.distance(at) < 1e-6);
    }

    #[test]
    fn any_rectangle_is_drawn_or_refused(b in prop::array::uniform4(prop::num::f64::ANY), width in 0i64..9) {
        let p = picture(9, 7, 3);
        if let Ok(marked) = rectangles(&p, &[b], RED, width) {
            prop_assert_eq!(marked.pixels().len(), p.pixels().len());
        }
        let _ = crop(&p, b);
    }

    #[test]
    fn smart_sizes_are_multiples_within_bounds(w in 1.0f64..5000.0, h in 1.0f64..5000.0) {
        let (min, max) = (4.0 * 784.0, 16384.0 * 784.0);
        let (rw, rh) = smart_resize(w, h, 28.0, min, max);
        prop_assert!(rw % 28 == 0 && rh % 28 == 0 && rw >= 28 && rh >= 28);
        if w.max(h) / w.min(h) < 100.0 {
            let area = (rw * rh) as f64;
            prop_assert!(area <= max && area >= min * 0.99, "{rw}×{rh}");
        }
    }

    #[test]
    fn a_region_grows_inside_its_picture(x in 0.0f64..90.0, y in 0.0f64..40.0, dx in 0.1f64..99.0, dy in 0.1f64..49.0) {
        let p = picture(100, 50, 1);
        let grown = actions::grown(Box2::new(x, y, x + dx, y + dy), 0.1, &p);
        let inside = Box2::<Given>::new(x, y, x + dx, y + dy).clipped(100.0, 50.0);
        prop_assert!(grown.x0 <= inside.x0 && grown.y1 >= inside.y1);
        prop_assert!(grown.x0 >= 0.0 && grown.x1 <= 100.0 && grown.y0 >= 0.0 && grown.y1 <= 50.0);
    }
}

#[test]
fn a_mask_is_tinted_and_its_picture_is_not_moved() {
    let p = picture(4, 2, 1);
    let mask = Mask::new(4, 2, vec![false, true, false, false, false, false, false, true]).unwrap();
    let shown = overlay(&p, &mask, [255, 0, 0], 0.5).unwrap();
    for n in 0..8 {
        let v = p.pixels()[n];
        let want = if mask.bits()[n] { [((u16::from(v) + 255) / 2) as u8, v / 2, v / 2] } else { [v; 3] };
        assert_eq!(shown.pixels()[n * 3..n * 3 + 3], want);
    }
    assert_eq!(shown.origin.source_from_self, p.origin.source_from_self);
    assert!(overlay(&p, &Mask::empty(2, 4), [0; 3], 0.5).is_err());
}

#[test]
fn absurd_numbers_are_told_and_not_drawn() {
    for (name, text) in [
        ("vitar", r#"{"actions": [{"name": "m", "arguments": {"box": [[-1e300, -1e300, 1e300, 1e300]]}}]}"#),
        (
            "deepeyes-training",
            r#"<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [-1e300, -1e300, 1e300, 1e300]}}</tool_call>"#,
        ),
        (
            "deepeyes",
            r#"<tool_call>{"name": "image_zoom_in_tool", "arguments": {"bbox_2d": [-1e300, -1e300, 1e300, 1e300]}}</tool_call>"#,
        ),
        (
            "mini-o3",
            r#"<grounding>{"bbox_2d": [1e300, 1e300, -1e300, -1e300], "source": "original_image"}</grounding>"#,
        ),
        (
            "pixel-reasoner",
            r#"<tool_call>{"name": "crop_image_normalized", "arguments": {"bbox_2d": [-1e300, -1e300, 1e300, 1e300], "target_image": -9223372036854775808}}</tool_call>"#,
        ),
        ("loupe", "{\"mark\": [-1e300, -1e300, 1e300, 1e300]}"),
        ("loupe", "{\"bbox_2d\": [-1e300, -1e300, 1e300, 1e300]}"),
        ("loupe", "{\"slice\": 18446744073709551615}"),
    ] {
        let mut request = Request::new(vec![picture(300, 200, 3)], "q");
        request.budget.rounds = Some(2);
        let outcome = run(
            name,
            models(&mut Script::forever(text), &Nearest::default()),
            &request,
            &Settings::default(),
        );
        assert!(outcome.is_ok(), "{name}: {text}");
    }
}
