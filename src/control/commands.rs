//! The commands: read, carried out, answered.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::reply::{self, Code, Failure};
use super::wished::Owner;
use super::{Caller, Running, RunningFeed, fetch, get, initialize, jobs, open, reload, subscribe, tables};
use crate::bus::Frame;
use crate::config::at_run_time;
use crate::frame::parse_topic;
use crate::io::command::Command;

/// Which door a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    /// Reads only; whether it may tell who subscribes.
    Snapshot { shows_peers: bool },
    /// Everything.
    Control,
}

/// A request, read as far as every command needs it.
#[derive(Debug)]
pub(super) struct Request {
    op: String,
    /// Who asks, as it says.
    client: Option<String>,
    pub(super) token: Option<String>,
    /// The rest.
    fields: Map<String, Value>,
    /// JSON text without client and token, for commands that a session answers.
    text: String,
}

/// What is sent back.
#[derive(Debug)]
pub(super) enum Answer {
    /// One JSON object.
    Fields(Value),
    /// A frame of the bus.
    Frame(Frame),
    /// JSON text of a session.
    Text(String),
}

/// Commands that a venue's session answers itself, from the whole request.
const OF_SESSIONS: [&str; 3] = ["history", "params", "rpc"];
/// The same of REST calls, whose data must be sent as it was written.
const FETCH: &str = "fetch";
const READING: &str = "snapshot, topics, stats";
const ALL: &str = "open, close, subscribe, unsubscribe, feeds, status, get, find, sorted, wait, watch, tables, initialize, \
                   snapshot, topics, stats, clear, resync, history, params, rpc, fetch, jobs, job_start, job_add, job_next, job_run, job_stop, \
                   reload, shutdown";
/// The longest name of a client, in bytes.
const CLIENT_MAX: usize = 64;

impl Request {
    /// Reads a request.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(text: &[u8]) -> Result<Self, Failure> {
        let wrong = |what: &str| Failure::bad(format!("not a request: {what}; for example {{\"op\":\"stats\"}}"));
        // Serde would also read an array, by position.
        if text.trim_ascii_start().first() != Some(&b'{') {
            return Err(wrong("it must be a JSON object"));
        }
        let mut parts: BTreeMap<String, Box<RawValue>> =
            serde_json::from_slice(text).map_err(|error| wrong(&error.to_string()))?;
        let mut word = |key: &str| match parts.remove(key).map(|raw| serde_json::from_str::<String>(raw.get())) {
            None => Ok(None),
            Some(Ok(word)) => Ok(Some(word)),
            Some(Err(_)) => Err(wrong(&format!("{key} must be a string"))),
        };
        let (token, client, op) = (word("token")?, word("client")?, word("op")?);
        let op = op.ok_or_else(|| wrong("op is missing"))?;
        if let Some(client) = client.as_ref().filter(|name| !is_client_name(name)) {
            let what = format!("client {client:?} is no name: 1 to {CLIENT_MAX} bytes without control characters");
            return Err(wrong(&what));
        }
        let mut fields = Map::new();
        for (key, raw) in &parts {
            let value = serde_json::from_str(raw.get()).map_err(|error| wrong(&error.to_string()))?;
            fields.insert(key.clone(), value);
        }
        let needs_text = OF_SESSIONS.contains(&op.as_str()) || op == FETCH;
        let text = if needs_text { asked(&op, &parts) } else { String::new() };
        Ok(Self { op, client, token, fields, text })
    }

    /// Whether its answer may wait for something to happen.
    pub(super) fn may_wait(&self) -> bool {
        matches!(self.op.as_str(), "wait" | "watch")
    }

    fn arguments<T: DeserializeOwned>(&self) -> Result<T, Failure> {
        // An error names a key that is not known, or what a value should have been.
        let read = serde_json::from_value(Value::Object(self.fields.clone()));
        read.map_err(|error| Failure::bad(format!("{}: {error}", self.op)))
    }

    fn owner(&self, caller: &Caller) -> Owner {
        let name = self.client.as_ref().or(caller.name.as_ref());
        let connection = || caller.connection.map_or(Owner::Nobody, Owner::Connection);
        name.map_or_else(connection, |name| Owner::Client(name.as_str().into()))
    }
}

fn is_client_name(name: &str) -> bool {
    (1..=CLIENT_MAX).contains(&name.len()) && !name.chars().any(char::is_control)
}

/// The request again, each value as it was written.
fn asked(op: &str, parts: &BTreeMap<String, Box<RawValue>>) -> String {
    let mut text = format!("{{\"op\":{}", Value::from(op));
    for (key, raw) in parts {
        text.push_str(&format!(",{}:{}", Value::from(key.as_str()), raw.get()));
    }
    text.push('}');
    text
}

impl Answer {
    /// As frames of a reply.
    pub(super) fn into_frames(self) -> Vec<Bytes> {
        match self {
            Self::Fields(fields) => vec![reply::ok(&fields).to_string().into()],
            Self::Frame(frame) => vec![frame.topic, frame.payload],
            Self::Text(text) => vec![text.into()],
        }
    }

    /// As one JSON object.
    pub(super) fn into_value(self) -> Result<Value, Failure> {
        match self {
            Self::Fields(fields) => Ok(reply::ok(&fields)),
            Self::Frame(frame) => {
                let topic = String::from_utf8_lossy(&frame.topic).into_owned();
                Ok(reply::ok(&json!({"topic": topic, "value": get::value(&frame)?})))
            }
            Self::Text(text) => {
                serde_json::from_str(&text).map_err(|error| Failure::new(Code::Failed, error.to_string()))
            }
        }
    }
}

/// Carries out one request.
pub(super) async fn carry_out(
    running: &Running,
    request: &Request,
    caller: &Caller,
    door: Door,
) -> Result<Answer, Failure> {
    let unknown =
        |allowed: &str| Err(Failure::new(Code::UnknownOp, format!("unknown op {:?}; allowed{allowed}", request.op)));
    if matches!(request.op.as_str(), "topics" | "stats" | "feeds" | "tables" | "jobs" | "reload" | "shutdown") {
        request.arguments::<Nothing>()?;
    }
    let fields = match (request.op.as_str(), door) {
        ("snapshot", _) => return snapshot(running, &request.arguments()?).await,
        ("topics", _) => json!({"topics": running.publisher.kept_topics()}),
        ("stats", Door::Snapshot { shows_peers }) => reply::stats(running, shows_peers),
        (_, Door::Snapshot { .. }) => return unknown(&format!(" here: {READING}")),
        ("stats", Door::Control) => reply::stats(running, true),
        ("feeds", Door::Control) => feeds(running).await,
        ("status", Door::Control) => status(running, request.arguments::<OfFeed>()?.feed.as_deref()).await?,
        ("resync", Door::Control) => resync(running, &request.arguments()?).await?,
        ("open", Door::Control) => open::open(running, request.fields.clone(), &request.owner(caller)).await?,
        ("close", Door::Control) => close(running, request.arguments()?).await?,
        ("subscribe", Door::Control) => change(running, request, caller, true).await?,
        ("unsubscribe", Door::Control) => change(running, request, caller, false).await?,
        ("get", Door::Control) if request.fields.contains_key("table") => {
            return tables::get(running, &request.arguments()?).await;
        }
        ("get", Door::Control) => get::get(running, &request.arguments()?)?,
        ("find", Door::Control) => return tables::find(running, &request.arguments()?).await,
        ("sorted", Door::Control) => return tables::sorted(running, &request.arguments()?).await,
        ("wait", Door::Control) => return tables::wait(running, &request.arguments()?).await,
        ("watch", Door::Control) => return tables::watch(running, &request.arguments()?).await,
        ("tables", Door::Control) => tables::tables(running),
        ("initialize", Door::Control) => initialize::initialize(running, &request.arguments()?).await?,
        ("clear", Door::Control) => get::clear(running, &request.arguments()?)?,
        ("jobs", Door::Control) => jobs::list(running),
        ("job_start", Door::Control) => jobs::start(running, request.arguments()?)?,
        ("job_add", Door::Control) => jobs::add(running, request.arguments()?)?,
        ("job_stop", Door::Control) => jobs::stop(running, &request.arguments()?)?,
        ("job_next", Door::Control) => return jobs::next(running, &request.arguments()?).await.map(Answer::Text),
        ("job_run", Door::Control) => return jobs::run(running, request.arguments()?).await.map(Answer::Text),
        ("reload", Door::Control) => reload::reload(running).await?,
        ("shutdown", Door::Control) => {
            running.request_shutdown();
            json!({})
        }
        (FETCH, Door::Control) => return fetch::fetch(running, &request.text).await.map(Answer::Text),
        (op, Door::Control) if OF_SESSIONS.contains(&op) => return ask_session(running, request).await,
        (_, Door::Control) => return unknown(&format!(": {ALL}")),
    };
    Ok(Answer::Fields(fields))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn ask_session(running: &Running, request: &Request) -> Result<Answer, Failure> {
    let feed = feed(running, request.fields.get("feed").and_then(Value::as_str))?;
    let question = request.text.clone();
    let answer = feed.handle.ask(|reply| Command::Ask { question, reply }).await;
    answer.map(Answer::Text).ok_or_else(|| Failure::mute(feed.name()))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfTopic {
    topic: Option<String>,
}

/// The current book frame of a topic, full depth, as it would come over the bus: topic and payload.
async fn snapshot(running: &Running, asked: &OfTopic) -> Result<Answer, Failure> {
    let topic = asked.topic.as_deref();
    let topic =
        topic.ok_or_else(|| Failure::bad("snapshot needs a topic, for example \"book.bybit.linear.BTCUSDT.\""))?;
    let parts = parse_topic(topic).filter(|[channel, ..]| channel == "book");
    let Some([_, venue, market, _]) = parts else {
        let what = format!("{topic:?} is no book topic: book.VENUE.MARKET.SYMBOL. with a dot at the end");
        return Err(Failure::bad(what));
    };
    let of_market = |feed: &&Arc<RunningFeed>| feed.handle.venue == venue && *feed.handle.market == *market;
    for feed in running.feeds.list().iter().filter(of_market) {
        let ask = feed.handle.ask(|reply| Command::Snapshot { topic: topic.to_owned(), reply }).await;
        if let Some(Some(frame)) = ask {
            return Ok(Answer::Frame(frame));
        }
    }
    Err(Failure::new(Code::NotFound, format!("{topic} has no live book now; its status topic says why")))
}

/// The feed of that name.
pub(super) fn feed(running: &Running, name: Option<&str>) -> Result<Arc<RunningFeed>, Failure> {
    let names = || running.feeds.list().iter().map(|feed| feed.name().to_owned()).collect::<Vec<_>>().join(", ");
    let name = name.ok_or_else(|| Failure::bad(format!("feed is missing; allowed: {}", names())))?;
    let unknown = || Failure::new(Code::UnknownFeed, format!("no feed {name:?}; allowed: {}", names()));
    running.feeds.find(name).ok_or_else(unknown)
}

async fn feeds(running: &Running) -> Value {
    let reports = running.reports().await;
    let list = reports.iter().map(|(feed, report)| reply::feed(feed, report.as_ref(), false));
    json!({"feeds": list.collect::<Vec<_>>()})
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OfFeed {
    feed: Option<String>,
}

/// The bus and the named feed, or every feed, with the state of each symbol.
pub(super) async fn status(running: &Running, name: Option<&str>) -> Result<Value, Failure> {
    let reports = match name {
        Some(name) => {
            let feed = feed(running, Some(name))?;
            let report = feed.handle.report().await;
            vec![(feed, report)]
        }
        None => running.reports().await,
    };
    let list: Vec<Value> = reports.iter().map(|(feed, report)| reply::feed(feed, report.as_ref(), true)).collect();
    let (version, bus) = (env!("CARGO_PKG_VERSION"), reply::stats(running, true));
    Ok(json!({"version": version, "epoch": running.epoch, "feeds": list, "bus": bus}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Resync {
    feed: Option<String>,
    symbol: Option<String>,
}

async fn resync(running: &Running, asked: &Resync) -> Result<Value, Failure> {
    let feed = feed(running, asked.feed.as_deref())?;
    let missing = || Failure::bad("symbol is missing: the venue's own spelling, for example \"BTCUSDT\"");
    let symbol = asked.symbol.clone().ok_or_else(missing)?;
    let name = symbol.clone();
    match feed.handle.ask(|reply| Command::Resync { symbol, reply }).await {
        Some(true) => Ok(json!({})),
        Some(false) => {
            let what = format!("feed {} has no book of {name:?} to resync now", feed.name());
            Err(Failure::new(Code::NotFound, what))
        }
        None => Err(Failure::mute(feed.name())),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Close {
    feed: Option<String>,
    name: Option<String>,
}

async fn close(running: &Running, asked: Close) -> Result<Value, Failure> {
    let feed = feed(running, asked.name.or(asked.feed).as_deref())?;
    open::close(running, &feed).await?;
    Ok(json!({"name": feed.name()}))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Change {
    feed: Option<String>,
    #[serde(default)]
    symbols: Vec<String>,
    #[serde(default)]
    channels: Vec<String>,
    symbol: Option<String>,
    channel: Option<String>,
    within_ms: Option<u64>,
}

/// Wishes for streams, or takes wishes back.
async fn change(running: &Running, request: &Request, caller: &Caller, wishes: bool) -> Result<Value, Failure> {
    let Change { feed: name, mut symbols, mut channels, symbol, channel, within_ms } = request.arguments()?;
    symbols.extend(symbol);
    channels.extend(channel);
    let feed = feed(running, name.as_deref())?;
    let within = subscribe::within(within_ms)?;
    let read = at_run_time::streams(&feed.plan, &symbols, &channels);
    let (streams, notes) = read.map_err(|problems| Failure::problems(&problems))?;
    let owner = request.owner(caller);
    let standings = match wishes {
        true => subscribe::subscribe(&running.feeds, &feed, &streams, &owner, within).await?,
        false => subscribe::unsubscribe(&running.feeds, &feed, &streams, &owner, within).await?,
    };
    subscribe::answer(&streams, standings, &notes)
}
