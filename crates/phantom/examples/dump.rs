//! Streams training or test examples on stdout for `assets/phantom-vl/train.py` and `assets/phantom-sam/train.py`.
//!
//! `dump masks FIRST COUNT`: training pictures with every structure's and finding's mask, for phantom-sam: a record is as
//! below with 192 × 192 RGB bytes, as many label indices and as many finding bits.
//!
//! `dump train|test FIRST COUNT`: each record is a little-endian `u32` length, a JSON header of that
//! length, and per picture 112 × 112 RGB bytes, 56 × 56 bytes of finding mask (0 or 1) and 16 × 16
//! bytes of labels. Pictures are made at 336 × 336 and reduced as Pillow's BICUBIC reduces them.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

use loupe_core::{Box2, Picture};
use loupe_phantom::questions::{self, Qa};
use loupe_phantom::{Finding, Kind, Plan, Rng, Study, Wish};
use serde_json::{Value, json};
use std::io::Write;

const SOURCE: usize = 336;
const INPUT: usize = 112;
/// Input edge of phantom-sam.
const SEGMENTED: usize = 192;
/// Edge of the region looked at again, in pixels of the model's input.
const LOOK: f64 = 22.0;
/// Share by which the region grows on each side before it is shown.
const MARGIN: f64 = 0.1;

fn main() -> std::io::Result<()> {
    let args: Vec<String> = std::env::args().collect();
    let held_out = args[1] == "test";
    let first: u64 = args[2].parse().unwrap();
    let count: u64 = args[3].parse().unwrap();
    let patient = if held_out { Plan::held_out } else { Plan::training };
    let reduce = Resize::new(SOURCE, INPUT);
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::io::stdout().lock());
    for seed in first..first + count {
        let mut rng = Rng::new(seed, if held_out { 77 } else { 78 });
        if args[1] == "masks" {
            let reduce = Resize::new(SOURCE, SEGMENTED);
            if masks(seed, &mut rng, &reduce, &mut out).is_err() {
                return Ok(());
            }
            continue;
        }
        let done = match seed % 8 {
            0..=3 => single(seed, &mut rng, patient, &reduce, &mut out),
            4 | 5 => small_finding(seed, &mut rng, patient, &reduce, &mut out),
            _ => several(seed, &mut rng, patient, &reduce, &mut out),
        };
        if done.is_err() {
            return Ok(()); // The reader has had enough.
        }
    }
    out.flush()
}

type Patient = fn(u64, Kind, Wish) -> Plan;

fn write(out: &mut impl Write, header: &Value, pictures: &[Vec<u8>]) -> std::io::Result<()> {
    let text = header.to_string();
    out.write_all(&(text.len() as u32).to_le_bytes())?;
    out.write_all(text.as_bytes())?;
    pictures.iter().try_for_each(|p| out.write_all(p))
}

fn qa(q: &Qa) -> Value {
    json!({"q": q.question, "a": q.answer, "topic": q.topic, "closed": q.closed, "lang": q.language,
           "options": q.options, "letter": q.letter()})
}

/// Boxes of findings and structures in pixels of the model's input.
fn groundings(study: &Study) -> Vec<Value> {
    let scale = INPUT as f64 / SOURCE as f64;
    let boxed = |name: &str, b: [f64; 4], kind: &str| json!({"name": name, "box": b.map(|v| v * scale), "kind": kind});
    let mut all = Vec::new();
    if let [f] = study.findings.as_slice() {
        all.push(boxed(f.kind.name(), f.box_px, "finding"));
    }
    for label in study.kind.structures() {
        if let Some(b) = study.structure(0, *label).and_then(|m| m.bounding_box())
            && b.area() > 60.0
        {
            all.push(boxed(label.name(), b.xyxy(), "structure"));
        }
    }
    all
}

fn single(
    seed: u64,
    rng: &mut Rng,
    patient: Patient,
    reduce: &Resize,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let kind = *rng.pick(&Kind::ALL).unwrap();
    let study = patient(seed, kind, Wish::Any).picture(SOURCE);
    let qas: Vec<Value> = questions::about(&study, 0, rng).iter().map(qa).collect();
    let header = json!({"type": "single", "seed": seed, "kind": kind, "images": 1, "qas": qas, "ground": groundings(&study)});
    write(out, &header, &[payload(&study, reduce)])
}

fn small_finding(
    seed: u64,
    rng: &mut Rng,
    patient: Patient,
    reduce: &Resize,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let kind = *rng.pick(&[Kind::CtChest, Kind::Radiograph, Kind::MrT2]).unwrap();
    let study = patient(seed, kind, Wish::Fine).picture(SOURCE);
    let Some(nodule) = study.findings.first() else { return Ok(()) };
    let look = look_box(nodule);
    // The region that a model will really ask for is not always centred.
    let jitter = |rng: &mut Rng| (rng.normal() * 1.8).clamp(-6.0, 6.0).round();
    let (x, y) = (inside(look[0] + f64::from(jitter(rng))), inside(look[1] + f64::from(jitter(rng))));
    // As the protocol does it: grown, cut in whole pixels, enlarged to the picture's own size; the
    // processor then reduces it like any picture.
    let scale = SOURCE as f64 / INPUT as f64;
    let grown = |v: f64, by: f64| (v + by * MARGIN * LOOK) * scale;
    let region = Box2::new(grown(x, -1.0), grown(y, -1.0), grown(x + LOOK, 1.0), grown(y + LOOK, 1.0));
    let crop = study.picture(0).unwrap().crop(region).unwrap();
    let mut zoomed = reduce.rgb(&Resize::new(crop.width(), SOURCE).picture(&crop));
    zoomed.extend(wall(&study, &crop, region));
    zoomed.extend(std::iter::repeat_n(0, 16 * 16));
    let qas: Vec<Value> = questions::about_nodule(nodule).iter().map(qa).collect();
    let header = json!({"type": "look", "seed": seed, "kind": kind, "images": 2, "qas": qas,
                        "look": look, "shown": [x, y, x + LOOK, y + LOOK], "ground": groundings(&study)});
    write(out, &header, &[payload(&study, reduce), zoomed])
}

/// The enlarged nodule without its cavity: pixels of its mask in the upper half of its grey levels.
fn wall(study: &Study, crop: &Picture, region: Box2<loupe_core::Given>) -> Vec<u8> {
    let mask = study.mask(0, 0).unwrap();
    let (left, top, edge) = (region.x0.floor() as usize, region.y0.floor() as usize, crop.width());
    let grey = |x: usize, y: usize| crop.pixel(x, y).unwrap()[0];
    let inside = |x: usize, y: usize| mask.get(left + x, top + y);
    let levels: Vec<u8> = (0..edge * edge)
        .map(|i| (i % edge, i / edge))
        .filter(|&(x, y)| inside(x, y))
        .map(|(x, y)| grey(x, y))
        .collect();
    let half = |f: fn(u8, u8) -> u8| f32::from(levels.iter().copied().reduce(f).unwrap_or(0)) / 2.0;
    let middle = half(u8::min) + half(u8::max);
    (0..56 * 56)
        .map(|i| ((i % 56) * edge / 56, (i / 56) * edge / 56))
        .map(|(x, y)| u8::from(inside(x, y) && f32::from(grey(x, y)) >= middle))
        .collect()
}

/// An edge from which the region, grown, still lies in the picture and so stays square.
fn inside(corner: f64) -> f64 {
    let margin = (MARGIN * LOOK).ceil();
    corner.clamp(margin, INPUT as f64 - LOOK - margin)
}

/// The square to look at: centred on the finding, inside the picture, on whole pixels of the input.
fn look_box(f: &Finding) -> [f64; 4] {
    let scale = INPUT as f64 / SOURCE as f64;
    let corner = |a: f64, b: f64| inside(((a + b) / 2.0 * scale - LOOK / 2.0).round());
    let (x, y) = (corner(f.box_px[0], f.box_px[2]), corner(f.box_px[1], f.box_px[3]));
    [x, y, x + LOOK, y + LOOK]
}

fn several(
    seed: u64,
    _rng: &mut Rng,
    patient: Patient,
    reduce: &Resize,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let series = questions::series(seed, patient);
    let pictures: Vec<Vec<u8>> = series.plans.iter().map(|p| payload(&p.picture(SOURCE), reduce)).collect();
    let qas: Vec<Value> = series.questions.iter().map(qa).collect();
    let header = json!({"type": "several", "seed": seed, "images": pictures.len(), "qas": qas});
    write(out, &header, &pictures)
}

fn masks(seed: u64, rng: &mut Rng, reduce: &Resize, out: &mut impl Write) -> std::io::Result<()> {
    let kind = *rng.pick(&Kind::ALL).unwrap();
    let wish = if rng.chance(0.25) { Wish::Fine } else { Wish::Any };
    let study = Plan::training(seed, kind, wish).picture(SOURCE);
    let mut bytes = reduce.rgb(&study.picture(0).unwrap());
    let slice = &study.slices[0];
    for from in [&slice.labels, &slice.findings] {
        let nearest = |i: usize| (2 * i + 1) * SOURCE / (2 * SEGMENTED);
        bytes.extend(
            (0..SEGMENTED * SEGMENTED)
                .map(|i| from[nearest(i / SEGMENTED) * SOURCE + nearest(i % SEGMENTED)]),
        );
    }
    let labels: Vec<u8> = kind.structures().iter().map(|&l| l as u8).collect();
    let header = json!({"type": "masks", "seed": seed, "kind": kind, "images": 1, "structures": labels, "findings": study.findings.len()});
    write(out, &header, &[bytes])
}

fn payload(study: &Study, reduce: &Resize) -> Vec<u8> {
    let mut out = reduce.rgb(&study.picture(0).unwrap());
    let slice = &study.slices[0];
    let step = SOURCE / 56;
    for y in 0..56 {
        for x in 0..56 {
            let hit = (0..step * step)
                .filter(|i| slice.findings[(y * step + i / step) * SOURCE + x * step + i % step] != 0);
            out.push(u8::from(hit.count() * 2 >= step * step));
        }
    }
    let step = SOURCE / 16;
    for y in 0..16 {
        for x in 0..16 {
            out.push(slice.labels[(y * step + step / 2) * SOURCE + x * step + step / 2]);
        }
    }
    out
}

/// Separable resampling of square pictures with Pillow's antialiased bicubic kernel.
struct Resize {
    from: usize,
    to: usize,
    taps: Vec<(usize, Vec<f32>)>,
}

impl Resize {
    fn new(from: usize, to: usize) -> Self {
        let scale = from as f64 / to as f64;
        let stretch = scale.max(1.0);
        let cubic = |x: f64| {
            let x = x.abs();
            let a = -0.5;
            if x < 1.0 {
                ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0
            } else if x < 2.0 {
                (((x - 5.0) * x + 8.0) * x - 4.0) * a
            } else {
                0.0
            }
        };
        let taps = (0..to)
            .map(|i| {
                let centre = (i as f64 + 0.5) * scale;
                let low = (centre - 2.0 * stretch + 0.5).max(0.0) as usize;
                let high = ((centre + 2.0 * stretch + 0.5) as usize).min(from);
                let raw: Vec<f64> = (low..high).map(|p| cubic((p as f64 - centre + 0.5) / stretch)).collect();
                let sum: f64 = raw.iter().sum();
                (low, raw.iter().map(|w| (w / sum) as f32).collect())
            })
            .collect();
        Self { from, to, taps }
    }

    fn channel(&self, pixels: &[u8]) -> Vec<u8> {
        let clip = |v: f32| (v + 0.5).clamp(0.0, 255.0) as u8;
        let mut wide = vec![0u8; self.from * self.to];
        for (row, out) in pixels.chunks_exact(self.from).zip(wide.chunks_exact_mut(self.to)) {
            for ((low, w), out) in self.taps.iter().zip(out) {
                *out = clip(w.iter().zip(&row[*low..]).map(|(w, &p)| w * f32::from(p)).sum());
            }
        }
        let mut out = Vec::with_capacity(self.to * self.to);
        let mut sums = vec![0.0f32; self.to];
        for (low, w) in &self.taps {
            sums.fill(0.0);
            for (i, w) in w.iter().enumerate() {
                for (sum, &p) in sums.iter_mut().zip(&wide[(low + i) * self.to..]) {
                    *sum += w * f32::from(p);
                }
            }
            out.extend(sums.iter().map(|&s| clip(s)));
        }
        out
    }

    fn picture(&self, picture: &Picture) -> Picture {
        assert_eq!((picture.width(), picture.height()), (self.from, self.from));
        let c = picture.channels();
        let plane = |k: usize| -> Vec<u8> { picture.pixels().iter().skip(k).step_by(c).copied().collect() };
        let planes: Vec<Vec<u8>> = (0..c).map(|k| self.channel(&plane(k))).collect();
        let pixels: Vec<u8> = (0..self.to * self.to).flat_map(|i| planes.iter().map(move |p| p[i])).collect();
        Picture::new(self.to, self.to, c, pixels).unwrap()
    }

    fn rgb(&self, picture: &Picture) -> Vec<u8> {
        self.picture(picture).to_rgb().pixels().to_vec()
    }
}
