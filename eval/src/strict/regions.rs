//! Boxes and points: taken from what the family's adapter read, brought back to source pixels.

use super::{ACCURACY, BOX_IOU, REGION_F1};
use crate::judge::{Judgement, Verdict};
use crate::metrics::boxes::{iou, iou_matched};
use crate::metrics::points::matched;
use crate::run::Seen;
use loupe_core::geometry::{Box2, Point2, Source};
use loupe_core::{Labelled, Reply, Score};

/// Boxes are right when each reference has its own answer with at least this IoU and none is left over.
const IOU: f64 = 0.5;
/// Points are right within this distance in source pixels (PointDetectCount's radius).
const RADIUS_PX: f64 = 10.0;

pub(super) fn boxes(gold: &[Labelled<Box2<Source>>], reply: &Reply, seen: &[Seen]) -> Judgement {
    let answers: Vec<(usize, Box2<Source>)> = reply
        .boxes
        .iter()
        .filter_map(|b| Some((b.picture, seen.get(b.picture)?.origin.source_from_self.boxed(b.region))))
        .filter(|(_, b)| b.is_proper())
        .collect();
    let (mut ious, mut hits) = (Vec::new(), 0);
    for picture in pictures(gold, answers.iter().map(|a| a.0)) {
        let wanted: Vec<Box2<Source>> = gold.iter().filter(|g| g.picture == picture).map(|g| g.at).collect();
        let given: Vec<Box2<Source>> = answers.iter().filter(|a| a.0 == picture).map(|a| a.1).collect();
        let most = wanted.len().max(given.len());
        match iou_matched(&wanted, &given) {
            Score::Value(v) => ious.push((v, most)),
            Score::Unscored(why) => return Judgement::bare(Verdict::Unscored, why, ""),
        }
        hits += hits_at(&wanted, &given);
    }
    let most: usize = ious.iter().map(|(_, n)| n).sum();
    let mean =
        if most == 0 { 1.0 } else { ious.iter().map(|(v, n)| v * *n as f64).sum::<f64>() / most as f64 };
    verdict(
        gold.len(),
        answers.len(),
        hits,
        reply,
        format!("{:?}", gold.iter().map(|g| g.at.xyxy()).collect::<Vec<_>>()),
    )
    .with(BOX_IOU, mean)
    .answered(format!("{:?}", answers.iter().map(|a| a.1.xyxy()).collect::<Vec<_>>()))
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

pub(super) fn points(gold: &[Labelled<Point2<Source>>], reply: &Reply, seen: &[Seen]) -> Judgement {
    let answers: Vec<(usize, Point2<Source>)> = reply
        .points
        .iter()
        .filter_map(|p| Some((p.picture, seen.get(p.picture)?.origin.source_from_self.point(p.point))))
        .filter(|(_, p)| p.x.is_finite() && p.y.is_finite())
        .collect();
    let mut hits = 0;
    for picture in pictures(gold, answers.iter().map(|a| a.0)) {
        let wanted: Vec<Point2<Source>> =
            gold.iter().filter(|g| g.picture == picture).map(|g| g.at).collect();
        let given: Vec<Point2<Source>> = answers.iter().filter(|a| a.0 == picture).map(|a| a.1).collect();
        match matched(&wanted, &given, RADIUS_PX) {
            Some(found) => hits += found.hits,
            None => return Judgement::bare(Verdict::Unscored, "too many points to pair", ""),
        }
    }
    let show = |p: &Point2<Source>| [p.x, p.y];
    verdict(
        gold.len(),
        answers.len(),
        hits,
        reply,
        format!("{:?}", gold.iter().map(|g| show(&g.at)).collect::<Vec<_>>()),
    )
    .answered(format!("{:?}", answers.iter().map(|a| show(&a.1)).collect::<Vec<_>>()))
}

fn pictures<T>(gold: &[Labelled<T>], answers: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut all: Vec<usize> = gold.iter().map(|g| g.picture).chain(answers).collect();
    all.sort_unstable();
    all.dedup();
    all
}

fn verdict(wanted: usize, given: usize, hits: usize, reply: &Reply, gold: String) -> Judgement {
    let right = hits == wanted && given == wanted;
    let f1 = if wanted + given == 0 { 1.0 } else { 2.0 * hits as f64 / (wanted + given) as f64 };
    let (verdict, rule) = match (right, given) {
        (true, _) => (Verdict::Correct, "regions"),
        (false, 0) if reply.text.trim().is_empty() => (Verdict::Unparsed, "empty"),
        (false, 0) => (Verdict::Unparsed, "no_region"),
        (false, _) => (Verdict::Wrong, "regions"),
    };
    Judgement::bare(verdict, rule, gold).with(ACCURACY, f64::from(right)).with(REGION_F1, f1)
}

impl Judgement {
    fn answered(mut self, answer: String) -> Self {
        self.answer = Some(answer);
        self
    }
}
