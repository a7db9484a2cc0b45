//! REST calls: GET with a deadline, a size limit, the host's budget, and no redirect to another host.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use reqwest::{Client, Response, redirect};
use rustls::ClientConfig;
use tracing::{info, warn};
use url::Url;

use super::backoff::LONGEST_BAN;
use super::dial::{host_of, retry_after};
use super::limits::{RestBudget, millis};
use super::tls;
use crate::clock;

/// Largest body read.
const MAX_BODY: usize = 16 * 1024 * 1024;
/// Redirects followed within one host.
const MAX_REDIRECTS: usize = 3;
/// How long a host that limits us without saying for how long is left alone.
const LIMITED_PAUSE: Duration = Duration::from_secs(10);

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// HTTP status.
    pub status: u16,
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
    /// The host's budget is used up for longer than the call may take.
    #[error("not asked: the budget of REST calls to {host} is used up for {} s or more", .patience.as_secs_f64())]
    Budget {
        /// Whose.
        host: String,
        /// How long the call might have waited.
        patience: Duration,
    },
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

/// The process's REST client. Clones share connections and budgets.
#[derive(Clone, Debug)]
pub struct RestClient {
    client: Arc<OnceLock<Client>>,
    budget: Arc<RestBudget>,
}

impl RestClient {
    /// A client that keeps within `budget`.
    pub fn new(budget: Arc<RestBudget>) -> Self {
        Self { client: Arc::default(), budget }
    }

    /// Asks for `url` and reads the whole answer, waiting for the budget included within `limit`.
    ///
    /// # Errors
    /// There was no whole answer in time. A status like 404 is an answer, not an error.
    pub async fn get(&self, url: &str, limit: Duration) -> Result<Answer, HttpError> {
        let host = host_of(url);
        let parsed = Url::parse(url).map_err(|error| HttpError::Url(error.to_string()))?;
        if !matches!(parsed.scheme(), "http" | "https") {
            return Err(HttpError::Url(format!("scheme {}", parsed.scheme())));
        }
        let client = self.client(parsed.scheme() == "https")?;
        match tokio::time::timeout(limit, self.ask(client, parsed, &host, limit)).await {
            Ok(done) => done,
            Err(_) => Err(HttpError::Deadline { host, limit }),
        }
    }

    async fn ask(&self, client: Client, url: Url, host: &str, limit: Duration) -> Result<Answer, HttpError> {
        if !self.budget.acquire(host, limit).await {
            return Err(HttpError::Budget { host: host.to_owned(), patience: limit });
        }
        let lost = |error: reqwest::Error| HttpError::Lost { host: host.to_owned(), detail: causes(error) };
        let mut response = client.get(url).send().await.map_err(lost)?;
        let status = response.status().as_u16();
        self.obey(host, status, &response);
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(lost)? {
            if body.len() + chunk.len() > MAX_BODY {
                return Err(HttpError::TooBig { host: host.to_owned() });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, body: body.freeze() })
    }

    /// Leaves a host alone that told us to slow down.
    fn obey(&self, host: &str, status: u16, response: &Response) {
        let asked = response.headers().get("Retry-After").and_then(|value| value.to_str().ok());
        let asked = asked.and_then(|value| retry_after(value, clock::wall()));
        let pause = match (status, asked) {
            (418 | 429, None) => LIMITED_PAUSE,
            (418 | 429 | 503, Some(asked)) => asked.min(LONGEST_BAN),
            _ => return,
        };
        info!(host, status, pause_ms = millis(pause), "the host limits our REST calls");
        self.budget.hold(host, pause);
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
            .redirect(redirect::Policy::custom(within_one_origin))
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

/// Follows a redirect only to the same scheme, host and port; otherwise the 3xx itself is the answer.
fn within_one_origin(attempt: redirect::Attempt<'_>) -> redirect::Action {
    let home = attempt.previous().first().map(Url::origin);
    if home == Some(attempt.url().origin()) && attempt.previous().len() <= MAX_REDIRECTS {
        attempt.follow()
    } else {
        attempt.stop()
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
