//! Boxes and points: taken from what the family's adapter read, brought back to source pixels.

use super::extract::{bare, extract, refuses};
use super::figures::{ACC_50, ACCURACY, BOX_DICE, BOX_IOU, POINT_DISTANCE, POINT_HIT, REGION_F1};
use super::words::words;
use crate::metrics::boxes::{iou, iou_matched, mean_dice};
use crate::metrics::points::matched;
use crate::profile::{Judgement, Verdict};
use loupe_core::dialect::DIALECTS;
use loupe_core::geometry::{Box2, Point2, Source};
use loupe_core::{Labelled, Reply, Score};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Boxes are right when each reference has its own answer with at least this IoU and none is left over.
const IOU: f64 = 0.5;
/// Points are right within this distance in source pixels (PointDetectCount's radius).
const RADIUS_PX: f64 = 10.0;

pub(super) fn boxes(gold: &[Labelled<Box2<Source>>], reply: &Reply) -> Judgement {
    let all = reply.findings.iter().filter_map(|f| Some((f.picture, f.source_box()?)));
    let answers: Vec<(usize, Box2<Source>)> = all.filter(|(_, b)| b.is_proper()).collect();
    let (mut ious, mut hits) = (Vec::new(), 0);
    for picture in pictures(gold, answers.iter().map(|a| a.0)) {
        let wanted: Vec<Box2<Source>> = gold.iter().filter(|g| g.picture == picture).map(|g| g.at).collect();
        let given: Vec<Box2<Source>> = answers.iter().filter(|a| a.0 == picture).map(|a| a.1).collect();
        let most = wanted.len().max(given.len());
        match iou_matched(&wanted, &given) {
            Score::Value(v) => ious.push((v, most)),
            Score::Unscored(why) => return unpaired(why, gold.len(), answers.len()),
        }
        hits += hits_at(&wanted, &given);
    }
    let most: usize = ious.iter().map(|(_, n)| n).sum();
    let found = Found { wanted: gold.len(), given: answers.len(), hits, said: Said::of(reply) };
    let mean = match most {
        0 => f64::from(found.is_right()),
        _ => ious.iter().map(|(v, n)| v * *n as f64).sum::<f64>() / most as f64,
    };
    let dice = if most == 0 { mean } else { dice(gold, reply) };
    let judgement = found
        .judgement(format!("{:?}", gold.iter().map(|g| g.at.xyxy()).collect::<Vec<_>>()))
        .with(BOX_IOU, mean)
        .with(BOX_DICE, dice);
    let judgement = match gold {
        [one] => {
            let first = answers.iter().find(|a| a.0 == one.picture);
            let hit = first.is_some_and(|(_, b)| iou(one.at, *b) >= IOU);
            judgement.with(ACC_50, f64::from(hit))
        }
        _ => judgement,
    };
    judgement.answered(format!("{:?}", answers.iter().map(|a| a.1.xyxy()).collect::<Vec<_>>()))
}

/// Too many places to pair them: another number of them than there are is wrong whatever the pairs are, and only as
/// many as there are cannot be judged.
fn unpaired(why: impl Into<Cow<'static, str>>, wanted: usize, given: usize) -> Judgement {
    match wanted == given {
        true => Judgement::bare(Verdict::Unscored, why, ""),
        false => Judgement::bare(Verdict::Wrong, "regions", format!("{wanted} places")).with(ACCURACY, 0.0),
    }
}

/// mDice. Where the reference has one label only, all boxes of the reply are of that label; otherwise
/// labels are compared without regard to case. Pictures are kept apart by their number.
fn dice(gold: &[Labelled<Box2<Source>>], reply: &Reply) -> f64 {
    let labels: BTreeSet<String> = gold.iter().map(|g| g.label.to_lowercase()).collect();
    let name = |label: Option<&str>, picture: usize| match labels.len() {
        0 | 1 => picture.to_string(),
        _ => format!("{} {picture}", label.unwrap_or_default().to_lowercase()),
    };
    let wanted: Vec<(String, Box2<Source>)> =
        gold.iter().map(|g| (name(Some(&g.label), g.picture), g.at)).collect();
    let given = reply.findings.iter().filter_map(|f| {
        let at = f.source_box()?;
        Some((name(f.label.as_deref(), f.picture), at))
    });
    let given: Vec<(String, Box2<Source>)> = given.collect();
    fn named(all: &[(String, Box2<Source>)]) -> Vec<(&str, Box2<Source>)> {
        all.iter().map(|(n, b)| (n.as_str(), *b)).collect()
    }
    match mean_dice(&named(&wanted), &named(&given)) {
        Score::Value(v) => v,
        // Nothing was there: right when nothing was claimed.
        Score::Unscored(_) => f64::from(given.is_empty()),
    }
}

/// References with an answer of their own at the threshold, taken greedily by IoU.
fn hits_at(wanted: &[Box2<Source>], given: &[Box2<Source>]) -> usize {
    let mut pairs: Vec<(f64, usize, usize)> = Vec::new();
    for (w, a) in wanted.iter().enumerate() {
        pairs.extend(given.iter().enumerate().map(|(g, b)| (iou(*a, *b), w, g)).filter(|p| p.0 >= IOU));
    }
    pairs.sort_by(|a, b| b.0.total_cmp(&a.0));
    let (mut used_w, mut used_g) = (vec![false; wanted.len()], vec![false; given.len()]);
    let mut hits = 0;
    for (_, w, g) in pairs {
        if !used_w[w] && !used_g[g] {
            (used_w[w], used_g[g]) = (true, true);
            hits += 1;
        }
    }
    hits
}

pub(super) fn points(gold: &[Labelled<Point2<Source>>], reply: &Reply) -> Judgement {
    let all = reply.findings.iter().filter_map(|f| Some((f.picture, f.source_point()?)));
    let answers: Vec<(usize, Point2<Source>)> =
        all.filter(|(_, p)| p.x.is_finite() && p.y.is_finite()).collect();
    let (mut hits, mut pairs, mut distance) = (0, 0, 0.0);
    for picture in pictures(gold, answers.iter().map(|a| a.0)) {
        let wanted: Vec<Point2<Source>> =
            gold.iter().filter(|g| g.picture == picture).map(|g| g.at).collect();
        let given: Vec<Point2<Source>> = answers.iter().filter(|a| a.0 == picture).map(|a| a.1).collect();
        match matched(&wanted, &given, RADIUS_PX) {
            Some(found) => {
                hits += found.hits;
                let n = wanted.len().min(given.len());
                pairs += n;
                distance += found.mean_distance_px.map_or(0.0, |mean| mean * n as f64);
            }
            None => return unpaired("too many points to pair", gold.len(), answers.len()),
        }
    }
    let show = |p: &Point2<Source>| [p.x, p.y];
    let found = Found { wanted: gold.len(), given: answers.len(), hits, said: Said::of(reply) };
    let judgement = found
        .judgement(format!("{:?}", gold.iter().map(|g| show(&g.at)).collect::<Vec<_>>()))
        .answered(format!("{:?}", answers.iter().map(|a| show(&a.1)).collect::<Vec<_>>()));
    if gold.is_empty() {
        return judgement;
    }
    judgement
        .with(POINT_HIT, hits as f64 / gold.len() as f64)
        .with(POINT_DISTANCE, if pairs == 0 { f64::NAN } else { distance / pairs as f64 })
}

fn pictures<T>(gold: &[Labelled<T>], answers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut all: Vec<usize> = gold.iter().map(|g| g.picture).chain(answers).collect();
    all.sort_unstable();
    all.dedup();
    all
}

/// What a reply without any place says.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Said {
    /// An empty list, or its like in another dialect: nothing is there.
    Nothing,
    /// Words that deny; they answer only a question to which nothing is the answer.
    Denial,
    /// Other words.
    Words,
    /// No word at all.
    Empty,
}

impl Said {
    fn of(reply: &Reply) -> Self {
        let text = match extract(&reply.text) {
            Ok(span) => span.reply,
            Err("empty") => return Self::Empty,
            Err(_) => return Self::Words,
        };
        if DIALECTS.iter().any(|dialect| dialect.parse(text).said_none) {
            return Self::Nothing;
        }
        let text = bare(text);
        let first: Vec<String> = words(text).into_iter().take(4).collect();
        let denies = |w: &String| matches!(w.as_str(), "no" | "none" | "nothing");
        let denied =
            first.iter().any(denies) || ["无", "没有", "未见", "未发现"].iter().any(|w| text.starts_with(w));
        if denied && !refuses(text) { Self::Denial } else { Self::Words }
    }
}

/// Places of the reference and of the reply.
struct Found {
    wanted: usize,
    given: usize,
    hits: usize,
    said: Said,
}

impl Found {
    fn is_right(&self) -> bool {
        let none = self.wanted == 0 && self.given == 0;
        let read = !none || matches!(self.said, Said::Nothing | Said::Denial);
        read && self.hits == self.wanted && self.given == self.wanted
    }

    fn judgement(&self, gold: String) -> Judgement {
        let Self { wanted, given, hits, said } = *self;
        let right = self.is_right();
        let f1 = match wanted + given {
            0 => f64::from(right),
            all => 2.0 * hits as f64 / all as f64,
        };
        let (verdict, rule) = match (right, given, said) {
            (true, 1.., _) => (Verdict::Correct, "regions"),
            (true, ..) => (Verdict::Correct, "nothing_there"),
            (false, 0, Said::Nothing) => (Verdict::Wrong, "nothing_there"),
            (false, 0, Said::Empty) => (Verdict::Unparsed, "empty"),
            (false, 0, _) => (Verdict::Unparsed, "no_region"),
            (false, ..) => (Verdict::Wrong, "regions"),
        };
        Judgement::bare(verdict, rule, gold).with(ACCURACY, f64::from(right)).with(REGION_F1, f1)
    }
}

impl Judgement {
    fn answered(mut self, answer: String) -> Self {
        self.answer = Some(answer);
        self
    }
}
