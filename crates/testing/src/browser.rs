//! A headless Chromium over its debugging pipe: pages are loaded, keys pressed and what is seen is read, as a person at a
//! keyboard would; nothing is put into the page's file.

use serde_json::{Value, json};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Path of a Chromium: `LOUPE_CHROMIUM`, or one on the path; says that the test is skipped when there is none.
pub fn chromium() -> Option<PathBuf> {
    if let Some(path) = std::env::var_os("LOUPE_CHROMIUM") {
        return Some(path.into());
    }
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = std::env::var_os("PATH").and_then(|path| {
        std::env::split_paths(&path).flat_map(|dir| names.map(|n| dir.join(n))).find(|file| file.is_file())
    });
    if found.is_none() {
        eprintln!("SKIPPED: no Chromium found; set LOUPE_CHROMIUM to its path to test pages in a browser");
    }
    found
}

/// A running browser with one page.
pub struct Browser {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
    session: String,
    next: u64,
    /// Addresses of all requests that were made.
    pub requests: Vec<String>,
    /// Errors and refusals that the page's console showed.
    pub errors: Vec<String>,
    _profile: Option<TempDir>,
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Browser {
    /// Starts one with a profile of its own; nothing without a Chromium.
    pub fn start(size: [u32; 2]) -> Option<Self> {
        let profile = tempfile::tempdir().unwrap();
        let mut browser = Self::with_profile(size, profile.path())?;
        browser._profile = Some(profile);
        Some(browser)
    }

    /// Starts one that keeps what pages store in `profile`.
    pub fn with_profile(size: [u32; 2], profile: &Path) -> Option<Self> {
        let chromium = chromium()?;
        // The browser speaks on descriptors 3 and 4.
        let mut child = Command::new("sh")
            .args(["-c", "exec \"$0\" \"$@\" 3<&0 4>&1 1>&2 2>/dev/null"])
            .arg(chromium)
            .args([
                "--headless",
                "--no-sandbox",
                "--disable-gpu",
                "--remote-debugging-pipe",
                "--hide-scrollbars",
            ])
            .arg(format!("--window-size={},{}", size[0], size[1]))
            .arg(format!("--user-data-dir={}", profile.display()))
            .arg("about:blank")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (to, from) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut browser = Self {
            child,
            to,
            from,
            session: String::new(),
            next: 0,
            requests: Vec::new(),
            errors: Vec::new(),
            _profile: None,
        };
        let target = browser.call("Target.createTarget", &json!({ "url": "about:blank" }));
        let attached = browser
            .call("Target.attachToTarget", &json!({ "targetId": target["targetId"], "flatten": true }));
        browser.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser.resize(size, 1.0);
        Some(browser)
    }

    /// Calls a method of the protocol and returns its result.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.next += 1;
        let id = self.next;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if !self.session.is_empty() {
            message["sessionId"] = self.session.clone().into();
        }
        self.to.write_all(message.to_string().as_bytes()).unwrap();
        self.to.write_all(&[0]).unwrap();
        self.to.flush().unwrap();
        loop {
            let mut bytes = Vec::new();
            self.from.read_until(0, &mut bytes).unwrap();
            assert_eq!(bytes.pop(), Some(0), "the browser has ended");
            let said: Value = serde_json::from_slice(&bytes).unwrap();
            if said["id"] == id {
                assert_eq!(said["error"], Value::Null, "{method}: {said}");
                return said["result"].clone();
            }
            self.note(&said);
        }
    }

    fn note(&mut self, said: &Value) {
        let params = &said["params"];
        match said["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                self.requests.push(params["request"]["url"].as_str().unwrap_or_default().to_owned());
            }
            "Runtime.exceptionThrown" => self.errors.push(params["exceptionDetails"].to_string()),
            "Log.entryAdded" if params["entry"]["level"] == "error" => {
                self.errors.push(params["entry"]["text"].to_string());
            }
            "Runtime.consoleAPICalled" if params["type"] == "error" => {
                self.errors.push(params["args"].to_string());
            }
            _ => {}
        }
    }

    /// Closes the browser as a person does, so that it writes down what pages have stored.
    pub fn close(mut self) {
        self.next += 1;
        let message = json!({ "id": self.next, "method": "Browser.close" });
        self.to.write_all(message.to_string().as_bytes()).unwrap();
        self.to.write_all(&[0]).unwrap();
        self.to.flush().unwrap();
        let begun = Instant::now();
        while self.child.try_wait().unwrap().is_none() {
            assert!(begun.elapsed() < Duration::from_secs(20), "the browser does not close");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Another size of the window, and pixels of the screen for one of the page.
    pub fn resize(&mut self, [width, height]: [u32; 2], ratio: f64) {
        let size = json!({ "width": width, "height": height, "deviceScaleFactor": ratio, "mobile": false });
        self.call("Emulation.setDeviceMetricsOverride", &size);
    }

    /// Opens a file and waits until it is loaded.
    pub fn open(&mut self, file: &Path) {
        let url = format!("file://{}", file.display());
        self.call("Page.navigate", &json!({ "url": url }));
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// The value of an expression.
    pub fn eval(&mut self, expression: &str) -> Value {
        let asked = json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let said = self.call("Runtime.evaluate", &asked);
        assert_eq!(said["exceptionDetails"], Value::Null, "{expression}: {said}");
        said["result"]["value"].clone()
    }

    /// Waits until an expression is true.
    pub fn wait(&mut self, expression: &str) {
        let begun = Instant::now();
        while self.eval(&format!("Boolean({expression})")) != true {
            assert!(begun.elapsed() < Duration::from_secs(30), "never true: {expression}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Presses a key by its name: `a`, `?`, `Enter`, `ArrowDown` …; `Shift+` before it holds that key.
    pub fn press(&mut self, name: &str) {
        let (modifiers, key) = match name.strip_prefix("Shift+") {
            Some(key) if !key.is_empty() => (8, key),
            _ => (0, name),
        };
        let text = match key {
            "Enter" => "\r",
            key if key.chars().count() == 1 => key,
            _ => "",
        };
        let code = match key {
            "Enter" => 13,
            "Tab" => 9,
            "Escape" => 27,
            "Delete" => 46,
            "Backspace" => 8,
            "ArrowLeft" => 37,
            "ArrowUp" => 38,
            "ArrowRight" => 39,
            "ArrowDown" => 40,
            "Home" => 36,
            "End" => 35,
            "PageUp" => 33,
            "PageDown" => 34,
            key => key.chars().next().map_or(0, |c| u32::from(c.to_ascii_uppercase())),
        };
        for kind in ["keyDown", "keyUp"] {
            let text = if kind == "keyDown" { text } else { "" };
            let event = json!({ "type": kind, "key": key, "text": text, "windowsVirtualKeyCode": code, "modifiers": modifiers });
            self.call("Input.dispatchKeyEvent", &event);
        }
    }

    /// Types words, a key each.
    pub fn type_words(&mut self, words: &str) {
        for c in words.chars() {
            self.press(&c.to_string());
        }
    }

    /// Drags with the left button from one place of the page to another, in its pixels.
    pub fn drag(&mut self, from: [f64; 2], to: [f64; 2]) {
        let at = |kind: &str, [x, y]: [f64; 2], buttons: u32| json!({ "type": kind, "x": x, "y": y, "button": "left", "buttons": buttons, "clickCount": 1 });
        self.call("Input.dispatchMouseEvent", &at("mouseMoved", from, 0));
        self.call("Input.dispatchMouseEvent", &at("mousePressed", from, 1));
        self.call("Input.dispatchMouseEvent", &at("mouseMoved", to, 1));
        self.call("Input.dispatchMouseEvent", &at("mouseReleased", to, 0));
    }

    /// A screenshot as base64 of a PNG.
    pub fn screenshot(&mut self) -> String {
        self.call("Page.captureScreenshot", &json!({}))["data"].as_str().unwrap().to_owned()
    }

    /// Has the page asked for anything but itself, or shown an error?
    pub fn assert_quiet(&self) {
        let asked: Vec<&String> = self
            .requests
            .iter()
            .filter(|r| !["file:", "data:", "blob:", "about:"].iter().any(|own| r.starts_with(own)))
            .collect();
        assert!(asked.is_empty(), "requests: {asked:?}");
        assert!(self.requests.iter().filter(|r| r.starts_with("file:")).all(|r| r.ends_with(".html")));
        assert!(self.errors.is_empty(), "errors: {:?}", self.errors);
    }
}
