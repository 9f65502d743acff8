//! The generator: the same bits everywhere, truths that agree with each other.

use loupe_phantom::questions::{self, Qa};
use loupe_phantom::{Change, FindingKind, Kind, Label, Plan, Rng, Side, Study, Wish};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

fn pictures(kind: Kind, count: u64, wish: Wish) -> Vec<Study> {
    (0..count).map(|seed| Plan::held_out(seed, kind, wish).picture(168)).collect()
}

/// First eight bytes of the hash of values, labels and masks: any change of any bit shows.
fn fingerprint(study: &Study) -> String {
    let mut hash = Sha256::new();
    for s in &study.slices {
        s.values.iter().for_each(|v| hash.update(v.to_bits().to_le_bytes()));
        hash.update(&s.labels);
        hash.update(&s.findings);
    }
    hash.finalize().iter().take(8).map(|b| format!("{b:02x}")).collect()
}

#[test]
fn the_same_seed_gives_the_same_bits_on_every_platform() {
    let got: Vec<String> = Kind::ALL
        .iter()
        .map(|k| {
            format!("{} {}", k.name(), fingerprint(&Plan::held_out(2026, *k, Wish::Any).volume(96, 5, 5.0)))
        })
        .collect();
    let expected = include_str!("../fingerprints.txt");
    assert_eq!(got.join("\n"), expected.trim_end(), "a change here changes every phantom ever generated");
}

#[test]
fn boxes_are_the_boxes_of_the_masks() {
    let mut seen = 0;
    for kind in Kind::ALL {
        for study in pictures(kind, 12, Wish::Any) {
            for (i, f) in study.findings.iter().enumerate() {
                let mask = study.mask(f.slice, i).unwrap();
                assert_eq!(mask.bounding_box().unwrap().xyxy(), f.box_px, "{kind:?}");
                assert_eq!(mask.area_px(), f.area_px);
                seen += 1;
            }
        }
    }
    assert!(seen > 50, "only {seen} findings in 96 studies");
}

#[test]
fn every_examination_shows_each_of_its_findings_where_it_says() {
    for kind in Kind::ALL {
        for finding in FindingKind::ALL {
            let found: Vec<Study> = pictures(kind, 6, Wish::One(finding))
                .into_iter()
                .filter(|s| !s.findings.is_empty())
                .collect();
            // A finding that the examination cannot show gives a normal study; one it can, always shows.
            assert!(found.is_empty() || found.len() == 6, "{kind:?} {finding:?}: {} of 6", found.len());
            for study in found {
                let f = &study.findings[0];
                assert_eq!(f.kind, finding);
                let middle = (f.box_px[0] + f.box_px[2]) / 2.0 / study.size() as f64;
                match f.side {
                    Some(Side::Left) => assert!(middle > 0.5, "{kind:?} {finding:?} left at {middle}"),
                    Some(Side::Right) => assert!(middle < 0.5, "{kind:?} {finding:?} right at {middle}"),
                    None => {}
                }
                if let Some(side) = f.side.filter(|_| f.organ.contains("lung") || f.organ.contains("kidney"))
                {
                    assert!(f.organ.starts_with(side.name()), "{kind:?} {finding:?} {side:?} in {}", f.organ);
                }
            }
        }
    }
}

#[test]
fn tissues_have_their_hounsfield_units() {
    let mean = |study: &Study, label: Label| {
        let s = &study.slices[0];
        let inside: Vec<f64> = s
            .values
            .iter()
            .zip(&s.labels)
            .filter(|(_, l)| **l == label as u8)
            .map(|(v, _)| f64::from(*v))
            .collect();
        inside.iter().sum::<f64>() / inside.len() as f64
    };
    for seed in 0..4 {
        let chest = Plan::held_out(seed, Kind::CtChest, Wish::Normal).picture(168);
        assert!((-880.0..-780.0).contains(&mean(&chest, Label::LeftLung)));
        assert!((25.0..60.0).contains(&mean(&chest, Label::Heart)));
        let abdomen = Plan::held_out(seed, Kind::CtAbdomen, Wish::Normal).picture(168);
        assert!((90.0..120.0).contains(&mean(&abdomen, Label::Liver)));
        let head = Plan::held_out(seed, Kind::CtHead, Wish::Normal).picture(168);
        assert!((25.0..45.0).contains(&mean(&head, Label::Brain)));
        assert!(mean(&head, Label::Skull) > 700.0);
    }
}

#[test]
fn studies_are_varied_and_balanced() {
    let mut normal = 0;
    let (mut left, mut sided, mut total) = (0.0, 0.0, 0.0);
    for kind in Kind::ALL {
        for study in pictures(kind, 40, Wish::Any) {
            total += 1.0;
            normal += usize::from(study.findings.is_empty());
            if let Some(side) = study.findings.first().and_then(|f| f.side) {
                sided += 1.0;
                left += f64::from(u8::from(side == Side::Left));
            }
        }
    }
    let share = normal as f64 / total;
    assert!((0.15..0.36).contains(&share), "{share} are normal");
    assert!((0.4..0.6).contains(&(left / sided)), "{} are on the left", left / sided);
}

#[test]
fn seeds_for_training_and_for_tests_never_meet() {
    // The same number names two different patients, whatever the number.
    for seed in [0, 1, u64::MAX, 1 << 62, (1 << 62) + 1, 12345] {
        for kind in Kind::ALL {
            let a = Plan::held_out(seed, kind, Wish::Any);
            let b = Plan::training(seed, kind, Wish::Any);
            assert_ne!(a, b);
        }
    }
}

#[test]
fn follow_ups_change_what_they_say_and_nothing_else() {
    let plan = Plan::held_out(5, Kind::CtChest, Wish::One(FindingKind::Nodule));
    for change in Change::ALL {
        let (before, after) = plan.follow_up(change);
        let (a, b) = (before.picture(336), after.picture(336));
        let area = |s: &Study| s.findings.first().map_or(0, |f| f.area_px);
        let (x, y) = (area(&a) as f64, area(&b) as f64);
        match change {
            Change::Grew => assert!(y > 2.0 * x && x > 0.0),
            Change::Shrank => assert!(x > 2.0 * y && y > 0.0),
            Change::Appeared => assert!(x == 0.0 && y > 0.0),
            Change::Resolved => assert!(x > 0.0 && y == 0.0),
            Change::Unchanged => assert!(x == y && x > 0.0),
        }
        assert_eq!(a.slices[0].labels, b.slices[0].labels, "{change:?}");
        assert_ne!(a.slices[0].values, b.slices[0].values, "the noise is another");
    }
}

#[test]
fn a_volume_holds_the_slice_of_its_picture() {
    for kind in [Kind::CtChest, Kind::MrT2] {
        let plan = Plan::held_out(
            9,
            kind,
            Wish::One(
                *[FindingKind::Nodule, FindingKind::Tumour]
                    .iter()
                    .find(|f| !Plan::held_out(9, kind, Wish::One(**f)).picture(96).findings.is_empty())
                    .unwrap(),
            ),
        );
        let (picture, volume) = (plan.picture(96), plan.volume(96, 12, 5.0));
        assert_eq!(volume.slices.len(), 12);
        assert!(volume.slices.contains(&picture.slices[0]), "{kind:?}");
        let f = &volume.findings[0];
        assert!(volume.z_mm.windows(2).all(|w| (w[1] - w[0] - 5.0).abs() < 1e-4));
        assert!(f.slice > 0 && f.slice < 11, "the finding is inside the stack: {}", f.slice);
    }
}

#[test]
fn answers_follow_from_the_ground_truth() {
    for kind in Kind::ALL {
        for (seed, study) in pictures(kind, 10, Wish::Any).into_iter().enumerate() {
            let qas = questions::about(&study, 0, &mut Rng::new(seed as u64, 3));
            let said = |text: &str| qas.iter().find(|q| q.question == text).map(|q| q.answer.as_str());
            assert_eq!(
                said("Is the image normal?"),
                Some(if study.findings.is_empty() { "yes" } else { "no" })
            );
            if let Some(f) = study.findings.first() {
                let ask = format!("How many {}s are there?", f.kind.name());
                assert!(said(&ask).is_none_or(|a| a == study.findings.len().to_string()));
                for q in qas
                    .iter()
                    .filter(|q| q.question.contains(f.kind.name()) && q.question.starts_with("Is there"))
                {
                    assert_eq!(q.answer, "yes");
                }
            }
            for q in &qas {
                assert_eq!(q.letter().is_some(), !q.options.is_empty(), "{q:?}");
            }
        }
    }
}

#[test]
fn right_options_are_spread_over_the_letters() {
    let mut letters: BTreeMap<(usize, char), usize> = BTreeMap::new();
    for seed in 0..400 {
        let series = questions::series(seed, Plan::held_out);
        assert!((2..=5).contains(&series.plans.len()));
        for q in &series.questions {
            let q: &Qa = q;
            *letters.entry((q.options.len(), q.letter().unwrap())).or_default() += 1;
        }
    }
    for options in [2, 3, 4, 5] {
        let of: Vec<usize> = letters.iter().filter(|((n, _), _)| *n == options).map(|(_, c)| *c).collect();
        assert_eq!(of.len(), options);
        let most = *of.iter().max().unwrap() as f64 / of.iter().sum::<usize>() as f64;
        assert!(most < 2.0 / options as f64 + 0.02, "{options} options: {of:?}");
    }
}
