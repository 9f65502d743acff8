//! What an analysis leaves in its folder.

use loupe_study::{Options, analyse, input, write};
use std::io::Read;

const MARKS: &str = "reader,case,arm,truth,lesions,marks,seconds\n\
    r<1,c1,A,1,a=1;b=3,70@a;40,10\nr<1,c2,A,0,,5,11\nr<1,c3,A,0,,,12\nr<1,c4,A,1,a,9@a,13\n\
    r2,c1,A,1,,30@b,20\nr2,c2,A,0,,,21\nr2,c3,A,0,,8,22\nr2,c4,A,1,,,23\n";

#[test]
fn marks_become_a_workbook_and_a_page() {
    let readings = input::read_csv(MARKS).unwrap();
    let analysis = analyse(&readings, &Options { resamples: 20, ..Options::default() }).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let written = write(&analysis, &readings, dir.path()).unwrap();
    assert!(written.iter().all(|path| path.is_file()));
    let bytes = std::fs::read(dir.path().join("exports/rjafroc.xlsx")).unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut sheet = |number: usize| {
        let mut text = String::new();
        archive
            .by_name(&format!("xl/worksheets/sheet{number}.xml"))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    };
    let (hits, others, truth) = (sheet(1), sheet(2), sheet(3));
    assert_eq!(hits.matches("<row").count(), 1 + 3);
    assert_eq!(others.matches("<row").count(), 1 + 3);
    assert_eq!(truth.matches("<row").count(), 1 + 5);
    assert!(truth.contains("<v>0.75</v>") && truth.contains("FCTRL") && truth.contains("<t>0,1</t>"));
    // RJafroc takes the first three sheets of the alphabet.
    let mut workbook = String::new();
    archive.by_name("xl/workbook.xml").unwrap().read_to_string(&mut workbook).unwrap();
    let mut names: Vec<&str> =
        workbook.split("<sheet name=\"").skip(1).filter_map(|s| s.split('"').next()).collect();
    names.sort_unstable();
    assert_eq!(names, ["FP", "TP", "TRUTH", "WHICH"]);
    let page = std::fs::read_to_string(dir.path().join("study.html")).unwrap();
    assert!(page.contains("r&lt;1") && !page.contains("r<1"), "codes are text, never markup");
    assert!(page.contains("FROC curves, A"));
    assert!(!dir.path().join("exports/ratings.imrmc").exists(), "there are no ratings");
}

#[test]
fn the_same_readings_are_the_same_bytes() {
    let readings = input::read_csv(MARKS).unwrap();
    let options = Options { resamples: 20, ..Options::default() };
    let made = || {
        let dir = tempfile::tempdir().unwrap();
        let written = write(&analyse(&readings, &options).unwrap(), &readings, dir.path()).unwrap();
        written.iter().map(|path| std::fs::read(path).unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(made(), made());
}
