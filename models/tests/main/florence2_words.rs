//! What of Florence-2's words are places and special tokens, and what are words.

use crate::common::{dumped, greedy, picture};
use crate::florence2::Case;
use loupe_models::{LoadOptions, load};
use std::sync::Arc;

#[test]
fn places_that_are_no_boxes_stay_in_the_words() {
    let case = Case::new("as_published");
    let (_dir, path) = case.written();
    let mut model = load(&path, &LoadOptions::default()).unwrap();
    let seen = Arc::new(picture(233, 157, 1));
    let asked = |words: &str, beams: usize| {
        let mut ask = greedy(vec![seen.clone()], words, 24);
        ask.limits.beams = Some(beams);
        ask
    };
    for beams in [1, 3] {
        let shapes = asked("<REFERRING_EXPRESSION_SEGMENTATION>left lung", beams);
        let reply = model.generate(&[shapes]).remove(0).unwrap();
        assert!(reply.findings.is_empty() && reply.text.contains("<loc_"), "{reply:?}");
        assert!(!reply.text.contains("</s>") && !reply.text.contains("<s>"), "{}", reply.text);
    }
    let reply = model.generate(&[asked("<OD>", 3)]).remove(0).unwrap();
    assert!(!reply.findings.is_empty() && !reply.text.contains("<loc_"), "{reply:?}");
}

#[test]
fn words_of_the_caller_are_special_tokens_only_where_a_region_is_given() {
    let case = Case::new("as_published");
    let (_dir, path) = case.written();
    let seen = Arc::new(picture(40, 40, 1));
    let special = |words: &str| {
        let got = dumped(&path, &[greedy(vec![seen.clone()], words, 1)], &LoadOptions::default());
        let read = got.ints("input_ids");
        let ends = read.iter().filter(|id| **id == 2 || **id == 0).count();
        (read.iter().filter(|id| (310..1335).contains(*id)).count(), ends)
    };
    assert_eq!(special("<loc_1> <image></s>"), (0, 2));
    assert_eq!(special("<CAPTION_TO_PHRASE_GROUNDING><loc_1>"), (0, 2));
    assert_eq!(special("<REGION_TO_CATEGORY><loc_1><loc_2><loc_3><loc_999></s>"), (4, 2));
    assert_eq!(special("<REGION_TO_CATEGORY><loc_1234><loc_2>"), (0, 2));
}
