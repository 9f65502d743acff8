//! What a server says about itself: its models, its version, its headers.

use crate::error::EndpointError;
use crate::wire::{Said, Wire};
use loupe_core::words::did_you_mean;
use serde_json::Value;
use std::time::Duration;

/// Longest time for a look at a server.
const LOOK: Duration = Duration::from_secs(10);
/// Names that are listed in an error.
const MOST_NAMES: usize = 10;

/// What is known of a served model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Identity {
    /// Its name at the server.
    pub(crate) model: String,
    /// What serves it, in words.
    pub(crate) server: Option<String>,
    /// Most tokens of a conversation.
    pub(crate) context: Option<usize>,
}

/// Why a server or its model cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unknown {
    /// It does not answer.
    Away(EndpointError),
    /// It answers, and cannot be used so.
    Wrong(String),
}

/// Is anybody there? Any answer counts that is no fault of the server.
pub(crate) fn is_there(wire: &Wire) -> bool {
    wire.get(&format!("{}/models", wire.base()), LOOK).is_ok_and(|(status, _)| status < 500)
}

/// Asks the server what it is and whether it has the model; without a name the only one that it has.
pub(crate) fn identify(wire: &Wire, name: Option<&str>) -> Result<Identity, Unknown> {
    let (status, said) = wire.get(&format!("{}/models", wire.base()), LOOK).map_err(Unknown::Away)?;
    match status {
        401 | 403 => {
            return Err(Unknown::Wrong(format!(
                "the server lets nobody in without the right key (status {status}); name the variable or the file that holds it"
            )));
        }
        500.. => return Err(Unknown::Away(EndpointError::Busy(status))),
        300..=399 => return Err(Unknown::Wrong(EndpointError::Elsewhere(status).to_string())),
        _ => {}
    }
    let list = said.as_ref().and_then(|s| s.value.get("data")).and_then(Value::as_array);
    let Some(list) = list else {
        // Gateways without a list: whether the model is there shows with the first request.
        let model = name.ok_or_else(|| {
            Unknown::Wrong(
                "the server does not list its models; name one, as in http://HOST:PORT/v1#NAME".to_owned(),
            )
        })?;
        return Ok(Identity {
            model: model.to_owned(),
            server: version(wire, said.as_ref(), None),
            context: None,
        });
    };
    let names: Vec<&str> = list.iter().filter_map(|m| m.get("id")?.as_str()).collect();
    let listed = || {
        let more = if names.len() > MOST_NAMES { ", …" } else { "" };
        let some: Vec<String> = names.iter().take(MOST_NAMES).map(|name| plain(name)).collect();
        format!("{}{more}", some.join(", "))
    };
    let entry = |name: &str| list.iter().find(|m| m.get("id").and_then(Value::as_str) == Some(name));
    let entry = match (name, names.as_slice()) {
        (Some(name), _) => entry(name).ok_or_else(|| {
            let meant = did_you_mean(name, names.iter().copied());
            Unknown::Wrong(format!("the server has no model {name:?}{meant}; it has {}", listed()))
        })?,
        (None, [only]) => entry(only).ok_or_else(|| Unknown::Wrong("the server has no model".to_owned()))?,
        (None, []) => return Err(Unknown::Wrong("the server has no model".to_owned())),
        (None, _) => {
            let words = "the server has several models; name one, as in http://HOST:PORT/v1#NAME";
            return Err(Unknown::Wrong(format!("{words}: {}", listed())));
        }
    };
    let context = ["max_model_len", "context_length", "context_window"];
    let context = context
        .iter()
        .find_map(|at| entry.get(*at)?.as_u64())
        .or_else(|| entry.pointer("/meta/n_ctx_train")?.as_u64());
    Ok(Identity {
        model: entry.get("id").and_then(Value::as_str).unwrap_or_default().to_owned(),
        server: version(wire, said.as_ref(), Some(entry)),
        context: context.and_then(|n| usize::try_from(n).ok()),
    })
}

/// What serves the model: its owner and root as the list has them, the version that the server gives beside its
/// interface, and the header that it signs with. No times, so that a server that was started again is the same.
fn version(wire: &Wire, said: Option<&Said>, entry: Option<&Value>) -> Option<String> {
    let mut words = Vec::new();
    let text =
        |value: &Value, at: &str| value.get(at).and_then(Value::as_str).map(plain).filter(|w| !w.is_empty());
    if let Some(entry) = entry {
        words.extend(text(entry, "owned_by").map(|w| format!("owned by {w}")));
        let id = entry.get("id").and_then(Value::as_str);
        // A folder of the server's machine says nothing to others; the name of a repository does.
        let root = text(entry, "root").filter(|root| Some(root.as_str()) != id && !root.starts_with('/'));
        words.extend(root.map(|w| format!("root {w}")));
    }
    let above = wire.base().strip_suffix("/v1").unwrap_or(wire.base());
    if let Ok((200..=299, Some(said))) = wire.get(&format!("{above}/version"), LOOK) {
        words.extend(text(&said.value, "version").map(|w| format!("version {w}")));
    }
    words.extend(said.and_then(|s| s.server.as_deref()).map(plain).map(|w| format!("server {w}")));
    (!words.is_empty()).then(|| words.join(", "))
}

/// A short line of plain letters.
fn plain(words: &str) -> String {
    words.chars().filter(|c| !c.is_control()).take(100).collect::<String>().trim().to_owned()
}
