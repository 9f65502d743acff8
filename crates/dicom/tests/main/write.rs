//! What is written is what was read: tags, value representations, values, items and fragments, over every
//! layout that files have.

use loupe_core::DecodeLimits;
use loupe_dicom::syntax::{EXPLICIT_BIG, EXPLICIT_LITTLE, IMPLICIT_LITTLE};
use loupe_dicom::{Dataset, Element, Object, Slice, Tag, VR, Value, parse, tags, write};
use proptest::prelude::*;
use std::path::Path;

fn read(bytes: Vec<u8>) -> Object {
    parse::parse(bytes, &DecodeLimits::default()).unwrap()
}

fn written(object: &Object) -> Object {
    read(write::file(object).unwrap())
}

/// The differences of two data sets: group lengths and padding to even lengths do not count, nor value
/// representations when the file does not hold them.
fn differences(a: &Dataset, b: &Dataset, explicit: bool, path: &str, out: &mut Vec<String>) {
    let kept = |set: &'_ Dataset| -> Vec<Element> {
        set.elements().iter().filter(|e| e.tag.1 != 0 && e.tag.0 > 2).cloned().collect()
    };
    let (a_all, b_all) = (kept(a), kept(b));
    if a_all.iter().map(|e| e.tag).ne(b_all.iter().map(|e| e.tag)) {
        out.push(format!("{path}: other tags"));
        return;
    }
    for (x, y) in a_all.iter().zip(&b_all) {
        let here = format!("{path}/{}", x.tag);
        // Fragments are OB whatever a file calls them (PS3.5 A.4); the library writes what is right.
        let fragments = matches!(x.value, Value::Fragments(_)) && y.vr.to_string() == "OB";
        if explicit && x.vr != y.vr && !fragments {
            out.push(format!("{here}: {} becomes {}", x.vr, y.vr));
        }
        match (&x.value, &y.value) {
            (Value::Bytes(p), Value::Bytes(q)) if padded(p.bytes(), q.bytes()) => {}
            (Value::Items(p), Value::Items(q)) if p.len() == q.len() => {
                for (n, (p, q)) in p.iter().zip(q).enumerate() {
                    differences(p, q, explicit, &format!("{here}[{n}]"), out);
                }
            }
            (Value::Fragments(p), Value::Fragments(q))
                if p.len() == q.len() && p.iter().zip(q).all(|(p, q)| padded(p.bytes(), q.bytes())) => {}
            _ => out.push(format!("{here}: another value")),
        }
    }
}

fn padded(before: &[u8], after: &[u8]) -> bool {
    after.strip_prefix(before).is_some_and(|rest| match rest {
        [] => true,
        [0 | b' '] => before.len() % 2 == 1,
        _ => false,
    })
}

fn same(object: &Object) {
    let mut wrong = Vec::new();
    let again = written(object);
    let explicit = object.transfer_syntax != IMPLICIT_LITTLE;
    differences(&object.data, &again.data, explicit, "", &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}");
    assert_eq!(again.transfer_syntax, object.transfer_syntax);
    assert!(again.notes.is_empty() && again.truncated_in.is_none(), "{:?}", again.notes);
}

fn files_below(folder: &Path, found: &mut Vec<std::path::PathBuf>) {
    for path in std::fs::read_dir(folder).unwrap().map(|e| e.unwrap().path()) {
        if path.is_dir() { files_below(&path, found) } else { found.push(path) }
    }
}

/// Every file of a folder comes back, deflated ones without their deflation.
fn folder_comes_back(folder: &Path) -> usize {
    let (mut paths, mut wrong, mut count) = (Vec::new(), Vec::new(), 0);
    files_below(folder, &mut paths);
    for path in paths {
        let bytes = std::fs::read(&path).unwrap();
        if !parse::looks_like_dicom(&bytes) {
            continue;
        }
        let Ok(object) = parse::parse(bytes, &DecodeLimits::default()) else { continue };
        let (again, mut found) = (written(&object), Vec::new());
        let explicit = object.transfer_syntax != IMPLICIT_LITTLE;
        differences(&object.data, &again.data, explicit, "", &mut found);
        wrong.extend(found.into_iter().map(|what| format!("{path:?} {what}")));
        count += 1;
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    count
}

#[test]
fn files_of_every_transfer_syntax_come_back() {
    let codecs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../preprocess/tests/codecs");
    assert_eq!(folder_comes_back(&codecs), 18);
}

#[test]
fn real_files_come_back() {
    let Some(data) = loupe_testing::real_data("") else { return };
    let count = folder_comes_back(&data);
    assert!(count > 250, "only {count} files");
}

/// A data set with what files hold: odd lengths, several values, private tags, empty and nested sequences.
fn busy(big_endian: bool) -> Dataset {
    let mut inner = Dataset::new(Vec::new(), big_endian);
    inner.put_text(tags::CODE_MEANING, "Gr\u{f6}\u{df}e");
    inner.put_shorts(tags::LUT_DESCRIPTOR, &[1, 2, 300]);
    inner.put_items(tags::CONCEPT_CODE_SEQUENCE, Vec::new());
    let mut outer = Dataset::new(Vec::new(), big_endian);
    outer.put_items(
        tags::CONCEPT_NAME_CODE_SEQUENCE,
        vec![inner.clone(), Dataset::new(Vec::new(), big_endian)],
    );
    let mut data = Dataset::new(Vec::new(), big_endian);
    data.put_text(tags::SPECIFIC_CHARACTER_SET, "ISO_IR 192");
    data.put_text(tags::SOP_CLASS_UID, "1.2.840.10008.5.1.4.1.1.2");
    data.put_text(tags::SOP_INSTANCE_UID, "1.2.3");
    data.put_text(tags::STUDY_DATE, "");
    data.put_text(tags::STUDY_TIME, "12");
    data.put_text(tags::PATIENT_NAME, "\u{5c71}\u{7530}");
    data.put_bytes(Tag(0x0009, 0x0010), VR::LO, b"MAKER".to_vec());
    data.put_bytes(Tag(0x0009, 0x1001), VR::UN, vec![0, 1, 2, 255, 254]);
    data.put_bytes(Tag(0x0009, 0x1002), VR::FD, vec![1, 2, 3, 4, 5, 6, 7, 8]);
    // Decimal strings as damaged files have them.
    data.put_bytes(tags::SLICE_THICKNESS, VR::DS, vec![b'1', 0xE9, 0, b' ', b'\\']);
    data.put_decimals(tags::PIXEL_SPACING, &[0.7, -1e-7]);
    data.put_items(tags::CONTENT_SEQUENCE, vec![outer]);
    data.put_shorts(tags::ROWS, &[513]);
    data.put_bytes(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA, VR::OW, vec![1, 2, 3, 4]);
    data
}

fn object(data: Dataset, syntax: &str) -> Object {
    Object { transfer_syntax: syntax.to_owned(), ..Object::new(data) }
}

#[test]
fn every_layout_comes_back() {
    same(&object(busy(false), EXPLICIT_LITTLE));
    same(&object(busy(true), EXPLICIT_BIG));
    let implicit = object(busy(false), IMPLICIT_LITTLE);
    let again = written(&implicit);
    assert_eq!(again.data.text(tags::SOP_INSTANCE_UID).unwrap(), "1.2.3");
    assert_eq!(again.data.number(tags::ROWS), Some(513.0));
    assert_eq!(again.data.items(tags::CONTENT_SEQUENCE)[0].items(tags::CONCEPT_NAME_CODE_SEQUENCE).len(), 2);
}

#[test]
fn numbers_are_brought_into_the_byte_order_of_the_file() {
    for (from, to) in [(false, EXPLICIT_BIG), (true, EXPLICIT_LITTLE), (true, IMPLICIT_LITTLE)] {
        let again = written(&object(busy(from), to));
        assert_eq!(again.data.number(tags::ROWS), Some(513.0));
        let palette = again.data.u16_words(tags::RED_PALETTE_COLOR_LOOKUP_TABLE_DATA).unwrap();
        assert_eq!(palette, if from { [0x0102, 0x0304] } else { [0x0201, 0x0403] });
        let item = &again.data.items(tags::CONTENT_SEQUENCE)[0].items(tags::CONCEPT_NAME_CODE_SEQUENCE)[0];
        assert_eq!(item.numbers(tags::LUT_DESCRIPTOR), Some(vec![1.0, 2.0, 300.0]));
    }
}

#[test]
fn a_long_value_of_a_short_kind_becomes_unknown() {
    let mut data = Dataset::default();
    data.put_text(tags::PIXEL_SPACING, &"1\\".repeat(40_000));
    let explicit = written(&object(data.clone(), EXPLICIT_LITTLE));
    assert_eq!(explicit.data.get(tags::PIXEL_SPACING).unwrap().vr, VR::UN);
    assert_eq!(explicit.data.bytes(tags::PIXEL_SPACING).unwrap().len(), 80_000);
    let implicit = written(&object(data, IMPLICIT_LITTLE));
    assert_eq!(implicit.data.bytes(tags::PIXEL_SPACING).unwrap().len(), 80_000);
}

#[test]
fn fragments_keep_their_table_and_their_bytes() {
    let fragments = [vec![0u8, 0, 0, 0, 12, 0, 0, 0], vec![0xFF, 0xD8, 1], vec![0xFF, 0xD8, 2, 3]];
    let value = Value::Fragments(fragments.iter().cloned().map(Slice::owned).collect());
    let mut data = busy(false);
    // An icon in fragments before the image, as some makers write.
    let mut icon = Dataset::default();
    icon.put(Element { tag: tags::PIXEL_DATA, vr: VR::OB, value: value.clone() });
    data.put_items(tags::ICON_IMAGE_SEQUENCE, vec![icon, Dataset::default()]);
    data.put(Element { tag: tags::PIXEL_DATA, vr: VR::OB, value });
    same(&object(data, "1.2.840.10008.1.2.4.50"));
}

#[test]
fn a_private_transfer_syntax_keeps_its_name() {
    same(&object(busy(false), "1.2.3.4.5.6"));
    let nonsense = object(busy(false), "not a UID");
    assert_eq!(written(&nonsense).transfer_syntax, EXPLICIT_LITTLE);
}

#[test]
fn what_a_damaged_file_calls_a_uid_is_not_repeated_in_the_meta_information() {
    let mut data = busy(false);
    data.put_bytes(tags::SOP_INSTANCE_UID, VR::UI, vec![b'D', b'o', b'e', 0xFF]);
    let again = written(&object(data, EXPLICIT_LITTLE));
    assert_eq!(again.meta.text(tags::MEDIA_STORAGE_SOP_INSTANCE_UID), None);
    assert_eq!(again.meta.text(tags::IMPLEMENTATION_CLASS_UID).unwrap(), write::IMPLEMENTATION_CLASS_UID);
}

/// Values of every kind at random tags, two levels deep.
fn any_dataset(depth: u32) -> BoxedStrategy<Dataset> {
    let vr = prop::sample::select(vec![
        VR::AE,
        VR::AS,
        VR::AT,
        VR::CS,
        VR::DA,
        VR::DS,
        VR::DT,
        VR::FL,
        VR::FD,
        VR::IS,
        VR::LO,
        VR::LT,
        VR::OB,
        VR::OD,
        VR::OF,
        VR::OL,
        VR::OV,
        VR::OW,
        VR::PN,
        VR::SH,
        VR::SL,
        VR::SS,
        VR::ST,
        VR::SV,
        VR::TM,
        VR::UC,
        VR::UI,
        VR::UL,
        VR::UN,
        VR::UR,
        VR::US,
        VR::UT,
        VR::UV,
    ]);
    let value = prop::collection::vec(any::<u8>(), 0..40);
    let tag = (3u16..0x7FE0, 1u16..0xFFFF).prop_map(|(group, element)| Tag(group, element));
    let plain = prop::collection::vec((tag.clone(), vr, value), 0..8);
    let items = if depth == 0 {
        Just(Vec::new()).boxed()
    } else {
        let items = prop::collection::vec(any_dataset(depth - 1), 0..3);
        prop::collection::vec((tag, items), 0..3).boxed()
    };
    (plain, items)
        .prop_map(|(plain, sequences)| {
            let mut data = Dataset::default();
            plain.into_iter().for_each(|(tag, vr, bytes)| data.put_bytes(tag, vr, bytes));
            sequences.into_iter().for_each(|(tag, items)| data.put_items(tag, items));
            data
        })
        .boxed()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn any_data_set_comes_back(mut data in any_dataset(2)) {
        data.put_text(tags::MODALITY, "OT");
        same(&object(data, EXPLICIT_LITTLE));
    }
}
