//! One request and its answer: who may ask, what, and how the table's word is put. The rules of the table are the library's.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HeaderName, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE};
use hyper::{Method, Request, Response, StatusCode};
use parking_lot::Mutex;
use tokio::time::timeout;
use vixp2p::base::bootstrap::Token;
use vixp2p::base::limits;
use vixp2p::registry::json::{Announcement, write_error, write_peers};
use vixp2p::registry::{Entry, Refusal, Table};

use super::serve::source;
use super::store::Store;

/// The path v1 puts in front of everything.
const V1_BASE: &str = "/p2p/v1";

/// Everything the registry's connections share.
pub(super) struct State {
    table: Mutex<Table>,
    token: Option<Token>,
    store: Option<Store>,
    /// Unix time at the start, and the start: within one run time does not run backwards.
    epoch_ms: u64,
    started: Instant,
    requests: AtomicU64,
    announcements: AtomicU64,
    refused: AtomicU64,
    too_often: AtomicU64,
    closed: AtomicU64,
}

impl State {
    #[expect(clippy::disallowed_methods, reason = "the program is where clocks are read")]
    pub(super) fn new(ttl: Duration, token: Option<Token>, store: Option<Store>) -> State {
        State {
            table: Mutex::new(Table::new(ttl)),
            token,
            store,
            epoch_ms: SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_millis() as u64),
            started: Instant::now(),
            requests: AtomicU64::new(0),
            announcements: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            too_often: AtomicU64::new(0),
            closed: AtomicU64::new(0),
        }
    }

    fn now_ms(&self) -> u64 {
        self.epoch_ms.saturating_add(self.started.elapsed().as_millis() as u64)
    }

    /// Takes the entries of an earlier life; how many of them live on.
    pub(super) async fn restore(&self, entries: Vec<Entry>) -> usize {
        let now_ms = self.now_ms();
        let mut over = Vec::new();
        {
            let mut table = self.table.lock();
            for entry in entries {
                let key = entry.key();
                if !table.restore(now_ms, entry) {
                    over.push(key);
                }
            }
        }
        if let Some(store) = &self.store {
            store.remove(over);
        }
        self.table.lock().len()
    }

    pub(super) fn expire(&self) {
        let over = self.table.lock().expire(self.now_ms());
        if let Some(store) = self.store.as_ref().filter(|_| !over.is_empty()) {
            store.remove(over);
        }
    }

    pub(super) fn count_closed(&self) {
        self.closed.fetch_add(1, Ordering::Relaxed);
    }

    /// Waits until what was taken is in the file.
    pub(super) async fn close(&self) {
        if let Some(store) = &self.store {
            store.close().await;
        }
    }
}

/// An answer before it is put in HTTP.
struct Reply {
    status: StatusCode,
    body: String,
    kind: &'static str,
    header: Option<(HeaderName, HeaderValue)>,
}

const JSON: &str = "application/json";

impl Reply {
    fn json(body: String) -> Reply {
        Reply { status: StatusCode::OK, body, kind: JSON, header: None }
    }

    fn refuse(status: StatusCode, error: &str, hint: &str) -> Reply {
        Reply { status, body: write_error(error, hint), kind: JSON, header: None }
    }

    fn with(mut self, name: HeaderName, value: impl Into<HeaderValue>) -> Reply {
        self.header = Some((name, value.into()));
        self
    }
}

/// Answers one request.
pub(super) async fn answer(state: Arc<State>, from: IpAddr, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    state.requests.fetch_add(1, Ordering::Relaxed);
    let reply = route(&state, from, request).await.unwrap_or_else(|refusal| {
        state.refused.fetch_add(1, Ordering::Relaxed);
        refusal
    });
    let mut response = Response::new(Full::new(Bytes::from(reply.body)));
    *response.status_mut() = reply.status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(reply.kind));
    response.headers_mut().extend(reply.header);
    Ok(response)
}

async fn route(state: &State, from: IpAddr, request: Request<Incoming>) -> Result<Reply, Reply> {
    let path = request.uri().path();
    let path = path.strip_prefix(V1_BASE).filter(|rest| rest.starts_with('/')).unwrap_or(path).to_owned();
    if path == "/healthz" {
        method(&request, Method::GET)?;
        return Ok(Reply::json("{\"ok\":true}".into()));
    }
    state.table.lock().admit(state.now_ms(), source(from)).map_err(|refusal| refused(state, refusal))?;
    authorize(state, &request)?;
    match path.as_str() {
        "/peers" => method(&request, Method::GET).and_then(|()| peers(state, request.uri().query())),
        "/announce" => {
            method(&request, Method::POST)?;
            announce(state, from, body(request).await?).await
        }
        "/metrics" => method(&request, Method::GET).map(|()| metrics(state)),
        _ => Err(Reply::refuse(
            StatusCode::NOT_FOUND,
            "not_found",
            "there are GET /peers?limit=N, POST /announce, GET /healthz and GET /metrics",
        )),
    }
}

fn method(request: &Request<Incoming>, only: Method) -> Result<(), Reply> {
    if *request.method() == only {
        return Ok(());
    }
    let refusal = Reply::refuse(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", &format!("use {only} here"));
    let allowed = if only == Method::GET { "GET" } else { "POST" };
    Err(refusal.with(ALLOW, HeaderValue::from_static(allowed)))
}

fn authorize(state: &State, request: &Request<Incoming>) -> Result<(), Reply> {
    let Some(token) = &state.token else { return Ok(()) };
    let given = request.headers().get(AUTHORIZATION).map_or(&b""[..], HeaderValue::as_bytes);
    let known = given.split_at_checked(7).is_some_and(|(scheme, rest)| scheme.eq_ignore_ascii_case(b"Bearer ") && token.is(rest));
    if known {
        return Ok(());
    }
    let refusal = Reply::refuse(StatusCode::UNAUTHORIZED, "unauthorized", "send the registry's token: Authorization: Bearer TOKEN");
    Err(refusal.with(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer")))
}

fn peers(state: &State, query: Option<&str>) -> Result<Reply, Reply> {
    let limit = query.into_iter().flat_map(|query| query.split('&')).find_map(|part| part.strip_prefix("limit="));
    let limit = match limit {
        None => limits::REGISTRY_PEERS_DEFAULT,
        Some(text) => text
            .parse()
            .map(|limit: u32| (limit as usize).min(limits::BOOTSTRAP_PEERS_MAX))
            .map_err(|_| Reply::refuse(StatusCode::BAD_REQUEST, "invalid_limit", "limit is a whole number"))?,
    };
    // Without random numbers the first ones are named every time.
    let seed = getrandom::u64().unwrap_or(0);
    let peers = state.table.lock().peers(state.now_ms(), limit, seed);
    Ok(Reply::json(write_peers(&peers)))
}

async fn body(request: Request<Incoming>) -> Result<Bytes, Reply> {
    let too_large = || {
        let hint = format!("a body has at most {} bytes", limits::REGISTRY_BODY_MAX_BYTES);
        Reply::refuse(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", &hint)
    };
    if request.body().size_hint().lower() > limits::REGISTRY_BODY_MAX_BYTES as u64 {
        return Err(too_large());
    }
    let collecting = Limited::new(request.into_body(), limits::REGISTRY_BODY_MAX_BYTES).collect();
    match timeout(limits::REGISTRY_REQUEST_DEADLINE, collecting).await {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(too_large()),
        Ok(Err(_)) => Err(Reply::refuse(StatusCode::BAD_REQUEST, "invalid_body", "the body breaks off")),
        Err(_) => Err(Reply::refuse(StatusCode::REQUEST_TIMEOUT, "too_slow", "send the whole request within 5 s")),
    }
}

async fn announce(state: &State, from: IpAddr, body: Bytes) -> Result<Reply, Reply> {
    let announcement = Announcement::parse(&body).map_err(|why| Reply::refuse(StatusCode::BAD_REQUEST, "invalid_announcement", &why))?;
    let taken = state.table.lock().announce(state.now_ms(), source(from), announcement, &from.to_string());
    let entry = taken.map_err(|refusal| refused(state, refusal))?;
    if let Some(store) = &state.store {
        let kept = timeout(limits::REGISTRY_REQUEST_DEADLINE, store.put(entry)).await.unwrap_or(false);
        if !kept {
            return Err(Reply::refuse(StatusCode::SERVICE_UNAVAILABLE, "not_kept", "the entry stands but is not in the registry's file"));
        }
    }
    state.announcements.fetch_add(1, Ordering::Relaxed);
    Ok(Reply::json("{\"ok\":true}".into()))
}

fn refused(state: &State, refusal: Refusal) -> Reply {
    match refusal {
        Refusal::TooOften { retry_ms } => {
            state.too_often.fetch_add(1, Ordering::Relaxed);
            let hint = format!("{} requests a second are free; come back in {retry_ms} ms", limits::REGISTRY_REQUESTS_PER_SECOND);
            Reply::refuse(StatusCode::TOO_MANY_REQUESTS, "too_many_requests", &hint).with(RETRY_AFTER, retry_ms.div_ceil(1000))
        }
        Refusal::SourceFull => {
            let hint = format!("one address may have {} entries", limits::REGISTRY_ENTRIES_PER_SOURCE_MAX);
            Reply::refuse(StatusCode::FORBIDDEN, "too_many_entries", &hint)
        }
        Refusal::Full => {
            Reply::refuse(StatusCode::SERVICE_UNAVAILABLE, "registry_full", "come back when entries have ended").with(RETRY_AFTER, 60u64)
        }
    }
}

fn metrics(state: &State) -> Reply {
    let mut body = format!("# TYPE vixp2p_registry_entries gauge\nvixp2p_registry_entries {}\n", state.table.lock().len());
    for (name, counter) in [
        ("requests", &state.requests),
        ("announcements", &state.announcements),
        ("requests_refused", &state.refused),
        ("requests_too_often", &state.too_often),
        ("connections_turned_away", &state.closed),
    ] {
        let count = counter.load(Ordering::Relaxed);
        body.push_str(&format!("# TYPE vixp2p_registry_{name}_total counter\nvixp2p_registry_{name}_total {count}\n"));
    }
    Reply { status: StatusCode::OK, body, kind: "text/plain; version=0.0.4", header: None }
}
