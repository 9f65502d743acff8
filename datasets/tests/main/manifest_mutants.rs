//! Mutated manifests through the body of the fuzz target: every one opens or is refused, and names no
//! file outside its folder.

#[allow(unreachable_pub)] // the fuzz target uses it as a library
#[path = "../../../fuzz/bodies/manifests.rs"]
mod manifests;

const SEEDS: [&str; 3] = [
    r#"{"id": "1", "images": ["a.png", {"path": "b.nii.gz", "view": {"slice": {"index": 3}}}], "question": "Is it?", "answer": "yes"}
{"id": "2", "image": "sub/c.dcm", "question": "Which?", "choices": ["x", "y"], "answer": "y", "group": "7"}
"#,
    r#"{"id": "3", "images": ["../secret.png", "/etc/passwd", "http://host/x.png"], "question": "Where?", "boxes": [[1, 2, 3, 4]]}
"#,
    "id,image,question,answer\n1,a.png,Is it?,yes\n2,../b.png,\"Which, then?\",no\n",
];

#[test]
fn manifests_name_nothing_outside_their_folder() {
    let dir = tempfile::tempdir().unwrap();
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    // Xorshift (Marsaglia 2003).
    let mut below = move |n: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state % n.max(1) as u64) as usize
    };
    for seed in SEEDS {
        manifests::manifest(seed.as_bytes(), dir.path());
        for _ in 0..600 {
            let mut bytes = seed.as_bytes().to_vec();
            match below(4) {
                0 => bytes.truncate(below(seed.len())),
                kind => {
                    for _ in 0..[0, 1, 4, 16][kind] {
                        let at = below(seed.len());
                        // Half of them from the alphabet that manifests are made of.
                        let letters = b"{}[]\":,./\\\n09e-";
                        bytes[at] =
                            if below(2) == 0 { below(256) as u8 } else { letters[below(letters.len())] };
                    }
                }
            }
            manifests::manifest(&bytes, dir.path());
        }
    }
}
