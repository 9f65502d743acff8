//! An object followed through a volume by a scripted segmenter.

use loupe_core::segmenter::{FollowRules, by_previous_mask};
use loupe_core::{
    Box2, LabelVolume, LpsFromIndex, Mask, ModelInfo, Origin, Picture, Segment, SegmentError, SegmentPrompt,
    Segmenter,
};
use ndarray::Array3;
use std::collections::BTreeMap;

const SIDE: usize = 40;

/// Segments what is bright inside the box, as the frame has it; sees nothing outside it.
struct Bright {
    info: ModelInfo,
    masks_too: bool,
    asked: Vec<Vec<SegmentPrompt>>,
}

impl Bright {
    fn new(masks_too: bool) -> Self {
        let info = ModelInfo::scripted("bright", "", "none");
        Self { info, masks_too, asked: Vec::new() }
    }
}

impl Segmenter for Bright {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn segment(
        &mut self,
        picture: &Picture,
        prompts: &[SegmentPrompt],
    ) -> Result<Vec<Segment>, SegmentError> {
        if !self.masks_too && prompts.iter().any(|h| matches!(h, SegmentPrompt::Mask(_))) {
            return Err(SegmentError::Prompt { model: "bright".into(), kind: "mask" });
        }
        self.asked.push(prompts.to_vec());
        let region =
            prompts.iter().find_map(|h| if let SegmentPrompt::Box(b) = h { Some(*b) } else { None }).unwrap();
        let bit = |n: usize| {
            let (x, y) = ((n % SIDE) as f64 + 0.5, (n / SIDE) as f64 + 0.5);
            picture.pixels()[n] > 127 && x > region.x0 && x < region.x1 && y > region.y0 && y < region.y1
        };
        let mask = Mask::new(SIDE, SIDE, (0..SIDE * SIDE).map(bit).collect()).unwrap();
        // As sure as the object is bright.
        let sure = f32::from(*picture.pixels().iter().max().unwrap()) / 255.0;
        Ok(vec![Segment { mask, predicted_iou: Some(sure) }])
    }
}

/// A ball of radius 9 in frames 6 to 24 about frame 15, drifting to the right; a second object from
/// frame 27 on.
fn frames() -> Vec<Picture> {
    (0..32)
        .map(|k| {
            let away = (f64::from(k) - 15.0).abs();
            let radius = (81.0 - away * away).max(0.0).sqrt();
            let level = |n: usize| {
                let (x, y) = ((n % SIDE) as f64 + 0.5, (n / SIDE) as f64 + 0.5);
                let near = (x - 16.0 - 0.3 * f64::from(k)).hypot(y - 18.0) < radius;
                let other = k >= 27 && x > 2.0 && x < 9.0 && y > 30.0;
                if near || other { 250 } else { 20 }
            };
            let pixels: Vec<u8> = (0..SIDE * SIDE).map(level).collect();
            Picture::new(SIDE, SIDE, 1, pixels).unwrap()
        })
        .collect()
}

fn prompt() -> Vec<SegmentPrompt> {
    vec![SegmentPrompt::Box(Box2::new(8.0, 5.0, 34.0, 32.0))]
}

#[test]
fn the_object_is_followed_both_ways_until_it_ends() {
    for masks_too in [true, false] {
        let mut model = Bright::new(masks_too);
        let frames = frames();
        let masks = model.follow(&frames, 15, &prompt()).unwrap();
        assert_eq!(masks.len(), frames.len());
        for (k, (mask, frame)) in masks.iter().zip(&frames).enumerate() {
            let bright = frame.pixels().iter().filter(|&&v| v > 127).count();
            match k {
                // The tips are so much smaller than their neighbours that they may end there.
                8..=22 => assert!(mask.area_px() as f64 > 0.85 * bright as f64, "frame {k}"),
                0..=5 | 25.. => assert_eq!(mask.area_px(), 0, "frame {k}"),
                _ => {}
            }
        }
        // One call a frame that was looked at, and one that found the end on either side.
        assert!(model.asked.len() <= 21, "{}", model.asked.len());
        assert!(model.asked[1..].iter().all(|prompts| prompts.len() == if masks_too { 2 } else { 1 }));
    }
}

#[test]
fn rules_end_it_earlier() {
    let frames = frames();
    let count = |rules: FollowRules| {
        let masks = by_previous_mask(&mut Bright::new(true), &frames, 15, &prompt(), &rules).unwrap();
        masks.iter().filter(|m| m.area_px() > 0).count()
    };
    assert_eq!(count(FollowRules { max_frames: 3, ..FollowRules::default() }), 7);
    assert_eq!(count(FollowRules { min_predicted_iou: 0.99, ..FollowRules::default() }), 1);
    assert!(count(FollowRules { min_overlap: 0.9, ..FollowRules::default() }) < 15);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut model = Bright::new(true);
    assert!(model.follow(&frames(), 40, &prompt()).unwrap_err().to_string().contains("there are 32"));
    let mut odd = frames();
    odd.push(Picture::new(3, 3, 1, vec![0; 9]).unwrap());
    assert!(model.follow(&odd, 15, &prompt()).is_err());
    // Nothing under the prompt: nothing to follow.
    let nothing = model.follow(&frames(), 2, &prompt()).unwrap();
    assert!(nothing.iter().all(|m| m.area_px() == 0));
}

#[test]
fn masks_of_slices_become_labels_in_the_volumes_own_geometry() {
    // A tilted volume of 3 slices, 5 rows, 4 columns; its slices shown flipped and twice as large.
    let map =
        LpsFromIndex::from_columns([0.8, 0.1, 0.0], [0.0, 0.9, 0.2], [0.1, 0.0, 3.0], [-7.0, 4.0, 11.0]);
    let mut labels =
        LabelVolume { labels: Array3::zeros((3, 5, 4)), lps_from_index: map, names: BTreeMap::new() };
    let wanted = [(0, 1, 2), (0, 4, 3), (1, 0, 0), (1, 2, 2), (2, 3, 1)];
    for slice in 0..3 {
        let mut origin = Origin::of_size(4, 5);
        let plane = map.plane(slice as f64);
        let [right, down, corner] = [0, 1, 2].map(|c| [plane.m[0][c], plane.m[1][c], plane.m[2][c]]);
        // Rows shown from the last to the first.
        let m = [0, 1, 2].map(|r| [right[r], -down[r], corner[r] + 5.0 * down[r]]);
        origin.lps_from_source = Some(loupe_core::LpsFromPlane { m });
        let picture = Picture::new(4, 5, 1, vec![0; 20]).unwrap().with_origin(origin);
        let origin = picture.origin_after_resize(8, 10, "twice");
        let mut bits = vec![false; 80];
        for (_, row, column) in wanted.iter().filter(|w| w.0 == slice) {
            for (dy, dx) in [(0, 0), (0, 1), (1, 0), (1, 1)] {
                bits[(2 * (4 - row) + dy) * 8 + 2 * column + dx] = true;
            }
        }
        let painted = labels.paint(&origin, &Mask::new(8, 10, bits).unwrap(), 7).unwrap();
        assert_eq!(painted, wanted.iter().filter(|w| w.0 == slice).count());
    }
    for ((k, j, i), label) in labels.labels.indexed_iter() {
        assert_eq!(*label == 7, wanted.contains(&(k, j, i)), "{k} {j} {i}");
    }
    assert_eq!(labels.paint(&Origin::of_size(4, 5), &Mask::empty(4, 5), 1), None);
}
