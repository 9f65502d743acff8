//! "Submit now, fetch later": the requests of a run as the files of offline batch endpoints, and their results read
//! back as the replies of a model.
//!
//! A request is known by the hash of its body (`custom_id`), so that a result is joined to the prompts it answers and
//! to no other, in whatever order and in how many files it comes back. Equal requests are sent once.

use crate::desk::own;
use crate::error::EndpointError;
use crate::model::{check_dialect, info};
use crate::request::{Manners, PictureBound, Written, chat, shown};
use crate::wire::{error_in, error_within, meant, status_of};
use crate::{options, reply};
use loupe_core::files::open_regular;
use loupe_core::model::one_by_one;
use loupe_core::{
    Ask, AskSource, ModelError, ModelInfo, Reply, ReplyForm, ReplySink, Retry, VisionLanguageModel,
};
use serde::Deserialize;
use serde_json::{Value, json};
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Letters of a `custom_id`, of the hash's 64.
const ID_LETTERS: usize = 48;
/// Longest line of a result file: what one reply may have.
const MOST_LINE: u64 = crate::wire::MOST_BYTES;

/// How requests of a batch are written.
#[derive(Debug, Clone)]
pub struct BatchOptions {
    /// Name of the model at the endpoint.
    pub model: String,
    /// Fields of OpenAI's own API alone, with `max_completion_tokens`.
    pub strict: bool,
    /// How large the file of a picture may be.
    pub pictures: PictureBound,
    /// How the model writes places; `none` when it does not.
    pub box_dialect: String,
    /// Most requests in a file.
    pub rows: usize,
    /// Most bytes in a file.
    pub bytes: u64,
}

impl BatchOptions {
    fn info(&self) -> Result<ModelInfo, ModelError> {
        check_dialect(&self.box_dialect, &self.pictures)?;
        Ok(info("batch", &self.model, None, None, &self.box_dialect))
    }

    /// The request of an ask, and its `custom_id`.
    fn request(&self, ask: &Ask) -> Result<(String, Written), ModelError> {
        if let Some(ReplyForm::Grammar(_)) = &ask.limits.form {
            let reason = "whether a batch endpoint keeps to a grammar cannot be seen; leave --grammar out, or describe the reply with --schema".to_owned();
            return Err(ModelError::Served { reason, retry: Retry::Barred });
        }
        let manners = if self.strict { Manners::strict() } else { Manners::default() };
        options::wanted(ask.limits.options.as_ref())?;
        let written = chat(ask, &self.model, &shown(ask, &self.pictures)?, &manners, false)?;
        let id = written.sha256.get(..ID_LETTERS).unwrap_or(&written.sha256).to_owned();
        Ok((id, written))
    }
}

fn io_error(what: &str, path: &Path, error: &std::io::Error) -> ModelError {
    ModelError::Served { reason: format!("{what} {}: {error}", path.display()), retry: Retry::Barred }
}

/// Writes the requests of all that it is asked, `requests-001.jsonl` and so on, and answers nothing.
#[derive(Debug)]
pub struct BatchWriter {
    info: ModelInfo,
    options: BatchOptions,
    dir: PathBuf,
    file: Option<(PathBuf, BufWriter<File>)>,
    /// Rows and bytes of the file at hand.
    filled: (usize, u64),
    written: HashSet<String>,
    files: Vec<PathBuf>,
}

impl BatchWriter {
    /// Writes into `dir`, which must not have requests in it.
    ///
    /// # Errors
    /// When it has, or cannot be made, or a bound or the dialect makes no sense.
    pub fn new(dir: &Path, options: BatchOptions) -> Result<Self, ModelError> {
        let wrong = |setting, problem: String| Err(ModelError::Setting { setting, problem });
        if options.rows == 0 || options.bytes == 0 {
            return wrong("batch", "a file must hold at least one request".to_owned());
        }
        std::fs::create_dir_all(dir).map_err(|e| io_error("cannot make", dir, &e))?;
        if dir.join(name(1)).exists() {
            return wrong(
                "batch",
                format!("{} holds requests already; remove them or name another folder", dir.display()),
            );
        }
        let info = options.info()?;
        Ok(Self {
            info,
            options,
            dir: dir.to_owned(),
            file: None,
            filled: (0, 0),
            written: HashSet::new(),
            files: Vec::new(),
        })
    }

    /// Closes the last file; all files, and how many requests are in them.
    ///
    /// # Errors
    /// When what is left cannot be written.
    pub fn finish(mut self) -> Result<(Vec<PathBuf>, usize), ModelError> {
        self.close()?;
        Ok((self.files, self.written.len()))
    }

    fn close(&mut self) -> Result<(), ModelError> {
        let Some((path, file)) = self.file.take() else { return Ok(()) };
        let synced =
            file.into_inner().map_err(std::io::IntoInnerError::into_error).and_then(|f| f.sync_all());
        synced.map_err(|e| io_error("cannot write", &path, &e))
    }

    fn put(&mut self, ask: &Ask) -> Result<(), ModelError> {
        let (id, written) = self.options.request(ask)?;
        if !self.written.insert(id.clone()) {
            return Ok(());
        }
        let body: Value =
            serde_json::from_str(&written.body).map_err(|e| ModelError::Compute(e.to_string()))?;
        let line = json!({ "custom_id": id, "method": "POST", "url": "/v1/chat/completions", "body": body });
        let line = format!("{line}\n");
        let bytes = line.len() as u64;
        if bytes > self.options.bytes {
            self.written.remove(&id);
            let most = self.options.bytes;
            let reason = format!(
                "one request has {bytes} bytes, a file may have {most}; use --picture-bytes or allow more"
            );
            return Err(ModelError::Served { reason, retry: Retry::Barred });
        }
        if self.filled.0 >= self.options.rows || self.filled.1 + bytes > self.options.bytes {
            self.close()?;
        }
        if self.file.is_none() {
            let path = self.dir.join(name(self.files.len() + 1));
            let file = File::create_new(&path).map_err(|e| io_error("cannot make", &path, &e))?;
            self.files.push(path.clone());
            self.file = Some((path, BufWriter::new(file)));
            self.filled = (0, 0);
        }
        if let Some((path, file)) = &mut self.file {
            file.write_all(line.as_bytes()).map_err(|e| io_error("cannot write", path, &e))?;
        }
        self.filled = (self.filled.0 + 1, self.filled.1 + bytes);
        Ok(())
    }
}

fn name(number: usize) -> String {
    format!("requests-{number:03}.jsonl")
}

impl VisionLanguageModel for BatchWriter {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        one_by_one(asks, replies, |ask| {
            self.put(&ask)?;
            Err(ModelError::Served { reason: "written to be answered later".to_owned(), retry: Retry::Later })
        });
    }
}

/// The results of a batch: outputs and errors, in any order and any number of files.
#[derive(Debug)]
pub struct BatchResults {
    info: ModelInfo,
    options: BatchOptions,
    files: Vec<(PathBuf, File)>,
    /// By `custom_id`: which file, and where its line lies.
    lines: HashMap<String, (usize, u64, u64)>,
    /// Lines that are no results.
    damaged: usize,
    used: HashSet<String>,
}

#[derive(Deserialize)]
struct Line {
    custom_id: String,
    #[serde(default)]
    response: Option<Response>,
    #[serde(default)]
    error: Option<Value>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status_code: Option<u16>,
    #[serde(default)]
    body: Value,
}

impl Line {
    /// A result that is no failure.
    fn is_reply(&self) -> bool {
        self.error.as_ref().is_none_or(Value::is_null)
            && self.status().is_some_and(|s| (200..300).contains(&s))
    }

    /// The status of its response, or of the error within a response that is fine by its status.
    fn status(&self) -> Option<u16> {
        let Response { status_code, body } = self.response.as_ref()?;
        match status_code.unwrap_or(200) {
            200..=299 => error_within(body).or(Some(200)),
            status => Some(status),
        }
    }
}

impl BatchResults {
    /// Reads which results there are. Where a request has several, as after it was sent again, a reply counts before
    /// a failure and the last one before others.
    ///
    /// # Errors
    /// When a file cannot be read, or none of them holds a result.
    pub fn open(files: &[PathBuf], options: BatchOptions) -> Result<Self, ModelError> {
        let mut lines: HashMap<String, (usize, u64, u64)> = HashMap::new();
        let mut replies = HashSet::new();
        let (mut open, mut damaged) = (Vec::new(), 0);
        for (number, path) in files.iter().enumerate() {
            let failed = |e: &std::io::Error| io_error("cannot read", path, e);
            let mut reader = BufReader::new(open_regular(path).map_err(|e| failed(&e))?);
            let mut at = 0u64;
            loop {
                let mut text = Vec::new();
                let read =
                    (&mut reader).take(MOST_LINE).read_until(b'\n', &mut text).map_err(|e| failed(&e))?
                        as u64;
                if read == 0 {
                    break;
                }
                match serde_json::from_slice::<Line>(&text) {
                    Ok(line) if line.is_reply() || !replies.contains(&line.custom_id) => {
                        if line.is_reply() {
                            replies.insert(line.custom_id.clone());
                        }
                        lines.insert(line.custom_id, (number, at, read));
                    }
                    Ok(_) => {}
                    Err(_) => damaged += usize::from(!text.trim_ascii().is_empty()),
                }
                at += read;
            }
            open.push((path.clone(), reader.into_inner()));
        }
        if lines.is_empty() {
            let problem =
                "these files hold no results of a batch: lines with a custom_id and a response or an error";
            return Err(ModelError::Setting { setting: "results", problem: problem.to_owned() });
        }
        let info = options.info()?;
        Ok(Self { info, options, files: open, lines, damaged, used: HashSet::new() })
    }

    /// Lines that are no results.
    pub fn damaged(&self) -> usize {
        self.damaged
    }

    /// Results that belong to nothing that was asked.
    pub fn unused(&self) -> usize {
        self.lines.len() - self.used.len()
    }

    fn answer(&mut self, ask: &Ask) -> Result<Reply, ModelError> {
        let (id, written) = self.options.request(ask)?;
        let Some(&(file, at, bytes)) = self.lines.get(&id) else {
            return Err(ModelError::Served { reason: "no result yet".to_owned(), retry: Retry::Later });
        };
        let line = self.line(file, at, bytes)?;
        self.used.insert(id);
        let failed = |error: EndpointError| own(&error, 1);
        if !line.is_reply() {
            return Err(failure(&line));
        }
        let body = line.response.map(|r| r.body).unwrap_or_default();
        let offered = options::wanted(ask.limits.options.as_ref())?;
        let mut reply = match offered {
            [] => {
                let mut reply = reply::chat(&body, ask).map_err(failed)?;
                reply::place(&mut reply, ask, &self.options.box_dialect);
                reply
            }
            offered => options::from_first_token(&body, offered).map_err(failed)?,
        };
        if let Some(served) = &mut reply.served {
            (served.request_sha256, served.pictures) = (written.sha256, written.pictures);
            served.not_sent = written.not_sent;
        }
        ReplyForm::settled(ask.limits.form.as_ref().filter(|_| offered.is_empty()), reply)
    }

    fn line(&mut self, file: usize, at: u64, bytes: u64) -> Result<Line, ModelError> {
        let lost = || ModelError::Compute("the file of results changed while it was read".to_owned());
        let (path, file) = self.files.get_mut(file).ok_or_else(lost)?;
        let failed = |e: &std::io::Error| io_error("cannot read", path, e);
        file.seek(SeekFrom::Start(at)).map_err(|e| failed(&e))?;
        let mut text = Vec::new();
        file.take(bytes).read_to_end(&mut text).map_err(|e| failed(&e))?;
        serde_json::from_slice(&text).map_err(|_| lost())
    }
}

/// Why a request has no reply, without the words of the server, which may repeat what was asked.
fn failure(line: &Line) -> ModelError {
    let within = line.response.as_ref().and_then(|r| error_in(&r.body));
    let error = line.error.as_ref().filter(|error| !error.is_null()).or(within);
    let failed = line.status().filter(|status| !(200..300).contains(status));
    let status = failed.or_else(|| status_of(error?));
    let code = error.and_then(|e| e.get("code")?.as_str());
    // A name, and no number, which is the status.
    let plain = |c: &&str| {
        let letters = c.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        c.len() <= 60 && letters && !c.bytes().all(|b| b.is_ascii_digit())
    };
    let what = match (status, code.filter(plain)) {
        (None, None) => String::new(),
        (None, Some(code)) => format!(" ({code})"),
        (Some(status), None) => format!(" (status {status})"),
        (Some(status), Some(code)) => format!(" (status {status}, {code})"),
    };
    let reason = format!("the batch has no reply to this request{what}");
    // What the request is at fault for stays so.
    let meant = status.map(|status| meant(status, error.unwrap_or(&Value::Null), None));
    let own = meant.is_some_and(|meant| !meant.may_pass() && !meant.is_of_endpoint());
    let retry = if own { Retry::Never } else { Retry::May };
    ModelError::Served { reason, retry }
}

impl VisionLanguageModel for BatchResults {
    fn info(&self) -> &ModelInfo {
        &self.info
    }

    fn serve(&mut self, asks: &mut dyn AskSource, replies: &mut dyn ReplySink) {
        one_by_one(asks, replies, |ask| self.answer(&ask));
    }
}
