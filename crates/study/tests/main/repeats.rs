//! Readers against themselves.

use loupe_study::{Merit, Options, Scale, StudyAnalysis, analyse, input};
use loupe_testing::near::assert_near;

/// The ten pairs of `kappa`'s tests as two readings of one reader; a second reader repeats two cases and agrees.
fn study() -> String {
    let first = [0, 1, 2, 2, 1, 0, 3, 3, 2, 1];
    let again = [0, 1, 1, 2, 2, 0, 3, 2, 2, 0];
    let mut csv = "reader,case,arm,repeat,truth,rating\n".to_owned();
    for case in 0..10 {
        let truth = usize::from(case > 4);
        for (arm, reader) in [("A", "a"), ("B", "a"), ("A", "b"), ("B", "b")] {
            csv += &format!(
                "{reader},{case},{arm},,{truth},{}\n",
                first[case] + usize::from(arm == "B") * truth
            );
        }
        csv += &format!("a,{case},A,1,{truth},{}\n", again[case]);
    }
    csv + "b,3,A,1,0,2\nb,6,A,yes,1,3\n"
}

fn analysed(csv: &str) -> StudyAnalysis {
    analyse(&input::read_csv(csv).unwrap(), &Options { resamples: 50, ..Options::default() }).unwrap()
}

#[test]
fn a_second_reading_counts_for_agreement_with_oneself_alone() {
    let found = analysed(&study());
    assert_eq!((found.contents.readings, found.contents.repeats, found.contents.missing), (40, 12, 0));
    let own = &found.own_agreement;
    assert_eq!(
        own.iter().map(|a| (a.reader, a.n)).collect::<Vec<_>>(),
        [(Some(0), 10), (Some(1), 2), (None, 12)]
    );
    let a = &own[0];
    assert_eq!((a.scale, a.arms.as_slice(), a.same), (Scale::Rating, &[0][..], 0.6));
    assert_near("κ", a.kappa.as_ref().unwrap().value, 0.459_459, 1e-6);
    assert_near("quadratic κ", a.quadratic.as_ref().unwrap().value, 0.809_524, 1e-6);
    let change = a.change.unwrap();
    // Differences −1, 1, −1, −1 and six times 0: mean −0.2, squares 4 − 10·0.04 over 9.
    assert_near("change", change.mean, -0.2, 1e-12);
    assert_near("limit", change.limits[1], -0.2 + 1.96 * (3.6f64 / 9.0).sqrt(), 1e-12);
    assert_eq!(own[1].same, 1.0);
    // Without them nothing else changes.
    let once: String = study()
        .lines()
        .filter(|l| l.split(',').nth(3).unwrap().len() != 1 && !l.contains("yes"))
        .map(|l| format!("{l}\n"))
        .collect();
    let without = analysed(&once);
    assert_eq!((&without.merits, &without.agreement), (&found.merits, &found.agreement));
    assert!(without.own_agreement.is_empty());
    assert!(found.merits.iter().find(|m| m.merit == Merit::Auc).unwrap().comparison.is_some());
}

#[test]
fn preferences_are_compared_whichever_arm_came_first() {
    let csv = "reader,case,first,second,choice,repeat\na,1,A,B,first,\na,1,B,A,second,1\na,2,A,B,tie,\na,2,A,B,first,1\n";
    let found = analysed(csv);
    let own = &found.own_agreement[0];
    assert_eq!((own.scale, own.n, own.same, own.arms.as_slice()), (Scale::Preference, 2, 0.5, &[0, 1][..]));
    assert_eq!(found.preferences[0].rate.as_ref().unwrap().n, 2);
}

#[test]
fn readings_that_are_there_too_often_or_not_at_all_are_said() {
    let said = input::read_csv("reader,case,rating\na,1,1\na,1,2\n").unwrap_err().to_string();
    assert!(said.contains("`repeat`") && said.contains("line 2"), "{said}");
    let said = input::read_csv("reader,case,rating,repeat\na,1,1,1\na,1,2,1\n").unwrap_err().to_string();
    assert!(said.contains("an arm of its own"), "{said}");
    let alone = input::read_csv("reader,case,rating,repeat\na,1,1,\na,2,2,1\n").unwrap();
    assert!(
        alone.notes.iter().any(|n| n.starts_with("1 repeated readings have no first one")),
        "{:?}",
        alone.notes
    );
}
