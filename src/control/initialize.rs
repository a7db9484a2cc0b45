//! Reading the state of accounts anew.

use std::sync::Arc;

use futures_util::future::join_all;
use serde::Deserialize;
use serde_json::{Value, json};

use super::reply::{Code, Failure};
use super::{Running, RunningFeed, commands};
use crate::io::command::Command;

/// Arguments of `initialize`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(super) struct Initialize {
    feed: Option<String>,
    venue: Option<String>,
}

/// Has a feed, or all feeds of a venue that follow an account, ask for orders, positions and balances anew.
pub(super) async fn initialize(running: &Running, asked: &Initialize) -> Result<Value, Failure> {
    let follows = |feed: &Arc<RunningFeed>| feed.wished().streams().any(|stream| stream.channel.is_of_account());
    let (whose, feeds) = match (&asked.feed, &asked.venue) {
        (Some(name), None) => (name, vec![commands::feed(running, Some(name))?]),
        (None, Some(venue)) => {
            let of_venue = running.feeds.list().into_iter().filter(|feed| feed.handle.venue == *venue);
            (venue, of_venue.filter(follows).collect())
        }
        _ => return Err(Failure::bad("initialize needs a feed or a venue, one of the two")),
    };
    if !feeds.iter().any(follows) {
        let what = format!(
            "{whose:?} follows no account; it needs a feed with order, fill, position or balance among its channels"
        );
        return Err(Failure::new(Code::Unsupported, what));
    }
    let asking = feeds.iter().map(|feed| feed.handle.ask(|reply| Command::Initialize { reply }));
    let answers = join_all(asking).await;
    let (mut begun, mut not_begun) = (Vec::new(), Vec::new());
    let mut mute = None;
    for (feed, answer) in feeds.iter().zip(answers) {
        mute = mute.or(answer.is_none().then(|| feed.name()));
        match answer.unwrap_or_else(|| Err("it does not answer".to_owned())) {
            Ok(()) => begun.push(feed.name()),
            Err(why) => not_begun.push((feed.name(), why)),
        }
    }
    if let Some(mute) = mute.filter(|_| begun.is_empty()) {
        return Err(Failure::mute(mute));
    }
    if begun.is_empty() {
        let each: Vec<String> = not_begun.iter().map(|(name, why)| format!("feed {name}: {why}")).collect();
        return Err(Failure::new(Code::Unsupported, format!("nothing is read anew; {}", each.join("; "))));
    }
    let mut fields = json!({"feeds": begun});
    if !not_begun.is_empty() {
        let each = not_begun.iter().map(|(name, why)| json!({"feed": name, "error": why}));
        fields["not_begun"] = each.collect();
    }
    Ok(fields)
}
