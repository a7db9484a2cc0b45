//! The commands: read, carried out, answered.

use bytes::Bytes;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply;
use super::{FeedHandle, Running};
use crate::frame::parse_topic;
use crate::io::command::Command;
use crate::zmtp::PublicKey;

/// Which door a request came through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Door {
    Snapshot,
    Control,
}

/// A request. Which fields are needed depends on `op`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    op: String,
    topic: Option<String>,
    feed: Option<String>,
    symbol: Option<String>,
}

/// Commands that a venue's session answers itself, from the whole request.
const OF_SESSIONS: [&str; 3] = ["history", "params", "rpc"];
const READING: &str = "snapshot, topics, stats";
const ALL: &str = "snapshot, topics, stats, feeds, status, resync, history, params, rpc, reload, shutdown";

/// Carries out one request and answers it, with an error that says what is wrong where it cannot.
pub(super) async fn answer(running: &Running, request: &[u8], door: Door) -> Vec<Bytes> {
    match carry_out(running, request, door).await {
        Ok(frames) => frames,
        Err(message) => reply::error(&message),
    }
}

async fn carry_out(running: &Running, request: &[u8], door: Door) -> Result<Vec<Bytes>, String> {
    let wrong = |what: &str| format!("not a request: {what}; for example {{\"op\":\"stats\"}}");
    // Serde would also read an array, by position.
    if request.trim_ascii_start().first() != Some(&b'{') {
        return Err(wrong("it must be a JSON object"));
    }
    if door == Door::Control
        && let Some(feed_name) = of_session(request)
    {
        return ask_session(running, feed_name.as_deref(), request).await;
    }
    let request: Request = serde_json::from_slice(request).map_err(|error| wrong(&error.to_string()))?;
    match (request.op.as_str(), door) {
        ("snapshot", _) => snapshot(running, request.topic.as_deref()).await,
        ("topics", _) => Ok(reply::ok(&json!({"topics": running.publisher.kept_topics()}))),
        ("stats", _) => Ok(reply::ok(&reply::stats(running))),
        ("feeds", Door::Control) => feeds(running).await,
        ("status", Door::Control) => Ok(reply::ok(&status(running, request.feed.as_deref()).await?)),
        ("resync", Door::Control) => resync(running, request.feed.as_deref(), request.symbol.as_deref()).await,
        ("reload", Door::Control) => reload(running).await,
        ("shutdown", Door::Control) => {
            running.request_shutdown();
            Ok(reply::ok(&json!({})))
        }
        (op, Door::Snapshot) => Err(format!("unknown op {op:?}; allowed here: {READING}")),
        (op, Door::Control) => Err(format!("unknown op {op:?}; allowed: {ALL}")),
    }
}

/// The feed that a request names, if its session is to answer it.
fn of_session(request: &[u8]) -> Option<Option<String>> {
    #[derive(Deserialize)]
    struct Head {
        op: String,
        feed: Option<String>,
    }
    let head: Head = serde_json::from_slice(request).ok()?;
    OF_SESSIONS.contains(&head.op.as_str()).then_some(head.feed)
}

async fn ask_session(running: &Running, name: Option<&str>, request: &[u8]) -> Result<Vec<Bytes>, String> {
    let feed = feed(running, name)?;
    // What serde has read is UTF-8.
    let question = String::from_utf8_lossy(request).into_owned();
    let answer = feed.ask(|reply| Command::Ask { question, reply }).await;
    answer.map(|text| vec![text.into()]).ok_or_else(|| format!("feed {} does not answer", feed.name))
}

/// The current book frame of a topic, full depth, as it would come over the bus: topic and payload.
async fn snapshot(running: &Running, topic: Option<&str>) -> Result<Vec<Bytes>, String> {
    let topic = topic.ok_or("snapshot needs a topic, for example \"book.bybit.linear.BTCUSDT.\"")?;
    let parts = parse_topic(topic).filter(|[channel, ..]| channel == "book");
    let Some([_, venue, market, _]) = parts else {
        return Err(format!("{topic:?} is no book topic: book.VENUE.MARKET.SYMBOL. with a dot at the end"));
    };
    let of_market = |feed: &&FeedHandle| feed.venue == venue && *feed.market == *market;
    for feed in running.feeds.iter().filter(of_market) {
        let ask = feed.ask(|reply| Command::Snapshot { topic: topic.to_owned(), reply }).await;
        if let Some(Some(frame)) = ask {
            return Ok(vec![frame.topic, frame.payload]);
        }
    }
    Err(format!("{topic} has no live book now; its status topic says why"))
}

fn feed<'a>(running: &'a Running, name: Option<&str>) -> Result<&'a FeedHandle, String> {
    let names = || running.feeds.iter().map(|feed| feed.name.as_ref()).collect::<Vec<_>>().join(", ");
    let name = name.ok_or_else(|| format!("feed is missing; allowed: {}", names()))?;
    let found = running.feeds.iter().find(|feed| feed.name.as_ref() == name);
    found.ok_or_else(|| format!("no feed {name:?}; allowed: {}", names()))
}

async fn feeds(running: &Running) -> Result<Vec<Bytes>, String> {
    let reports = running.reports().await;
    let list = running.feeds.iter().zip(&reports).map(|(feed, report)| reply::feed(feed, report.as_ref(), false));
    Ok(reply::ok(&json!({"feeds": list.collect::<Vec<_>>()})))
}

/// The bus and the named feed, or every feed, with the state of each symbol.
pub(super) async fn status(running: &Running, name: Option<&str>) -> Result<Value, String> {
    let list = match name {
        Some(name) => {
            let feed = feed(running, Some(name))?;
            vec![reply::feed(feed, feed.report().await.as_ref(), true)]
        }
        None => {
            let reports = running.reports().await;
            let all = running.feeds.iter().zip(&reports);
            all.map(|(feed, report)| reply::feed(feed, report.as_ref(), true)).collect()
        }
    };
    let (version, bus) = (env!("CARGO_PKG_VERSION"), reply::stats(running));
    Ok(json!({"version": version, "epoch": running.epoch, "feeds": list, "bus": bus}))
}

async fn resync(running: &Running, name: Option<&str>, symbol: Option<&str>) -> Result<Vec<Bytes>, String> {
    let feed = feed(running, name)?;
    let symbol = symbol.ok_or("symbol is missing: the venue's own spelling, for example \"BTCUSDT\"")?.to_owned();
    let name = symbol.clone();
    match feed.ask(|reply| Command::Resync { symbol, reply }).await {
        Some(true) => Ok(reply::ok(&json!({}))),
        Some(false) => Err(format!("feed {} has no book of {name:?} to resync now", feed.name)),
        None => Err(format!("feed {} does not answer", feed.name)),
    }
}

/// Reads the lists of client keys again.
async fn reload(running: &Running) -> Result<Vec<Bytes>, String> {
    if running.key_lists.is_empty() {
        return Err("there is nothing to read again: no list of clients is kept in a file".to_owned());
    }
    let keys = |keys: &[PublicKey]| keys.iter().map(ToString::to_string).collect::<Vec<_>>();
    let lists = running.reload().await?.into_iter().map(|list| {
        let (added, removed) = (keys(&list.change.added), keys(&list.change.removed));
        json!({"list": list.path, "clients": list.keys, "added": added, "removed": removed})
    });
    Ok(reply::ok(&json!({"lists": lists.collect::<Vec<_>>()})))
}
