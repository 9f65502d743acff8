//! Where a served model is: `http://HOST:PORT/v1#NAME`.

use thiserror::Error;

/// The address of a server and the name of a model there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    base: String,
    model: Option<String>,
}

/// Why words are no address of a served model.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AddressError {
    /// There is no host, or it is not http.
    #[error(
        "an address of a served model is written http://HOST:PORT/v1#NAME; this one has no http:// or https:// and host"
    )]
    Form,
    /// A user or password stands before the host.
    #[error(
        "the address holds a user or a password; leave them out and name a variable or a file that holds the key"
    )]
    Credentials,
    /// Parameters stand behind the path.
    #[error("the address holds parameters (`?…`), which are not sent; leave them out")]
    Parameters,
}

impl Address {
    /// Is this meant as an address, and not as a folder?
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("http://") || text.starts_with("https://")
    }

    /// Reads `http://HOST:PORT/v1#NAME`. Without `#NAME` the model is the only one that the server has.
    ///
    /// # Errors
    /// When it is none, or holds what would be a secret.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let (place, model) = text.split_once('#').map_or((text, None), |(place, name)| (place, Some(name)));
        let (scheme, rest) = place.split_once("://").ok_or(AddressError::Form)?;
        let host = rest.split('/').next().unwrap_or_default();
        if !matches!(scheme, "http" | "https")
            || host.trim().is_empty()
            || place.contains(char::is_whitespace)
        {
            return Err(AddressError::Form);
        }
        if host.contains('@') {
            return Err(AddressError::Credentials);
        }
        if rest.contains('?') {
            return Err(AddressError::Parameters);
        }
        let base = place.trim_end_matches('/');
        let base = base.strip_suffix("/chat/completions").unwrap_or(base);
        Ok(Self { base: base.to_owned(), model: model.filter(|m| !m.is_empty()).map(str::to_owned) })
    }

    /// The address without the name, and without a slash at its end.
    pub fn base(&self) -> &str {
        &self.base
    }

    /// The name of the model, where one was given.
    pub fn model(&self) -> Option<&str> {
        self.model.as_deref()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn addresses_are_read_and_secrets_in_them_refused() {
        let read = |text: &str| {
            let address = Address::parse(text).unwrap();
            (address.base().to_owned(), address.model().map(str::to_owned))
        };
        let some = |model: &str| Some(model.to_owned());
        assert_eq!(read("http://h:8000/v1#a/b-4b"), ("http://h:8000/v1".into(), some("a/b-4b")));
        assert_eq!(read("https://h/v1/#m:latest"), ("https://h/v1".into(), some("m:latest")));
        assert_eq!(read("http://[::1]:1/v1/chat/completions"), ("http://[::1]:1/v1".into(), None));
        assert_eq!(read("http://h/v1#").1, None);
        let refused = |text: &str| Address::parse(text).unwrap_err();
        assert_eq!(refused("http://me:secret@h/v1#m"), AddressError::Credentials);
        assert_eq!(refused("http://h/v1?key=secret#m"), AddressError::Parameters);
        for wrong in ["ftp://h/v1", "http:///v1", "h:8000/v1", "http://h /v1", ""] {
            assert_eq!(refused(wrong), AddressError::Form, "{wrong}");
        }
        assert!(!refused("http://me:secret@h/v1#m").to_string().contains("secret"));
    }
}
