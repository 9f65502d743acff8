//! Replies of real models, read by their dialect.

use loupe_core::dialect::{Readability, Repair, dialect};
use std::collections::BTreeMap;

/// The replies of two real models that were asked for points, boxes and counts.
#[test]
fn the_proving_ground() {
    let Some(folder) = std::env::var_os("LOUPE_TEST_DATA") else {
        println!("SKIPPED: set LOUPE_TEST_DATA to the folder of real data");
        return;
    };
    // (file, [lines, read, repaired, partly, refused], the same of the replies that are no fenced JSON)
    let expected = [
        ("qwen-finetuned-6task-test500-result.jsonl", [500, 401, 95, 1, 3], [53, 0, 50, 1, 2]),
        ("qwen-public-6task-test2500-result.jsonl", [2500, 1852, 517, 39, 92], [272, 0, 197, 36, 39]),
    ];
    let d = dialect("point-detect-count").unwrap();
    for (file, want, want_malformed) in expected {
        let path = std::path::Path::new(&folder).join("pred_pointdetectcount").join(file);
        let Ok(text) = std::fs::read_to_string(&path) else {
            println!("SKIPPED: {file} is not there");
            continue;
        };
        let (mut verdicts, mut malformed) = ([0usize; 5], [0usize; 5]);
        let mut repairs: BTreeMap<Repair, usize> = BTreeMap::new();
        let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
        for line in text.lines() {
            let row: serde_json::Value = serde_json::from_str(line).unwrap();
            let reply = row["response"].as_str().unwrap();
            let parsed = d.parse(reply);
            for counts in [Some(&mut verdicts), (!is_fenced_json(reply)).then_some(&mut malformed)]
                .into_iter()
                .flatten()
            {
                counts[0] += 1;
                counts[1 + parsed.readability() as usize] += 1;
            }
            parsed.repairs.iter().for_each(|r| *repairs.entry(*r).or_default() += 1);
            if parsed.readability() >= Readability::Partly {
                parsed
                    .refused
                    .first()
                    .into_iter()
                    .for_each(|r| *reasons.entry(r.to_string()).or_default() += 1);
            }
        }
        println!(
            "{file}: lines, read, repaired, partly, refused = {verdicts:?}\n  malformed: {malformed:?}\n  {repairs:?}\n  {reasons:?}"
        );
        assert_eq!((verdicts, malformed), (want, want_malformed), "{file}");
    }
}

/// What the set's own evaluation can parse: the first fence marked `json` holds valid JSON.
fn is_fenced_json(reply: &str) -> bool {
    let Some(at) = reply.to_ascii_lowercase().find("```json") else { return false };
    let inner = &reply[at + "```json".len()..];
    inner
        .find("```")
        .is_some_and(|end| serde_json::from_str::<serde_json::Value>(inner[..end].trim()).is_ok())
}
