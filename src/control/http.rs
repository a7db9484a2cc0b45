//! The HTTP door: health, readiness, metrics, state and a page for people. It only reads, one request a connection.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::{Body, Incoming};
use hyper::header::{
    ALLOW, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HeaderName, HeaderValue, X_CONTENT_TYPE_OPTIONS,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use super::Running;
use super::{Counted, RunningFeed, commands, health, reply};
use crate::bus::BindError;
use crate::clock;
use crate::io::command::DriverReport;
use crate::log_limit::LogLimit;
use crate::telemetry::metrics::{self, FeedReading, Readings};
use crate::telemetry::process::Process;

/// Connections at a time: browsers and scrapers take one each, for as long as one answer.
const CONNECTIONS_MAX: usize = 32;
/// How long a request head may take to arrive.
const HEAD_WITHIN: Duration = Duration::from_secs(5);
/// How long a connection may last in all: a head, the feeds' answers, and a client that reads slowly.
const CONNECTION_WITHIN: Duration = Duration::from_secs(15);
/// Bytes of a request head.
const HEAD_BYTES: usize = 16 * 1024;
/// Time between two lines about connections that were not taken.
const LOG_EVERY: Duration = Duration::from_secs(10);
/// Wait after a failed accept, which mostly means that file descriptors ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

const PAGE: &str = include_str!("page.html");
/// The page runs its own script and asks this door, and nothing else.
const PAGE_POLICY: &str = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; \
                           connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";
const JSON: &str = "application/json; charset=utf-8";

type Answer = Response<Full<Bytes>>;

/// The HTTP door. Dropping it ends its connections and frees the port a moment later.
pub struct HttpDoor {
    address: SocketAddr,
    accepting: JoinHandle<()>,
}

/// What the door shows.
struct Shown {
    running: Running,
    counted: Counted,
    refused: AtomicU64,
}

impl HttpDoor {
    /// Binds `HOST:PORT` and starts answering on the current tokio runtime.
    ///
    /// # Errors
    /// [`BindError`] names the address, what is wrong with it and what to do.
    pub async fn bind(listen: &str, running: Running, counted: Counted) -> Result<Self, BindError> {
        let refused = |source: io::Error| BindError::Refused { endpoint: listen.to_owned(), source };
        let listener = TcpListener::bind(listen).await.map_err(refused)?;
        let address = listener.local_addr().map_err(refused)?;
        let shown = Arc::new(Shown { running, counted, refused: AtomicU64::new(0) });
        Ok(Self { address, accepting: tokio::spawn(accept(listener, shown)) })
    }

    /// Where it listens, with the port that was really taken.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Ends its connections and frees the port, before this returns.
    pub async fn close(mut self) {
        self.accepting.abort();
        // An error says that it was aborted.
        let _ = (&mut self.accepting).await;
    }
}

impl Drop for HttpDoor {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shown: Arc<Shown>) {
    let mut connections = JoinSet::new();
    let mut lines = LogLimit::new(1, LOG_EVERY);
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        while connections.try_join_next().is_some() {}
        match accepted {
            Ok((stream, _)) if connections.len() < CONNECTIONS_MAX => {
                connections.spawn(serve(stream, Arc::clone(&shown)));
            }
            Ok((_, peer)) => {
                shown.refused.fetch_add(1, Ordering::Relaxed);
                if let Some(suppressed) = lines.pass(clock::now().mono) {
                    warn!(%peer, limit = CONNECTIONS_MAX, suppressed, "HTTP connection refused: too many");
                }
            }
            Err(error) => {
                if let Some(suppressed) = lines.pass(clock::now().mono) {
                    warn!(%error, suppressed, "HTTP connection not accepted");
                }
                sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, shown: Arc<Shown>) {
    let service = service_fn(|request: Request<Incoming>| {
        let shown = Arc::clone(&shown);
        async move { Ok::<_, Infallible>(answer(&shown, &request).await) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    match timeout(CONNECTION_WITHIN, http).await {
        Ok(Ok(())) => {}
        Ok(Err(error)) => debug!(%error, "HTTP connection failed"),
        Err(_) => debug!(limit = ?CONNECTION_WITHIN, "HTTP connection took too long"),
    }
}

async fn answer(shown: &Shown, request: &Request<Incoming>) -> Answer {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        let mut answer = refusal(StatusCode::METHOD_NOT_ALLOWED, "only GET and HEAD are allowed");
        answer.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return answer;
    }
    if !request.body().is_end_stream() {
        return refusal(StatusCode::PAYLOAD_TOO_LARGE, "a request has no body here");
    }
    match request.uri().path() {
        "/" => page(),
        "/healthz" => healthz(&shown.running).await,
        "/readyz" => readyz(&shown.running).await,
        "/status" => status(&shown.running).await,
        "/metrics" => respond(StatusCode::OK, metrics::CONTENT_TYPE, metrics::text(&readings(shown).await)),
        _ => refusal(StatusCode::NOT_FOUND, "no such path; allowed: /, /healthz, /readyz, /metrics, /status"),
    }
}

fn page() -> Answer {
    let mut page = respond(StatusCode::OK, "text/html; charset=utf-8", PAGE);
    page.headers_mut().insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(PAGE_POLICY));
    page
}

async fn healthz(running: &Running) -> Answer {
    let reports = running.reports().await;
    let mute = health::unresponsive(by_name(&reports));
    if mute.is_empty() {
        return ok(&json!({}));
    }
    let error = format!("feeds do not answer: {}", mute.join(", "));
    json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"ok": false, "error": error, "feeds": mute}))
}

async fn readyz(running: &Running) -> Answer {
    let reports = running.reports().await;
    let missing = health::missing(by_name(&reports));
    if missing.is_empty() {
        return ok(&json!({}));
    }
    json_answer(StatusCode::SERVICE_UNAVAILABLE, &json!({"ok": false, "missing": missing}))
}

fn by_name(
    reports: &[(Arc<RunningFeed>, Option<DriverReport>)],
) -> impl Iterator<Item = (&str, Option<&DriverReport>)> {
    reports.iter().map(|(feed, report)| (feed.name(), report.as_ref()))
}

async fn status(running: &Running) -> Answer {
    match commands::status(running, None).await {
        Ok(fields) => ok(&fields),
        Err(failure) => refusal(StatusCode::SERVICE_UNAVAILABLE, &failure.message),
    }
}

async fn readings(shown: &Shown) -> Readings {
    let running = &shown.running;
    let reports = running.reports().await;
    let feeds = reports.into_iter().map(|(feed, report)| FeedReading {
        feed: Arc::clone(&feed.handle.name),
        venue: feed.handle.venue,
        market: Arc::clone(&feed.handle.market),
        store: feed.store.stats(),
        report,
    });
    let tables = running.feeds.tables().venues().into_iter().flat_map(|venue| venue.reports());
    let counted = &shown.counted;
    let (denied, limited) = counted.guard.refused();
    Readings {
        clocks: running.calls.fetcher.rest().clock_offsets(),
        jobs: running.calls.jobs.reports(),
        budgets: running.calls.fetcher.budget().reports(),
        redis: shown.running.redis_report(),
        epoch: running.epoch,
        bus: running.publisher.stats(),
        sockets: counted.sockets.iter().map(|socket| (socket.name, socket.server.stats())).collect(),
        feeds: feeds.collect(),
        tables: tables.filter(|table| table.in_use).collect(),
        admin_refused: shown.refused.load(Ordering::Relaxed),
        control_denied: denied,
        control_limited: limited,
        state_file_failures: counted.state_failures.load(Ordering::Relaxed),
        process: Process::read(),
    }
}

fn ok(fields: &Value) -> Answer {
    json_answer(StatusCode::OK, &reply::ok(fields))
}

fn refusal(status: StatusCode, message: &str) -> Answer {
    json_answer(status, &json!({"ok": false, "error": message}))
}

fn json_answer(status: StatusCode, body: &Value) -> Answer {
    respond(status, JSON, body.to_string())
}

fn respond(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    *answer.status_mut() = status;
    let fixed: [(HeaderName, &'static str); 3] =
        [(CONTENT_TYPE, content_type), (CACHE_CONTROL, "no-store"), (X_CONTENT_TYPE_OPTIONS, "nosniff")];
    answer.headers_mut().extend(fixed.map(|(name, value)| (name, HeaderValue::from_static(value))));
    answer
}
