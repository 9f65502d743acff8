//! There and back is the identity: maps, crops, resizes, patient millimetres, run lengths, windows.
//! Sizes are drawn independently per axis, so that swapped axes cannot hide.

use loupe_core::dialect::{DIALECTS, PictureSizes, SpokenPicture};
use loupe_core::geometry::{dot, norm};
use loupe_core::mask::Rle;
use loupe_core::{
    Box2, Finding, Given, LpsFromIndex, LpsFromPlane, Map2, Mask, ModelInput, Origin, Picture, Point2,
    Source, Window, WindowFunction,
};
use proptest::prelude::*;

/// Largest error allowed, in pixels or millimetres.
const TOLERANCE: f64 = 1e-6;

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= TOLERANCE * (1.0 + a.abs().max(b.abs()) * 1e-6)
}

fn close_boxes<F: loupe_core::geometry::Frame>(a: Box2<F>, b: Box2<F>) -> bool {
    a.xyxy().iter().zip(b.xyxy()).all(|(&x, y)| close(x, y))
}

/// An invertible map: rotation by any angle, separate scales, shear and shift.
fn affine() -> impl Strategy<Value = Map2<Source, Given>> {
    (0.05f64..20.0, 0.05f64..20.0, -1.0f64..1.0, 0.0f64..6.3, -2000.0f64..2000.0, -2000.0f64..2000.0)
        .prop_map(|(sx, sy, shear, turn, tx, ty)| {
            let (sin, cos) = turn.sin_cos();
            Map2::new([
                [sx * cos, sx * shear * cos - sy * sin, tx],
                [sx * sin, sx * shear * sin + sy * cos, ty],
            ])
        })
}

/// A patient geometry with any orientation, anisotropic voxels and a tilted gantry.
fn lps_from_index() -> impl Strategy<Value = LpsFromIndex> {
    let angle = -3.2f64..3.2;
    (
        (angle.clone(), angle.clone(), angle),
        (0.1f64..5.0, 0.1f64..5.0, 0.1f64..10.0),
        -0.5f64..0.5,
        prop::array::uniform3(-1000.0f64..1000.0),
        any::<bool>(),
    )
        .prop_map(|((a, b, c), (di, dj, dk), tilt, origin, flip)| {
            let (sa, ca) = a.sin_cos();
            let (sb, cb) = b.sin_cos();
            let (sc, cc) = c.sin_cos();
            let i = [cb * cc, cb * sc, -sb];
            let j = [sa * sb * cc - ca * sc, sa * sb * sc + ca * cc, sa * cb];
            let k = [ca * sb * cc + sa * sc, ca * sb * sc - sa * cc, ca * cb];
            let sign = if flip { -1.0 } else { 1.0 };
            let tilted = [0, 1, 2].map(|r| (k[r] + tilt * j[r]) * dk * sign);
            LpsFromIndex::from_columns(i.map(|v| v * di), j.map(|v| v * dj), tilted, origin)
        })
}

/// A picture whose every pixel has its own value as far as bytes go.
fn picture() -> impl Strategy<Value = Picture> {
    (1usize..40, 1usize..60, prop::sample::select(vec![1usize, 3]), any::<u8>()).prop_map(
        |(w, h, c, salt)| {
            let pixels: Vec<u8> = (0..w * h * c)
                .map(|n| (n as u32).wrapping_mul(2_654_435_761).to_le_bytes()[3] ^ salt)
                .collect();
            Picture::new(w, h, c, pixels).unwrap()
        },
    )
}

fn shares() -> impl Strategy<Value = (f64, f64, f64, f64)> {
    (0.0f64..1.0, 0.0f64..1.0, 0.01f64..1.0, 0.01f64..1.0)
}

/// The part of `p` that starts at shares `x`, `y` and covers shares `w`, `h` of what is left.
fn region(p: &Picture, (x, y, w, h): (f64, f64, f64, f64)) -> Box2<Given> {
    let (pw, ph) = (p.width() as f64, p.height() as f64);
    Box2::new(x * pw, y * ph, x * pw + w * pw * (1.0 - x), y * ph + h * ph * (1.0 - y))
}

proptest! {
    #[test]
    fn a_map_and_its_inverse(map in affine(), x in -3000.0f64..3000.0, y in -3000.0f64..3000.0) {
        let back = map.inverse().unwrap();
        let p = Point2::<Given>::new(x, y);
        prop_assert!(back.point(map.point(p)).distance(p) < TOLERANCE);
        let both = back.after(&map);
        prop_assert!(both.point(p).distance(p) < TOLERANCE);
        prop_assert!(map.after(&back).point(Point2::new(x, y)).distance(Point2::new(x, y)) < TOLERANCE);
    }

    #[test]
    fn composition_is_one_map_after_the_other(a in affine(), x in -500.0f64..500.0, y in -500.0f64..500.0,
                                              sx in 0.1f64..9.0, sy in 0.1f64..9.0, tx in -99.0f64..99.0) {
        let given_from_input: Map2<Given, ModelInput> = Map2::scale_then_shift(sx, sy, tx, -tx);
        let p = Point2::<ModelInput>::new(x, y);
        let two = a.point(given_from_input.point(p));
        prop_assert!(a.after(&given_from_input).point(p).distance(two) < TOLERANCE);
    }

    #[test]
    fn boxes_survive_scaling_and_mirroring(sx in 0.05f64..20.0, sy in 0.05f64..20.0, fx: bool, fy: bool,
                                           tx in -500.0f64..500.0, ty in -500.0f64..500.0,
                                           x in 0.0f64..900.0, y in 0.0f64..900.0,
                                           w in 0.1f64..900.0, h in 0.1f64..900.0) {
        let sign = |flip: bool| if flip { -1.0 } else { 1.0 };
        let map: Map2<Source, Given> = Map2::scale_then_shift(sx * sign(fx), sy * sign(fy), tx, ty);
        let b = Box2::<Given>::new(x, y, x + w, y + h);
        let there = map.boxed(b);
        prop_assert!(there.is_proper());
        prop_assert!(close_boxes(map.inverse().unwrap().boxed(there), b));
        prop_assert!((there.area() - b.area() * sx * sy).abs() <= 1e-9 * there.area());
    }

    #[test]
    fn a_turned_box_still_covers_its_corners(map in affine(), x in -500.0f64..500.0, y in -500.0f64..500.0,
                                             w in 0.1f64..300.0, h in 0.1f64..300.0) {
        let b = Box2::<Given>::new(x, y, x + w, y + h);
        let around = map.boxed(b);
        for (cx, cy) in [(b.x0, b.y0), (b.x1, b.y0), (b.x0, b.y1), (b.x1, b.y1)] {
            let p = map.point(Point2::new(cx, cy));
            prop_assert!(p.x >= around.x0 && p.x <= around.x1 && p.y >= around.y0 && p.y <= around.y1);
        }
    }

    #[test]
    fn singular_maps_have_no_inverse(a in -5.0f64..5.0, b in -5.0f64..5.0, k in -3i32..3) {
        let k = f64::from(k);
        let flat: Map2<Source, Given> = Map2::new([[a, b, 1.0], [a * k, b * k, 2.0]]);
        if let Some(back) = flat.inverse() {
            // Rounding can leave a tiny determinant; then the numbers must at least be finite.
            prop_assert!(back.m.iter().flatten().all(|v| v.is_finite()));
        }
        prop_assert!(Map2::<Source, Given>::new([[f64::NAN, 0.0, 0.0], [0.0, 1.0, 0.0]]).inverse().is_none());
        prop_assert!(Map2::<Source, Given>::new([[1.0, 0.0, f64::INFINITY], [0.0, 1.0, 0.0]]).inverse().is_none());
    }

    #[test]
    fn box_conversions_and_overlap(x in -50.0f64..50.0, y in -50.0f64..50.0, w in 0.1f64..80.0, h in 0.1f64..80.0,
                                   u in -50.0f64..50.0, v in -50.0f64..50.0, p in 0.1f64..80.0, q in 0.1f64..80.0) {
        let a = Box2::<Source>::from_xywh(x, y, w, h);
        let [bx, by, bw, bh] = a.xywh();
        prop_assert!(close_boxes(Box2::from_xywh(bx, by, bw, bh), a));
        let b = Box2::<Source>::from_xywh(u, v, p, q);
        let iou = a.iou(b);
        prop_assert!((0.0..=1.0).contains(&iou));
        prop_assert_eq!(iou, b.iou(a));
        prop_assert!((a.iou(a) - 1.0).abs() < 1e-12);
        let swapped = Box2::<Source>::new(a.x1, a.y1, a.x0, a.y0);
        prop_assert!(!swapped.is_proper());
        prop_assert_eq!(swapped.area(), 0.0);
        prop_assert_eq!(swapped.ordered(), a);
        prop_assert!(a.contains(a.centre()));
        let inside = b.clipped(40.0, 30.0);
        prop_assert!(inside.x0 >= 0.0 && inside.x1 <= 40.0 && inside.y0 >= 0.0 && inside.y1 <= 30.0);
    }

    #[test]
    fn crops_keep_pixels_and_know_the_way_back(p in picture(), first in shares(), second in shares()) {
        let one = p.crop(region(&p, first)).unwrap();
        let two = one.crop(region(&one, second)).unwrap();
        for y in 0..two.height() {
            for x in 0..two.width() {
                let centre = two.origin.source_from_self.point(Point2::new(x as f64 + 0.5, y as f64 + 0.5));
                prop_assert_eq!(two.pixel(x, y), p.pixel(centre.x as usize, centre.y as usize));
            }
        }
        prop_assert_eq!(two.origin.source_size, [p.width(), p.height()]);
        let corner = two.origin.source_from_self.boxed(two.bounds());
        prop_assert!(corner.x0 >= 0.0 && corner.y0 >= 0.0);
        prop_assert!(corner.x1 <= p.width() as f64 && corner.y1 <= p.height() as f64);
        prop_assert_eq!(two.origin.steps.len(), 2);
    }

    #[test]
    fn a_crop_covers_what_was_asked(p in picture(), part in shares(), over in -30.0f64..30.0) {
        let asked = region(&p, part);
        let wide = Box2::new(asked.x0 - over.abs(), asked.y0, asked.x1, asked.y1 + over.abs());
        let cut = p.crop(wide).unwrap();
        let got = cut.origin.source_from_self.boxed(cut.bounds());
        let inside = wide.clipped(p.width() as f64, p.height() as f64);
        prop_assert!(got.x0 <= inside.x0 && got.y0 <= inside.y0 && got.x1 >= inside.x1 && got.y1 >= inside.y1);
        prop_assert!(inside.x0 - got.x0 < 1.0 && got.x1 - inside.x1 < 1.0);
        prop_assert!(inside.y0 - got.y0 < 1.0 && got.y1 - inside.y1 < 1.0);
    }

    #[test]
    fn nothing_is_cut_from_outside(p in picture(), far in 0.0f64..1e9) {
        let (w, h) = (p.width() as f64, p.height() as f64);
        for r in [
            Box2::new(w + far, 0.0, w + far + 5.0, h),
            Box2::new(-far - 9.0, 0.0, -far, h),
            Box2::new(0.0, h + far, w, h + far + 1.0),
            Box2::new(3.0, 3.0, 1.0, 1.0),
            Box2::new(f64::NAN, 0.0, 1.0, 1.0),
            Box2::new(0.0, 0.0, f64::INFINITY, 1.0),
        ] {
            prop_assert!(p.crop(r).is_err());
        }
    }

    #[test]
    fn picture_crop_resize_and_patient(p in picture(), part in shares(), w in 1usize..700, h in 1usize..500,
                                       geometry in lps_from_index(), k in 0.0f64..300.0,
                                       u in 0.0f64..1.0, v in 0.0f64..1.0) {
        let mut origin = Origin::of_size(p.width(), p.height());
        origin.lps_from_source = Some(geometry.plane(k));
        origin.spacing_mm = origin.lps_from_source.map(|l| l.spacing_mm());
        let cut = p.with_origin(origin).crop_of(part);
        let shown = cut.origin_after_resize(w, h, "resize");
        let at = Point2::<Given>::new(u * w as f64, v * h as f64);
        // picture -> source -> millimetres -> voxel index -> source -> picture
        let lps = shown.lps_of(at).unwrap();
        let index = geometry.index_of(lps).unwrap();
        prop_assert!((index[2] - k).abs() < TOLERANCE);
        let source = Point2::<Source>::new(index[0] + 0.5, index[1] + 0.5);
        let back = shown.source_from_self.inverse().unwrap().point(source);
        // One picture pixel may be a small part of a source pixel: the error is measured in the source.
        let error = shown.source_from_self.point(back).distance(shown.source_from_self.point(at));
        prop_assert!(error < TOLERANCE, "{error}");
        let whole = shown.source_from_self.boxed(Box2::new(0.0, 0.0, w as f64, h as f64));
        prop_assert!(close_boxes(whole, cut.origin.source_from_self.boxed(cut.bounds())));
    }

    #[test]
    fn millimetres_to_words_and_back(p in picture(), part in shares(), w in 1usize..700, h in 1usize..500,
                                     mw in 1usize..700, mh in 1usize..500, geometry in lps_from_index(),
                                     k in 0.0f64..300.0, n in 0..DIALECTS.iter().count(), inner in shares()) {
        // A lesion on a slice, seen in an enlarged crop, said in any dialect, read, and found again.
        let mut origin = Origin::of_size(p.width(), p.height());
        origin.lps_from_source = Some(geometry.plane(k));
        let cut = p.with_origin(origin).crop_of(part);
        let shown = cut.origin_after_resize(w, h, "resize");
        let lesion = region(&cut, inner);
        let on_source = cut.origin.source_from_self.boxed(lesion);
        let given = shown.source_from_self.inverse().unwrap().boxed(on_source);
        let size = PictureSizes { given: [w, h], model_input: [mw, mh] };
        let found = Finding::region(0, given, shown.clone());
        let dialect = DIALECTS.iter().nth(n).unwrap();
        let said = dialect.spoken([&found], size).unwrap();
        let read = dialect.place(&said, &[SpokenPicture { sizes: size, origin: &shown }], 0);
        let back = read.findings[0].source_box().unwrap();
        prop_assert!(close_boxes(back, on_source), "{}: {back:?} {on_source:?}", dialect.name);
        for (x, y) in [(back.x0, back.y0), (back.x1, back.y1)] {
            let lps = shown.lps_from_source.unwrap().apply(Point2::new(x, y));
            let index = geometry.index_of(lps).unwrap();
            prop_assert!(close(index[0] + 0.5, x) && close(index[1] + 0.5, y) && close(index[2], k));
        }
    }

    #[test]
    fn index_and_millimetres(geometry in lps_from_index(), index in prop::array::uniform3(-50.0f64..1000.0)) {
        let back = geometry.index_of(geometry.apply(index)).unwrap();
        for (a, b) in back.iter().zip(index) {
            prop_assert!((a - b).abs() < TOLERANCE);
        }
        prop_assert_eq!(LpsFromIndex::from_ras(geometry.to_ras()), geometry);
        let volume: f64 = geometry.determinant().abs();
        prop_assert!(volume <= geometry.spacing_mm().iter().product::<f64>() * (1.0 + 1e-9));
    }

    #[test]
    fn a_plane_is_the_slice_of_its_volume(geometry in lps_from_index(), x in 0.0f64..500.0, y in 0.0f64..700.0, k in 0.0f64..90.0) {
        let plane: LpsFromPlane = geometry.plane(k);
        let flat = plane.apply(Point2::new(x, y));
        let solid = geometry.apply([x - 0.5, y - 0.5, k]);
        for (a, b) in flat.iter().zip(solid) {
            prop_assert!((a - b).abs() < TOLERANCE);
        }
        let [di, dj, _] = geometry.spacing_mm();
        let [px, py] = plane.spacing_mm();
        prop_assert!((di - px).abs() < 1e-9 && (dj - py).abs() < 1e-9);
    }

    #[test]
    fn run_lengths(w in 0usize..30, h in 0usize..40, bits in prop::collection::vec(prop::bool::weighted(0.3), 1200)) {
        let bits = bits[..w * h].to_vec();
        let mask = Mask::new(w, h, bits.clone()).unwrap();
        let rle = Rle::of(&mask);
        prop_assert_eq!(&rle.to_mask().unwrap(), &mask);
        let ones: u64 = rle.counts.iter().skip(1).step_by(2).map(|&n| u64::from(n)).sum();
        prop_assert_eq!(ones, mask.area_px() as u64);
        prop_assert!(rle.counts.iter().skip(1).all(|&n| n > 0), "only the first run may be empty");
        match mask.bounding_box() {
            None => prop_assert_eq!(mask.area_px(), 0),
            Some(b) => {
                for (n, _) in bits.iter().enumerate().filter(|(_, b)| **b) {
                    prop_assert!(b.contains(Point2::new((n % w) as f64 + 0.5, (n / w) as f64 + 0.5)));
                }
                let touches = |x: usize, y: usize| mask.get(x, y);
                let (x0, y0, x1, y1) = (b.x0 as usize, b.y0 as usize, b.x1 as usize - 1, b.y1 as usize - 1);
                prop_assert!((y0..=y1).any(|y| touches(x0, y)) && (y0..=y1).any(|y| touches(x1, y)));
                prop_assert!((x0..=x1).any(|x| touches(x, y0)) && (x0..=x1).any(|x| touches(x, y1)));
            }
        }
    }

    #[test]
    fn wrong_run_lengths_are_refused(counts in prop::collection::vec(any::<u32>(), 0..6), h: usize, w: usize) {
        // Any numbers: a mask of the right size or nothing, and never memory for an absurd size.
        if let Some(mask) = (Rle { size: [h, w], counts }).to_mask() {
            prop_assert_eq!((mask.width(), mask.height()), (w, h));
        }
    }

    #[test]
    fn windows_are_monotone_and_invertible_inside(centre in -1000.0f64..1000.0, width in 1.5f64..3000.0, share in 0.01f64..0.99) {
        for function in [WindowFunction::Linear, WindowFunction::LinearExact, WindowFunction::Sigmoid] {
            let window = Window { centre, width, function };
            prop_assert!(window.is_valid());
            // The value whose share of the range is `share`, by the standard's formula turned round.
            let value = match function {
                WindowFunction::Linear => (share - 0.5) * (width - 1.0) + centre - 0.5,
                WindowFunction::LinearExact => (share - 0.5) * width + centre,
                WindowFunction::Sigmoid => centre - width / 4.0 * (1.0 / share - 1.0).ln(),
            };
            prop_assert!((window.apply(value) - share).abs() < TOLERANCE);
            prop_assert!(window.level(value) <= window.level(value + width));
        }
    }

    #[test]
    fn written_and_read_again(map in affine(), geometry in lps_from_index(), p in picture(), part in shares()) {
        let mut origin = p.crop_of(part).origin;
        origin.source_from_self = map;
        origin.lps_from_source = Some(geometry.plane(3.0));
        let text = serde_json::to_string(&origin).unwrap();
        let read: Origin = serde_json::from_str(&text).unwrap();
        for (a, b) in read.source_from_self.m.iter().flatten().zip(origin.source_from_self.m.iter().flatten()) {
            prop_assert!((a - b).abs() <= 1e-12 * b.abs());
        }
        prop_assert_eq!(read.steps, origin.steps);
    }
}

/// Shorthand for tests: the crop of a share of the picture.
trait CropOf {
    fn crop_of(&self, part: (f64, f64, f64, f64)) -> Picture;
}

impl CropOf for Picture {
    fn crop_of(&self, part: (f64, f64, f64, f64)) -> Picture {
        self.crop(region(self, part)).unwrap()
    }
}

#[test]
fn the_first_pixel_has_its_centre_at_a_half() {
    let geometry =
        LpsFromIndex::from_columns([2.0, 0.0, 0.0], [0.0, 3.0, 0.0], [0.0, 0.0, 5.0], [-7.0, 11.0, 13.0]);
    let plane = geometry.plane(2.0);
    assert_eq!(plane.apply(Point2::new(0.5, 0.5)), [-7.0, 11.0, 23.0]);
    assert_eq!(plane.apply(Point2::new(0.0, 0.0)), [-8.0, 9.5, 23.0]);
    assert_eq!(plane.spacing_mm(), [2.0, 3.0]);
    assert!(geometry.tilt_degrees().abs() < 1e-9);
    let tilted = LpsFromIndex::from_columns([1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 1.0, 1.0], [0.0; 3]);
    assert!((tilted.tilt_degrees() - 45.0).abs() < 1e-9);
    assert!((norm([3.0, 4.0, 12.0]) - 13.0).abs() < 1e-12 && dot([1.0, 2.0, 3.0], [4.0, 5.0, 6.0]) == 32.0);
}

#[test]
fn a_known_mask_has_the_counts_of_coco() {
    // pycocotools.mask.encode of [[0,1,1],[0,0,1]] (2 rows, 3 columns) has the runs 2,1,1,2.
    let mask = Mask::new(3, 2, vec![false, true, true, false, false, true]).unwrap();
    assert_eq!(Rle::of(&mask), Rle { size: [2, 3], counts: vec![2, 1, 1, 2] });
}

#[test]
fn a_few_runs_cannot_claim_unbounded_memory() {
    let rle = Rle { size: [1 << 16, 1 << 16], counts: vec![1 << 31, 1 << 31] };
    assert!(rle.to_mask().is_none());
}

#[test]
fn a_padded_picture_keeps_its_pixels_and_knows_the_way_back() {
    let wide = Picture::new(3, 1, 3, (1..=9).collect::<Vec<u8>>()).unwrap();
    let square = wide.padded_to_square([0; 3]).unwrap();
    assert_eq!((square.width(), square.height()), (3, 3));
    assert_eq!(square.pixels()[9..18], *wide.pixels());
    assert!(square.pixels()[..9].iter().chain(&square.pixels()[18..]).all(|v| *v == 0));
    assert_eq!(square.origin.source_from_self.point(Point2::new(0.0, 1.0)), Point2::new(0.0, 0.0));
    // The smaller half of an odd padding goes left.
    let tall = Picture::new(1, 4, 1, vec![7; 4]).unwrap().padded_to_square([0; 3]).unwrap();
    assert_eq!(tall.pixels()[..4], [0, 7, 0, 0]);
    assert_eq!(tall.origin.source_from_self.point(Point2::new(1.0, 0.0)), Point2::new(0.0, 0.0));
    assert_eq!(tall.padded_to_square([0; 3]).unwrap(), tall);
}
