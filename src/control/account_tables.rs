//! Whether the tables of accounts are the venue's: they are while the feeds that their rows come from say so.

use serde_json::{Map, Value, json};

use super::reply::{Code, Failure};
use super::{Running, RunningFeed};
use crate::client::as_json;
use crate::frame::account_status_topic;
use crate::model::{AccountKind, Channel};

/// What a status says of a state.
const SAID: [&str; 4] = ["state", "reason", "since", "detail"];

/// How the feeds stand that rows of one kind come from.
#[derive(Debug, Default)]
pub(super) struct Sources {
    /// How many there are.
    count: usize,
    /// Those that are not live, each with what its status says.
    not_live: Vec<Map<String, Value>>,
}

impl Sources {
    /// Those of a venue's rows of this kind; with an account, of that one's.
    pub(super) fn of(running: &Running, venue: &str, kind: AccountKind, account: Option<&str>) -> Self {
        let mut sources = Self::default();
        let is_meant = |feed: &RunningFeed| {
            // Where the venue names accounts by itself, all of them may be of any feed.
            let own = feed.plan.account();
            feed.handle.venue == venue && account.zip(own).is_none_or(|(account, own)| account == own)
        };
        for feed in running.feeds.list().iter().filter(|feed| is_meant(feed)) {
            if feed.wished().streams().any(|stream| stream.channel == Channel::Account(kind)) {
                sources.count += 1;
                sources.not_live.extend(trouble(feed, kind));
            }
        }
        sources
    }

    /// Those that are not live, as a member of an answer with a comma before it; empty if all are.
    pub(super) fn as_member(&self) -> String {
        if self.not_live.is_empty() { String::new() } else { format!(",\"not_live\":{}", json!(self.not_live)) }
    }

    /// Why rows are not shown.
    ///
    /// # Errors
    /// No feed has such rows, or not all that have them are live.
    pub(super) fn check(&self, venue: &str, kind: AccountKind, account: Option<&str>) -> Result<(), Failure> {
        let kind = kind.as_str();
        let whose = account.map(|account| format!(" of account {account:?}")).unwrap_or_default();
        if self.count == 0 {
            let what = format!(
                "no feed of {venue} has {kind} rows{whose}; subscribe to {kind} with a feed that has the account first"
            );
            return Err(Failure::new(Code::NotFound, what));
        }
        let Some(first) = self.not_live.first() else { return Ok(()) };
        let word = |key: &str| first.get(key).and_then(Value::as_str).unwrap_or_default();
        let mut why = format!("{} ({})", word("state"), word("reason"));
        if !word("detail").is_empty() {
            why = format!("{why}: {}", word("detail"));
        }
        let what = format!(
            "what is known of {kind} rows{whose} may not be what {venue} has: feed {} is {why}; wait until it is live",
            word("feed")
        );
        let mut failure = Failure::new(Code::NotLive, what);
        let said = SAID.iter().filter_map(|key| Some(((*key).to_owned(), first.get(*key)?.clone())));
        failure.fields = said.chain([("not_live".to_owned(), json!(self.not_live))]).collect();
        Err(failure)
    }
}

/// What a feed's status says of this channel, unless it is live.
fn trouble(feed: &RunningFeed, kind: AccountKind) -> Option<Map<String, Value>> {
    let account = feed.plan.account();
    let topic = account_status_topic(feed.handle.venue, account, &feed.handle.market, kind);
    let frame = feed.store.latest(&topic);
    let status = frame.and_then(|frame| serde_json::from_str::<Value>(&as_json(&frame.payload).ok()?).ok());
    // Until it has said something, it has only begun.
    let status = status.unwrap_or_else(|| json!({"state": "down", "reason": "starting"}));
    if status["state"] == "live" {
        return None;
    }
    let mut told = Map::from_iter([("feed".to_owned(), json!(feed.name()))]);
    told.extend(account.map(|account| ("account".to_owned(), json!(account))));
    told.extend(SAID.iter().filter_map(|key| Some(((*key).to_owned(), status.get(*key)?.clone()))));
    Some(told)
}
