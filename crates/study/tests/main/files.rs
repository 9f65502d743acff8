//! Files of readings: what is read, what is refused, and how.

use loupe_study::{Choice, Mark, Options, StudyError, analyse, input};

fn refused(text: &str) -> String {
    input::read_csv(text).unwrap_err().to_string()
}

#[test]
fn csv_and_json_lines_hold_the_same() {
    let csv = "\u{feff}Reader,case,arm,truth,lesions,marks,rating\n\
        r1,c1,x,yes,a=1;b=3,70@a;40,5\n\
        r1,c2,x,0,,,1\n";
    let jsonl = r#"{"reader":"r1","case":"c1","arm":"x","truth":true,"lesions":["a=1","b=3"],"marks":["70@a",40],"rating":5}
{"reader":"r1","case":"c2","arm":"x","truth":0,"marks":"","rating":1}
"#;
    let (a, b) = (input::read_csv(csv).unwrap(), input::read_jsonl(jsonl).unwrap());
    assert_eq!(a, b);
    assert_eq!(a.cases[0].lesions.iter().map(|l| l.weight).collect::<Vec<_>>(), [0.25, 0.75]);
    let marks = [Mark { rating: 70.0, lesion: Some(0) }, Mark { rating: 40.0, lesion: None }];
    assert_eq!(a.readings[0].marks.as_deref(), Some(&marks[..]));
    assert_eq!(a.readings[1].marks.as_deref(), Some(&[][..]));
    assert_eq!((a.cases[0].truth, a.cases[1].truth), (Some(true), Some(false)));
}

#[test]
fn errors_name_line_and_column_and_never_a_cell() {
    let head = "reader,case,arm,truth,rating\n";
    for (rows, words) in [
        ("r1,c1,x,1,SECRET\n", "line 2: `rating` is not a finite number"),
        ("r1,c1,x,1,inf\n", "line 2: `rating` is not a finite number"),
        ("r1,c1,x,SECRET,1\n", "line 2: `truth` is neither 1 nor 0"),
        ("r1,SECRET,x,1,1\nr1,SECRET,x,1,2\n", "has read this case in this arm in line 2 already"),
        ("r1,SECRET,x,1,1\nr2,SECRET,x,0,2\n", "line 3: the truth of this case is another than in line 2"),
        (",c1,x,1,1\n", "line 2: `reader` is empty or missing"),
    ] {
        let message = refused(&format!("{head}{rows}"));
        assert!(message.contains(words) && !message.contains("SECRET"), "{message}");
    }
    assert!(refused("reader,rating\nr1,2\n").contains("no column `case`"));
    assert!(refused("reader,case,rating,rating\nr1,c1,2,3\n").contains("there twice"));
    assert!(refused(head).contains("no reading"));
    assert!(refused("reader,case,truth\nr1,c1,1\n").contains("no row has a `rating`"));
    let marks = "reader,case,truth,lesions,marks\n";
    assert!(
        refused(&format!("{marks}r1,c1,1,a,70@b\n"))
            .contains("a lesion that `lesions` of this case does not have")
    );
    assert!(refused(&format!("{marks}r1,c1,1,a=1;b,70\n")).contains("a weight to all lesions"));
    assert!(refused(&format!("{marks}r1,c1,0,a,70@a\n")).contains("has lesions and its truth is 0"));
    assert!(matches!(input::read_jsonl("[1]\n"), Err(StudyError::Line { line: 1, .. })));
}

#[test]
fn nothing_is_left_out_in_silence() {
    let text = "reader,case,rating,mood\nr1,c1,1,x\nr2,c1,,x\nr1,c2,2,x\nr2,c2,2,x\n";
    let found = analyse(&input::read_csv(text).unwrap(), &Options::default()).unwrap();
    assert_eq!(found.contents.missing, 1);
    let notes = found.notes.join("\n");
    for words in ["1 rows hold no answer", "columns that were not read: mood", "1 readings are missing"] {
        assert!(notes.contains(words), "{notes}");
    }
}

#[test]
fn preferences_are_of_the_arms_whichever_was_shown_first() {
    let text = "reader,case,first,second,choice\nr1,c1,A,B,first\nr1,c2,B,A,second\nr2,c1,B,A,tie\nr2,c2,A,B,neither\n";
    let readings = input::read_csv(text).unwrap();
    assert_eq!(readings.preferences[3].choice, Choice::Neither);
    let found = analyse(&readings, &Options::default()).unwrap();
    let p = &found.preferences[0];
    assert_eq!((p.counts, p.rate.as_ref().unwrap().value), ([2, 0, 1, 1], 0.75));
    assert_eq!(p.shown_first_wins, 0.5);
}
