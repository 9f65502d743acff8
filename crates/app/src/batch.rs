//! A run whose questions are answered by an offline batch endpoint: submitted now, fetched later.
//!
//! The run's folder is begun when the requests are written, and the results are put into the same folder; both take
//! the options of an evaluation, and the folder refuses those that differ. What is still without a result stays
//! unanswered, so that further files can be read, or the rest be written once more.

use crate::error::AppError;
use crate::evaluate::EvaluateOptions;
use crate::listener::Listener;
use std::path::PathBuf;

/// How requests are written.
#[derive(Debug, Clone)]
pub struct BatchRequests {
    /// Name of the model at the endpoint.
    pub model: String,
    /// Fields of OpenAI's own API alone.
    pub strict: bool,
    /// Most requests in a file.
    pub rows: usize,
    /// Most bytes in a file.
    pub bytes: u64,
}

/// What was written.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct WrittenBatch {
    /// Folder of the run.
    pub run: PathBuf,
    /// The files of requests.
    pub files: Vec<PathBuf>,
    /// Requests in them; equal ones are there once.
    pub requests: usize,
    /// Replies of the run that they will give.
    pub replies: usize,
}

/// What came of reading results.
#[derive(Debug, Clone)]
pub struct ImportedBatch {
    /// Folder of the run.
    pub dir: PathBuf,
    /// Its figures.
    pub summary: loupe_eval::Summary,
    /// Replies that these files do not have.
    pub without_result: usize,
}

/// Begins, or goes on with, a run and writes the requests of what it has no reply to into the folder `to`.
///
/// # Errors
/// As [`crate::evaluate::evaluate`], and when the requests cannot be written.
#[cfg(feature = "remote")]
pub fn export(
    options: &EvaluateOptions,
    requests: &BatchRequests,
    to: &std::path::Path,
    listener: &dyn Listener,
) -> Result<WrittenBatch, AppError> {
    let mut writer = loupe_remote::BatchWriter::new(to, wire_options(options, requests)?)?;
    let (run, finished) = crate::evaluate::answer(options, &mut writer, listener)?;
    let (files, written) = writer.finish()?;
    Ok(WrittenBatch { run, files, requests: written, replies: finished.deferred })
}

/// Reads results into the run that their requests were written for, and scores it.
///
/// # Errors
/// As [`crate::evaluate::evaluate`], and when no file holds a result of this run.
#[cfg(feature = "remote")]
pub fn import(
    options: &EvaluateOptions,
    requests: &BatchRequests,
    results: &[PathBuf],
    listener: &dyn Listener,
) -> Result<ImportedBatch, AppError> {
    let mut results = loupe_remote::BatchResults::open(results, wire_options(options, requests)?)?;
    let (dir, finished) = crate::evaluate::answer(options, &mut results, listener)?;
    if finished.already + finished.answered + finished.failed == 0 {
        return Err(AppError::input(
            "none of these results belongs to this run: the requests that they answer have other words, pictures or settings; give the options that the requests were written with",
        ));
    }
    if results.damaged() > 0 {
        listener.say(&format!("{} lines of the results are damaged and were passed over", results.damaged()));
    }
    if results.unused() > 0 {
        listener.say(&format!("{} results belong to nothing that was asked now", results.unused()));
    }
    let summary = crate::evaluate::score(options, &dir, listener)?;
    let without_result = finished.deferred;
    Ok(ImportedBatch { dir, summary, without_result })
}

#[cfg(feature = "remote")]
fn wire_options(
    options: &EvaluateOptions,
    requests: &BatchRequests,
) -> Result<loupe_remote::BatchOptions, AppError> {
    use crate::evaluate::AnswerWay;
    if !matches!(options.way, AnswerWay::Direct) {
        return Err(AppError::input(
            "a batch asks every question once; a second look needs replies before it can go on, and a segmenter is not served",
        ));
    }
    Ok(loupe_remote::BatchOptions {
        model: requests.model.clone(),
        strict: requests.strict,
        pictures: crate::served::picture_bound(&options.model.server),
        box_dialect: crate::served::box_dialect(&options.model.load),
        rows: requests.rows,
        bytes: requests.bytes,
    })
}

/// Writes requests; this build cannot.
///
/// # Errors
/// Always.
#[cfg(not(feature = "remote"))]
pub fn export(
    _: &EvaluateOptions,
    _: &BatchRequests,
    _: &std::path::Path,
    _: &dyn Listener,
) -> Result<WrittenBatch, AppError> {
    Err(AppError::Feature { what: "a batch", feature: "remote" })
}

/// Reads results; this build cannot.
///
/// # Errors
/// Always.
#[cfg(not(feature = "remote"))]
pub fn import(
    _: &EvaluateOptions,
    _: &BatchRequests,
    _: &[PathBuf],
    _: &dyn Listener,
) -> Result<ImportedBatch, AppError> {
    Err(AppError::Feature { what: "a batch", feature: "remote" })
}
