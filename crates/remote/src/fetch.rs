//! Files from hosts that were named, and from nowhere else.
//!
//! Whoever sends an address to a server makes that server connect somewhere. So only hosts that the operator named are
//! asked, and the network addresses of their names are looked at before one is connected to: a name must not lead into
//! the server's own network, where other machines trust it. The connection goes to the address that was looked at, so a
//! name that answers differently the next time gains nothing.

use loupe_core::{FetchError, MediaFetcher};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::{Duration, Instant};
use thiserror::Error;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{DefaultResolver, ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::{DefaultConnector, NextTimeout};

/// Longest time until there is a connection.
const CONNECT: Duration = Duration::from_secs(10);

/// A scheme, host and port that files are fetched from: `[https://|http://]HOST[:PORT][=ADDRESS]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FetchHost {
    /// Over TLS?
    secure: bool,
    /// In small letters; an IPv6 address in brackets.
    host: String,
    port: u16,
    /// The one network address that is connected to, where the host was named with it or is one.
    address: Option<IpAddr>,
}

/// Why words name no host.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "{0:?} names no host to fetch from; write HOST (https), HOST:PORT, http://HOST, or HOST=ADDRESS for one in a private network, without a path"
)]
pub struct FetchHostError(String);

impl FetchHost {
    /// Reads `[https://|http://]HOST[:PORT][=ADDRESS]`: https where nothing else is said, the usual port of the scheme,
    /// and with `=ADDRESS` the network address to connect to instead of what the name leads to. `localhost` and hosts that
    /// are network addresses are their own.
    ///
    /// # Errors
    /// When it holds anything else, such as a path.
    pub fn parse(text: &str) -> Result<Self, FetchHostError> {
        let wrong = || FetchHostError(text.to_owned());
        let (place, address) = match text.split_once('=') {
            None => (text, None),
            Some((place, address)) => (place, Some(address.parse::<IpAddr>().map_err(|_| wrong())?)),
        };
        let (secure, place) = match place.split_once("://") {
            None => (true, place),
            Some(("https", place)) => (true, place),
            Some(("http", place)) => (false, place),
            Some(_) => return Err(wrong()),
        };
        let uri: Uri = format!("https://{place}/").parse().map_err(|_| wrong())?;
        // What a path, a query or a user would add is more than a host and a port.
        let authority = uri.authority().filter(|a| a.as_str() == place && !place.contains('@'));
        let host = authority.map(|a| a.host().to_ascii_lowercase()).ok_or_else(wrong)?;
        // No patterns: what looks like one would never fit.
        let is_name =
            host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b)) && !host.is_empty();
        if !(is_name || host.starts_with('[') && literal(&host).is_some()) {
            return Err(wrong());
        }
        let port = match place.get(host.len()..).unwrap_or_default().strip_prefix(':') {
            None => {
                if secure {
                    443
                } else {
                    80
                }
            }
            Some(port) => port.parse().map_err(|_| wrong())?,
        };
        let own = if host == "localhost" { Some(Ipv4Addr::LOCALHOST.into()) } else { literal(&host) };
        Ok(Self { secure, address: address.or(own), host, port })
    }

    /// Is the address one of this host?
    fn holds(&self, uri: &Uri) -> bool {
        let scheme = if self.secure { "https" } else { "http" };
        let usual = if self.secure { 443 } else { 80 };
        uri.scheme_str() == Some(scheme)
            && uri.host().is_some_and(|host| host.eq_ignore_ascii_case(&self.host))
            && uri.port_u16().unwrap_or(usual) == self.port
    }
}

/// A host that is a network address.
fn literal(host: &str) -> Option<IpAddr> {
    let inside = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    inside.unwrap_or(host).parse().ok()
}

/// Fetches files from the hosts that it was made with. Redirects are not followed, proxies of the environment not used.
#[derive(Debug)]
pub struct HostFetcher {
    agent: ureq::Agent,
    hosts: Vec<FetchHost>,
}

impl HostFetcher {
    /// From these hosts.
    pub fn new(hosts: Vec<FetchHost>) -> Self {
        let config = ureq::Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .http_status_as_error(false)
            .max_redirects(0)
            .proxy(None)
            .user_agent(concat!("loupe/", env!("CARGO_PKG_VERSION")))
            .build();
        let resolver = CheckedResolver { hosts: hosts.clone(), names: DefaultResolver::default() };
        Self { agent: ureq::Agent::with_parts(config, DefaultConnector::default(), resolver), hosts }
    }
}

impl MediaFetcher for HostFetcher {
    fn fetch(&self, address: &str, most_bytes: usize, within: Duration) -> Result<Vec<u8>, FetchError> {
        let began = Instant::now();
        let uri: Uri = address.parse().map_err(|_| FetchError::Form)?;
        let authority = uri.authority().ok_or(FetchError::Form)?;
        if authority.as_str().contains('@') {
            return Err(FetchError::Credentials);
        }
        host_of(&self.hosts, &uri)?;
        let failed = |error: ureq::Error| fetch_error(&error, most_bytes, began);
        let request = self.agent.get(uri).config().timeout_global(Some(within)).build();
        let mut response = request.call().map_err(failed)?;
        match response.status().as_u16() {
            200 => {}
            status @ 300..=399 => return Err(FetchError::Redirect(status)),
            status => return Err(FetchError::Status(status)),
        }
        if response.body().content_length().is_some_and(|length| length > most_bytes as u64) {
            return Err(FetchError::TooLarge(most_bytes));
        }
        // At its limit the reader fails before it looks for the end.
        let limit = (most_bytes as u64).saturating_add(1);
        let bytes = response.body_mut().with_config().limit(limit).read_to_vec().map_err(failed)?;
        if bytes.is_empty() {
            return Err(FetchError::Unreachable("the file is empty"));
        }
        Ok(bytes)
    }
}

fn host_of<'a>(hosts: &'a [FetchHost], uri: &Uri) -> Result<&'a FetchHost, FetchError> {
    hosts.iter().find(|host| host.holds(uri)).ok_or(FetchError::NotAllowed)
}

/// What went wrong, in words that hold nothing of the address.
fn fetch_error(error: &ureq::Error, most_bytes: usize, began: Instant) -> FetchError {
    match error {
        ureq::Error::Other(ours) => match ours.downcast_ref::<FetchError>() {
            Some(ours) => ours.clone(),
            None => FetchError::Unreachable("the connection failed"),
        },
        ureq::Error::Timeout(_) => FetchError::TimedOut(began.elapsed().as_secs().max(1)),
        ureq::Error::BodyExceedsLimit(_) => FetchError::TooLarge(most_bytes),
        ureq::Error::HostNotFound => FetchError::Unreachable("the host's name is not known"),
        ureq::Error::Tls(_) | ureq::Error::Rustls(_) | ureq::Error::TlsRequired => {
            FetchError::Unreachable("no secure connection; is the certificate valid?")
        }
        ureq::Error::Protocol(_) => FetchError::Unreachable("the reply is no HTTP, or not whole"),
        ureq::Error::Io(e) => match e.kind() {
            std::io::ErrorKind::ConnectionRefused => FetchError::Unreachable("the connection was refused"),
            std::io::ErrorKind::UnexpectedEof | std::io::ErrorKind::ConnectionReset => {
                FetchError::Unreachable("the connection broke off")
            }
            std::io::ErrorKind::TimedOut => FetchError::TimedOut(began.elapsed().as_secs().max(1)),
            // TLS says so within its stream.
            std::io::ErrorKind::InvalidData => {
                FetchError::Unreachable("no secure connection; is the certificate valid?")
            }
            _ => FetchError::Unreachable("the connection failed, or the host's name is not known"),
        },
        _ => FetchError::Unreachable("the connection failed"),
    }
}

/// Finds the network addresses of named hosts alone, and only those that may be connected to.
#[derive(Debug)]
struct CheckedResolver {
    hosts: Vec<FetchHost>,
    names: DefaultResolver,
}

impl Resolver for CheckedResolver {
    fn resolve(
        &self,
        uri: &Uri,
        config: &Config,
        timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let refused = |error: FetchError| ureq::Error::Other(Box::new(error));
        let host = host_of(&self.hosts, uri).map_err(refused)?;
        if let Some(address) = host.address {
            let mut found = self.empty();
            found.push(SocketAddr::new(address, host.port));
            return Ok(found);
        }
        let found = self.names.resolve(uri, config, timeout)?;
        if found.iter().all(|address| is_public(address.ip())) {
            Ok(found)
        } else {
            Err(refused(FetchError::Private))
        }
    }
}

/// May everybody on the internet have this address? After the registries of special addresses (RFC 6890 and its
/// successors at IANA): all that is not globally reachable is not, nor what only wraps such an address.
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = matches!(
        (a, b, c),
        (0 | 10 | 127, ..)
            | (100, 64..=127, _)
            | (169, 254, _)
            | (172, 16..=31, _)
            // 192.0.0.0/24, examples, relays of 6to4.
            | (192, 0, 0 | 2)
            | (192, 88, 99)
            | (192, 168, _)
            // Measurements of networks, examples.
            | (198, 18..=19, _)
            | (198, 51, 100)
            | (203, 0, 113)
            // Groups, reserved, broadcast.
            | (224..=255, ..)
    );
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let parts = address.segments();
    let inner = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match parts {
        // An IPv4 address that is written as one of IPv6, or reached through NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => inner(high, low),
        // 6to4.
        [0x2002, high, low, ..] => inner(high, low),
        // Protocols (Teredo among them), examples.
        [0x2001, 0..=0x1ff, ..] | [0x2001, 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => false,
        // All that is given out to be reached globally.
        [first, ..] => first & 0xe000 == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    fn host(text: &str) -> FetchHost {
        FetchHost::parse(text).unwrap()
    }

    #[test]
    fn hosts_are_read() {
        let read = |text: &str| {
            let FetchHost { secure, host, port, address } = host(text);
            (secure, host, port, address.map(|a| a.to_string()))
        };
        let own = |address: &str| Some(address.to_owned());
        assert_eq!(read("Pictures.Example.org"), (true, "pictures.example.org".into(), 443, None));
        assert_eq!(read("https://h:8443"), (true, "h".into(), 8443, None));
        assert_eq!(read("http://h"), (false, "h".into(), 80, None));
        assert_eq!(
            read("pacs.example.org=10.1.2.3"),
            (true, "pacs.example.org".into(), 443, own("10.1.2.3"))
        );
        assert_eq!(read("http://h:81=fd00::1"), (false, "h".into(), 81, own("fd00::1")));
        assert_eq!(read("http://127.0.0.1:9"), (false, "127.0.0.1".into(), 9, own("127.0.0.1")));
        assert_eq!(read("[fd00::1]:9"), (true, "[fd00::1]".into(), 9, own("fd00::1")));
        assert_eq!(read("localhost"), (true, "localhost".into(), 443, own("127.0.0.1")));
        // No address in the usual form: a name, whose addresses are looked at.
        assert_eq!(read("0x7f.1").3, None);
        for wrong in [
            "",
            "*",
            "*.example.org",
            "h/",
            "h/a",
            "h?a",
            "h#a",
            "me@h",
            "me:pw@h",
            "ftp://h",
            "file:///etc",
            "h:",
            "h:0x",
            "h:99999",
            "h=",
            "h=name",
            "=10.0.0.1",
            "https://",
            "h h",
            "a\\b",
            "fd00::1",
        ] {
            assert!(FetchHost::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_the_scheme_host_and_port_that_were_named_fit() {
        let fits = |named: &str, address: &str| host(named).holds(&address.parse::<Uri>().unwrap());
        assert!(fits("h.org", "https://h.org/a.png?key=1"));
        assert!(fits("h.org", "HTTPS://H.ORG:443/a"));
        assert!(fits("[fd00::1]", "https://[fd00::1]/a"));
        for other in [
            "http://h.org/a",
            "https://h.org:444/a",
            "https://h.org./a",
            "https://a.h.org/a",
            "https://h.org.evil.net/a",
            "https://evil.net/h.org",
            "https://evil.net/?https://h.org",
        ] {
            assert!(!fits("h.org", other), "{other}");
        }
        let fetch = |address: &str| {
            HostFetcher::new(vec![host("h.org")]).fetch(address, 10, Duration::from_secs(1)).unwrap_err()
        };
        assert_eq!(fetch("https://h.org@evil.net/a"), FetchError::Credentials);
        assert_eq!(fetch("https://me:pw@h.org/a"), FetchError::Credentials);
        assert_eq!(fetch("https://evil.net/a"), FetchError::NotAllowed);
        assert_eq!(fetch("/a.png"), FetchError::Form);
        assert_eq!(fetch("https://h.org/a\r\nx: y"), FetchError::Form);
    }

    #[test]
    fn addresses_of_networks_that_not_everybody_reaches() {
        for public in
            ["8.8.8.8", "172.15.0.1", "172.32.0.1", "100.63.0.1", "192.0.1.1", "198.20.0.1", "223.9.9.9"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for public in
            ["2606:4700::1111", "2001:4860::8888", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::1"]
        {
            assert!(is_public(public.parse().unwrap()), "{public}");
        }
        for private in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "100.64.0.1",
            "100.127.0.1",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "203.0.113.1",
            "224.0.0.1",
            "255.255.255.255",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
        for private in [
            "::",
            "::1",
            "::7f00:1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::a00:1",
            "64:ff9b:1::1",
            "fc00::1",
            "fd12::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "2002:7f00:1::",
            "2002:a00:1::1",
            "2001::1",
            "2001:db8::1",
            "100::1",
            "3fff::1",
        ] {
            assert!(!is_public(private.parse().unwrap()), "{private}");
        }
    }
}
