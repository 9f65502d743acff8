//! From a request to its response.

use crate::api_error::ApiError;
use crate::aside::aside;
use crate::body::{Events, ResponseBody, drain, read};
use crate::chat::ChatRequest;
use crate::completion::Completion;
use crate::decisions::DecisionRequest;
use crate::desk::{Asked, Said, Ticket};
use crate::document;
use crate::house::{House, VERSION, now};
use hyper::body::Incoming;
use hyper::header::{
    ALLOW, AUTHORIZATION, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, EXPECT, HOST, HeaderValue, SERVER,
    WWW_AUTHENTICATE,
};
use hyper::http::request::Parts;
use hyper::{Method, Request, Response, StatusCode};
use loupe_core::{Ask, Picture};
use serde_json::{Value, json};
use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long what nobody reads is taken in before a refusal.
const LINGER: Duration = Duration::from_secs(5);

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Route {
    Health,
    Metrics,
    Version,
    Models,
    Model,
    Chat,
    Decisions,
    Unknown,
}

impl Route {
    fn of(path: &str) -> Self {
        match path {
            "/health" => Self::Health,
            "/metrics" => Self::Metrics,
            "/version" => Self::Version,
            "/v1/models" => Self::Models,
            "/v1/chat/completions" => Self::Chat,
            "/v1/decisions" => Self::Decisions,
            path if path.starts_with("/v1/models/") => Self::Model,
            _ => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Health => "/health",
            Self::Metrics => "/metrics",
            Self::Version => "/version",
            Self::Models => "/v1/models",
            Self::Model => "/v1/models/{id}",
            Self::Chat => "/v1/chat/completions",
            Self::Decisions => "/v1/decisions",
            Self::Unknown => "other",
        }
    }

    fn posts(self) -> bool {
        matches!(self, Self::Chat | Self::Decisions)
    }
}

/// Answers a request.
pub(crate) async fn respond(
    house: Arc<House>,
    request: Request<Incoming>,
) -> Result<Response<ResponseBody>, Infallible> {
    let since = Instant::now();
    let (head, body) = request.into_parts();
    let route = Route::of(head.uri.path());
    let response = match checked(&house, route, &head) {
        Ok(None) => Ok(page(&house, route, &head)),
        Ok(Some(ticket)) => answer(&house, route, &head, body, ticket, since).await,
        Err(error) => Err(after_body(&house, &head, body, error).await),
    };
    let mut response = response.unwrap_or_else(|error| refusal(&error));
    let headers = response.headers_mut();
    headers.insert(SERVER, HeaderValue::from_static(concat!("loupe/", env!("CARGO_PKG_VERSION"))));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    if house.desk.is_closing() {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    house.metrics.responded(route.name(), response.status().as_u16());
    Ok(response)
}

/// May the client ask for this? A ticket where the model is needed.
fn checked(house: &House, route: Route, head: &Parts) -> Result<Option<Ticket>, ApiError> {
    admitted(house, route, head)?;
    let allowed = if route.posts() { "POST" } else { "GET, HEAD" };
    if route == Route::Unknown {
        let message = "there is nothing here; the server has POST /v1/chat/completions, POST /v1/decisions, GET /v1/models, GET /version, GET /health and GET /metrics";
        return Err(ApiError::new(404, "unknown_path", message));
    }
    let fits = match route.posts() {
        true => head.method == Method::POST,
        false => head.method == Method::GET || head.method == Method::HEAD,
    };
    if !fits {
        let message = format!("{} is for {allowed}", route.name());
        return Err(ApiError::new(405, "method_not_allowed", message).with(ALLOW, allowed));
    }
    if !route.posts() {
        return Ok(None);
    }
    // Web pages can send other types to a server on this machine without being asked for leave.
    let kind = head.headers.get(CONTENT_TYPE).and_then(|v| v.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    if !kind.eq_ignore_ascii_case("application/json") {
        let message = "the content type must be application/json (curl: -H 'Content-Type: application/json')";
        return Err(ApiError::new(415, "content_type", message));
    }
    house.desk.enter().map(Some)
}

/// Is the client let in? Everybody sees /health. Without a token only requests to this machine by its own
/// names are, so that no web page reaches the server under a name that it made point here.
fn admitted(house: &House, route: Route, head: &Parts) -> Result<(), ApiError> {
    if route == Route::Health {
        return Ok(());
    }
    if let Some(token) = &house.token {
        let given = head.headers.get(AUTHORIZATION).is_some_and(|value| token.is_in(value.as_bytes()));
        return if given {
            Ok(())
        } else {
            let message = "this server needs its token, as Authorization: Bearer TOKEN (the API key of OpenAI's clients)";
            Err(ApiError::new(401, "invalid_api_key", message).with(WWW_AUTHENTICATE, "Bearer"))
        };
    }
    let host = head.uri.host().or_else(|| head.headers.get(HOST).and_then(|v| v.to_str().ok()));
    if host.is_none_or(is_this_machine) {
        return Ok(());
    }
    let message = "without a token this server is for this machine alone, by the name localhost or 127.0.0.1; give it a token to reach it by others";
    Err(ApiError::new(403, "foreign_host", message))
}

/// Does a host, with or without a port, name this machine?
fn is_this_machine(host: &str) -> bool {
    let name = match host.strip_prefix('[') {
        Some(rest) => rest.split(']').next().unwrap_or_default(),
        None if host.matches(':').count() == 1 => host.split(':').next().unwrap_or_default(),
        None => host,
    };
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// What is told without the model.
fn page(house: &House, route: Route, head: &Parts) -> Response<ResponseBody> {
    let body = match route {
        Route::Health if house.desk.is_closing() => {
            return json_page(StatusCode::SERVICE_UNAVAILABLE, &json!({"status": "going down"}));
        }
        Route::Health => json!({"status": "ok"}),
        Route::Version => json!({"version": VERSION, "server": "loupe"}),
        Route::Models => json!({"object": "list", "data": [house.model()]}),
        Route::Metrics => {
            let text = house.metrics.text(&house.census(), VERSION, &house.name);
            return with_type(StatusCode::OK, "text/plain; version=0.0.4", ResponseBody::of(text));
        }
        _ => {
            let asked = head.uri.path().strip_prefix("/v1/models/").unwrap_or_default();
            match house.check_name(&percent_decoded(asked)) {
                Ok(()) => house.model(),
                Err(error) => return refusal(&error),
            }
        }
    };
    json_page(StatusCode::OK, &body)
}

/// What the model is needed for.
async fn answer(
    house: &Arc<House>,
    route: Route,
    head: &Parts,
    mut body: Incoming,
    ticket: Ticket,
    since: Instant,
) -> Result<Response<ResponseBody>, ApiError> {
    let bytes = match read(&mut body, house.limits.body_bytes, house.limits.body_timeout).await {
        Ok(bytes) => bytes,
        Err(error) => return Err(after_body(house, head, body, error).await),
    };
    match route {
        Route::Decisions => decide(house, bytes, ticket, since).await,
        _ => complete(house, bytes, ticket, since).await,
    }
}

/// The error of a request whose body nobody reads, when the client has sent what it was about to send.
async fn after_body(house: &House, head: &Parts, body: Incoming, error: ApiError) -> ApiError {
    // A client that waits to be asked for its body has not begun to send it.
    if !head.headers.contains_key(EXPECT) {
        drain(body, house.limits.body_bytes, LINGER.min(house.limits.body_timeout)).await;
    }
    error
}

async fn complete(
    house: &Arc<House>,
    bytes: Vec<u8>,
    ticket: Ticket,
    since: Instant,
) -> Result<Response<ResponseBody>, ApiError> {
    let reading = Arc::clone(house);
    let mut request = aside(&house.decoders, move || {
        let body = document::read(&bytes)?;
        drop(bytes);
        let request = ChatRequest::read(body, reading.limits.reply_tokens, reading.draw())?;
        reading.check_name(&request.model)?;
        Ok(request)
    })
    .await?;
    let pictures = std::mem::take(&mut request.conversation.pictures);
    let (ticket, pictures) = shown(house, ticket, pictures).await?;
    let ChatRequest { model, shape, .. } = request;
    let ask = Ask { pictures, turns: request.conversation.turns, limits: request.limits };
    let completion = Completion {
        id: format!("chatcmpl-{:016x}", house.draw()),
        created: now(),
        model,
        fingerprint: house.fingerprint.clone(),
        vocabulary: house.vocabulary.clone(),
        shape,
        limits: house.info.settled(&ask.limits),
        warnings: warnings(&ask.pictures),
    };
    let mut asked = ticket.ask(ask)?;
    if !shape.stream {
        let reply = asked.whole().await.map_err(|e| ApiError::from(&e))?;
        house.metrics.took(since.elapsed());
        return Ok(json_page(StatusCode::OK, &completion.whole(&reply)));
    }
    // What fails before the first word has a status of its own.
    let first = asked.next().await;
    if let Said::Done(reply) = &first
        && let Err(error) = reply.as_ref()
    {
        return Err(ApiError::from(error));
    }
    let metrics = Arc::clone(&house.metrics);
    let events = Events::new(completion, asked, first, ticket, metrics, since);
    Ok(with_type(StatusCode::OK, "text/event-stream", ResponseBody::Events(Box::new(events))))
}

async fn decide(
    house: &Arc<House>,
    bytes: Vec<u8>,
    ticket: Ticket,
    since: Instant,
) -> Result<Response<ResponseBody>, ApiError> {
    let reading = Arc::clone(house);
    let mut request = aside(&house.decoders, move || {
        let body = document::read(&bytes)?;
        drop(bytes);
        let request = DecisionRequest::read(body)?;
        reading.check_name(&request.model)?;
        Ok(request)
    })
    .await?;
    let (ticket, pictures) = shown(house, ticket, request.take_pictures()).await?;
    let (asks, warned) = (request.asks(&pictures), warnings(&pictures));
    drop(pictures);
    // All are asked before the first is waited for, so that they run together.
    let asked: Vec<Asked> = asks.into_iter().map(|ask| ticket.ask(ask)).collect::<Result<_, _>>()?;
    let mut replies = Vec::new();
    for one in asked {
        replies.push(one.whole().await.map_err(|e| ApiError::from(&e))?);
    }
    house.metrics.took(since.elapsed());
    let mut response = request.response(&house.name, &replies)?;
    if !warned.is_empty() {
        response["loupe"] = json!({ "warnings": warned });
    }
    Ok(json_page(StatusCode::OK, &response))
}

/// What has to be said of pictures, each warning once.
fn warnings(pictures: &[Arc<Picture>]) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for warning in pictures.iter().flat_map(|picture| picture.origin.warnings()) {
        if all.iter().all(|known| known != warning) {
            all.push(warning.to_owned());
        }
    }
    all
}

/// The pictures of a request, fetched where that is allowed, and decoded.
async fn shown(
    house: &Arc<House>,
    mut ticket: Ticket,
    pictures: Vec<(String, String)>,
) -> Result<(Ticket, Vec<Arc<Picture>>), ApiError> {
    if pictures.is_empty() {
        return Ok((ticket, Vec::new()));
    }
    house.pictures.check_count(pictures.len())?;
    let files = house.fetching.files(pictures).await?;
    let decoding = Arc::clone(house);
    aside(&house.decoders, move || {
        let pictures = decoding.pictures.decode(&mut ticket, files)?;
        Ok((ticket, pictures))
    })
    .await
}

fn refusal(error: &ApiError) -> Response<ResponseBody> {
    let status = StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = json_page(status, &error.body());
    let headers = response.headers_mut();
    if let Some((name, value)) = error.header.as_deref() {
        headers.insert(name, value.clone());
    }
    // Whatever of the request is still to come, nobody reads it.
    if matches!(error.status, 408 | 413) {
        headers.insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}

fn json_page(status: StatusCode, body: &Value) -> Response<ResponseBody> {
    with_type(status, "application/json", ResponseBody::of(body.to_string()))
}

fn with_type(status: StatusCode, kind: &'static str, body: ResponseBody) -> Response<ResponseBody> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response
}

/// A part of a path with `%20` and the like read.
fn percent_decoded(text: &str) -> String {
    let mut out = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((byte, after)) = rest.split_first() {
        let digits = after.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
        match digits.and_then(|digits| u8::from_str_radix(digits, 16).ok()) {
            Some(code) if *byte == b'%' => {
                out.push(code);
                rest = after.get(2..).unwrap_or_default();
            }
            _ => {
                out.push(*byte);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&out).into_owned()
}

#[cfg(test)]
mod tests {
    #![allow(missing_docs)]
    use super::*;

    #[test]
    fn names_of_this_machine() {
        for own in ["localhost", "LOCALHOST:80", "127.0.0.1:8000", "127.8.9.1", "[::1]:80", "::1"] {
            assert!(is_this_machine(own), "{own}");
        }
        for other in ["", "localhost.evil.org", "evil.org:80", "10.0.0.1", "[::2]:80", "127.0.0.1.evil.org"] {
            assert!(!is_this_machine(other), "{other}");
        }
    }

    #[test]
    fn percent_signs_are_read() {
        assert_eq!(percent_decoded("a%20b%2Fc%zz%"), "a b/c%zz%");
    }
}
