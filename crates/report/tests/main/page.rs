//! The page is one file, asks for nothing, and treats every reply as text.

use loupe_core::{Picture, Table};
use loupe_report::pages::document::{ItemPicture, Page, PageItem, WindowPreset};

fn page_with(reply: &str) -> (Page, String) {
    let mut page = Page { title: "Run <b>1</b>".into(), ..Page::default() };
    let picture = Picture::new(3, 5, 1, vec![7u8; 15]).unwrap();
    let image = page.images.add(&picture, None).unwrap();
    assert_eq!(page.images.add(&picture, None).unwrap(), image, "equal pixels are stored once");
    page.tables.push(Table { rows: vec![vec!["1".into()]], ..Table::new("t", &["a"]) });
    page.windows.push(WindowPreset { name: "soft-tissue".into(), centre: 50.0, width: 400.0 });
    page.items.push(PageItem {
        id: "0".into(),
        question: "q {{data}} {{images}}".into(),
        reply: Some(reply.into()),
        pictures: vec![ItemPicture { image: Some(image), caption: "c".into(), ..ItemPicture::default() }],
        ..PageItem::default()
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
    let windows = serde_json::json!([{ "name": "soft-tissue", "centre": 50.0, "width": 400.0 }]);
    assert_eq!(value["windows"], windows, "the windows of the page are data");
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
fn a_page_keeps_to_its_size_and_says_what_became_of_its_pictures() {
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
        page.items.push(PageItem {
            id: n.to_string(),
            reply: Some("a reply ".repeat(40)),
            ..PageItem::default()
        });
    }
    assert_eq!(left_out, 0, "500 samples have room");
    let mut out = Vec::new();
    page.write(&mut out).unwrap();
    assert!(out.len() < 30 << 20, "{} bytes", out.len());
    assert_eq!(page.images.shrunk(), 0, "and all of it as it is");
    assert!(!String::from_utf8(out).unwrap().contains("\"pictures_note\""));
    // One more that has no room: it is the largest, so it is the one that changes.
    let noise = (0..4000 * 3000).map(|_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    });
    let large = Picture::new(4000, 3000, 1, noise.collect::<Vec<u8>>()).unwrap();
    let at = page.images.add(&large, None).unwrap();
    assert_eq!((page.images.shrunk(), page.images.left_out()), (1, 0));
    assert!(page.images.bytes() <= MOST);
    let mut out = Vec::new();
    page.write(&mut out).unwrap();
    let html = String::from_utf8(out).unwrap();
    assert!(html.contains("Of 168 pictures 1 are shown smaller or re-compressed, to keep them within 28 MB"));
    let block = html.split("id=\"images\">").nth(1).unwrap().split("</script>").next().unwrap();
    let images: serde_json::Value = serde_json::from_str(block).unwrap();
    // Boxes are in pixels of the picture itself.
    assert_eq!((&images[at]["width"], &images[at]["height"]), (&4000.into(), &3000.into()));
    assert!(images[at]["uri"].as_str().unwrap().starts_with("data:image/jpeg"));
    assert!(images[0].is_string());
}

#[test]
fn pictures_shrink_step_by_step_before_any_is_left_out() {
    let mut state = 7u32;
    let mut noise = |side: usize| {
        let pixels = (0..side * side * 3).map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8
        });
        Picture::new(side, side, 3, pixels.collect::<Vec<u8>>()).unwrap()
    };
    let mut images = loupe_report::ImageStore::of_size(Some(3 << 20));
    let mut sizes = Vec::new();
    for n in 0..16 {
        let picture = noise(300);
        assert_eq!(images.add(&picture, None).unwrap(), n);
        assert!(images.bytes() <= 3 << 20);
        sizes.push(images.shrunk());
    }
    assert_eq!((sizes[0], sizes[1]), (0, 0), "as they are while there is room");
    assert!(sizes.windows(2).all(|w| w[0] <= w[1]) && sizes[15] >= 8);
    // Flat pictures take next to nothing and stay as they are.
    let flat = Picture::new(40, 40, 1, vec![3u8; 1600]).unwrap();
    let before = images.shrunk();
    images.add(&flat, None).unwrap();
    assert!(images.shrunk() <= before + 1);
    // Where even the smallest form has no room, a picture is left out and the others stay.
    let mut tiny = loupe_report::ImageStore::of_size(Some(2000));
    tiny.add(&flat, None).unwrap();
    let refused = tiny.add(&noise(300), None).map(|_| ()).unwrap_err().to_string();
    assert!(refused.contains("left out"), "{refused}");
    assert_eq!((tiny.left_out(), tiny.add(&flat, None).unwrap()), (1, 0));
    let mut out = Vec::new();
    Page { images: tiny, ..Page::default() }.write(&mut out).unwrap();
    assert!(String::from_utf8(out).unwrap().contains("Of 2 pictures 1 are left out"));
}

#[test]
fn a_page_is_whole_or_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("report.html");
    let (page, html) = page_with("yes");
    assert_eq!(page.save(&file).unwrap(), html.len() as u64);
    assert_eq!(std::fs::read_to_string(&file).unwrap(), html);
    let elsewhere = dir.path().join("no folder").join("report.html");
    assert!(page.save(&elsewhere).unwrap_err().to_string().contains("could not be written"));
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "no draft is left");
}
