//! A server in a thread, and a client that sends what it is told to, byte for byte.

use loupe_core::{MediaError, MediaLoader, MediaRef, MediaSource, Picture};
use loupe_serve::{Ended, ServeError, ServeOptions, Server, Stopper};
use loupe_testing::Speaker;
use loupe_testing::speaker::SpeakerWatch;
use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

/// The simplest picture file there is: two bytes of width and height, and the grey level of all pixels.
pub(crate) struct ThreeBytes;

impl MediaLoader for ThreeBytes {
    fn load(&self, media: &MediaRef) -> Result<Picture, MediaError> {
        let MediaSource::Bytes(bytes) = &media.source else { return Err(MediaError::NotFound) };
        match bytes[..] {
            [width, height, level] => {
                let (width, height) = (usize::from(width), usize::from(height));
                Ok(Picture::new(width, height, 1, vec![level; width * height]).unwrap())
            }
            [13] => panic!("a hostile file"),
            _ => Err(MediaError::UnknownFormat("no three bytes".into())),
        }
    }
}

/// A server at work.
pub(crate) struct Running {
    pub(crate) address: SocketAddr,
    pub(crate) stopper: Stopper,
    pub(crate) watch: SpeakerWatch,
    thread: Option<JoinHandle<Result<Ended, ServeError>>>,
}

/// On a free port of this machine.
pub(crate) fn options() -> ServeOptions {
    ServeOptions::new("127.0.0.1:0".parse().unwrap())
}

/// A server with the usual limits and a model with room for so many asks.
pub(crate) fn start(room: usize) -> Running {
    start_with(room, options())
}

pub(crate) fn start_with(room: usize, options: ServeOptions) -> Running {
    let server = Server::bind(options).unwrap();
    let (address, stopper) = (server.address(), server.stopper());
    let mut model = Speaker::with_room(room);
    let watch = model.watch.clone();
    let thread = std::thread::spawn(move || server.run(&mut model, Arc::new(ThreeBytes)));
    Running { address, stopper, watch, thread: Some(thread) }
}

impl Running {
    /// Waits for the server to end.
    pub(crate) fn ended(mut self) -> Result<Ended, ServeError> {
        self.thread.take().unwrap().join().unwrap()
    }

    /// A new connection.
    pub(crate) fn connect(&self) -> Client {
        Client::to(self.address)
    }

    /// One request on a connection of its own.
    pub(crate) fn post(&self, path: &str, body: &Value) -> Response {
        self.connect().post(path, body)
    }

    pub(crate) fn get(&self, path: &str) -> Response {
        let mut client = self.connect();
        client.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"));
        client.response()
    }

    /// A chat completion of these words.
    pub(crate) fn say(&self, words: &str) -> Response {
        self.post("/v1/chat/completions", &asking(words))
    }

    /// A number of /metrics.
    pub(crate) fn metric(&self, name: &str) -> f64 {
        let text = self.get("/metrics").text;
        let line = text.lines().find(|l| l.split(' ').next() == Some(name));
        line.unwrap_or_else(|| panic!("no {name} in {text}")).rsplit(' ').next().unwrap().parse().unwrap()
    }

    /// Waits until a number of /metrics is so.
    pub(crate) fn wait_for_metric(&self, name: &str, value: f64) {
        for _ in 0..6000 {
            if self.metric(name) == value {
                return;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("{name} is {}, not {value}", self.metric(name));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.watch.release();
        self.stopper.abandon();
        if let Some(thread) = self.thread.take()
            && !std::thread::panicking()
        {
            thread.join().unwrap().unwrap();
        }
    }
}

/// The request for a reply to these words.
pub(crate) fn asking(words: &str) -> Value {
    json!({"model": "speaker-1b", "messages": [{"role": "user", "content": words}]})
}

/// The request as bytes.
pub(crate) fn request(path: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

/// A connection.
pub(crate) struct Client {
    reader: BufReader<TcpStream>,
}

/// A response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    head: String,
    pub(crate) text: String,
}

impl Response {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// The words of the completion.
    pub(crate) fn words(&self) -> String {
        assert_eq!(self.status, 200, "{self:?}");
        self.json()["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
    }

    /// Status and code of an error, which must have the shape of OpenAI's.
    pub(crate) fn error(&self) -> (u16, String) {
        let error = &self.json()["error"];
        assert!(
            error["message"].as_str().is_some_and(|m| m.len() > 10) && error["type"].is_string(),
            "{self:?}"
        );
        assert!(error.as_object().unwrap().contains_key("param"), "{self:?}");
        (self.status, error["code"].as_str().unwrap().to_owned())
    }

    pub(crate) fn message(&self) -> String {
        self.json()["error"]["message"].as_str().unwrap().to_owned()
    }

    /// A header by its name in small letters.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The events of a stream, without the last `[DONE]`.
    pub(crate) fn events(&self) -> Vec<Value> {
        let mut lines: Vec<&str> = self.text.split("\n\n").filter(|l| !l.is_empty()).collect();
        assert_eq!(lines.pop(), Some("data: [DONE]"), "{self:?}");
        lines.iter().map(|l| serde_json::from_str(l.strip_prefix("data: ").unwrap()).unwrap()).collect()
    }
}

impl Client {
    pub(crate) fn to(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        Self { reader: BufReader::new(stream) }
    }

    /// The status of a response, if one comes.
    pub(crate) fn try_status(&mut self, bytes: &str) -> Option<u16> {
        self.reader.get_mut().write_all(bytes.as_bytes()).ok()?;
        let mut line = String::new();
        self.reader.read_line(&mut line).ok()?;
        line.split(' ').nth(1)?.parse().ok()
    }

    pub(crate) fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.reader.get_mut().write_all(bytes.as_ref()).unwrap();
    }

    pub(crate) fn post(&mut self, path: &str, body: &Value) -> Response {
        self.send(request(path, &body.to_string()));
        self.response()
    }

    pub(crate) fn line(&mut self) -> String {
        let mut line = String::new();
        self.reader.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Everything up to the end of the connection.
    pub(crate) fn rest(&mut self) -> Vec<u8> {
        let mut rest = Vec::new();
        let _ = self.reader.read_to_end(&mut rest);
        rest
    }

    /// The head of a response, in small letters.
    pub(crate) fn head(&mut self) -> (u16, String) {
        let mut head = String::new();
        loop {
            let line = self.line();
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").unwrap_or((&line, ""));
            head += &format!("{}: {value}\n", name.to_ascii_lowercase());
        }
        let status = head.split(' ').nth(1).and_then(|s| s.trim_end_matches([':', '\n']).parse().ok());
        (status.unwrap_or_else(|| panic!("no response: {head:?}")), head)
    }

    pub(crate) fn response(&mut self) -> Response {
        let (status, head) = self.head();
        let length = head.lines().find_map(|l| l.strip_prefix("content-length: ")?.parse::<usize>().ok());
        let mut bytes = Vec::new();
        match length {
            Some(length) => {
                bytes.resize(length, 0);
                self.reader.read_exact(&mut bytes).unwrap();
            }
            None => loop {
                let size = usize::from_str_radix(&self.line(), 16).unwrap();
                let mut chunk = vec![0; size + 2];
                self.reader.read_exact(&mut chunk).unwrap();
                if size == 0 {
                    break;
                }
                bytes.extend_from_slice(&chunk[..size]);
            },
        }
        Response { status, head, text: String::from_utf8(bytes).unwrap() }
    }
}
