//! Boxes and points in the replies of another tool: the dialect they are written in, and the sizes of
//! pictures that its numbers refer to. Nothing is guessed from the size of numbers.

use anyhow::{Result, bail};
use loupe_core::PictureRecord;
use loupe_core::dialect::{Dialect, Found, Parsed, PictureSizes, Units, dialect};
use loupe_core::picture::Origin;
use loupe_core::sample::Outcome;
use loupe_core::{Labelled, MediaLoader, MediaRef, Reply, Sample, Target};
use loupe_datasets::replies::Imported;
use serde_json::{Value, json};
use std::collections::HashMap;

/// Names of the columns of a width and a height.
type Pair = (String, String);

/// How places are written and what their numbers need.
#[derive(Debug, Clone, Default, clap::Args)]
pub(crate) struct DialectArgs {
    /// Read boxes and points out of the replies, which are in this dialect (see `loupe list dialects`).
    /// The size of each picture comes from the pictures of --data or from --size-columns.
    #[arg(long, value_name = "NAME", requires = "replies")]
    pub(crate) dialect: Option<String>,

    /// The references of the file are boxes, points or counts in this dialect.
    #[arg(long, value_name = "NAME", requires = "dialect", conflicts_with = "data")]
    reference_dialect: Option<String>,

    /// Columns of the width and the height of the picture in pixels.
    #[arg(long, value_name = "WIDTH,HEIGHT", requires = "dialect", value_parser = pair)]
    size_columns: Option<Pair>,

    /// Columns of the width and the height of the picture as the model saw it, for dialects that count
    /// the pixels after the model's own resizing.
    #[arg(long, value_name = "WIDTH,HEIGHT", requires = "dialect", value_parser = pair)]
    input_size_columns: Option<Pair>,
}

fn pair(names: &str) -> Result<Pair, String> {
    match names.split_once(',') {
        Some((width, height)) if !width.is_empty() && !height.is_empty() && !height.contains(',') => {
            Ok((width.to_owned(), height.to_owned()))
        }
        _ => Err("expected two names of columns with a comma between them".to_owned()),
    }
}

fn named(name: &str) -> Result<&'static Dialect> {
    match dialect(name) {
        Some(dialect) => Ok(dialect),
        None => bail!("no dialect is called {name:?}; `loupe list dialects` names them"),
    }
}

impl DialectArgs {
    /// Columns of sizes, in the order in which [`Places`] finds them in the rows.
    pub(crate) fn columns(&self) -> Vec<String> {
        let pairs = [&self.size_columns, &self.input_size_columns];
        pairs.into_iter().flatten().flat_map(|(width, height)| [width.clone(), height.clone()]).collect()
    }

    /// For the record of the run; nothing where no dialect is given.
    pub(crate) fn record(&self) -> Option<Value> {
        self.dialect.as_ref().map(|name| json!({ "replies": name, "references": self.reference_dialect }))
    }

    /// What undoes the dialect, if one is given.
    pub(crate) fn places<'a>(&self, data: bool, loader: &'a dyn MediaLoader) -> Result<Option<Places<'a>>> {
        let Some(name) = &self.dialect else { return Ok(None) };
        let spoken = named(name)?;
        let references = self.reference_dialect.as_deref().map(named).transpose()?;
        if !data && references.is_none() {
            bail!(
                "boxes and points need references: a set with --data, or the dialect of the file's own with --reference-dialect"
            );
        }
        for dialect in [Some(spoken), references].into_iter().flatten() {
            if dialect.units == Units::ModelInputPixels && self.input_size_columns.is_none() {
                bail!(
                    "the dialect {} counts pixels after the model's own resizing; name the columns of that size with --input-size-columns",
                    dialect.name
                );
            }
            if dialect.units != Units::GivenPixels && !data && self.size_columns.is_none() {
                bail!(
                    "the dialect {} needs the size of each picture; give the set with --data or name the columns with --size-columns",
                    dialect.name
                );
            }
        }
        let given = self.size_columns.is_some();
        let input = self.input_size_columns.as_ref().map(|_| 2 * usize::from(given));
        Ok(Some(Places { spoken, references, given, input, loader, seen: HashMap::new() }))
    }
}

/// Undoes the dialect of replies and references.
pub(crate) struct Places<'a> {
    spoken: &'static Dialect,
    references: Option<&'static Dialect>,
    /// Are the first two sizes of a row those of its picture?
    given: bool,
    /// Where in the sizes of a row that of the model's input begins.
    input: Option<usize>,
    loader: &'a dyn MediaLoader,
    /// Pictures by their reference; many rows share one.
    seen: HashMap<String, Result<PictureRecord, String>>,
}

/// A size of a row, from its position in the row's sizes on.
fn size(row: &Imported, at: usize) -> Result<[usize; 2], String> {
    match row.sizes.get(at..at + 2) {
        Some([Some(width), Some(height)]) if *width > 0 && *height > 0 => Ok([*width, *height]),
        _ => Err("the row does not say the size of its picture".to_owned()),
    }
}

fn flat([width, height]: [usize; 2]) -> PictureRecord {
    PictureRecord { width, height, origin: Origin::of_size(width, height) }
}

impl Places<'_> {
    fn picture(&mut self, media: &MediaRef) -> Result<PictureRecord, String> {
        let key = serde_json::to_string(media).unwrap_or_default();
        if let Some(known) = self.seen.get(&key) {
            return known.clone();
        }
        let seen = self.loader.load(media).map_err(|e| e.to_string()).map(|picture| PictureRecord {
            width: picture.width(),
            height: picture.height(),
            origin: picture.origin,
        });
        self.seen.insert(key, seen.clone());
        seen
    }

    /// The pictures that a row's numbers refer to.
    fn pictures(&mut self, row: &Imported, sample: Option<&Sample>) -> Result<Vec<PictureRecord>, String> {
        match sample {
            _ if self.given => Ok(vec![flat(size(row, 0)?)]),
            Some(sample) => sample.media.iter().map(|media| self.picture(media)).collect(),
            // Pixels of the picture given, whatever its size is.
            None => Ok(vec![flat([0, 0])]),
        }
    }

    fn found(
        &self,
        dialect: &Dialect,
        parsed: &Parsed,
        row: &Imported,
        seen: &[PictureRecord],
    ) -> Result<Found, String> {
        let input = self.input.map(|at| size(row, at)).transpose()?;
        let sizes = seen.iter().map(|s| {
            let given = [s.width, s.height];
            PictureSizes { given, model_input: input.unwrap_or(given) }
        });
        let sizes: Vec<PictureSizes> = sizes.collect();
        // Where the dialect cannot name a picture, the last one is meant, as in runs of our own.
        Ok(dialect.found(parsed, &sizes, sizes.len().saturating_sub(1)))
    }

    /// The reply with its boxes and points, and the pictures they lie in; a failure where the size of
    /// a picture that the dialect needs cannot be had.
    pub(crate) fn reply(&mut self, row: &Imported, sample: Option<&Sample>) -> (Outcome, Vec<PictureRecord>) {
        let parsed = self.spoken.parse(&row.reply);
        let found = self.pictures(row, sample).and_then(|seen| {
            let found = self.found(self.spoken, &parsed, row, &seen)?;
            Ok((found, seen))
        });
        match found {
            Ok((found, seen)) => {
                let mut reply = Reply::from_text(row.reply.clone());
                if !(found.boxes.is_empty() && found.points.is_empty()) {
                    reply.repairs = parsed.repairs.iter().map(|r| r.name()).collect();
                }
                (reply.boxes, reply.points) = (found.boxes, found.points);
                (Outcome::Reply(reply), seen)
            }
            Err(reason) => (Outcome::Failed { reason }, Vec::new()),
        }
    }

    /// The reference of a row in its dialect: boxes, else points, else a count; unknown where nothing
    /// can be read. An empty list says that nothing is there, of the kind that the reply speaks of.
    pub(crate) fn target(&mut self, row: &Imported) -> Option<Target> {
        let dialect = self.references?;
        let parsed = dialect.parse(row.gold.first().map_or("", String::as_str));
        let found = self.pictures(row, None).and_then(|seen| self.found(dialect, &parsed, row, &seen));
        let Ok(found) = found else { return Some(Target::Unknown) };
        let points_meant = || !self.spoken.parse(&row.reply).points.is_empty();
        let label = |label: Option<String>| label.unwrap_or_default();
        // The picture is its own source: only sizes are known of it.
        let source = Origin::of_size(0, 0).source_from_self;
        Some(if !found.boxes.is_empty() {
            let one = |b: loupe_core::ask::FoundBox| Labelled {
                picture: b.picture,
                label: label(b.label),
                at: source.boxed(b.region),
                reader: None,
            };
            Target::Boxes(found.boxes.into_iter().map(one).collect())
        } else if !found.points.is_empty() {
            let one = |p: loupe_core::ask::FoundPoint| Labelled {
                picture: p.picture,
                label: label(p.label),
                at: source.point(p.point),
                reader: None,
            };
            Target::Points(found.points.into_iter().map(one).collect())
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
