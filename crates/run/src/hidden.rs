//! A run that says nothing about where its images lie and what their files are called, so that its folder can be given away.

use crate::error::RunError;
use crate::folder::fingerprint;
use crate::plan::{Plan, Setting};
use crate::sample_line::SampleLine;
use loupe_core::words::hex;
use loupe_core::{DataError, Dataset, DatasetInfo, MediaSource, Sample};
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

/// Puts on record that names are hidden, and takes them out of the rest of the record: of the command line, its options are left.
pub(crate) fn keep_names_out(plan: &mut Plan) -> Result<(), RunError> {
    if !plan.selection.ids.is_empty() {
        let problem =
            "samples were chosen by ids, which would be hidden; choose the first ones by number".to_owned();
        return Err(RunError::Setting { setting: "hide_names", problem });
    }
    plan.settings.insert("hide_names".to_owned(), Setting { value: true.into(), given: true });
    // Ids often hold the name of a file; which examples they were is still told apart.
    for id in &mut plan.examples.record.ids {
        *id = hex(&fingerprint(id));
    }
    let is_option = |word: &String| word.starts_with("--");
    plan.invocation.command.retain(is_option);
    for option in &mut plan.invocation.command {
        option.truncate(option.find('=').unwrap_or(option.len()));
    }
    Ok(())
}

/// The line without the places of images: whoever has the dataset finds them by the row.
pub(crate) fn without_places(line: &SampleLine) -> SampleLine {
    let mut line = line.clone().with_media(|media| media.source = MediaSource::Bytes([].into()));
    // What a dataset says of a row that it cannot read names the file.
    line.error = line.error.map(|_| "the dataset could not give this row".to_owned());
    line
}
