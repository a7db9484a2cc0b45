//! REST calls within the venue's budget, signed when they leave, with a deadline, a size limit, and no redirect but to the
//! same host for what reads.

use std::borrow::Cow;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::header::{HeaderMap, LOCATION};
use reqwest::{Client, Response, redirect};
use rustls::ClientConfig;
use tracing::warn;
use url::{Position, Url};

use super::budget::{Account, Place};
use super::dial::{host_of, retry_after};
use super::redirect::moved;
use super::refusal::Refusal;
use super::server_time::{ServerClock, ServerTimes};
use super::tls;
use crate::clock;
use crate::model::{Mono, Stamp};
use crate::sign::{self, Compat, Method, Request, SignError, Signed, Signer};
use crate::venue::{self, ServerTime};

/// Largest body read.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Redirects followed within one host.
const MAX_REDIRECTS: usize = 3;
/// How long a host may take to tell its time.
const TIME_WITHIN: Duration = Duration::from_secs(5);
/// How long a call may wait for the budget. Its own deadline begins when it leaves.
const WAIT_MAX: Duration = Duration::from_secs(3600);

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The whole body.
    pub body: Bytes,
}

/// Why there was no answer. The text names the host, never the path or query.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// Not an address.
    #[error("not an http address: {0}; rest_url must look like https://host")]
    Url(String),
    /// The client could not be made.
    #[error("cannot set up HTTP: {0}")]
    Setup(String),
    /// The venue's budget is used up for longer than a call waits.
    #[error("not asked: the budget of REST calls to {account} is used up for {} s or more", WAIT_MAX.as_secs())]
    Budget {
        /// Whose.
        account: String,
    },
    /// Too many calls wait already.
    #[error("not asked: too many REST calls to {account} wait for its budget")]
    Crowded {
        /// Whose.
        account: String,
    },
    /// It cannot be signed.
    #[error("not asked: it cannot be signed: {0}")]
    Sign(#[from] SignError),
    /// It is to be signed, and there is nobody to sign it.
    #[error("not asked: it needs an account to sign it; give the feed one (account, or credentials)")]
    NoAccount,
    /// The client makes no calls.
    #[error("not asked: this client makes no calls")]
    Offline,
    /// Nobody waits for the answer any more.
    #[error("not asked: the connection it was for is gone")]
    Left,
    /// It took too long.
    #[error("no answer from {host} within {} s", .limit.as_secs_f64())]
    Deadline {
        /// Whose.
        host: String,
        /// The deadline.
        limit: Duration,
    },
    /// The body is too large.
    #[error("the answer of {host} is larger than the allowed {MAX_BODY} bytes")]
    TooBig {
        /// Whose.
        host: String,
    },
    /// The connection failed.
    #[error("call to {host} failed: {detail}")]
    Lost {
        /// Whom.
        host: String,
        /// The causes.
        detail: String,
    },
}

/// The process's REST client. Clones share connections.
#[derive(Clone, Debug, Default)]
pub struct RestClient {
    client: Arc<OnceLock<Client>>,
    clocks: Arc<ServerTimes>,
    is_offline: bool,
}

/// Where a host's time is asked for.
struct ServerTimeOf {
    server_time: ServerTime,
    host: String,
    url: String,
}

impl RestClient {
    /// One that makes no calls, for checks of what is around it.
    pub fn offline() -> Self {
        Self { is_offline: true, ..Self::default() }
    }

    /// Waits for this place's turn, then asks for `url` and reads the whole answer within `limit`.
    ///
    /// # Errors
    /// There was no whole answer in time. A status like 404 is an answer, not an error.
    pub async fn get(&self, url: &str, limit: Duration, place: Place) -> Result<Answer, HttpError> {
        self.send(Request { url: url.to_owned(), ..Request::default() }, None, limit, place).await
    }

    /// Waits for this place's turn, signs the request if there is a signer, sends it and reads the whole answer within
    /// `limit`. If the venue refuses its time, the venue's clock is read, and the call is made once more.
    ///
    /// # Errors
    /// It cannot be signed, or there was no whole answer in time. A status like 404 is an answer, not an error.
    pub async fn send(
        &self,
        request: Request,
        signer: Option<&Signer>,
        limit: Duration,
        place: Place,
    ) -> Result<Answer, HttpError> {
        let Some((clock, signer)) = signer.and_then(|signer| Some((self.clock(signer, &request)?, signer))) else {
            return self.exchange(&request, signer, None, limit, place).await.map(|(answer, ..)| answer);
        };
        let ServerTimeOf { server_time, host, url } = clock;
        let clock = self.clocks.of(&host);
        let (account, weight) = (Arc::clone(place.account()), place.weight());
        let ask = async |since: Mono| {
            let _measuring = clock.measuring.lock().await;
            clock.is_newer(since) || self.measure(&clock, server_time, &host, &url, &account).await
        };
        let before = clock::mono();
        if clock.is_due(before) {
            ask(before).await;
        }
        let (answer, left, _) = self.exchange(&request, Some(signer), Some(&clock), limit, place).await?;
        if !(server_time.refuses)(&answer.body) || !ask(left.mono).await {
            return Ok(answer);
        }
        let again = account.queue(weight).ok_or_else(|| HttpError::Crowded { account: account.name().to_owned() })?;
        // A call that was refused for its time has done nothing: it may be made once more.
        self.exchange(&request, Some(signer), Some(&clock), limit, again).await.map(|(answer, ..)| answer)
    }

    /// How the clock is read of the host that a request is signed for, if its venue cares.
    fn clock(&self, signer: &Signer, request: &Request) -> Option<ServerTimeOf> {
        let server_time = venue::find(signer.api.venue)?.server_time?;
        let mut url = Url::parse(&request.url).ok()?;
        let path = (server_time.path)(url.path())?;
        // Not joined: a path with two slashes would lead to another host.
        url.set_path(&path);
        url.set_query(None);
        let url = url.to_string();
        Some(ServerTimeOf { server_time, host: host_of(&url), url })
    }

    /// Asks a host for its time; false when it does not say.
    async fn measure(
        &self,
        clock: &ServerClock,
        server_time: ServerTime,
        host: &str,
        url: &str,
        account: &Arc<Account>,
    ) -> bool {
        let request = Request { url: url.to_owned(), ..Request::default() };
        let asked = match account.queue(1) {
            Some(place) => self.exchange(&request, None, None, TIME_WITHIN, place).await,
            None => Err(HttpError::Crowded { account: account.name().to_owned() }),
        };
        let told = asked.map(|(answer, left, back)| ((server_time.read)(&answer.body), left, back));
        match told {
            Ok((Some(told), left, back)) => {
                clock.measured(host, told, left, back);
                return true;
            }
            Ok((None, ..)) => warn!(host, "The host does not tell its time"),
            Err(error) => warn!(host, %error, "The host does not tell its time"),
        }
        clock.not_measured(clock::mono());
        false
    }

    /// Milliseconds that hosts' clocks are ahead of ours, of those that have refused signed calls for their time.
    pub fn clock_offsets(&self) -> Vec<(String, i64)> {
        self.clocks.offsets()
    }

    /// Makes the call, and again where a redirect leads to, each time with a turn and a signature of its own; when the
    /// last left, and when all of its answer was back. What is not to be followed is the answer.
    async fn exchange(
        &self,
        request: &Request,
        signer: Option<&Signer>,
        clock: Option<&ServerClock>,
        mut limit: Duration,
        mut place: Place,
    ) -> Result<(Answer, Stamp, Stamp), HttpError> {
        let (account, weight) = (Arc::clone(place.account()), place.weight());
        let mut request = Cow::Borrowed(request);
        let mut hops = 0;
        loop {
            let (answer, left, back, next) = self.exchange_once(&request, signer, clock, limit, place).await?;
            let Some(next) = next.filter(|_| hops < MAX_REDIRECTS) else { return Ok((answer, left, back)) };
            request = Cow::Owned(next);
            hops += 1;
            limit = limit.saturating_sub(back.mono.since(left.mono));
            place = account.queue(weight).ok_or_else(|| HttpError::Crowded { account: account.name().to_owned() })?;
        }
    }

    /// Waits for the turn, signs, sends, and reads the answer; when it left, when all of it was back, and what call it
    /// leads on to.
    async fn exchange_once(
        &self,
        request: &Request,
        signer: Option<&Signer>,
        clock: Option<&ServerClock>,
        limit: Duration,
        place: Place,
    ) -> Result<(Answer, Stamp, Stamp, Option<Request>), HttpError> {
        let host = host_of(&request.url);
        let parsed = Url::parse(&request.url).map_err(|error| HttpError::Url(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(HttpError::Url(format!("scheme {}", parsed.scheme())));
        }
        if self.is_offline {
            return Err(HttpError::Offline);
        }
        let client = self.client(parsed.scheme() == "https")?;
        let account = Arc::clone(place.account());
        let Ok(_turn) = tokio::time::timeout(WAIT_MAX, place.turn()).await else {
            return Err(HttpError::Budget { account: account.name().to_owned() });
        };
        // Not before, as venues refuse signatures that are some seconds old.
        let left = clock::now();
        let now_ms = clock.map_or(left.wall.as_ms(), |clock| clock.now_ms(left.wall));
        let signed = match signer {
            Some(signer) => signer.sign(request.clone(), now_ms)?,
            None => sign::unsigned(request, now_ms, Compat::Documented)?,
        };
        let sent = ask(built(&client, &signed, &parsed)?, &host, &account, left.mono);
        let Ok(answer) = tokio::time::timeout(limit, sent).await else {
            return Err(HttpError::Deadline { host, limit });
        };
        let answer = answer?;
        if let Some(per_minute) = (account.limit().told)(parsed.path(), &answer.body).filter(|_| answer.status == 200) {
            account.told(per_minute);
        }
        let location = answer.headers.get(LOCATION).and_then(|value| value.to_str().ok());
        let next = moved(request, &signed, answer.status, location);
        Ok((answer, left, clock::now(), next))
    }

    /// The client, made at the first call. Without certificate authorities only plain http can be called.
    fn client(&self, secure: bool) -> Result<Client, HttpError> {
        if let Some(client) = self.client.get() {
            return Ok(client.clone());
        }
        let (config, keep) = match tls::client_config() {
            Ok(config) => (ClientConfig::clone(&config), true),
            Err(error) if secure => return Err(HttpError::Setup(error.to_string())),
            Err(error) => {
                warn!(%error, "only plain http can be called");
                (tls::trusting_nobody().map_err(|error| HttpError::Setup(error.to_string()))?, false)
            }
        };
        let client = Client::builder()
            .tls_backend_preconfigured(config)
            .redirect(redirect::Policy::none())
            .user_agent(concat!("tickbus/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(Duration::from_secs(10))
            .build()
            .map_err(|error| HttpError::Setup(causes(error)))?;
        if keep {
            return Ok(self.client.get_or_init(|| client).clone());
        }
        Ok(client)
    }
}

/// The request as it is sent: byte for byte what was signed, and where it was asked to go.
fn built(client: &Client, signed: &Signed, asked: &Url) -> Result<reqwest::RequestBuilder, HttpError> {
    let url = Url::parse(signed.url.reveal()).map_err(|error| HttpError::Url(error.to_string()))?;
    let same = &url[Position::BeforePath..Position::AfterQuery] == signed.target.reveal();
    if !same || url.origin() != asked.origin() {
        return Err(HttpError::Url("it cannot be sent as it was signed".to_owned()));
    }
    let method = match signed.method {
        Method::Get => reqwest::Method::GET,
        Method::Post => reqwest::Method::POST,
        Method::Put => reqwest::Method::PUT,
        Method::Delete => reqwest::Method::DELETE,
    };
    let mut request = client.request(method, url);
    for (name, value) in &signed.headers {
        request = request.header(name, value.reveal());
    }
    if !signed.body.is_empty() {
        request = request.body(signed.body.clone());
    }
    Ok(request)
}

async fn ask(request: reqwest::RequestBuilder, host: &str, account: &Account, left: Mono) -> Result<Answer, HttpError> {
    let lost = |error: reqwest::Error| HttpError::Lost { host: host.to_owned(), detail: causes(error) };
    let mut response = request.send().await.map_err(lost)?;
    let status = response.status().as_u16();
    note_used(&response, account);
    let asked = header(&response, "Retry-After").and_then(|value| retry_after(value, clock::wall()));
    let refusal = Refusal::of(host, status, asked, left, account);
    let headers = std::mem::take(response.headers_mut());
    let body = read(&mut response, host).await;
    if let Some(refusal) = refusal {
        refusal.told(body.as_ref().ok().and_then(|body| (account.limit().banned_until)(body)));
    }
    Ok(Answer { status, headers, body: body? })
}

async fn read(response: &mut Response, host: &str) -> Result<Bytes, HttpError> {
    let lost = |error: reqwest::Error| HttpError::Lost { host: host.to_owned(), detail: causes(error) };
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(lost)? {
        if body.len() + chunk.len() > MAX_BODY {
            return Err(HttpError::TooBig { host: host.to_owned() });
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

fn header<'a>(response: &'a Response, name: &str) -> Option<&'a str> {
    response.headers().get(name)?.to_str().ok()
}

/// Hands on what the venue says of the weight that is used.
fn note_used(response: &Response, account: &Account) {
    let used = account.limit().used_header.and_then(|name| header(response, name));
    if let Some(weight) = used.and_then(|text| text.parse().ok()) {
        account.used(weight);
    }
}

/// An error with its causes, without the address.
fn causes(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut text = error.to_string();
    let mut source = std::error::Error::source(&error);
    while let Some(cause) = source {
        text.push_str(": ");
        text.push_str(&cause.to_string());
        source = cause.source();
    }
    text
}
