//! Names and colours of a label map in the files that 3D Slicer and ITK-SNAP read beside it.

use crate::overlay::PALETTE;
use std::collections::BTreeMap;
use std::fmt::Write;

/// The colour of a label: the overlay's palette, then hues a golden angle apart.
pub fn label_colour(label: u16) -> [u8; 3] {
    let n = usize::from(label).saturating_sub(1);
    if let Some(colour) = PALETTE.get(n) {
        return *colour;
    }
    let hue = (n as f64 * 0.618_033_988_749_895).fract() * 6.0;
    // A hue at full saturation, made lighter so that it is seen on black.
    [5.0, 3.0, 1.0].map(|shift: f64| {
        let k = (shift + hue) % 6.0;
        let part = k.min(4.0 - k).clamp(0.0, 1.0);
        (230.0 * (1.0 - 0.75 * part)).round() as u8
    })
}

/// A name on one line, without what would end it.
fn plain(name: &str) -> String {
    name.chars()
        .map(|c| if c.is_control() || c == '"' { ' ' } else { c })
        .collect::<String>()
        .trim()
        .to_owned()
}

/// A colour table of 3D Slicer (`.ctbl`): number, name, red, green, blue, opacity. Its names have no spaces.
pub fn slicer_table(names: &BTreeMap<u16, String>) -> String {
    let mut text = format!("# Color table file, loupe\n# {} values\n0 background 0 0 0 0\n", names.len() + 1);
    for (label, name) in names {
        let [r, g, b] = label_colour(*label);
        let name: String = plain(name).split_whitespace().collect::<Vec<_>>().join("_");
        let name = if name.is_empty() { format!("label_{label}") } else { name };
        let _ = writeln!(text, "{label} {name} {r} {g} {b} 255");
    }
    text
}

/// A label description file of ITK-SNAP.
pub fn itk_snap_table(names: &BTreeMap<u16, String>) -> String {
    let mut text = "################################################\n\
                    # ITK-SnAP Label Description File\n\
                    # IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL\n\
                    ################################################\n"
        .to_owned();
    let _ = writeln!(text, "    0     0    0    0        0  0  0    \"Clear Label\"");
    for (label, name) in names {
        let [r, g, b] = label_colour(*label);
        let name = plain(name);
        let name = if name.is_empty() { format!("label {label}") } else { name };
        let _ = writeln!(text, "{label:>5} {r:>5} {g:>4} {b:>4}        1  1  1    \"{name}\"");
    }
    text
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn tables_have_a_line_a_label() {
        let names = BTreeMap::from([(1, "left \"kidney\"".to_owned()), (12, String::new())]);
        let slicer = slicer_table(&names);
        assert!(slicer.contains("\n1 left_kidney 230 159 0 255\n12 label_12 "), "{slicer}");
        let snap = itk_snap_table(&names);
        assert!(snap.contains("    1   230  159    0        1  1  1    \"left  kidney\"\n"), "{snap}");
        // Every line that is no remark begins with seven numbers.
        for line in snap.lines().filter(|l| !l.starts_with('#')) {
            let numbers = line.split_whitespace().take(7).filter(|n| n.parse::<u16>().is_ok()).count();
            assert_eq!(numbers, 7, "{line}");
        }
        let colours: std::collections::BTreeSet<[u8; 3]> = (1..=104).map(label_colour).collect();
        assert!(colours.len() > 100);
    }
}
