//! Wishing for streams and taking wishes back: counted by owner, told to the feed in order, answered by the venue.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};

use super::reply::{Code, Failure};
use super::wished::{Left, Owner};
use super::{Registry, RunningFeed};
use crate::io::command::{Answered, Command};
use crate::model::{Channel, Stream};
use crate::pipeline::Settled;

/// How long the venue may take to answer, where the request does not say; and at most.
const WITHIN: Duration = Duration::from_secs(5);
const WITHIN_MAX_MS: u64 = 30_000;

/// How a stream stands after a command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The venue has confirmed it.
    Subscribed,
    /// The venue refused it, in these words.
    Rejected(String),
    /// The venue has not answered yet.
    Pending,
    /// Nobody wishes it any more, and the venue has confirmed that.
    Unsubscribed,
    /// So many others wish it.
    Kept(usize),
}

/// What a request says of how long to wait.
///
/// # Errors
/// More than half a minute.
pub(super) fn within(asked_ms: Option<u64>) -> Result<Duration, Failure> {
    match asked_ms {
        None => Ok(WITHIN),
        Some(ms @ 0..=WITHIN_MAX_MS) => Ok(Duration::from_millis(ms)),
        Some(ms) => Err(Failure::bad(format!("within_ms: {ms} is out of range; allowed: 0 to {WITHIN_MAX_MS}"))),
    }
}

/// Wishes for streams of a feed: for all or, when something speaks against one, for none.
pub(super) async fn subscribe(
    registry: &Arc<Registry>,
    feed: &Arc<RunningFeed>,
    streams: &[Stream],
    owner: &Owner,
    within: Duration,
) -> Result<Vec<Standing>, Failure> {
    let until = Instant::now() + within;
    let (reply, answers) = mpsc::channel(streams.len().max(1));
    registry.wait_for_others(&feed.plan, streams).await;
    let new = {
        let _gate = enter(feed).await?;
        let new = registry.wish(feed, streams, owner).map_err(|refusals| refused(&refusals))?;
        if !feed.handle.tell(Command::Subscribe { streams: streams.to_vec(), reply }).await {
            for (at, number) in &new {
                feed.wished().drop_wish(&streams[*at], *number);
            }
            registry.changed();
            return Err(Failure::mute(feed.name()));
        }
        new
    };
    let mut collecting = Collecting { standings: vec![Standing::Pending; streams.len()], open: streams.len(), answers };
    let _ = timeout_at(until, collecting.all()).await;
    let standings = collecting.standings.clone();
    let new: Vec<(usize, Stream, u64)> =
        new.into_iter().map(|(at, number)| (at, streams[at].clone(), number)).collect();
    take_back(registry, feed, &new, &standings).await;
    let rest: Vec<_> = new.into_iter().filter(|(at, ..)| standings[*at] == Standing::Pending).collect();
    if !rest.is_empty() {
        // As many tasks at most as there are wishes: each has one that nobody had before.
        let (registry, feed) = (Arc::clone(registry), Arc::clone(feed));
        tokio::spawn(async move {
            collecting.all().await;
            take_back(&registry, &feed, &rest, &collecting.standings).await;
        });
    }
    Ok(standings)
}

/// Wishes for streams because the config says so, which stays so whatever the venue answers.
pub(super) async fn subscribe_for_config(
    registry: &Registry,
    feed: &RunningFeed,
    streams: &[Stream],
) -> Result<(), Failure> {
    registry.wait_for_others(&feed.plan, streams).await;
    let _gate = enter(feed).await?;
    registry.wish(feed, streams, &Owner::Config).map_err(|refusals| refused(&refusals))?;
    let (reply, _) = mpsc::channel(streams.len().max(1));
    let told = feed.handle.tell(Command::Subscribe { streams: streams.to_vec(), reply }).await;
    if told { Ok(()) } else { Err(Failure::mute(feed.name())) }
}

/// A wish that the venue refused is dropped again, so that only what is wished for is asked for again.
async fn take_back(registry: &Registry, feed: &RunningFeed, wishes: &[(usize, Stream, u64)], standings: &[Standing]) {
    let refused: Vec<_> =
        wishes.iter().filter(|(at, ..)| matches!(standings.get(*at), Some(Standing::Rejected(_)))).collect();
    if refused.is_empty() {
        return;
    }
    let _gate = feed.gate.lock().await;
    let mut last = Vec::new();
    for (_, stream, number) in refused {
        if feed.wished().drop_wish(stream, *number) == Left::Last {
            last.push(stream.clone());
        }
    }
    registry.changed();
    if !last.is_empty() {
        let (reply, _) = mpsc::channel(last.len());
        // A feed that does not take it has ended, or will be started again without these streams.
        feed.handle.tell(Command::Unsubscribe { streams: last, reply }).await;
    }
}

/// Takes wishes back.
pub(super) async fn unsubscribe(
    registry: &Registry,
    feed: &RunningFeed,
    streams: &[Stream],
    owner: &Owner,
    within: Duration,
) -> Result<Vec<Standing>, Failure> {
    let until = Instant::now() + within;
    let mut standings = vec![Standing::Unsubscribed; streams.len()];
    let (mut left, mut places) = (Vec::new(), Vec::new());
    let answers = {
        let _gate = enter(feed).await?;
        for (at, stream) in streams.iter().enumerate() {
            match feed.wished().unwish(stream, owner) {
                Left::Nothing => {}
                Left::Others(count) => standings[at] = Standing::Kept(count),
                Left::Last => {
                    left.push(stream.clone());
                    places.push(at);
                }
            }
        }
        registry.changed();
        let (reply, answers) = mpsc::channel(left.len().max(1));
        if !left.is_empty() && !feed.handle.tell(Command::Unsubscribe { streams: left, reply }).await {
            return Err(Failure::mute(feed.name()));
        }
        answers
    };
    let mut collecting = Collecting { standings: vec![Standing::Pending; places.len()], open: places.len(), answers };
    let _ = timeout_at(until, collecting.all()).await;
    for (at, standing) in places.into_iter().zip(collecting.standings) {
        standings[at] = standing;
    }
    Ok(standings)
}

/// Waits for one's turn with this feed.
async fn enter(feed: &RunningFeed) -> Result<tokio::sync::MutexGuard<'_, ()>, Failure> {
    if feed.plan.terminal.is_some() {
        let why = format!(
            "feed {} is from a terminal: its streams are those of its config, so change the config and restart",
            feed.name()
        );
        return Err(Failure::new(Code::Unsupported, why));
    }
    let gate = feed.gate.lock().await;
    if feed.is_stopping() {
        return Err(Failure::new(Code::UnknownFeed, format!("feed {} is closed", feed.name())));
    }
    Ok(gate)
}

fn refused(refusals: &[(Stream, String)]) -> Failure {
    let mut texts: Vec<&str> = refusals.iter().map(|(_, why)| why.as_str()).collect();
    texts.dedup();
    let streams = refusals.iter().map(|(stream, why)| named(stream, "refused", Some(why.clone())));
    let fields = Map::from_iter([("streams".to_owned(), streams.collect())]);
    Failure { code: Code::Conflict, message: texts.join("; "), fields }
}

/// The answers of a feed, as they come.
struct Collecting {
    standings: Vec<Standing>,
    open: usize,
    answers: mpsc::Receiver<Answered>,
}

impl Collecting {
    /// Waits until all are here, or the feed has ended.
    async fn all(&mut self) {
        while self.open > 0 {
            let Some(Answered { at, settled }) = self.answers.recv().await else { return };
            let standing = match settled {
                Settled::Subscribed => Standing::Subscribed,
                Settled::Rejected(why) => Standing::Rejected(why),
                Settled::Unsubscribed => Standing::Unsubscribed,
            };
            if let Some(place) = self.standings.get_mut(at).filter(|place| **place == Standing::Pending) {
                *place = standing;
                self.open -= 1;
            }
        }
    }
}

/// The answer to a command about these streams.
pub(super) fn answer(streams: &[Stream], standings: Vec<Standing>, notes: &[String]) -> Result<Value, Failure> {
    let mut refusals = Vec::new();
    let list = streams.iter().zip(standings).map(|(stream, standing)| match standing {
        Standing::Subscribed => named(stream, "subscribed", None),
        Standing::Unsubscribed => named(stream, "unsubscribed", None),
        Standing::Pending => named(stream, "pending", Some("the venue has not answered yet".to_owned())),
        Standing::Kept(1) => named(stream, "kept", Some("another client wishes it".to_owned())),
        Standing::Kept(count) => named(stream, "kept", Some(format!("{count} other clients wish it"))),
        Standing::Rejected(why) => {
            refusals.push(format!("{stream}: {why}"));
            named(stream, "rejected", Some(why))
        }
    });
    let mut fields = Map::from_iter([("streams".to_owned(), list.collect())]);
    if !notes.is_empty() {
        fields.insert("notes".to_owned(), json!(notes));
    }
    if refusals.is_empty() {
        return Ok(Value::Object(fields));
    }
    Err(Failure { code: Code::Rejected, message: refusals.join("; "), fields })
}

/// A stream's symbol and channel as the config spells them. A raw channel has no symbol.
pub(super) fn spelled(stream: &Stream) -> (&str, String) {
    match (stream.channel, stream.variant) {
        (Channel::Raw, _) => ("", format!("raw:{}", stream.symbol)),
        (channel, "") => (&stream.symbol, channel.to_string()),
        (channel, variant) => (&stream.symbol, format!("{channel}:{variant}")),
    }
}

fn named(stream: &Stream, state: &str, detail: Option<String>) -> Value {
    let (symbol, channel) = spelled(stream);
    let mut fields = json!({"symbol": symbol, "channel": channel, "state": state});
    if let Some(detail) = detail {
        fields["detail"] = json!(detail);
    }
    fields
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Layers;
    use crate::config::at_run_time;
    use crate::model::AccountKind;
    use crate::venue::{Transport, VENUES};

    /// What is written to the state file is read again as the same stream.
    #[test]
    fn every_channel_of_every_venue_is_spelled_so_that_it_is_read_back() {
        let mut count = 0;
        for venue in VENUES.iter().filter(|venue| venue.transport == Transport::WebSocket) {
            for market in venue.markets {
                let (symbols, key) = ([market.example], json!({"env": "K"}));
                let credentials = json!({"key": key, "secret": key, "passphrase": key});
                let feed = json!({
                    "venue": venue.id, "market": market.id, "symbols": symbols, "channels": ["trade"],
                    "credentials": credentials,
                });
                let (text, env) = (json!({"feeds": {"a": feed}}).to_string(), vec![("K".into(), "x".into())]);
                let config = Layers { text, env, ..Layers::default() }.check().unwrap();
                let read = |channel: &str, stream: Option<&Stream>| {
                    let symbol = stream.map_or(market.example, |stream| spelled(stream).0);
                    let symbols = if symbol.is_empty() { vec![] } else { vec![symbol.to_owned()] };
                    at_run_time::streams(&config.feeds[0], &symbols, &[channel.to_owned()])
                };
                let raw = r#"raw:{"op":"x","args":[1, 2]}"#.to_owned();
                let of_account = |channel: &String| AccountKind::parse(channel).is_some();
                for channel in (venue.channels)(market.id).into_iter().filter(|name| !of_account(name)).chain([raw]) {
                    let symbols =
                        read(&channel, None).or_else(|_| read(&channel, Some(&Stream::new("", Channel::Bbo))));
                    let (streams, _) = symbols.unwrap_or_else(|problems| panic!("{channel}: {problems:?}"));
                    let again = read(&spelled(&streams[0]).1, Some(&streams[0])).map(|(streams, _)| streams);
                    assert_eq!(again.as_ref(), Ok(&streams), "{} {} {channel}", venue.id, market.id);
                    count += 1;
                }
            }
        }
        assert!(count > 50, "{count}");
    }
}
