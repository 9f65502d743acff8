//! What describes the objects to segment.

use crate::error::{AppError, InStep};
use loupe_core::files::{SETTINGS_BYTES, read_text_at_most};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What describes one object. Positions are pixels of the image, slice or frame in continuous edges.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ObjectPrompt {
    /// Name of the object.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// `[x0, y0, x1, y1]` in source pixels.
    #[serde(rename = "box", skip_serializing_if = "Option::is_none")]
    pub region: Option<[f64; 4]>,
    /// Places inside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub points: Vec<[f64; 2]>,
    /// Places outside.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outside: Vec<[f64; 2]>,
    /// File of a rough mask; in a file of prompts relative to that file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask: Option<PathBuf>,
    /// Of a mask file with several labels, the one of this number or name; without it each label that the slice
    /// holds is an object of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mask_label: Option<String>,
    /// Words for a model that grounds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub phrase: Option<String>,
}

impl ObjectPrompt {
    /// The objects in a JSON list.
    ///
    /// # Errors
    /// When the file cannot be read, or an entry describes nothing.
    pub fn read_all(file: &Path) -> Result<Vec<Self>, AppError> {
        let text = read_text_at_most(file, SETTINGS_BYTES)
            .step(|| format!("{} could not be read", file.display()))?;
        let mut all: Vec<Self> = serde_json::from_str(&text)
            .step(|| format!("{} is not a JSON list of objects to segment", file.display()))?;
        let folder = file.parent().unwrap_or(Path::new("."));
        for prompt in &mut all {
            if let Some(mask) = &mut prompt.mask {
                *mask = folder.join(&*mask);
            }
            if prompt.mask_label.is_some() && prompt.mask.is_none() {
                return Err(AppError::input(format!(
                    "{}: an object has a mask_label without a mask",
                    file.display()
                )));
            }
            if *prompt == (Self { label: prompt.label.clone(), ..Self::default() }) {
                return Err(AppError::input(format!(
                    "{}: an object has neither box, points, mask nor phrase",
                    file.display()
                )));
            }
        }
        Ok(all)
    }
}

/// Prompts as a list of each kind, before it is said which belong together.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ObjectPrompts {
    /// Boxes, an object each.
    pub boxes: Vec<[f64; 4]>,
    /// Places inside one object.
    pub points: Vec<[f64; 2]>,
    /// Places outside that object.
    pub outside: Vec<[f64; 2]>,
    /// Files of rough masks, an object each or, of volumes, one for each label that the slice holds.
    pub masks: Vec<PathBuf>,
    /// Of these files only the label of this number or name.
    pub mask_label: Option<String>,
    /// Phrases, an object or several each.
    pub phrases: Vec<String>,
    /// File with further objects.
    pub file: Option<PathBuf>,
}

impl ObjectPrompts {
    /// Is nothing described?
    pub fn is_empty(&self) -> bool {
        *self == Self { mask_label: self.mask_label.clone(), ..Self::default() }
    }

    /// One prompt an object: each box, mask and phrase is an object of its own; points all belong to one object,
    /// together with the box or mask when there is exactly one.
    ///
    /// # Errors
    /// When it is unclear what the points belong to, nothing is described, or the file cannot be read.
    pub fn grouped(&self) -> Result<Vec<ObjectPrompt>, AppError> {
        if self.mask_label.is_some() && self.masks.is_empty() {
            return Err(AppError::input("--mask-label chooses a label of a --mask, and there is none"));
        }
        let mut all = self.file.as_deref().map(ObjectPrompt::read_all).transpose()?.unwrap_or_default();
        let boxed = |region| ObjectPrompt { region: Some(region), ..ObjectPrompt::default() };
        let masked = |mask: &PathBuf| ObjectPrompt {
            mask: Some(mask.clone()),
            mask_label: self.mask_label.clone(),
            ..ObjectPrompt::default()
        };
        let named = |p: &String| ObjectPrompt { phrase: Some(p.clone()), ..ObjectPrompt::default() };
        all.extend(self.boxes.iter().copied().map(boxed));
        all.extend(self.masks.iter().map(masked));
        if !self.points.is_empty() || !self.outside.is_empty() {
            let (points, outside) = (self.points.clone(), self.outside.clone());
            match (self.boxes.len() + self.masks.len(), all.last_mut()) {
                (0, _) => all.push(ObjectPrompt { points, outside, ..ObjectPrompt::default() }),
                (1, Some(one)) => (one.points, one.outside) = (points, outside),
                _ => {
                    return Err(AppError::input(
                        "points with several boxes or masks: say in a --prompts file which belong together",
                    ));
                }
            }
        }
        all.extend(self.phrases.iter().map(named));
        if all.is_empty() {
            return Err(AppError::input(
                "nothing to segment; give --box, --point, --mask, --phrase or --prompts",
            ));
        }
        Ok(all)
    }
}
