//! The page is one file, asks for nothing, and treats every reply as text.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use loupe_core::Picture;
use loupe_report::page::{Item, ItemPicture, Page, PageTable};

fn page_with(reply: &str) -> (Page, String) {
    let mut page = Page { title: "Run <b>1</b>".into(), ..Page::default() };
    let picture = Picture::new(3, 5, 1, vec![7u8; 15]).unwrap();
    let image = page.images.add(&picture, None).unwrap();
    assert_eq!(page.images.add(&picture, None).unwrap(), image, "equal pixels are stored once");
    page.tables.push(PageTable {
        title: "t".into(),
        columns: vec!["a".into()],
        rows: vec![vec!["1".into()]],
        ..PageTable::default()
    });
    page.items.push(Item {
        id: "0".into(),
        question: "q {{data}} {{images}}".into(),
        reply: Some(reply.into()),
        pictures: vec![ItemPicture { image: Some(image), values: None, caption: "c".into(), boxes: vec![] }],
        ..Item::default()
    });
    let mut out = Vec::new();
    page.write(&mut out).unwrap();
    (page, String::from_utf8(out).unwrap())
}

#[test]
fn a_reply_cannot_leave_its_data_block() {
    let nasty = "</script><img src=x onerror=alert(1)><!-- \u{2028} {{script}} ]]>";
    let (_, html) = page_with(nasty);
    assert!(!html.contains("<img src=x"));
    assert!(!html.contains("<b>1</b>"));
    let data = html.split("id=\"data\">").nth(1).unwrap().split("</script>").next().unwrap();
    let value: serde_json::Value = serde_json::from_str(data).unwrap();
    assert_eq!(value["items"][0]["reply"], nasty);
    assert_eq!(value["items"][0]["question"], "q {{data}} {{images}}");
}

#[test]
fn the_page_names_no_address_and_forbids_requests() {
    let (_, html) = page_with("yes");
    assert!(html.contains("default-src 'none'"));
    for found in html.match_indices("http") {
        let text = &html[found.0..(found.0 + 40).min(html.len())];
        assert!(text.starts_with("http://www.w3.org/2000/svg") || text.starts_with("http-equiv"), "{text}");
    }
}

/// Five hundred samples, three to a picture of 300 × 300 noise that hardly compresses.
#[test]
fn a_page_keeps_to_its_size_and_says_what_was_left_out() {
    const MOST: usize = 28 << 20;
    let mut page = Page { images: loupe_report::ImageStore::of_size(Some(MOST)), ..Page::default() };
    let mut state = 1u32;
    let mut left_out = 0;
    for n in 0..500 {
        if n % 3 == 0 {
            let noise = (0..300 * 300).map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24) as u8
            });
            let picture = Picture::new(300, 300, 1, noise.collect::<Vec<u8>>()).unwrap();
            left_out += usize::from(page.images.add(&picture, None).is_err());
        }
        page.items.push(Item { id: n.to_string(), reply: Some("a reply ".repeat(40)), ..Item::default() });
    }
    assert_eq!(left_out, 0, "500 samples have room");
    let mut out = Vec::new();
    page.write(&mut out).unwrap();
    assert!(out.len() < 30 << 20, "{} bytes", out.len());
    let noise = (0..4000 * 3000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let large = Picture::new(4000, 3000, 1, noise.collect::<Vec<u8>>()).unwrap();
    let refused = page.images.add(&large, None).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("left out"), "{refused}");
}
