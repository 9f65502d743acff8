//! MedVision (`src/medvision_bm`): detection, tumour sizes, angles and distances.
//!
//! Two scripts of that repository add up the same replies in two ways: `parse_outputs.py` leaves unread
//! replies out of the mean IoU, the `summarize_*_task.py` count them 0. Both are printed, each figure
//! with its script before its name. References of imported replies may be the list of numbers that the
//! harness writes (`[0.1, 0.2, 0.3, 0.4]`).

use super::harness::{HarnessFigure, HarnessProfile, HarnessSums, HarnessVerdict};
use super::parts::gold_text;
use loupe_core::PictureRecord;
use loupe_core::{Sample, Target};
use regex::Regex;
use std::sync::LazyLock;

/// The rule sets of this harness.
pub static PROFILES: &[&dyn HarnessProfile] = &[&MedVision];

#[derive(Debug, Clone, Copy)]
struct MedVision;

/// The value of the harness's `+ 1e-15` under a relative error.
const TINY: f64 = 1e-15;
/// The overlaps of boxes that are printed.
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
fn wanted(sample: &Sample, pictures: &[PictureRecord]) -> Result<Vec<f64>, &'static str> {
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

impl HarnessProfile for MedVision {
    fn name(&self) -> &'static str {
        "medvision"
    }

    fn harness(&self) -> &'static str {
        "YongchengYAO/MedVision"
    }

    fn commit(&self) -> &'static str {
        "c2216150cbbcf085a43b5821e8caf6eca426182b"
    }

    fn sets(&self) -> &'static [&'static str] {
        &["medvision"]
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

    fn score(&self, sample: &Sample, reply: &str) -> HarnessVerdict {
        self.score_seen(sample, reply, &[])
    }

    fn score_seen(&self, sample: &Sample, reply: &str, pictures: &[PictureRecord]) -> HarnessVerdict {
        let wanted = match wanted(sample, pictures) {
            Ok(wanted) => wanted,
            Err(why) => return HarnessVerdict::not_applicable(why),
        };
        let task = match wanted.len() {
            4 => "Detection",
            2 => "TL",
            _ => "AD",
        };
        let detection = wanted.len() == 4;
        let given = last_numbers(reply, wanted.len());
        let rule = if given.is_some() { "last numbers" } else { "fewer numbers than wanted" };
        let mut judged = HarnessVerdict { rule, ..HarnessVerdict::not_applicable("figures by task only") };
        let (mut absolute, mut relative, mut at, mut shared) = (None, None, None, [0.0; 4]);
        if let Some(given) = &given {
            let n = wanted.len() as f64;
            let errors: Vec<f64> = given.iter().zip(&wanted).map(|(g, w)| (g - w).abs()).collect();
            let mae = errors.iter().sum::<f64>() / n;
            let mre = errors.iter().zip(&wanted).map(|(e, w)| e / (w + TINY)).sum::<f64>() / n;
            at = Some(if detection { mae } else { mre })
                .filter(|e| mae.is_finite() && e.is_finite())
                .and_then(bin);
            if at.is_none() {
                return HarnessVerdict::crash("OverflowError or IndexError in the bins of summarize");
            }
            (absolute, relative) = (Some(mae), Some(mre));
            if detection {
                shared = overlaps(given, &wanted);
            }
            let read: Vec<String> = given.iter().map(f64::to_string).collect();
            judged.extracted = Some(read.join(","));
        }
        let share = |yes: bool| Some(f64::from(u8::from(yes)));
        for (script, name) in names(detection) {
            let tenth = || name.get(name.len() - 3..)?.parse::<f64>().ok();
            let overlap = OVERLAPS.iter().zip(shared).find(|(o, _)| name.starts_with(**o)).map(|(_, v)| v);
            let value = match (script, name.as_str()) {
                (_, "SuccessRate") => share(given.is_some()),
                (_, "avgMAE") => absolute,
                (_, "avgMRE") => relative,
                (_, "avgIoU") => given.as_ref().map(|_| shared[0]),
                (PARSE, _) => tenth().and_then(|t| share(relative.is_some_and(|r| r < t))),
                (_, name) if name.contains('<') => {
                    // Bins below the bound, counted in tenths.
                    tenth().and_then(|t| share(at.is_some_and(|at| at < (10.0 * t).round() as usize)))
                }
                (_, name) if name.contains('>') => {
                    tenth().and_then(|t| share(overlap.is_some_and(|v| v >= t)))
                }
                _ => overlap.filter(|v| v.is_finite()),
            };
            if let Some(value) = value {
                judged = judged.with(format!("{task} {script}: {name}"), value);
            }
        }
        judged
    }

    fn figures(&self, sums: &HarnessSums) -> Vec<HarnessFigure> {
        let mut out = Vec::new();
        for task in ["Detection", "TL", "AD"] {
            if sums.n(&format!("{task} {PARSE}: SuccessRate")) == 0 {
                continue;
            }
            for (script, name) in names(task == "Detection") {
                let name = format!("{task} {script}: {name}");
                out.push(sums.figure(&name, name.as_str()));
            }
        }
        out
    }
}

/// The scripts.
const PARSE: &str = "parse_outputs";
const SUMMARIZE: &str = "summarize";

/// What the two scripts print, in order; the bounds of the shares are the last three characters.
fn names(detection: bool) -> Vec<(&'static str, String)> {
    let bounds =
        |error: &str| (1..=10).map(|t| format!("{error}<{:.1}", f64::from(t) / 10.0)).collect::<Vec<_>>();
    let mut parse = vec!["avgMAE".to_owned()];
    let mut summarize = Vec::new();
    if detection {
        parse.extend(["avgIoU", "SuccessRate"].map(str::to_owned));
        summarize.extend(OVERLAPS.map(str::to_owned));
        summarize.extend(bounds("MAE"));
        summarize.extend(OVERLAPS.iter().flat_map(|o| (5..10).map(move |t| format!("{o}>0.{t}"))));
    } else {
        parse.extend(["avgMRE", "SuccessRate"].map(str::to_owned));
        parse.extend(bounds("MRE"));
        summarize.extend(bounds("MRE"));
    }
    let of = |script| move |name| (script, name);
    parse.into_iter().map(of(PARSE)).chain(summarize.into_iter().map(of(SUMMARIZE))).collect()
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
