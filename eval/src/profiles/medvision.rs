//! MedVision (`src/medvision_bm`): detection, tumour sizes, angles and distances.
//!
//! Two scripts of that repository add up the same replies in two ways: `parse_outputs.py` leaves unread
//! replies out of the mean IoU, the `summarize_*_task.py` count them 0. Both are printed, each figure
//! with its script before its name. References of imported replies may be the list of numbers that the
//! harness writes (`[0.1, 0.2, 0.3, 0.4]`).

use super::parts::gold_text;
use super::{Compat, Figure, Judged, Sums};
use crate::run::Seen;
use loupe_core::{Sample, Target};
use regex::Regex;
use std::sync::LazyLock;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn Compat] = &[&MedVision];

#[derive(Debug, Clone, Copy)]
struct MedVision;

/// The value of the harness's `+ 1e-15` under a relative error.
const TINY: f64 = 1e-15;
/// The overlaps that are printed, and from which share on their bins begin.
const OVERLAPS: [&str; 4] = ["IoU", "F1", "Precision", "Recall"];

/// The last `k` numbers of a reply as the harness finds them (`extract_last_k_nums`), in single
/// precision (`np.float32`); nothing when there are fewer.
pub fn last_numbers(text: &str, k: usize) -> Option<Vec<f64>> {
    static NUMBER: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"-?\d+\.?\d*").ok());
    let found: Vec<&str> = NUMBER.as_ref()?.find_iter(text).map(|m| m.as_str()).collect();
    let last = found.get(found.len().checked_sub(k)?..)?;
    last.iter().map(|number| Some(f64::from(plain_digits(number).parse::<f64>().ok()? as f32))).collect()
}

/// Decimal digits of any script as ASCII, as Python's `\d` and `float` take them.
fn plain_digits(number: &str) -> String {
    static DIGIT: LazyLock<Option<Regex>> = LazyLock::new(|| Regex::new(r"^\d$").ok());
    let digit = |c: char| DIGIT.as_ref().is_some_and(|d| d.is_match(c.encode_utf8(&mut [0; 4])));
    let ascii = |c: char| {
        if c.is_ascii() || !digit(c) {
            return c;
        }
        // Digits stand in unbroken blocks of ten that begin with their zero.
        let before =
            (1..60).take_while(|n| u32::from(c).checked_sub(*n).and_then(char::from_u32).is_some_and(digit));
        char::from_digit(before.count() as u32 % 10, 10).unwrap_or(c)
    };
    number.chars().map(ascii).collect()
}

/// The numbers wanted: four shares from the lower left corner, two axes, or one value.
fn wanted(sample: &Sample, pictures: &[Seen]) -> Result<Vec<f64>, &'static str> {
    match &sample.target {
        Target::Measurements(all) if matches!(all.len(), 1 | 2) => Ok(all.iter().map(|m| m.value).collect()),
        // Of several boxes the harness knows the first only.
        Target::Boxes(boxes) => {
            let first = boxes.first().ok_or("no reference box")?;
            let seen = pictures.get(first.picture).ok_or("the size of the picture is not known")?;
            let [width, height] = seen.origin.source_size.map(|n| n as f64);
            if width * height <= 0.0 {
                return Err("the size of the picture is not known");
            }
            let [x0, y0, x1, y1] = first.at.xyxy();
            Ok(vec![x0 / width, (height - y1) / height, x1 / width, (height - y0) / height])
        }
        _ => {
            let list = gold_text(sample).and_then(|text| serde_json::from_str::<Vec<f64>>(text.trim()).ok());
            let lone = || gold_text(sample)?.trim().parse::<f64>().ok().map(|v| vec![v]);
            let fits = |numbers: &Vec<f64>| matches!(numbers.len(), 1 | 2 | 4);
            list.or_else(lone).filter(fits).ok_or("the reference is not one, two or four numbers")
        }
    }
}

/// IoU, F1, precision and recall of two boxes as the harness has them; `NaN` where it divides by none.
fn overlaps(given: &[f64], wanted: &[f64]) -> [f64; 4] {
    let ([a0, b0, a1, b1], [c0, d0, c1, d1]) = (four(given), four(wanted));
    let (width, height) = (a1.min(c1) - a0.max(c0), b1.min(d1) - b0.max(d0));
    if width <= 0.0 || height <= 0.0 {
        return [0.0; 4];
    }
    let both = width * height;
    let (given, wanted) = ((a1 - a0) * (b1 - b0), (c1 - c0) * (d1 - d0));
    let share = |of: f64, otherwise: f64| if of > 0.0 { both / of } else { otherwise };
    let f1 = if given + wanted > 0.0 { 2.0 * both / (given + wanted) } else { f64::NAN };
    [share(given + wanted - both, 0.0), f1, share(given, f64::NAN), share(wanted, f64::NAN)]
}

fn four(numbers: &[f64]) -> [f64; 4] {
    let mut out = [0.0; 4];
    out.iter_mut().zip(numbers).for_each(|(to, from)| *to = *from);
    out
}

/// The bin of `summarize_*_task.py`: tenths towards 0, everything from 0.9 on in the last, negative
/// ones counted from the end as Python counts; nothing where the script stops.
fn bin(error: f64) -> Option<usize> {
    let tenth = (error * 10.0).trunc();
    let at = tenth.min(9.0);
    if at >= 0.0 { Some(at as usize) } else { (at >= -10.0).then_some((10.0 + at) as usize) }
}

impl Compat for MedVision {
    fn name(&self) -> &'static str {
        "medvision"
    }

    fn harness(&self) -> &'static str {
        "YongchengYAO/MedVision"
    }

    fn commit(&self) -> &'static str {
        "c2216150cbbcf085a43b5821e8caf6eca426182b"
    }

    fn quirks(&self) -> &'static [&'static str] {
        &[
            "the last 4, 2 or 1 numbers of the whole reply count, reasoning and remarks included",
            "\"20-31\" is read as 20 and -31, and units are not read",
            "parse_outputs leaves replies with too few numbers out of the mean IoU, summarize counts them 0",
            "in summarize the bin below 1.0 also holds every error of 1 and more, in parse_outputs it does not",
            "summarize: tenths of a negative relative error are counted from the end of the list of bins",
            "the relative error of a negative reference is negative and lowers the mean",
            "the shares below and above bounds are of all replies, the means of the read ones",
            "of several reference boxes only the first counts",
            "an error that is no finite number stops summarize",
        ]
    }

    fn score(&self, sample: &Sample, reply: &str) -> Judged {
        self.score_seen(sample, reply, &[])
    }

    fn score_seen(&self, sample: &Sample, reply: &str, pictures: &[Seen]) -> Judged {
        let wanted = match wanted(sample, pictures) {
            Ok(wanted) => wanted,
            Err(why) => return Judged::not_applicable(why),
        };
        let task = match wanted.len() {
            4 => "Detection",
            2 => "TL",
            _ => "AD",
        };
        let detection = wanted.len() == 4;
        let unscored = Judged::not_applicable("figures by task only");
        let name = |what: &str| format!("{task}.{what}");
        let Some(given) = last_numbers(reply, wanted.len()) else {
            let mut judged =
                Judged { rule: "fewer numbers than wanted", ..unscored }.with(name("success"), 0.0);
            for overlap in OVERLAPS.iter().filter(|_| detection) {
                judged = judged.with(name(overlap), 0.0);
            }
            return judged;
        };
        let n = wanted.len() as f64;
        let errors: Vec<f64> = given.iter().zip(&wanted).map(|(g, w)| (g - w).abs()).collect();
        let absolute = errors.iter().sum::<f64>() / n;
        let relative = errors.iter().zip(&wanted).map(|(e, w)| e / (w + TINY)).sum::<f64>() / n;
        let binned = if detection { absolute } else { relative };
        let (true, true, Some(at)) = (absolute.is_finite(), binned.is_finite(), bin(binned)) else {
            return Judged::crash("OverflowError or IndexError in the bins of summarize");
        };
        let read: Vec<String> = given.iter().map(f64::to_string).collect();
        let mut judged = Judged { rule: "last numbers", extracted: Some(read.join(",")), ..unscored }
            .with(name("success"), 1.0)
            .with(name("MAE"), absolute)
            .with(name(&format!("bin {at}")), 1.0);
        if detection {
            let values = overlaps(&given, &wanted);
            judged = judged.with(name("IoU of read"), values[0]);
            for (overlap, value) in OVERLAPS.iter().zip(values).filter(|(_, v)| v.is_finite()) {
                judged = judged.with(name(overlap), value);
                for tenth in (5..10).filter(|t| value >= f64::from(*t) / 10.0) {
                    judged = judged.with(name(&format!("{overlap}>0.{tenth}")), 1.0);
                }
            }
        } else {
            judged = judged.with(name("MRE"), relative);
            if let Some(tenth) = (1..=10).find(|t| relative < f64::from(*t) / 10.0) {
                judged = judged.with(name(&format!("below {tenth}")), 1.0);
            }
        }
        judged
    }

    fn figures(&self, sums: &Sums) -> Vec<Figure> {
        let mut out = Vec::new();
        for task in ["Detection", "TL", "AD"] {
            let name = |what: &str| format!("{task}.{what}");
            let total = sums.n(&name("success"));
            if total == 0 {
                continue;
            }
            let detection = task == "Detection";
            let mean = |what: &str, script: &str, printed: &str| {
                sums.figure(&name(what), format!("{task} {script}: {printed}"))
            };
            let share = |count: usize, script: &str, printed: String| {
                Figure::new(format!("{task} {script}: {printed}"), count as f64 / total as f64, total)
            };
            let (parse, summarize) = ("parse_outputs", "summarize");
            out.push(mean("MAE", parse, "avgMAE"));
            if detection {
                out.push(mean("IoU of read", parse, "avgIoU"));
            } else {
                out.push(mean("MRE", parse, "avgMRE"));
            }
            out.push(mean("success", parse, "SuccessRate"));
            let mut below = 0;
            for tenth in (1..=10).filter(|_| !detection) {
                below += sums.n(&name(&format!("below {tenth}")));
                out.push(share(below, parse, format!("MRE<{:.1}", f64::from(tenth) / 10.0)));
            }
            for overlap in OVERLAPS.iter().filter(|_| detection) {
                out.push(mean(overlap, summarize, overlap));
            }
            let error = if detection { "MAE" } else { "MRE" };
            let mut within = 0;
            for at in 0..10 {
                within += sums.n(&name(&format!("bin {at}")));
                out.push(share(within, summarize, format!("{error}<{:.1}", f64::from(at + 1) / 10.0)));
            }
            for overlap in OVERLAPS.iter().filter(|_| detection) {
                for tenth in 5..10 {
                    let count = sums.n(&name(&format!("{overlap}>0.{tenth}")));
                    out.push(share(count, summarize, format!("{overlap}>0.{tenth}")));
                }
            }
        }
        out
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;

    #[test]
    fn numbers_as_the_pattern_finds_them() {
        assert_eq!(last_numbers("from 20-31 to 7.", 3), Some(vec![20.0, -31.0, 7.0]));
        assert_eq!(last_numbers("٣ and ２.5", 2), Some(vec![3.0, 2.5]));
        assert_eq!(last_numbers("1, 2, 3", 4), None);
        assert_eq!((bin(0.95), bin(7.0), bin(-0.55), bin(-2.0)), (Some(9), Some(9), Some(5), None));
    }
}
