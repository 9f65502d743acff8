//! A phantom patient's examination: planned from a seed, then sampled.

use crate::anatomy;
use crate::finding::{Finding, FindingKind, Lesion, Side};
use crate::kind::Kind;
use crate::label::Label;
use crate::rng::{Rng, mix};
use crate::scene::Slice;
use loupe_core::picture::PictureError;
use loupe_core::{LpsFromIndex, Mask, Modality, Picture, Volume};
use ndarray::Array3;

/// Seeds from here on are for training; those below are for everyone else. [`Plan::held_out`] and
/// [`Plan::training`] cannot reach each other's range, so no training example can be a test example.
pub const FIRST_TRAINING_SEED: u64 = 1 << 62;

/// How a finding changed between two examinations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Change {
    Grew,
    Shrank,
    Appeared,
    Resolved,
    Unchanged,
}

impl Change {
    /// Every change.
    pub const ALL: [Change; 5] =
        [Change::Grew, Change::Shrank, Change::Appeared, Change::Resolved, Change::Unchanged];

    /// As answers say it.
    pub const fn name(self) -> &'static str {
        match self {
            Change::Grew => "grew",
            Change::Shrank => "shrank",
            Change::Appeared => "appeared",
            Change::Resolved => "resolved",
            Change::Unchanged => "unchanged",
        }
    }
}

/// What a patient should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Anything, from nothing to three findings of a kind.
    Any,
    /// A normal study, without findings.
    Normal,
    /// One finding of this kind.
    One(FindingKind),
    /// One nodule whose inside shows only when enlarged (where the examination has such nodules).
    Fine,
}

/// A patient and an examination, before sampling.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// What is examined.
    pub kind: Kind,
    patient: u64,
    noise: u64,
    z_mm: f32,
    lesions: Vec<Lesion>,
}

impl Plan {
    /// A patient that no model was trained on: the top two bits of `seed` are cleared.
    pub fn held_out(seed: u64, kind: Kind, wish: Wish) -> Plan {
        Self::new(seed % FIRST_TRAINING_SEED, kind, wish)
    }

    /// A patient for training.
    pub fn training(seed: u64, kind: Kind, wish: Wish) -> Plan {
        Self::new(FIRST_TRAINING_SEED | seed, kind, wish)
    }

    fn new(seed: u64, kind: Kind, wish: Wish) -> Plan {
        let mut rng = Rng::new(seed, 1 + kind as u64);
        let (patient, noise) = (rng.bits(), rng.bits());
        let z_mm = if kind.is_volume() { rng.within(-22.0, 22.0) } else { 0.0 };
        let mut plan = Plan { kind, patient, noise, z_mm, lesions: Vec::new() };
        let any = rng.pick(kind.repertoire()).copied();
        let wanted = match wish {
            Wish::Normal => None,
            Wish::Any => any.filter(|_| !rng.chance(0.25)),
            Wish::One(finding) => kind.repertoire().iter().find(|r| r.0 == finding).copied(),
            Wish::Fine => kind.fine_nodules().map(|(low, high)| (FindingKind::Nodule, low, high)),
        };
        let Some((finding, low, high)) = wanted else { return plan };
        let many = matches!(
            finding,
            FindingKind::Nodule | FindingKind::Haemorrhage | FindingKind::Cyst | FindingKind::Exudate
        );
        let count = if wish == Wish::Any && many && rng.chance(0.3) { 2 + rng.below(2) } else { 1 };
        let first = if rng.chance(0.5) { Side::Left } else { Side::Right };
        // Several of a kind lie apart: opposite sides, then opposite halves of a side. They are smaller.
        let spots = [(first, 1.0), (first.other(), 0.0), (first, -1.0)];
        for (side, half) in spots.into_iter().take(count) {
            let mut place = [rng.within(-1.0, 1.0), rng.within(-1.0, 1.0)];
            let mut diameter = rng.within(low, high);
            if count > 1 {
                diameter = low + (diameter - low) * 0.45;
                if half != 0.0 {
                    place[1] = half * rng.within(0.6, 1.0);
                }
            }
            let fine = wish == Wish::Fine;
            let hollow = finding == FindingKind::Nodule && (fine || diameter > 15.0) && count == 1;
            plan.lesions.push(Lesion {
                kind: finding,
                side,
                place,
                z_mm,
                diameter_mm: diameter,
                cavitary: hollow && rng.chance(if fine { 0.5 } else { 0.4 }),
                contrast: if fine { rng.within(0.62, 1.0) } else { rng.within(0.72, 1.0) },
                seed: rng.bits(),
            });
        }
        plan
    }

    /// The same patient later: same anatomy and place, other noise. Without a finding the patient
    /// stays as it is.
    #[must_use]
    pub fn follow_up(&self, change: Change) -> (Plan, Plan) {
        let (mut before, mut after) = (self.clone(), self.clone());
        after.noise = mix(self.noise ^ 0xf011_0077);
        let mut rng = Rng::new(self.noise, 55);
        let factor = rng.within(1.7, 2.1);
        let range = self.lesions.first().and_then(|l| self.kind.repertoire().iter().find(|r| r.0 == l.kind));
        if let Some((_, low, high)) = range {
            // A pair whose smaller member is still plain to see and whose larger one fits its organ.
            let small = rng.within(*low, (high / factor).max(low * 1.1));
            let resize = |plan: &mut Plan, d: f32| plan.lesions.iter_mut().for_each(|l| l.diameter_mm = d);
            match change {
                Change::Grew => {
                    resize(&mut before, small);
                    resize(&mut after, small * factor);
                }
                Change::Shrank => {
                    resize(&mut before, small * factor);
                    resize(&mut after, small);
                }
                Change::Appeared => before.lesions.clear(),
                Change::Resolved => after.lesions.clear(),
                Change::Unchanged => {}
            }
        }
        (before, after)
    }

    /// The only picture: the slice through the findings, `size` × `size` pixels.
    pub fn picture(&self, size: usize) -> Study {
        self.sample(size, &[self.z_mm])
    }

    /// A stack of `count` slices `step_mm` apart, from the feet up; a kind without a third dimension
    /// gives its picture.
    pub fn volume(&self, size: usize, count: usize, step_mm: f32) -> Study {
        if !self.kind.is_volume() {
            return self.picture(size);
        }
        // The slice grid passes through the findings' middle.
        let below = count as f32 / 2.0 + (self.z_mm / step_mm).floor();
        let z: Vec<f32> = (0..count).map(|i| self.z_mm + (i as f32 - below.floor()) * step_mm).collect();
        self.sample(size, &z)
    }

    fn sample(&self, size: usize, z_mm: &[f32]) -> Study {
        let scene = anatomy::scene(self.kind, self.patient, &self.lesions, self.noise);
        let slices: Vec<Slice> = z_mm.iter().map(|&z| scene.slice(z, size)).collect();
        let mut study = Study { kind: self.kind, z_mm: z_mm.to_vec(), slices, findings: Vec::new() };
        study.findings = self.lesions.iter().enumerate().filter_map(|(i, l)| study.measure(i, l)).collect();
        study
    }
}

/// A sampled examination with its ground truth.
#[derive(Debug, Clone, PartialEq)]
pub struct Study {
    /// What was examined.
    pub kind: Kind,
    /// Height of each slice.
    pub z_mm: Vec<f32>,
    /// Slices in the order of `z_mm`; one for a picture.
    pub slices: Vec<Slice>,
    /// Findings that can be seen, in the order of the mask bits of [`Slice::findings`].
    pub findings: Vec<Finding>,
}

impl Study {
    /// Pixels along an edge of a slice.
    pub fn size(&self) -> usize {
        self.slices.first().map_or(0, |s| s.size)
    }

    /// Edge of a pixel in mm.
    pub fn pixel_mm(&self) -> f64 {
        f64::from(self.kind.field_mm()) / self.size().max(1) as f64
    }

    /// Voxel centres to patient millimetres: columns to the patient's left, rows to the back, slices
    /// to the head.
    pub fn lps_from_index(&self) -> LpsFromIndex {
        let px = self.pixel_mm();
        let first = (px - f64::from(self.kind.field_mm())) / 2.0;
        let z = |k: usize| self.z_mm.get(k).copied().map_or(0.0, f64::from);
        let step = if self.z_mm.len() > 1 { z(1) - z(0) } else { 1.0 };
        LpsFromIndex::from_columns([px, 0.0, 0.0], [0.0, px, 0.0], [0.0, 0.0, step], [first, first, z(0)])
    }

    /// The values as a volume with their place in the patient; `None` when there is no slice.
    pub fn to_volume(&self) -> Option<Volume> {
        let n = self.size();
        let values: Vec<f32> = self.slices.iter().flat_map(|s| s.values.iter().copied()).collect();
        let modality = match self.kind {
            kind if kind.is_ct() => Modality::Ct,
            kind if kind.is_mr() => Modality::Mr,
            Kind::Radiograph => Modality::Xray,
            Kind::Ultrasound => Modality::Us,
            _ => Modality::Other,
        };
        let voxels = Array3::from_shape_vec((self.slices.len(), n, n), values).ok()?;
        Some(Volume { voxels, lps_from_index: self.lps_from_index(), modality })
    }

    /// Measures the drawn finding with mask bit `bit` in the slice where it is largest.
    fn measure(&self, bit: usize, lesion: &Lesion) -> Option<Finding> {
        let area = |s: &Slice| s.findings.iter().filter(|&&f| f >> bit & 1 == 1).count();
        let (slice, area_px) =
            self.slices.iter().map(area).enumerate().max_by_key(|&(i, n)| (n, usize::MAX - i))?;
        let mask = self.mask(slice, bit)?;
        let region = mask.bounding_box()?;
        let centre = region.centre();
        let at = |x: f64, y: f64| {
            let s = self.slices.get(slice)?;
            s.labels.get(y as usize * s.size + x as usize).copied()
        };
        let organ = Label::from_index(usize::from(at(centre.x, centre.y).unwrap_or(0)));
        let longest = region.width().max(region.height()) * self.pixel_mm();
        Some(Finding {
            kind: lesion.kind,
            organ: organ.name().to_owned(),
            side: self.kind.has_side(lesion.kind).then_some(lesion.side),
            slice,
            box_px: region.xyxy(),
            size_mm: self.kind.is_calibrated().then_some(longest),
            area_px,
            cavitary: lesion.cavitary,
        })
    }

    /// Mask of one finding in one slice.
    pub fn mask(&self, slice: usize, finding: usize) -> Option<Mask> {
        let s = self.slices.get(slice)?;
        Mask::new(s.size, s.size, s.findings.iter().map(|&f| f >> (finding & 7) & 1 == 1).collect())
    }

    /// Mask of one structure in one slice.
    pub fn structure(&self, slice: usize, label: Label) -> Option<Mask> {
        let s = self.slices.get(slice)?;
        Mask::new(s.size, s.size, s.labels.iter().map(|&l| l == label as u8).collect())
    }

    /// A slice through the examination's window as grey levels, or in colour for a fundus photograph.
    ///
    /// # Errors
    /// When there is no such slice.
    pub fn picture(&self, slice: usize) -> Result<Picture, PictureError> {
        let empty = PictureError::Empty { width: 0, height: 0 };
        let s = self.slices.get(slice).ok_or(empty)?;
        let window = self.kind.window();
        let (low, width) = ((window.centre - window.width / 2.0) as f32, window.width as f32);
        let level = |v: f32| ((v - low) / width * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
        let (channels, pixels): (usize, Vec<u8>) = if self.kind.is_colour() {
            (3, s.values.iter().flat_map(|&v| fundus_colour(v)).collect())
        } else {
            (1, s.values.iter().map(|&v| level(v)).collect())
        };
        let picture = Picture::new(s.size, s.size, channels, pixels)?;
        let mut origin = picture.origin.clone();
        origin.slice = self.kind.is_volume().then_some(slice);
        origin.window = self.kind.is_ct().then_some(window);
        origin.spacing_mm = self.kind.is_calibrated().then_some([self.pixel_mm(); 2]);
        Ok(picture.with_origin(origin))
    }
}

/// Retina from dark red to orange; what is brighter than the disc is yellow.
fn fundus_colour(v: f32) -> [u8; 3] {
    let v = v.max(0.0);
    let channel = |x: f32| (x * 255.0 + 0.5).clamp(0.0, 255.0) as u8;
    [channel(v * 1.35), channel(v * v * 0.95), channel(v * v * 0.42)]
}
