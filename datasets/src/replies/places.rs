//! Boxes and points in the replies of another tool: the dialect they are written in, and the sizes of
//! pictures that its numbers refer to. Nothing is guessed from the size of numbers.

use super::error::JoinError;
use super::rows::ReplyRow;
use loupe_core::dialect::{DIALECTS, Dialect, Parsed, PictureSizes, SpokenPicture, Units};
use loupe_core::sample::Outcome;
use loupe_core::{Failure, Finding, Labelled, MediaLoader, MediaRef, PictureRecord, Reply, Sample, Target};
use serde_json::{Value, json};
use std::collections::HashMap;

/// Names of the columns of a width and a height.
pub type ColumnPair = (String, String);

/// How places are written and what their numbers need. Without a dialect no places are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PlaceOptions {
    /// The dialect of the replies, by name.
    pub dialect: Option<String>,
    /// The dialect of the file's own references: they are boxes, points or counts.
    pub reference_dialect: Option<String>,
    /// Columns of the size of the picture in pixels.
    pub size_columns: Option<ColumnPair>,
    /// Columns of the size of the picture as the model saw it, for dialects that count the pixels after
    /// the model's own resizing.
    pub input_size_columns: Option<ColumnPair>,
}

impl PlaceOptions {
    /// Columns of sizes, in the order in which [`Places`] finds them in the rows.
    pub(super) fn columns(&self) -> Vec<String> {
        let pairs = [&self.size_columns, &self.input_size_columns];
        pairs.into_iter().flatten().flat_map(|(width, height)| [width.clone(), height.clone()]).collect()
    }

    /// For the record of the run; nothing where no dialect is given.
    pub(super) fn record(&self) -> Option<Value> {
        self.dialect.as_ref().map(|name| json!({ "replies": name, "references": self.reference_dialect }))
    }

    /// The dialects, once it is known that every size they need can be had; `data`: is there a dataset?
    pub(super) fn checked(&self, data: bool) -> Result<Option<Dialects>, JoinError> {
        let Some(name) = &self.dialect else { return Ok(None) };
        let replies = named(name)?;
        let references = self.reference_dialect.as_deref().map(named).transpose()?;
        if !data && references.is_none() {
            return Err(JoinError::NoReferences);
        }
        for dialect in [Some(replies), references].into_iter().flatten() {
            if dialect.units == Units::ModelInputPixels && self.input_size_columns.is_none() {
                return Err(JoinError::InputSize { dialect: dialect.name });
            }
            if dialect.units != Units::GivenPixels && !data && self.size_columns.is_none() {
                return Err(JoinError::Size { dialect: dialect.name });
            }
        }
        let given = self.size_columns.is_some();
        let input = self.input_size_columns.as_ref().map(|_| 2 * usize::from(given));
        Ok(Some(Dialects { replies, references, given, input }))
    }
}

fn named(name: &str) -> Result<&'static Dialect, JoinError> {
    Ok(DIALECTS.by_name(name)?)
}

/// The dialects of a file and where its rows hold sizes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialects {
    replies: &'static Dialect,
    references: Option<&'static Dialect>,
    /// Are the first two sizes of a row those of its picture?
    given: bool,
    /// Where in the sizes of a row that of the model's input begins.
    input: Option<usize>,
}

/// Undoes the dialects of replies and references.
pub(super) struct Places<'a> {
    dialects: Dialects,
    loader: &'a dyn MediaLoader,
    /// Pictures by their reference; many rows share one.
    seen: HashMap<String, Result<PictureRecord, Failure>>,
}

/// A size of a row, from its position in the row's sizes on.
fn size(row: &ReplyRow, at: usize) -> Result<[usize; 2], Failure> {
    match row.sizes.get(at..at + 2) {
        Some([Some(width), Some(height)]) if *width > 0 && *height > 0 => Ok([*width, *height]),
        _ => Err(Failure::lasting("the row does not say the size of its picture")),
    }
}

impl<'a> Places<'a> {
    pub(super) fn new(dialects: Dialects, loader: &'a dyn MediaLoader) -> Self {
        Self { dialects, loader, seen: HashMap::new() }
    }

    fn picture(&mut self, media: &MediaRef) -> Result<PictureRecord, Failure> {
        let key = serde_json::to_string(media).unwrap_or_default();
        if let Some(known) = self.seen.get(&key) {
            return known.clone();
        }
        let loaded = self.loader.load(media).map_err(|e| Failure::may_pass(e.to_string()));
        let record = loaded.map(|picture| PictureRecord::of(&picture));
        self.seen.insert(key, record.clone());
        record
    }

    /// The pictures that a row's numbers refer to.
    fn pictures(&mut self, row: &ReplyRow, sample: Option<&Sample>) -> Result<Vec<PictureRecord>, Failure> {
        match sample {
            _ if self.dialects.given => Ok(vec![PictureRecord::without_pixels(size(row, 0)?)]),
            Some(sample) => sample.media.iter().map(|media| self.picture(media)).collect(),
            // Pixels of the picture given, whatever its size is.
            None => Ok(vec![PictureRecord::without_pixels([0, 0])]),
        }
    }

    fn findings(
        &self,
        dialect: &Dialect,
        parsed: &Parsed,
        row: &ReplyRow,
        pictures: &[PictureRecord],
    ) -> Result<Vec<Finding>, Failure> {
        let input = self.dialects.input.map(|at| size(row, at)).transpose()?;
        let spoken = pictures.iter().map(|p| SpokenPicture {
            sizes: PictureSizes { given: p.size, model_input: input.unwrap_or(p.size) },
            origin: &p.origin,
        });
        let spoken: Vec<SpokenPicture<'_>> = spoken.collect();
        // Where the dialect cannot name a picture, the last one is meant, as in runs of our own.
        Ok(dialect.place(parsed, &spoken, spoken.len().saturating_sub(1)).findings)
    }

    /// The reply with its boxes and points, and the pictures they lie in; a failure where the size of
    /// a picture that the dialect needs cannot be had.
    pub(super) fn reply(&mut self, row: &ReplyRow, sample: Option<&Sample>) -> (Outcome, Vec<PictureRecord>) {
        let dialect = self.dialects.replies;
        let parsed = dialect.parse(&row.reply);
        let placed = self.pictures(row, sample).and_then(|pictures| {
            let findings = self.findings(dialect, &parsed, row, &pictures)?;
            Ok((findings, pictures))
        });
        match placed {
            Ok((findings, pictures)) => {
                let mut reply = Reply::from_text(row.reply.clone());
                if !findings.is_empty() {
                    reply.repairs = parsed.repairs.iter().map(|r| r.name()).collect();
                }
                reply.findings = findings;
                (Outcome::Reply(reply), pictures)
            }
            Err(failure) => (Outcome::Failed(failure), Vec::new()),
        }
    }

    /// The reference of a row in its dialect: boxes, else points, else a count; unknown where nothing
    /// can be read. An empty list says that nothing is there, of the kind that the reply speaks of.
    pub(super) fn target(&mut self, row: &ReplyRow) -> Option<Target> {
        let dialect = self.dialects.references?;
        let parsed = dialect.parse(row.gold.first().map_or("", String::as_str));
        let placed =
            self.pictures(row, None).and_then(|pictures| self.findings(dialect, &parsed, row, &pictures));
        let Ok(findings) = placed else { return Some(Target::Unknown) };
        let boxes = labelled(&findings, Finding::source_box);
        let points = labelled(&findings, Finding::source_point);
        let points_meant = || !self.dialects.replies.parse(&row.reply).points.is_empty();
        Some(if !boxes.is_empty() {
            Target::Boxes(boxes)
        } else if !points.is_empty() {
            Target::Points(points)
        } else if let Some(count) = parsed.counts.first() {
            Target::Count(count.count)
        } else if !parsed.said_none {
            Target::Unknown
        } else if points_meant() {
            Target::Points(Vec::new())
        } else {
            Target::Boxes(Vec::new())
        })
    }
}

/// The findings of one kind as marks of a reference.
fn labelled<T>(findings: &[Finding], at: impl Fn(&Finding) -> Option<T>) -> Vec<Labelled<T>> {
    let one = |f: &Finding| {
        let label = f.label.clone().unwrap_or_default();
        Some(Labelled { picture: f.picture, label, at: at(f)?, reader: None })
    };
    findings.iter().filter_map(one).collect()
}
