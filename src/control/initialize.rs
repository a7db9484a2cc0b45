//! Reading the state of accounts anew.

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{Code, Failure};
use super::{Running, commands};
use crate::io::command::Command;
use crate::model::Channel;

/// Arguments of `initialize`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Initialize {
    feed: Option<String>,
    venue: Option<String>,
}

/// Has a feed, or all feeds of a venue that follow an account, ask for orders, positions and balances anew.
pub(super) async fn initialize(running: &Running, asked: &Initialize) -> Result<Value, Failure> {
    let mut feeds = match (&asked.feed, &asked.venue) {
        (Some(name), None) => vec![commands::feed(running, Some(name))?],
        (None, Some(venue)) => running.feeds.list().into_iter().filter(|feed| feed.handle.venue == *venue).collect(),
        _ => return Err(Failure::bad("initialize needs a feed or a venue, one of the two")),
    };
    feeds.retain(|feed| feed.streams().iter().any(|stream| matches!(stream.channel, Channel::Account(_))));
    let whose = asked.feed.as_ref().or(asked.venue.as_ref()).map(String::as_str).unwrap_or_default();
    if feeds.is_empty() {
        let what = format!(
            "{whose:?} follows no account; it needs a feed with order, fill, position or balance among its channels"
        );
        return Err(Failure::new(Code::Unsupported, what));
    }
    let asking = feeds.iter().map(|feed| feed.handle.ask(|reply| Command::Initialize { reply }));
    let answers = join_all(asking).await;
    if let Some((feed, _)) = feeds.iter().zip(&answers).find(|(_, answer)| answer.is_none()) {
        return Err(Failure::mute(feed.name()));
    }
    let asked_anew = feeds.iter().zip(answers).filter(|(_, answer)| *answer == Some(true));
    let names: Vec<&str> = asked_anew.map(|(feed, _)| feed.name()).collect();
    if names.is_empty() {
        let what = format!("{whose:?} is told the state of its account by the venue alone, or is not signed in now");
        return Err(Failure::new(Code::Unsupported, what));
    }
    Ok(json!({"feeds": names}))
}
