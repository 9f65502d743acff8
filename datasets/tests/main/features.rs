//! A build may leave out formats; their files are then refused with the name of the feature.

#[cfg(not(feature = "parquet"))]
#[test]
fn parquet_is_refused_with_the_name_of_the_feature() {
    let refused = |problem: String| assert!(problem.contains("feature `parquet`"), "{problem}");
    let dir = crate::fixture("hf_short");
    refused(loupe_datasets::open("pathvqa", &dir, Some("train")).err().unwrap().to_string());
    // The set has another layout beside it.
    refused(loupe_datasets::open("vqa-rad", &dir, Some("test")).err().unwrap().to_string());
    let row = loupe_datasets::FrameRow { pictures: vec![vec![1]], ..Default::default() };
    let file = tempfile::tempdir().unwrap().path().join("test.parquet");
    refused(loupe_datasets::write_frames(&file, &[row]).unwrap_err().to_string());
}

#[cfg(not(feature = "xlsx"))]
#[test]
fn spreadsheets_are_refused_with_the_name_of_the_feature() {
    let file = crate::fixture("replies.xlsx");
    let error = loupe_datasets::replies::columns(&file, None).unwrap_err().to_string();
    assert!(error.contains("feature `xlsx`"), "{error}");
}

/// Without either, what is left says nothing of them.
#[test]
fn the_other_formats_need_no_feature() {
    let dir = loupe_testing::folder(&[("a.csv", "id,response\n1,yes\n")]);
    let columns = loupe_datasets::replies::columns(&dir.path().join("a.csv"), None).unwrap();
    assert_eq!(columns, ["id", "response"]);
}
