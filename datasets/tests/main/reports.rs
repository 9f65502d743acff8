use super::{images, open, samples};
use loupe_core::{Sample, Target};
use loupe_testing::folder;

fn section<'a>(sample: &'a Sample, name: &str) -> Option<&'a str> {
    match &sample.target {
        Target::Report(sections) => sections.get(name).map(String::as_str),
        _ => None,
    }
}

const STUDIES: &str = r#"[{"id": "open_i_1", "image": ["a.png", "b.png"], "findings": "Clear.", "impression": ""},
    {"id": "s2", "image": "c.png", "findings": "", "impression": " "}]"#;

#[test]
fn medevalkit_layout_for_three_sets() {
    for name in ["iu-xray", "mimic-cxr", "chexpert-plus"] {
        let dir = folder(&[("test.json", STUDIES), ("images/a.png", "")]);
        let all = samples(name, dir.path(), "test");
        assert_eq!(images(dir.path(), &all[0]), ["images/a.png", "images/b.png"]);
        assert_eq!((section(&all[0], "findings"), section(&all[0], "impression")), (Some("Clear."), None));
        assert_eq!((images(dir.path(), &all[1]).len(), &all[1].target), (1, &Target::Unknown));
    }
}

#[test]
fn iu_xray_tables_put_the_frontal_view_first() {
    let dir = folder(&[
        (
            "indiana_reports.csv",
            "uid,MeSH,Problems,image,indication,comparison,findings,impression\n\
             1,normal,normal,Xray Chest,\"Pain, XXXX\",None.,Clear lungs.,Normal.\n2,x,x,x,x,x,,\n",
        ),
        ("indiana_projections.csv", "uid,filename,projection\n1,1_lat.png,Lateral\n1,1_front.png,Frontal\n"),
        ("images/images_normalized/1_front.png", ""),
    ]);
    let all = open("iu-xray", dir.path(), "all");
    let first = all.get(0).unwrap();
    assert_eq!(
        images(dir.path(), &first),
        ["images/images_normalized/1_front.png", "images/images_normalized/1_lat.png"]
    );
    assert_eq!(section(&first, "impression"), Some("Normal."));
    let without = all.get(1).unwrap_err().to_string();
    assert!(without.contains("line 3: indiana_projections.csv names no image of this study"), "{without}");
}

#[test]
fn mimic_tables_are_joined_by_study() {
    let dir = folder(&[
        (
            "mimic_cxr_sectioned.csv",
            "study,impression,findings,last_paragraph,comparison\ns50,Normal.,Clear.,,\n",
        ),
        (
            "mimic-cxr-2.0.0-split.csv",
            "dicom_id,study_id,subject_id,split\nd1,50,10001,test\nd2,50,10001,test\nd3,51,10001,test\nd4,52,10002,train\n",
        ),
        ("files/p10/p10001/s50/d1.dcm", ""),
    ]);
    let all = samples("mimic-cxr", dir.path(), "test");
    assert_eq!(all.len(), 2);
    assert_eq!(images(dir.path(), &all[0]), ["files/p10/p10001/s50/d1.dcm", "files/p10/p10001/s50/d2.jpg"]);
    assert_eq!((section(&all[0], "findings"), all[0].group.as_str()), (Some("Clear."), "10001"));
    assert_eq!(all[1].target, Target::Unknown);
}

#[test]
fn chexpert_plus_table() {
    let dir = folder(&[
        (
            "df_chexpert_plus_240401.csv",
            "path_to_image,frontal_lateral,ap_pa,deid_patient_id,section_findings,section_impression,sex,split\n\
             train/p1/s1/v1.jpg,Frontal,AP,patient1,,\"1. Edema.\n2. None.\",Female,train\nvalid/p2/s1/v1.jpg,Frontal,PA,patient2,F.,I.,Male,valid\n",
        ),
        ("PNG/train/p1/s1/v1.png", ""),
    ]);
    let train = samples("chexpert-plus", dir.path(), "train");
    assert_eq!(images(dir.path(), &train[0]), ["PNG/train/p1/s1/v1.png"]);
    assert_eq!(
        (section(&train[0], "findings"), section(&train[0], "impression")),
        (None, Some("1. Edema.\n2. None."))
    );
    assert_eq!(open("chexpert-plus", dir.path(), "valid").get(0).unwrap().group, "patient2");
}
