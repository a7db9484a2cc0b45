//! What okws tells of its connections: events when they come and go, and a state that expires unless data flows.

use std::collections::HashMap;
use std::time::Duration;

use super::super::batch::{Batch, json_text};
use super::super::fields::Fields;
use super::super::kind::is_of_connection;
use crate::model::Mono;

/// How often flowing data is told, for one name; the state lives for a second.
const TELL_EVERY: Duration = Duration::from_millis(250);
/// Feeds and names remembered.
const MOST: usize = 10_000;

/// How a feed's connection stands, in okws's words.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Connected,
    Disconnected,
    Exit,
}

impl Link {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Connected => "CONNECTED",
            Self::Disconnected => "DISCONNECTED",
            Self::Exit => "EXIT",
        }
    }

    /// From a feed's status, or from a symbol's.
    fn of(status: &Fields<'_>) -> Self {
        let (state, reason) = (status.text("state"), status.text("reason"));
        match (state.as_deref(), reason.as_deref()) {
            (Some("down"), Some("shutdown")) => Self::Exit,
            (Some("down" | "offline"), _) => Self::Disconnected,
            (Some("stale"), _) if is_of_connection(status) => Self::Disconnected,
            _ => Self::Connected,
        }
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Links {
    /// What keys begin with: `okex`.
    root: String,
    /// By feed: the name it is served under, and its state.
    feeds: HashMap<String, (String, Link)>,
    /// When data was last told of, by name.
    told: HashMap<String, Mono>,
}

impl Links {
    pub(super) fn new(root: &str) -> Self {
        Self { root: root.to_owned(), feeds: HashMap::new(), told: HashMap::new() }
    }

    /// A status came: of the feed as a whole, or of a symbol. Symbols tell about a feed only while nothing else did.
    pub(super) fn status(&mut self, name: &str, status: &Fields<'_>, out: &mut Batch) {
        let feed = status.text("feed").unwrap_or_default();
        let known = self.feeds.get(&*feed).map(|(_, link)| *link);
        let whole = status.text("symbol").as_deref() == Some("");
        if known.is_some() && !whole {
            return;
        }
        let link = Link::of(status);
        if known == Some(link) || (known.is_none() && self.feeds.len() >= MOST) {
            return;
        }
        // A feed that has not been connected yet has no event to tell.
        if known.is_some() || link == Link::Connected {
            out.simple("PUBLISH", &[&self.event_channel(name), &format!("{{\"op\":\"{}\"}}", link.as_str())]);
        }
        self.write(name, link, out);
        if link == Link::Exit {
            self.feeds.remove(&*feed);
            self.told.remove(name);
        } else {
            self.feeds.insert(feed.into_owned(), (name.to_owned(), link));
        }
    }

    fn write(&self, name: &str, link: Link, out: &mut Batch) {
        let key = format!("{}/{name}/status", self.root);
        match link {
            Link::Connected => out.simple("SET", &[&key, link.as_str(), "EX", "1"]),
            Link::Disconnected | Link::Exit => out.simple("SET", &[&key, link.as_str()]),
        }
    }

    /// Writes every state again.
    pub(super) fn again(&self, out: &mut Batch) {
        self.feeds.values().for_each(|(name, link)| self.write(name, *link, out));
    }

    /// Data came for a name.
    pub(super) fn data(&mut self, name: &str, now: Mono, out: &mut Batch) {
        if self.told.get(name).is_some_and(|at| now.since(*at) < TELL_EVERY) {
            return;
        }
        if let Some(at) = self.told.get_mut(name) {
            *at = now;
        } else if self.told.len() < MOST {
            self.told.insert(name.to_owned(), now);
        }
        out.simple("PUBLISH", &[&self.event_channel(name), "{\"op\":\"ON_DATA\"}"]);
        out.simple("SET", &[&format!("{}/{name}/status", self.root), "ON_DATA", "EX", "1"]);
    }

    /// An event in the venue's own shape: a refusal.
    pub(super) fn refused(&self, name: &str, message: &str, out: &mut Batch) {
        let mut event = String::from("{\"event\":\"error\",\"message\":");
        json_text(&mut event, message);
        event.push_str(",\"errorCode\":30040}");
        out.simple("PUBLISH", &[&self.event_channel(name), &event]);
    }

    fn event_channel(&self, name: &str) -> String {
        format!("{}/{name}/event", self.root)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(links: &mut Links, json: &str) -> Vec<String> {
        let mut out = Batch::default();
        links.status("a", &Fields::read(json).unwrap(), &mut out);
        out.lines()
    }

    #[test]
    fn connections_come_and_go_with_events() {
        let mut links = Links::new("okex");
        let status = |state: &str, reason: &str| {
            format!(r#"{{"feed":"a_spot","symbol":"","state":"{state}","reason":"{reason}"}}"#)
        };
        let event = |op: &str| format!("PUBLISH okex/a/event {{\"op\":\"{op}\"}}");
        let starting = told(&mut links, &status("down", "starting"));
        assert_eq!(starting, ["SET okex/a/status DISCONNECTED"]);
        let up = [event("CONNECTED"), "SET okex/a/status CONNECTED EX 1".to_owned()];
        assert_eq!(told(&mut links, &status("syncing", "requested")), up);
        assert_eq!(told(&mut links, &status("live", "")), [""; 0]);
        assert_eq!(told(&mut links, &status("stale", "gap")), [""; 0], "one book's trouble");
        let down = [event("DISCONNECTED"), "SET okex/a/status DISCONNECTED".to_owned()];
        assert_eq!(told(&mut links, &status("stale", "disconnected")), down);
        let end = [event("EXIT"), "SET okex/a/status EXIT".to_owned()];
        assert_eq!(told(&mut links, &status("down", "shutdown")), end);
    }

    #[test]
    fn data_is_told_four_times_a_second() {
        let mut links = Links::new("okex");
        let mut count = 0;
        for ms in 0..1000 {
            let mut out = Batch::default();
            links.data("a", Mono(ms * 1_000_000), &mut out);
            count += out.len();
        }
        assert_eq!(count, 8);
    }
}
