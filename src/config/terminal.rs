//! What the config says about a feed from a trading terminal: its sockets, its budget of calls, what to poll.

use std::collections::BTreeMap;
use std::time::Duration;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TerminalPlan;
use super::auth::Mechanism;
use super::problem::{Findings, member, quoted};
use super::schema::Feed;
use super::secret::Environment;
use super::terminal_auth::TerminalAuth;
use crate::bus::Endpoint;
use crate::venue::{Endpoints, TerminalSpec, Transport, VenueDef};

/// Least and most milliseconds between two polls of a parameter.
const PERIODS: std::ops::RangeInclusive<u32> = 50..=3_600_000;
/// Parameters of one feed, for every symbol.
const PARAMS_MAX: usize = 200;

/// How a terminal is treated. Feeds that name the same sockets share one pool of connections and one budget of calls,
/// for which the numbers of the first of them hold.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Terminal {
    /// Connections to each RPC socket; as many calls can be under way at one time.
    #[schemars(range(min = 1, max = 64))]
    pub connections: u32,
    /// Calls a second in the long run. Real terminals crash under a few hundred quick calls in a row.
    #[schemars(range(min = 1, max = 100_000))]
    pub calls_per_second: u32,
    /// Calls that may leave at once after a pause.
    #[schemars(range(min = 1, max = 100_000))]
    pub burst: u32,
    /// Milliseconds that one call may take.
    #[schemars(range(min = 50, max = 60_000))]
    pub call_timeout_ms: u32,
    /// Most requests of one instrument's book in a second.
    #[schemars(range(min = 1, max = 100))]
    pub books_per_second: u32,
    /// Milliseconds between two looks at the terminal's clock.
    #[schemars(range(min = 100, max = 60_000))]
    pub heartbeat_ms: u32,
    /// History is answered from memory if it was brought up to date within so many milliseconds.
    #[schemars(range(min = 0, max = 60_000))]
    pub cache_min_update_ms: u32,
    /// Instruments and intervals whose history is held open in the terminal at one time.
    #[schemars(range(min = 1, max = 1_000))]
    pub datasources: u32,
    /// When the terminal's clock is expected to move, Monday to Friday, in the exchange's own time: `"08:50-18:50"`.
    /// Empty: the venue's usual hours. A clock that stands still within them makes the feed stale.
    pub trading_hours: Vec<String>,
    /// Functions that `tickbus ctl rpc` may call beyond the harmless ones that read market data. Whoever reaches the
    /// control socket can then trade, or run code in the terminal.
    pub allow_methods: Vec<String>,
    /// Needed to speak to a terminal on another machine without CURVE: whoever reaches its port can trade and run code.
    pub insecure: bool,
}

impl Default for Terminal {
    fn default() -> Self {
        Self {
            connections: 5,
            calls_per_second: 200,
            burst: 20,
            call_timeout_ms: 1_000,
            books_per_second: 10,
            heartbeat_ms: 2_000,
            cache_min_update_ms: 200,
            datasources: 50,
            trading_hours: Vec::new(),
            allow_methods: Vec::new(),
            insecure: false,
        }
    }
}

/// The plan of a terminal's feed and where it is reached; `None` for a feed of any other venue, whose config must not
/// name what only terminals have.
pub(super) fn resolve(
    path: &str,
    feed: &Feed,
    venue: &VenueDef,
    environment: &Environment,
    findings: &mut Findings,
) -> Option<(TerminalPlan, Endpoints)> {
    let is_terminal = venue.transport == Transport::Terminal;
    let misplaced: &[(&str, bool)] = if is_terminal {
        &[
            ("url", feed.url.is_some()),
            ("rest_url", feed.rest_url.is_some()),
            ("credentials", feed.credentials.is_some()),
        ]
    } else {
        &[
            ("rpc", feed.rpc.is_some()),
            ("data", feed.data.is_some()),
            ("events", feed.events.is_some()),
            ("auth", feed.auth != TerminalAuth::default()),
            ("params", !feed.params.is_empty()),
            ("terminal", feed.terminal != Terminal::default()),
        ]
    };
    for (key, _) in misplaced.iter().filter(|(_, given)| *given) {
        let instead = if is_terminal { "a terminal is reached at rpc, data and events" } else { "it is for terminals" };
        findings.add(format!("{path}.{key}"), format!("means nothing for venue {:?}: {instead}", venue.id));
    }
    if !is_terminal {
        return None;
    }
    let security = feed.auth.resolve(&member(path, "auth"), environment, findings);
    let rpc = feed.rpc.clone().unwrap_or_else(|| venue.markets.first().map_or("", |market| market.rest_url).to_owned());
    for (key, endpoint) in [("rpc", Some(&rpc)), ("data", feed.data.as_ref()), ("events", feed.events.as_ref())] {
        if let Some(endpoint) = endpoint {
            check_endpoint(&format!("{path}.{key}"), endpoint, feed, findings);
        }
    }
    let endpoints =
        Endpoints { urls: vec![feed.events.clone().unwrap_or_default()], raw: None, rest_url: rpc.clone(), note: None };
    let plan = TerminalPlan {
        rpc,
        data: feed.data.clone(),
        events: feed.events.clone(),
        security,
        connections: feed.terminal.connections as usize,
        calls_per_second: feed.terminal.calls_per_second,
        burst: feed.terminal.burst,
        spec: spec(path, feed, findings),
    };
    Some((plan, endpoints))
}

fn check_endpoint(path: &str, text: &str, feed: &Feed, findings: &mut Findings) {
    match text.parse::<Endpoint>() {
        Err(message) => findings.add(path, message),
        Ok(Endpoint::Tcp { port: 0, .. }) => findings.add(path, "port 0 cannot be connected to"),
        Ok(Endpoint::Tcp { host, .. }) if host == "*" => findings.add(path, "needs a host to connect to"),
        Ok(endpoint) if !endpoint.is_loopback() && !is_encrypted(feed) && !feed.terminal.insecure => findings.add(
            path,
            format!(
                "{endpoint} is another machine, and whoever can read or reach that port can trade and run code; use \
                 auth.mechanism CURVE, or set terminal.insecure to true"
            ),
        ),
        Ok(_) => {}
    }
}

fn is_encrypted(feed: &Feed) -> bool {
    feed.auth.mechanism == Mechanism::Curve
}

fn spec(path: &str, feed: &Feed, findings: &mut Findings) -> TerminalSpec {
    let millis = |count: u32| Duration::from_millis(count.into());
    TerminalSpec {
        events: feed.events.is_some(),
        params: params(path, &feed.params, findings),
        call_timeout: millis(feed.terminal.call_timeout_ms),
        books_per_second: feed.terminal.books_per_second,
        allow: feed.terminal.allow_methods.clone(),
        history_fresh: millis(feed.terminal.cache_min_update_ms),
        history_sources: feed.terminal.datasources as usize,
        heartbeat: millis(feed.terminal.heartbeat_ms),
        calls_per_second: feed.terminal.calls_per_second,
        trading_hours: trading_hours(path, &feed.terminal.trading_hours, findings),
    }
}

fn params(path: &str, given: &BTreeMap<String, u32>, findings: &mut Findings) -> Vec<(String, Duration)> {
    if given.len() > PARAMS_MAX {
        findings
            .add(format!("{path}.params"), format!("has {} entries; at most {PARAMS_MAX} are allowed", given.len()));
    }
    for (name, period) in given {
        let place = member(&format!("{path}.params"), name);
        let word = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
        if name.is_empty() || name.len() > 40 || !name.bytes().all(word) {
            findings.add(&place, "is no parameter's name; allowed: letters, digits and _, such as LAST");
        }
        if !PERIODS.contains(period) {
            let (least, most) = (PERIODS.start(), PERIODS.end());
            findings.add(place, format!("{period} is out of range; allowed: {least} to {most} milliseconds"));
        }
    }
    given.iter().map(|(name, period)| (name.clone(), Duration::from_millis((*period).into()))).collect()
}

fn trading_hours(path: &str, given: &[String], findings: &mut Findings) -> Vec<(u32, u32)> {
    let mut hours = Vec::new();
    for (at, text) in given.iter().enumerate() {
        match text.split_once('-').and_then(|(from, to)| Some((second(from)?, second(to)?))) {
            Some((from, to)) if from < to => hours.push((from, to)),
            _ => findings.add(
                format!("{path}.terminal.trading_hours[{at}]"),
                format!("{} is no part of a day; allowed: HH:MM-HH:MM, such as 08:50-18:50", quoted(text)),
            ),
        }
    }
    hours
}

/// The second of the day of `HH:MM`, up to `24:00`.
fn second(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str| text.parse::<u32>().ok().filter(|_| text.len() == 2);
    let (hours, minutes) = (number(hours)?, number(minutes)?);
    (minutes < 60 && hours * 60 + minutes <= 24 * 60).then_some((hours * 60 + minutes) * 60)
}
