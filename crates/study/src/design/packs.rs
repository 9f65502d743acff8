//! Ready packs of questions, one file each.

use loupe_core::registry::{Named, Registry};

/// Questions that belong together, as `[[question]]` tables.
#[derive(Debug, Clone, Copy)]
pub struct Pack {
    name: &'static str,
    pub(super) toml: &'static str,
}

impl Pack {
    /// What it is for, in one line.
    pub fn about(&self) -> &'static str {
        self.toml.lines().next().unwrap_or_default().trim_start_matches('#').trim()
    }
}

impl Named for Pack {
    fn name(&self) -> &str {
        self.name
    }
}

macro_rules! pack {
    ($name:literal) => {
        ($name, &[Pack { name: $name, toml: include_str!(concat!("packs/", $name, ".toml")) }])
    };
}

/// Every pack.
pub static PACKS: Registry<Pack> = Registry {
    kind: "pack of questions",
    listed_as: "packs",
    files: &[
        pack!("detection"),
        pack!("errors"),
        pack!("findings"),
        pack!("localisation"),
        pack!("points"),
        pack!("preference"),
        pack!("reasoning"),
        pack!("report"),
    ],
};

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_file_of_the_folder_is_a_pack() {
        let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/design/packs");
        let mut files: Vec<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
            .collect();
        files.sort();
        assert_eq!(files, PACKS.names().collect::<Vec<_>>());
    }
}
