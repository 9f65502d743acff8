//! Replies are measured in what a model was shown.
use crate::dialects::place;
use loupe_core::dialect::{PictureSizes, dialect};

#[test]
fn medgemma_measures_in_what_it_was_shown() {
    let medgemma = dialect("medgemma").unwrap();
    let reply = medgemma.parse(r#"[{"box_2d": [250, 100, 750, 500], "label": "polyp"}]"#);
    let found = |given, model_input| {
        let placed = place(medgemma, &reply, &[PictureSizes { given, model_input }]);
        placed.findings[0].as_box().unwrap().xyxy()
    };
    // Padded before it was asked: the square is the picture.
    assert_eq!(found([640, 640], [896, 896]), [64.0, 160.0, 320.0, 480.0]);
    // Squashed as it was: thousandths of each side.
    assert_eq!(found([640, 480], [896, 896]), [64.0, 120.0, 320.0, 360.0]);
    // Padded by whoever made the reply, who gives sizes before padding.
    assert_eq!(found([640, 480], [640, 480]), [64.0, 80.0, 320.0, 400.0]);
    let wide = std::sync::Arc::new(loupe_core::Picture::new(6, 4, 1, vec![1; 24]).unwrap());
    assert_eq!(medgemma.shown(&wide).unwrap().height(), 6);
    assert_eq!(dialect("gemma").unwrap().shown(&wide).unwrap(), wide);
}
