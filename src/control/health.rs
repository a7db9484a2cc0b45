//! What makes a gateway healthy and ready, from its feeds' reports. Pure.

use serde_json::{Value, json};

use crate::feed::{State, Status};
use crate::io::command::DriverReport;

/// The feeds whose driver does not answer: the gateway is not healthy while there is one.
pub(super) fn unresponsive<'a>(feeds: impl Iterator<Item = (&'a str, Option<&'a DriverReport>)>) -> Vec<&'a str> {
    feeds.filter_map(|(name, report)| report.is_none().then_some(name)).collect()
}

/// What is missing until every feed is connected, and every book and every channel of an account is live that the venue did
/// not refuse, and why.
pub(super) fn missing<'a>(feeds: impl Iterator<Item = (&'a str, Option<&'a DriverReport>)>) -> Vec<Value> {
    let mut missing = Vec::new();
    for (name, report) in feeds {
        let Some(report) = report else {
            missing.push(json!({"feed": name, "state": "unresponsive"}));
            continue;
        };
        if !report.link.connected {
            let mut entry = json!({"feed": name, "state": State::Down.as_str()});
            if let Some(failure) = &report.link.last_failure {
                entry["detail"] = json!(failure);
            }
            missing.push(entry);
            continue;
        }
        let counted = |state| !matches!(state, State::Live | State::Rejected);
        let books = report.feed.symbols.iter().filter(|symbol| symbol.book && counted(symbol.status.state));
        missing.extend(books.map(|symbol| entry(name, ("symbol", &symbol.symbol), &symbol.status)));
        let channels = report.feed.account.iter().filter(|channel| counted(channel.status.state));
        missing.extend(channels.map(|channel| entry(name, ("channel", channel.kind.as_str()), &channel.status)));
    }
    missing
}

fn entry(feed: &str, (what, name): (&str, &str), status: &Status) -> Value {
    let mut entry = json!({"feed": feed, what: name, "state": status.state.as_str()});
    if let Some(reason) = status.reason {
        entry["reason"] = json!(reason.as_str());
    }
    if let Some(detail) = &status.detail {
        entry["detail"] = json!(detail);
    }
    entry
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::{AccountReport, FeedReport, Reason, SymbolReport};
    use crate::io::command::LinkReport;
    use crate::model::{AccountKind, UnixNanos};

    fn report(connected: bool, symbols: &[(&str, State, Option<Reason>, bool)]) -> DriverReport {
        let symbols = symbols.iter().map(|&(symbol, state, reason, book)| SymbolReport {
            symbol: symbol.to_owned(),
            status: Status { state, reason, since: UnixNanos(1), detail: None },
            book,
        });
        let last_failure = (!connected).then(|| "refused".to_owned());
        DriverReport {
            feed: FeedReport { symbols: symbols.collect(), ..FeedReport::default() },
            link: LinkReport { connected, last_failure, ..LinkReport::default() },
        }
    }

    #[test]
    fn a_mute_feed_is_unhealthy_and_a_disconnected_one_is_not() {
        let (up, down) = (report(true, &[]), report(false, &[]));
        let feeds = [("up", Some(&up)), ("down", Some(&down)), ("mute", None)];
        assert_eq!(unresponsive(feeds.into_iter()), ["mute"]);
    }

    #[test]
    fn what_is_missing_is_said_with_its_reason() {
        let books = report(
            true,
            &[
                ("", State::Stale, Some(Reason::Gap), false),
                ("LIVE", State::Live, None, true),
                ("GAP", State::Stale, Some(Reason::Gap), true),
                ("REFUSED", State::Rejected, Some(Reason::Rejected), true),
                ("QUIET_TRADES", State::Syncing, None, false),
            ],
        );
        let of_account = |kind, state, reason| AccountReport {
            kind,
            status: Status { state, reason: Some(reason), since: UnixNanos(1), detail: Some("why".to_owned()) },
        };
        let mut account = report(true, &[]);
        account.feed.account = vec![
            of_account(AccountKind::Order, State::Syncing, Reason::Disconnected),
            of_account(AccountKind::Fill, State::Rejected, Reason::Rejected),
        ];
        let down = report(false, &[("X", State::Down, Some(Reason::Disconnected), true)]);
        let feeds = [("books", Some(&books)), ("account", Some(&account)), ("down", Some(&down)), ("mute", None)];
        let expected = json!([
            {"feed": "books", "symbol": "GAP", "state": "stale", "reason": "gap"},
            {"feed": "account", "channel": "order", "state": "syncing", "reason": "disconnected", "detail": "why"},
            {"feed": "down", "state": "down", "detail": "refused"},
            {"feed": "mute", "state": "unresponsive"},
        ]);
        assert_eq!(Value::from(missing(feeds.into_iter())), expected);
    }
}
