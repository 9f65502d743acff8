//! A server on this machine that answers as it is told, wrongly too.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Request {
    /// Its first line.
    pub line: String,
    /// Its headers.
    pub head: String,
    /// The document in its body.
    pub body: Value,
}

impl Request {
    /// Does it go to this path?
    pub fn is(&self, path: &str) -> bool {
        self.line.split(' ').nth(1) == Some(path)
    }

    /// The last words of the last turn.
    pub fn words(&self) -> String {
        let content = self.body["messages"].as_array().and_then(|m| m.last()).map(|m| m["content"].clone());
        match content {
            Some(Value::String(words)) => words,
            Some(Value::Array(parts)) => {
                parts.last().and_then(|p| p["text"].as_str()).unwrap_or_default().to_owned()
            }
            _ => String::new(),
        }
    }
}

/// What is done with a request.
pub enum Do {
    /// A status, further headers (each with its line end) and a body.
    Answer(u16, String, String),
    /// Says nothing for so long, then goes away.
    Hang(Duration),
    /// Goes away at once.
    Reset,
    /// These bytes and no more.
    Raw(Vec<u8>),
}

/// A reply with these words.
pub fn says(words: &str) -> Do {
    let body = json!({
        "id": "1", "model": "m-served",
        "choices": [{ "index": 0, "message": { "role": "assistant", "content": words }, "finish_reason": "stop" }],
        "usage": { "prompt_tokens": 10, "completion_tokens": 2, "total_tokens": 12 },
    });
    Do::Answer(200, "content-type: application/json\r\n".to_owned(), body.to_string())
}

/// A status without words.
pub fn status(status: u16) -> Do {
    Do::Answer(status, String::new(), String::new())
}

/// A refusal as OpenAI words it.
pub fn refusal(status: u16, words: &str) -> Do {
    Do::Answer(status, String::new(), json!({ "error": { "message": words } }).to_string())
}

/// The server; gone when it is dropped.
pub struct Server {
    /// Its address up to `/v1`.
    pub base: String,
    /// All requests so far.
    pub asked: Arc<Mutex<Vec<Request>>>,
    most: Arc<AtomicUsize>,
    gone: Arc<AtomicBool>,
}

impl Server {
    /// Answers questions as `answer` says, which hears the number of the question from 0; has the model `m`.
    pub fn new(answer: impl Fn(usize, &Request) -> Do + Send + Sync + 'static) -> Self {
        let chat = AtomicUsize::new(0);
        Self::raw(move |request| match request {
            r if r.is("/v1/models") => {
                let list = json!({ "data": [{ "id": "m", "owned_by": "tests", "max_model_len": 4096 }] });
                Do::Answer(200, "server: fake/1\r\n".to_owned(), list.to_string())
            }
            r if r.is("/version") => Do::Answer(200, String::new(), json!({ "version": "9.1" }).to_string()),
            r if r.is("/v1/chat/completions") => answer(chat.fetch_add(1, Ordering::SeqCst), r),
            _ => status(404),
        })
    }

    /// Answers everything as `answer` says.
    pub fn raw(answer: impl Fn(&Request) -> Do + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let base = format!("http://{}/v1", listener.local_addr().unwrap());
        let asked = Arc::new(Mutex::new(Vec::new()));
        let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let gone = Arc::new(AtomicBool::new(false));
        let (heard, at_once, closed, answer) = (asked.clone(), most.clone(), gone.clone(), Arc::new(answer));
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                if closed.load(Ordering::SeqCst) {
                    return;
                }
                let (heard, answer, now, at_once) =
                    (heard.clone(), answer.clone(), now.clone(), at_once.clone());
                std::thread::spawn(move || {
                    let Some((request, stream)) = read(stream) else { return };
                    heard.lock().unwrap().push(request.clone());
                    at_once.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                    let done = answer(&request);
                    write(stream, done);
                    now.fetch_sub(1, Ordering::SeqCst);
                });
            }
        });
        Self { base, asked, most, gone }
    }

    /// Its address with the name of its model.
    pub fn address(&self) -> String {
        format!("{}#m", self.base)
    }

    /// Questions so far.
    pub fn questions(&self) -> Vec<Request> {
        let asked = self.asked.lock().unwrap();
        asked.iter().filter(|r| r.is("/v1/chat/completions")).cloned().collect()
    }

    /// Most requests at a time.
    pub fn most_at_once(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.gone.store(true, Ordering::SeqCst);
        // Wakes who waits for a connection.
        let _ = TcpStream::connect(self.base.trim_start_matches("http://").trim_end_matches("/v1"));
    }
}

fn read(stream: TcpStream) -> Option<(Request, TcpStream)> {
    let mut reader = BufReader::new(stream);
    let (mut length, mut line, mut head) = (0, String::new(), String::new());
    reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
    loop {
        let mut header = String::new();
        if reader.read_line(&mut header).unwrap_or(0) == 0 || header.trim().is_empty() {
            break;
        }
        if let Some(n) = header.to_lowercase().strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        head += &header;
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = serde_json::from_slice(&body).unwrap_or_default();
    Some((Request { line: line.trim().to_owned(), head, body }, reader.into_inner()))
}

fn write(mut stream: TcpStream, what: Do) {
    match what {
        Do::Answer(status, headers, body) => {
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status} X\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n"
            );
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body.as_bytes()));
        }
        Do::Hang(long) => std::thread::sleep(long),
        Do::Reset => {}
        Do::Raw(bytes) => drop(stream.write_all(&bytes)),
    }
}
