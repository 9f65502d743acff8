//! A run that says nothing about where its images lie and what their files are called, so that its folder can be given away.

use crate::folder::SampleLine;
use loupe_core::{DataError, Dataset, DatasetInfo, MediaRef, MediaSource, Sample, Target};
use std::collections::HashMap;

/// A dataset whose samples have names that say nothing about their files. Its groups are numbered, since a group is often an image.
pub(crate) struct Hidden<'a> {
    whole: &'a dyn Dataset,
    groups: HashMap<String, usize>,
}

impl<'a> Hidden<'a> {
    /// Reads the dataset once for its groups.
    pub(crate) fn new(whole: &'a dyn Dataset) -> Self {
        let mut groups = HashMap::new();
        for sample in (0..whole.len()).filter_map(|row| whole.get(row).ok()) {
            let next = groups.len();
            groups.entry(sample.group).or_insert(next);
        }
        Self { whole, groups }
    }
}

impl Dataset for Hidden<'_> {
    fn info(&self) -> &DatasetInfo {
        self.whole.info()
    }

    fn len(&self) -> usize {
        self.whole.len()
    }

    fn get(&self, index: usize) -> Result<Sample, DataError> {
        let mut sample = self.whole.get(index)?.without_file_names(index);
        let group = self.groups.get(&sample.group).copied().unwrap_or(self.groups.len());
        sample.group = format!("group {group}");
        Ok(sample)
    }
}

/// The line without the places of images: whoever has the dataset finds them by the row.
pub(crate) fn without_places(mut line: SampleLine) -> SampleLine {
    let nowhere = |media: &mut MediaRef| media.source = MediaSource::Bytes([].into());
    if let Some(sample) = &mut line.sample {
        sample.media.iter_mut().for_each(nowhere);
        if let Target::Masks(masks) = &mut sample.target {
            masks.iter_mut().for_each(|mask| nowhere(&mut mask.at));
        }
    }
    line
}
