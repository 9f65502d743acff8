//! Smooth solids in patient-like millimetres, and how a slice of them becomes pixels.
//!
//! The in-plane frame is the picture's: x to the right of the picture (the patient's left, as
//! radiologists look at axial and frontal images), y down, origin in the middle; z towards the head.

use crate::label::{LABELS, Label};
use crate::rng::{Rng, mix, noise_pair, sin_cos_turns};

/// How a solid changes what is under it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Paint {
    /// Replaces the value.
    Set(f32),
    /// Adds to the value.
    Add(f32),
    /// Multiplies the value.
    Times(f32),
}

/// A closed smooth shape: an ellipsoid with a wavy outline, or the shell of one.
#[derive(Debug, Clone)]
pub(crate) struct Solid {
    /// What it is; `None` leaves the labels alone.
    pub(crate) label: Option<Label>,
    /// Index of the finding it belongs to.
    pub(crate) finding: Option<u8>,
    pub(crate) paint: Paint,
    pub(crate) centre: [f32; 3],
    pub(crate) radius: [f32; 3],
    /// Rotation in turns, clockwise in the picture.
    pub(crate) turn: f32,
    /// Amplitudes and phases (turns) of the 2nd, 3rd and 4th harmonic of the outline.
    pub(crate) waves: [(f32, f32); 3],
    /// Inner edge of a shell as a fraction of the outer one; 0 for a full solid.
    pub(crate) hollow: f32,
    /// Width of the soft edge in mm; 0 for one pixel.
    pub(crate) soft_mm: f32,
    /// Paints only over these labels; empty for everywhere.
    pub(crate) only_over: &'static [Label],
}

impl Solid {
    /// An ellipsoid of `radius` (x, y, z in mm) around `centre`.
    pub(crate) fn new(paint: Paint, centre: [f32; 3], radius: [f32; 3]) -> Self {
        Self {
            label: None,
            finding: None,
            paint,
            centre,
            radius,
            turn: 0.0,
            waves: [(0.0, 0.0); 3],
            hollow: 0.0,
            soft_mm: 0.0,
            only_over: &[],
        }
    }

    pub(crate) fn label(mut self, label: Label) -> Self {
        self.label = Some(label);
        self
    }

    pub(crate) fn turned(mut self, turns: f32) -> Self {
        self.turn = turns;
        self
    }

    pub(crate) fn hollow(mut self, fraction: f32) -> Self {
        self.hollow = fraction;
        self
    }

    pub(crate) fn soft(mut self, mm: f32) -> Self {
        self.soft_mm = mm;
        self
    }

    pub(crate) fn over(mut self, labels: &'static [Label]) -> Self {
        self.only_over = labels;
        self
    }

    pub(crate) fn of_finding(mut self, index: usize) -> Self {
        self.finding = Some(index as u8);
        self
    }

    /// Gives the outline random waves; `amount` 0.1 is gently lobulated, 0.3 ragged.
    pub(crate) fn wavy(mut self, rng: &mut Rng, amount: f32) -> Self {
        for (i, wave) in self.waves.iter_mut().enumerate() {
            *wave = (rng.within(-amount, amount) / (i + 1) as f32, rng.unit());
        }
        self
    }
}

/// What is done to the finished values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Finish {
    /// Nothing but noise.
    Plain,
    /// Multiplied by a smooth bias field of this strength (magnetic resonance).
    Bias(f32),
    /// Multiplied by speckle inside a fan (ultrasound).
    Fan,
    /// Vignetted inside a disc (fundus photograph).
    Disc,
}

/// Everything there is to see, before it is sampled.
#[derive(Debug, Clone)]
pub(crate) struct Scene {
    /// Edge length of the square field of view.
    pub(crate) field_mm: f32,
    /// Value where nothing is.
    pub(crate) base: f32,
    /// In painting order.
    pub(crate) solids: Vec<Solid>,
    /// Lattice spacing in mm and amplitude of the texture.
    pub(crate) texture: (f32, f32),
    /// Standard deviation of the noise.
    pub(crate) noise: f32,
    pub(crate) finish: Finish,
    /// Seed of texture and noise.
    pub(crate) seed: u64,
}

/// A sampled slice.
#[derive(Debug, Clone, PartialEq)]
pub struct Slice {
    /// Pixels along an edge.
    pub size: usize,
    /// Values in the study's unit (HU for CT), rows from the top.
    pub values: Vec<f32>,
    /// [`Label`] of each pixel as its number.
    pub labels: Vec<u8>,
    /// Bit `i` is set where finding `i` is.
    pub findings: Vec<u8>,
}

impl Scene {
    /// Samples the slice at height `z_mm` with `size` × `size` pixels.
    pub(crate) fn slice(&self, z_mm: f32, size: usize) -> Slice {
        let mut out = Slice {
            size,
            values: vec![self.base; size * size],
            labels: vec![0; size * size],
            findings: vec![0; size * size],
        };
        for solid in &self.solids {
            paint(&mut out, solid, z_mm, self.field_mm);
        }
        self.finish(&mut out, z_mm);
        out
    }

    fn finish(&self, out: &mut Slice, z_mm: f32) {
        let size = out.size;
        let pixel = self.field_mm / size as f32;
        let texture = Lattice::new(self.seed, self.texture.0, z_mm);
        let coarse = Lattice::new(self.seed ^ 0x51ed, self.field_mm / 2.2, z_mm / 4.0);
        let gains: [f32; LABELS] = core::array::from_fn(|i| Label::from_index(i).texture());
        let mut rng = Rng::new(self.seed, mix((z_mm * 16.0) as i64 as u64));
        let mut row_texture = vec![0.0; size];
        let mut row_coarse = vec![0.0; size];
        for y in 0..size {
            let y_mm = (y as f32 + 0.5) * pixel - self.field_mm / 2.0;
            texture.row(y_mm, pixel, self.field_mm, &mut row_texture);
            if !matches!(self.finish, Finish::Plain) {
                coarse.row(y_mm, pixel, self.field_mm, &mut row_coarse);
            }
            let mut spare = None;
            let row = y * size..(y + 1) * size;
            let values = out.values.get_mut(row.clone()).unwrap_or_default();
            let labels = out.labels.get(row.clone()).unwrap_or_default();
            let findings = out.findings.get_mut(row).unwrap_or_default();
            for (x, (((value, &label), found), &t)) in
                values.iter_mut().zip(labels).zip(findings).zip(&row_texture).enumerate()
            {
                let noise = spare.take().unwrap_or_else(|| {
                    let (a, b) = noise_pair(rng.bits());
                    spare = Some(b);
                    a
                });
                let gain = gains.get(usize::from(label)).copied().unwrap_or(0.0);
                *value += t * gain * self.texture.1;
                let c = row_coarse.get(x).copied().unwrap_or(0.0);
                let x_mm = (x as f32 + 0.5) * pixel - self.field_mm / 2.0;
                match self.finish {
                    Finish::Plain => *value += noise * self.noise,
                    Finish::Bias(strength) => {
                        *value = *value * (1.0 + strength * c) + noise * self.noise;
                        *value = value.max(0.0);
                    }
                    Finish::Fan => {
                        if in_fan(x_mm, y_mm, self.field_mm) {
                            *value = (*value * (1.0 + 0.12 * c) * (1.0 + noise * self.noise)).max(0.0);
                        } else {
                            *value = 0.0;
                            *found = 0;
                        }
                    }
                    Finish::Disc => {
                        let edge = self.field_mm * 0.47;
                        let r2 = (x_mm * x_mm + y_mm * y_mm) / (edge * edge);
                        if r2 < 1.0 {
                            *value =
                                (*value * (1.0 + 0.1 * c) * (1.05 - 0.3 * r2) + noise * self.noise).max(0.02);
                        } else {
                            *value = 0.0;
                            *found = 0;
                        }
                    }
                }
            }
        }
    }
}

/// True inside the sector that a curved probe at the top sees.
fn in_fan(x_mm: f32, y_mm: f32, field_mm: f32) -> bool {
    let (apex_y, h) = (-0.62 * field_mm, 0.5 * field_mm);
    let dy = y_mm - apex_y;
    let r2 = x_mm * x_mm + dy * dy;
    let (near, far) = (0.2 * field_mm, apex_y.abs() + h * 0.94);
    r2 > near * near && r2 < far * far && x_mm.abs() < dy * 0.62
}

fn paint(out: &mut Slice, solid: &Solid, z_mm: f32, field_mm: f32) {
    let dz = (z_mm - solid.centre[2]) / solid.radius[2];
    let shrink2 = 1.0 - dz * dz;
    if shrink2 <= 0.0 {
        return;
    }
    let shrink = shrink2.sqrt();
    let (rx, ry) = (solid.radius[0] * shrink, solid.radius[1] * shrink);
    let pixel = field_mm / out.size as f32;
    if rx < 0.25 * pixel || ry < 0.25 * pixel {
        return;
    }
    let (sin, cos) = sin_cos_turns(solid.turn);
    let grow = 1.0 + solid.waves.iter().map(|w| w.0.abs()).sum::<f32>();
    let soft = solid.soft_mm.max(pixel);
    let half_w = ((rx * cos).abs() + (ry * sin).abs()) * grow + soft;
    let half_h = ((rx * sin).abs() + (ry * cos).abs()) * grow + soft;
    let to_px = |mm: f32| (mm + field_mm / 2.0) / pixel;
    let clamp = |v: f32| v.max(0.0).min(out.size as f32) as usize;
    let (x0, x1) =
        (clamp(to_px(solid.centre[0] - half_w).floor()), clamp(to_px(solid.centre[0] + half_w).ceil()));
    let (y0, y1) =
        (clamp(to_px(solid.centre[1] - half_h).floor()), clamp(to_px(solid.centre[1] + half_h).ceil()));
    // cos(k(θ − φ)) = cos kθ · cos kφ + sin kθ · sin kφ, with cos kθ from the multiple-angle recurrences.
    let waves = solid.waves.map(|(a, phase)| {
        let (s, c) = sin_cos_turns(phase);
        (a * c, a * s)
    });
    let plain = solid.waves.iter().all(|w| w.0 == 0.0);
    let radius = rx.min(ry);
    let over = solid.only_over;
    let bit = solid.finding.map_or(0, |i| 1u8 << (i & 7));
    for y in y0..y1 {
        let dy = (y as f32 + 0.5) * pixel - field_mm / 2.0 - solid.centre[1];
        for x in x0..x1 {
            let at = y * out.size + x;
            let dx = (x as f32 + 0.5) * pixel - field_mm / 2.0 - solid.centre[0];
            let u = (dx * cos + dy * sin) / rx;
            let v = (dy * cos - dx * sin) / ry;
            let rho2 = u * u + v * v;
            if rho2 > grow * grow * 1.5 && (rho2.sqrt() - grow) * radius > soft {
                continue;
            }
            let rho = rho2.sqrt();
            let edge = if plain || rho < 1e-6 {
                1.0
            } else {
                let (c1, s1) = (u / rho, v / rho);
                let (c2, s2) = (c1 * c1 - s1 * s1, 2.0 * s1 * c1);
                let (c3, s3) = (c2 * c1 - s2 * s1, s2 * c1 + c2 * s1);
                let (c4, s4) = (c2 * c2 - s2 * s2, 2.0 * s2 * c2);
                1.0 + waves[0].0 * c2
                    + waves[0].1 * s2
                    + waves[1].0 * c3
                    + waves[1].1 * s3
                    + waves[2].0 * c4
                    + waves[2].1 * s4
            };
            let mut cover = ((edge - rho) * radius / soft + 0.5).clamp(0.0, 1.0);
            if solid.hollow > 0.0 {
                cover = cover.min(((rho - edge * solid.hollow) * radius / soft + 0.5).clamp(0.0, 1.0));
            }
            if cover <= 0.0 {
                continue;
            }
            let (Some(value), Some(label), Some(found)) =
                (out.values.get_mut(at), out.labels.get_mut(at), out.findings.get_mut(at))
            else {
                continue;
            };
            if !over.is_empty() && !over.iter().any(|l| *l as u8 == *label) {
                continue;
            }
            *value = match solid.paint {
                Paint::Set(to) => *value + (to - *value) * cover,
                Paint::Add(by) => *value + by * cover,
                Paint::Times(by) => *value * (1.0 + (by - 1.0) * cover),
            };
            if cover >= 0.5 {
                if let Some(new) = solid.label {
                    *label = new as u8;
                }
                *found |= bit;
            }
        }
    }
}

/// Smooth random numbers on a grid of `spacing` mm, interpolated in the plane and across z.
struct Lattice {
    seed: u64,
    spacing: f32,
    z: f32,
}

impl Lattice {
    fn new(seed: u64, spacing: f32, z_mm: f32) -> Self {
        Self { seed, spacing, z: z_mm / spacing + 512.0 }
    }

    fn node(&self, ix: i32, iy: i32, iz: i32) -> f32 {
        let bits = |i: i32| u64::from(i as u32);
        let key = mix(self.seed ^ (bits(ix) | (bits(iy) << 21) | (bits(iz) << 42)));
        (key >> 40) as f32 / 8_388_608.0 - 1.0
    }

    /// Fills a row of pixels at height `y_mm`.
    fn row(&self, y_mm: f32, pixel: f32, field_mm: f32, out: &mut [f32]) {
        let smooth = |t: f32| t * t * (3.0 - 2.0 * t);
        let y = (y_mm + field_mm / 2.0) / self.spacing;
        let (iy, iz) = (y.floor(), self.z.floor());
        let (fy, fz) = (smooth(y - iy), smooth(self.z - iz));
        let (iy, iz) = (iy as i32, iz as i32);
        let column = |ix: i32| {
            let at = |dy: i32, dz: i32| self.node(ix, iy + dy, iz + dz);
            let low = at(0, 0) + (at(1, 0) - at(0, 0)) * fy;
            let high = at(0, 1) + (at(1, 1) - at(0, 1)) * fy;
            low + (high - low) * fz
        };
        let step = pixel / self.spacing;
        let (mut left_at, mut left, mut right) = (i32::MIN, 0.0, 0.0);
        for (i, value) in out.iter_mut().enumerate() {
            let x = (i as f32 + 0.5) * step;
            let floor = x as i32;
            if floor != left_at {
                left = if floor == left_at.wrapping_add(1) { right } else { column(floor) };
                right = column(floor + 1);
                left_at = floor;
            }
            *value = left + (right - left) * smooth(x - floor as f32);
        }
    }
}
