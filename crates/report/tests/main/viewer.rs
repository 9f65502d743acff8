//! The viewer in headless Chromium: levels, letters, millimetres and edges are those of the picture.

use loupe_core::loader::DisplayMaterial;
use loupe_core::window::WindowFunction;
use loupe_core::{Intensities, LpsFromPlane, Picture, Window};
use loupe_report::pages::kit::series::{Series, SeriesError};
use loupe_report::pages::kit::shell::{Block, Shell, VIEWER_CSS, VIEWER_JS};
use loupe_testing::Browser;
use serde_json::Value;

/// A slice of this many columns and rows with values from `value`.
fn slice(size: [usize; 2], window: Window, inverted: bool, value: impl Fn(usize) -> f32) -> DisplayMaterial {
    let [width, height] = size;
    let values: Vec<f32> = (0..width * height).map(value).collect();
    let level = |v: &f32| {
        let level = window.level(f64::from(*v));
        if inverted { 255 - level } else { level }
    };
    let mut picture = Picture::new(width, height, 1, values.iter().map(level).collect::<Vec<u8>>()).unwrap();
    picture.origin.window = Some(window);
    picture.origin.spacing_mm = Some([0.5, 1.0]);
    // To the right is the patient's left, down is the back; turned a little about the long axis.
    picture.origin.lps_from_source =
        Some(LpsFromPlane { m: [[0.5, 0.0, -10.0], [0.05, 1.0, -20.0], [0.0, 0.0, 7.0]] });
    let intensities = Intensities { width, height, values, inverted, hounsfield: !inverted };
    DisplayMaterial { picture, intensities: Some(intensities), encoded: None }
}

fn page(series: &[Series], script: &str) -> (tempfile::TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("viewer.html");
    let css = ":root { --line: #888; --card: #fff; --ink: #000; --accent: #06c; } body { margin: 0; } #host { height: 500px; width: 600px; }";
    let shell = Shell {
        title: "Viewer",
        css: &[VIEWER_CSS, css],
        scripts: &[VIEWER_JS, script],
        body: "<div id=\"host\"></div>",
    };
    let block = Block::of(&series).unwrap();
    let mut out = Vec::new();
    shell.write(&mut out, [("series", &block)]).unwrap();
    std::fs::write(&file, out).unwrap();
    (dir, file)
}

const SCRIPT: &str = "
globalThis.all = read('series');
globalThis.placed = [];
globalThis.viewer = new Viewer(document.getElementById('host'), all[0], {
  presets: [{ name: 'lung', centre: -600, width: 1500 }, { name: 'bone', centre: 400, width: 1800 }],
  tools: ['window', 'pan', 'measure', 'box', 'point'], onmark: (place) => placed.push(place) });
document.addEventListener('keydown', (e) => { if (viewer.key(e)) e.preventDefault(); });
";

fn numbers(value: &Value) -> Vec<f64> {
    value.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()).collect()
}

const LEVELS: &str = "(() => { const { width, height } = viewer.bitmap; return Array.from(viewer.bitmap.getContext('2d').getImageData(0, 0, width, height).data).filter((_, i) => i % 4 === 0); })()";

#[test]
fn levels_are_those_of_the_window_in_every_way_that_values_are_kept() {
    let Some(mut browser) = Browser::start([800, 700]) else { return };
    let hu = |n: usize| (n * 4095 / (40 * 30)) as f32 - 1024.0;
    let given = Window::linear(40.0, 400.0);
    let dose = Window { centre: 0.5, width: 0.8, function: WindowFunction::Sigmoid };
    let mut holes = slice([40, 30], given, false, hu);
    holes.intensities.as_mut().unwrap().values[7] = f32::NAN;
    let series = [
        Series::of(&[slice([40, 30], given, false, hu), holes], 0).unwrap(),
        Series::of(&[slice([40, 30], given, true, hu)], 0).unwrap(),
        Series::of(&[slice([40, 30], dose, true, |n| n as f32 / 1200.0)], 0).unwrap(),
    ];
    let (_dir, file) = page(&series, SCRIPT);
    browser.open(&file);
    let expected = |window: Window, inverted: bool, value: &dyn Fn(usize) -> f32| -> Vec<f64> {
        let level = |n: usize| {
            let level = window.level(f64::from(value(n)));
            f64::from(if inverted { 255 - level } else { level })
        };
        (0..40 * 30).map(level).collect()
    };
    assert_eq!(numbers(&browser.eval(LEVELS)), expected(given, false, &hu), "as given");
    browser.press("w");
    assert_eq!(numbers(&browser.eval(LEVELS)), expected(Window::linear(-600.0, 1500.0), false, &hu), "lung");
    browser.press("w");
    assert_eq!(numbers(&browser.eval(LEVELS)), expected(Window::linear(400.0, 1800.0), false, &hu), "bone");
    assert_eq!(browser.eval("viewer.words.window.textContent"), "C 400  W 1800");
    browser.press("ArrowDown");
    assert_eq!(browser.eval("viewer.words.slice.textContent"), "2 / 2");
    assert_eq!(browser.eval("viewer.value([7.5, 0.5])"), -1024.0, "what is no number is dark");
    browser.eval("viewer.show(all[1])");
    assert_eq!(numbers(&browser.eval(LEVELS)), expected(given, true, &hu), "MONOCHROME1");
    browser.eval("viewer.show(all[2])");
    let close = numbers(&browser.eval(LEVELS));
    let wanted = expected(dose, true, &|n| n as f32 / 1200.0);
    assert!(
        close.iter().zip(&wanted).all(|(a, b)| (a - b).abs() <= 1.0),
        "fractions to 1/65535 of the range"
    );
    browser.assert_quiet();
}

#[test]
fn letters_millimetres_and_edges_are_where_they_belong() {
    let Some(mut browser) = Browser::start([800, 700]) else { return };
    let series = Series::of(&[slice([40, 30], Window::linear(40.0, 400.0), false, |_| -1000.0)], 0).unwrap();
    let (_dir, file) = page(&[series], SCRIPT);
    browser.open(&file);
    let letters = browser.eval("Object.values(viewer.letters).map((l) => l.textContent)");
    assert_eq!(letters, serde_json::json!(["R", "L", "A", "P"]));
    assert_eq!(
        browser.eval("viewer.length([0, 0], [6, 4])"),
        "5.0 mm",
        "pixels are half as wide as they are high"
    );
    browser.eval("viewer.mark([{ id: 'a', slice: 0, label: '', kind: 'model', box: [16, 10, 24, 20] }])");
    // The middle of each edge has the colour of the line, wherever the picture stands.
    let edges = "(() => { const ratio = devicePixelRatio, context = viewer.canvas.getContext('2d'); const at = (p) => { const [x, y] = viewer.toScreen(p); return Array.from(context.getImageData(Math.floor(x * ratio), Math.floor(y * ratio), 1, 1).data.slice(0, 3)); }; return [[16, 15], [24, 15], [20, 10], [20, 20]].map(at).concat([at([20, 15])]); })()";
    for step in ["", "viewer.zoom(2)", "viewer.pan(13, -7)", "viewer.fit()"] {
        browser.eval(step);
        for ratio in [1.0, 2.0] {
            browser.resize([800 - step.len() as u32, 700], ratio);
            browser.eval("new Promise((done) => requestAnimationFrame(() => { viewer.draw(); done(); }))");
            let colours = browser.eval(edges);
            for edge in &colours.as_array().unwrap()[..4] {
                assert_eq!(edge, &serde_json::json!([230, 159, 0]), "{step} at {ratio}: {colours}");
            }
            assert_eq!(colours[4], serde_json::json!([0, 0, 0]), "the middle is free");
        }
    }
    // A box by the keyboard alone: two corners.
    browser.press("b");
    browser.press("Enter");
    for _ in 0..3 {
        browser.press("ArrowRight");
        browser.press("ArrowDown");
    }
    browser.press("Enter");
    let place = browser.eval("placed[0].box");
    let sides = numbers(&place);
    assert!(sides[0] == 20.0 && sides[1] == 15.0 && sides[2] > 20.0 && sides[3] > 15.0, "{sides:?}");
    // Dragging a box from one pixel to another gives these pixels.
    let ends = browser.eval("(() => { const s = viewer.stage.getBoundingClientRect(); return [[4, 6], [12, 20]].map((p) => { const [x, y] = viewer.toScreen(p); return [x + s.left, y + s.top]; }); })()");
    let point = |n: usize| [ends[n][0].as_f64().unwrap(), ends[n][1].as_f64().unwrap()];
    browser.eval("viewer.use('box')");
    browser.drag(point(0), point(1));
    let sides = numbers(&browser.eval("placed[1].box"));
    assert!(sides.iter().zip([4.0, 6.0, 12.0, 20.0]).all(|(a, b)| (a - b).abs() < 0.15), "{sides:?}");
    browser.press("Escape");
    browser.eval("viewer.focus([10, 5, 20, 15], 0)");
    assert!((browser.eval("viewer.centre[0]").as_f64().unwrap() - 15.0).abs() < 1e-9);
    browser.assert_quiet();
}

#[test]
fn colours_and_grey_levels_come_back_as_they_were() {
    let Some(mut browser) = Browser::start([800, 700]) else { return };
    let pixels: Vec<u8> = (0..20 * 10 * 3).map(|n| (n * 37 % 251) as u8).collect();
    let colour = Picture::new(20, 10, 3, pixels.clone()).unwrap();
    let grey = Picture::new(20, 10, 1, pixels[..200].to_vec()).unwrap();
    let of =
        |picture| Series::of(&[DisplayMaterial { picture, intensities: None, encoded: None }], 0).unwrap();
    let (_dir, file) = page(&[of(colour), of(grey)], SCRIPT);
    browser.open(&file);
    let all = "Array.from(viewer.bitmap.getContext('2d').getImageData(0, 0, 20, 10).data).filter((_, i) => i % 4 < 3)";
    assert_eq!(numbers(&browser.eval(all)), pixels.iter().map(|p| f64::from(*p)).collect::<Vec<_>>());
    browser.eval("viewer.show(all[1])");
    let levels = numbers(&browser.eval(LEVELS));
    assert_eq!(levels, pixels[..200].iter().map(|p| f64::from(*p)).collect::<Vec<_>>());
    // Damaged pixels are not shown as something else.
    let said = browser.eval("(() => { const s = { ...all[1], slices: [all[1].slices[0].replace(/.(?=.{8}$)/, (c) => c === 'A' ? 'B' : 'A')] }; try { viewer.show(s); return 'shown'; } catch (e) { return String(e); } })()");
    assert!(said.as_str().unwrap().contains("damaged"), "{said}");
}

#[test]
fn slices_that_do_not_belong_together_are_refused() {
    let window = Window::linear(40.0, 400.0);
    let one = slice([40, 30], window, false, |_| 0.0);
    let other = slice([40, 31], window, false, |_| 0.0);
    assert!(matches!(Series::of(&[one.clone(), other], 0), Err(SeriesError::Differ { slice: 1, .. })));
    assert!(matches!(Series::of(&[], 0), Err(SeriesError::Empty)));
    let blank = slice([40, 30], window, false, |_| f32::NAN);
    assert!(matches!(Series::of(&[one, blank], 0), Err(SeriesError::Blank(1))));
}
