//! Files are fetched from named hosts, and whatever these do ends in a file or an error within its bounds.

use loupe_core::{FetchError, MediaFetcher};
use loupe_remote::{FetchHost, HostFetcher};
use loupe_testing::server::{Do, Server, status};
use std::io::{Read, Write};
use std::net::TcpListener;
use std::time::{Duration, Instant};

const LONG: Duration = Duration::from_secs(60);
const SHORT: Duration = Duration::from_millis(600);

/// A server without the path that servers of models have.
fn host(server: &Server) -> String {
    server.base.trim_end_matches("/v1").to_owned()
}

fn fetcher(hosts: &[&str]) -> HostFetcher {
    HostFetcher::new(hosts.iter().map(|host| FetchHost::parse(host).unwrap()).collect())
}

fn file(words: &str) -> Do {
    Do::Answer(200, "content-type: image/png\r\n".to_owned(), words.to_owned())
}

#[test]
fn a_file_of_a_named_host_is_fetched_without_anything_that_lets_in() {
    let server = Server::raw(|_| file("PNG"));
    let fetcher = fetcher(&["elsewhere.example.org", &host(&server)]);
    let address = format!("{}/a%20b/c.png?key=s3cret#part", host(&server));
    assert_eq!(fetcher.fetch(&address, 3, LONG), Ok(b"PNG".to_vec()));
    let asked = server.asked.lock().unwrap().clone();
    assert_eq!(asked[0].line, "GET /a%20b/c.png?key=s3cret HTTP/1.1");
    let head = asked[0].head.to_ascii_lowercase();
    assert!(head.contains("user-agent: loupe/"), "{head}");
    for secret in ["authorization", "cookie", "referer"] {
        assert!(!head.contains(secret), "{head}");
    }
}

#[test]
fn what_is_no_file_is_an_error_that_holds_nothing_of_the_address() {
    let server = Server::raw(|request| match request.line.split(['/', '?']).nth(1).unwrap_or_default() {
        "there" => Do::Answer(302, "location: http://169.254.169.254/latest\r\n".into(), "PNG".into()),
        "here" => Do::Answer(307, "location: /good\r\n".into(), String::new()),
        "gone" => status(404),
        "part" => Do::Answer(206, String::new(), "PN".into()),
        "empty" => file(""),
        "cut" => Do::Raw(b"HTTP/1.1 200 X\r\ncontent-length: 9\r\n\r\nPNG".to_vec()),
        "other" => Do::Raw(b"SSH-2.0-x\r\n\r\n".to_vec()),
        "chunks" => Do::Raw(b"HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\nzz\r\nPNG\r\n".to_vec()),
        "reset" => Do::Reset,
        _ => file("PNG"),
    });
    let fetcher = fetcher(&[&host(&server)]);
    let failed = |path: &str| {
        let error = fetcher.fetch(&format!("{}/{path}?key=s3cret", host(&server)), 100, LONG).unwrap_err();
        assert!(!error.to_string().contains("s3cret") && !error.to_string().contains("127.0"), "{error}");
        error
    };
    assert_eq!(failed("there"), FetchError::Redirect(302));
    assert_eq!(failed("here"), FetchError::Redirect(307));
    assert_eq!(failed("gone"), FetchError::Status(404));
    assert_eq!(failed("part"), FetchError::Status(206));
    for broken in ["empty", "cut", "other", "chunks", "reset"] {
        assert!(matches!(failed(broken), FetchError::Unreachable(_)), "{broken}: {}", failed(broken));
    }
    // Nothing was asked for at the places that redirects named.
    let asked = server.asked.lock().unwrap();
    assert!(asked.iter().all(|r| r.line.contains("key=s3cret")), "{asked:?}");
}

#[test]
fn files_have_a_limit_with_and_without_a_stated_length() {
    let server = Server::raw(|request| match request.line.contains("/chunks") {
        false => file(&"x".repeat(1000)),
        true => {
            let part = format!("190\r\n{}\r\n", "x".repeat(400));
            Do::Raw(
                format!("HTTP/1.1 200 X\r\ntransfer-encoding: chunked\r\n\r\n{}0\r\n\r\n", part.repeat(3))
                    .into(),
            )
        }
    });
    let fetcher = fetcher(&[&host(&server)]);
    for (path, length) in [("stated", 1000), ("chunks", 1200)] {
        let fetch = |most: usize| fetcher.fetch(&format!("{}/{path}", host(&server)), most, LONG);
        assert_eq!(fetch(length).map(|bytes| bytes.len()), Ok(length), "{path}");
        assert_eq!(fetch(length - 1), Err(FetchError::TooLarge(length - 1)), "{path}");
        assert_eq!(fetch(0), Err(FetchError::TooLarge(0)), "{path}");
    }
}

/// One that never answers, and one that gives a byte at a time for ever.
#[test]
fn a_host_that_hangs_is_given_up() {
    let silent = Server::raw(|_| Do::Hang(Duration::from_secs(20)));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let dripping = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten().take(1) {
            let _ = stream.read(&mut [0; 1000]);
            let _ = stream.write_all(b"HTTP/1.1 200 X\r\ncontent-length: 100000\r\n\r\n");
            while stream.write_all(b"x").is_ok() {
                std::thread::sleep(Duration::from_millis(20));
            }
        }
    });
    for host in [host(&silent), dripping] {
        let began = Instant::now();
        let error = fetcher(&[&host]).fetch(&format!("{host}/a"), 1 << 20, SHORT).unwrap_err();
        assert_eq!(error, FetchError::TimedOut(1), "{host}");
        assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    }
}

/// `127.1` is a name to this program, and the system takes it for 127.0.0.1, as a name under somebody else's hand may
/// suddenly lead there too.
#[test]
fn a_name_that_leads_into_a_private_network_is_refused_unless_named_with_its_address() {
    let server = Server::raw(|_| file("PNG"));
    let port = host(&server).rsplit(':').next().unwrap().to_owned();
    let named = format!("http://127.1:{port}");
    let address = format!("{named}/a.png");
    assert_eq!(fetcher(&[&named]).fetch(&address, 10, LONG), Err(FetchError::Private));
    assert_eq!(fetcher(&[&host(&server)]).fetch(&address, 10, LONG), Err(FetchError::NotAllowed));
    assert!(server.asked.lock().unwrap().is_empty());
    assert_eq!(fetcher(&[&format!("{named}=127.0.0.1")]).fetch(&address, 10, LONG), Ok(b"PNG".to_vec()));
    // A name that nobody knows is not looked up where it is pinned.
    let pinned = format!("http://pictures.invalid:{port}=127.0.0.1");
    let fetched = fetcher(&[&pinned]).fetch(&format!("http://Pictures.invalid:{port}/a"), 10, LONG);
    assert_eq!(fetched, Ok(b"PNG".to_vec()));
    assert!(server.asked.lock().unwrap()[1].head.to_ascii_lowercase().contains("host: pictures.invalid"));
}

#[test]
fn a_host_without_tls_is_no_https() {
    let server = Server::raw(|_| Do::Raw(b"HTTP/1.1 400 X\r\n\r\n".to_vec()));
    let secure = host(&server).replace("http://", "https://");
    let error = fetcher(&[&secure]).fetch(&format!("{secure}/a"), 10, LONG).unwrap_err();
    assert!(matches!(error, FetchError::Unreachable(_)), "{error}");
    // And the one named for http is not asked over TLS, nor the other way round.
    let plain = fetcher(&[&host(&server)]);
    assert_eq!(plain.fetch(&format!("{secure}/a"), 10, LONG), Err(FetchError::NotAllowed));
}
