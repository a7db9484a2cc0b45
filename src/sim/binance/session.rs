//! The server's side of one connection: requests in, answers and subscribed messages out.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::model::{Mono, Stamp};
use crate::sim::venue::{self, Beat, Published, Reply};

use super::account;
use super::catalog::Market;
use super::life::Life;
use super::message::json_text;
use super::path::{MOST_STREAMS, Place, Serves};
use super::request::{self, Request};
use super::venue::{Feed, Venue};
use super::ws_api::{self, Step};

/// How long the answer to every fifth subscription is held back: data may come before it.
const LATE: Duration = Duration::from_millis(150);
/// The topic of the account's events on spot.
const SPOT_ACCOUNT: &str = "account";
/// How a connection that sends too much ends.
const TOO_MUCH: Reply = Reply::Close(1_008, "Too many requests");

#[derive(Clone, Debug)]
struct Subscription {
    feed: Feed,
    /// Messages up to this event are older than the subscription.
    after: u64,
    muted: bool,
}

/// What kind of connection it is.
#[derive(Clone, Debug)]
enum Kind {
    Streams {
        /// Told by the first stream if not by the path.
        market: Option<Market>,
        serves: Serves,
        combined: bool,
        events: Vec<String>,
    },
    Api,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    kind: Kind,
    /// Streams by name; those that do not exist, or are not served here, are accepted and silent.
    streams: BTreeMap<String, Option<Subscription>>,
    life: Life,
    /// Counts subscriptions, beginning with the connection's number, so that every fifth answer comes late.
    subscribed: u64,
    late: Option<(Mono, String)>,
}

impl Session {
    /// The `number`th connection of a server, with the streams its address names.
    pub(super) fn new(place: Place, number: u64, venue: &mut Venue, now: Stamp) -> Self {
        let (kind, names) = match place {
            Place::Api => (Kind::Api, Vec::new()),
            Place::Streams { market, serves, combined, names, events } => {
                (Kind::Streams { market, serves, combined, events }, names)
            }
        };
        let futures = matches!(&kind, Kind::Streams { market: Some(market), .. } if market.is_futures());
        let life = Life::new(futures, now.mono);
        let mut session = Self { kind, streams: BTreeMap::new(), life, subscribed: number, late: None };
        session.subscribe(&names, now, venue, &mut |_| false);
        session
    }

    fn market(&self) -> Option<Market> {
        match self.kind {
            Kind::Streams { market, .. } => market,
            Kind::Api => Some(Market::Spot),
        }
    }

    fn is_futures(&self) -> bool {
        self.market().is_some_and(Market::is_futures)
    }

    /// Lets the first stream tell the market: a symbol with an underscore, or a listen key, is COIN-M's.
    fn settle(&mut self, names: &[String], venue: &Venue) {
        let Kind::Streams { market: market @ None, .. } = &mut self.kind else { return };
        let Some(first) = names.first() else { return };
        let symbol = first.split('@').next().unwrap_or_default();
        let told = match venue.account.market_of(first) {
            Some(of_key) => of_key,
            None if symbol.contains('_') => Market::Coinm,
            None => Market::Spot,
        };
        *market = Some(told);
        if told.is_futures() {
            self.life.become_futures();
        }
    }

    fn subscribe(&mut self, names: &[String], now: Stamp, venue: &mut Venue, refuses: &mut dyn FnMut(&str) -> bool) {
        self.settle(names, venue);
        for name in names {
            if self.streams.contains_key(name) {
                continue;
            }
            let feed = self.feed(name, venue).filter(|_| !refuses(name));
            let subscription = feed.map(|feed| {
                venue.watch(&feed, now);
                Subscription { feed, after: venue.events(), muted: false }
            });
            self.streams.insert(name.clone(), subscription);
        }
    }

    /// Where a stream's messages come from, if this connection serves it.
    fn feed(&self, name: &str, venue: &Venue) -> Option<Feed> {
        let Kind::Streams { market: Some(market), serves, .. } = &self.kind else { return None };
        if let Some(of_key) = venue.account.market_of(name) {
            let fits = *serves == Serves::Private || (*serves == Serves::Everything && of_key == Market::Coinm);
            return (fits && of_key == *market).then(|| Feed::Account(of_key, name.to_owned()));
        }
        let (class, feed) = venue.resolve(*market, name)?;
        match serves {
            Serves::Everything => Some(feed),
            Serves::Class(served) => (class == *served).then_some(feed),
            Serves::Private => None,
        }
    }

    fn unsubscribe(&mut self, names: &[String], venue: &mut Venue) {
        for name in names {
            if let Some(Some(gone)) = self.streams.remove(name) {
                venue.unwatch(&gone.feed);
            }
        }
    }

    fn answer(
        &mut self,
        text: &str,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Vec<Reply> {
        if let Kind::Api = self.kind {
            let (text, step) = ws_api::answer(&venue.settings, &mut venue.logins, text, now);
            self.step(step, venue);
            return vec![Reply::Control(text)];
        }
        let futures = self.is_futures();
        let (id, request) = request::read(text, futures);
        let refused = |refusal| Reply::Control(request::refused(&id, &refusal, futures));
        let result = match request {
            Err(refusal) => return vec![refused(refusal)],
            Ok(Request::Subscribe(names)) => {
                if self.streams.len() + names.len() > MOST_STREAMS {
                    let words = format!("Invalid request: more than {MOST_STREAMS} streams on one connection");
                    return vec![refused((2, words))];
                }
                self.subscribe(&names, now, venue, refuses);
                self.subscribed += 1;
                if self.subscribed.is_multiple_of(5) {
                    self.late = Some((now.mono.after(LATE), request::accepted(&id, "null")));
                    return Vec::new();
                }
                "null".to_owned()
            }
            Ok(Request::Unsubscribe(names)) => {
                self.unsubscribe(&names, venue);
                "null".to_owned()
            }
            Ok(Request::List) => {
                let names: Vec<String> = self.streams.keys().map(|name| json_text(name)).collect();
                format!("[{}]", names.join(","))
            }
            Ok(Request::SetCombined(value)) => {
                if let Kind::Streams { combined, .. } = &mut self.kind {
                    *combined = value;
                }
                "null".to_owned()
            }
            Ok(Request::GetCombined) => matches!(self.kind, Kind::Streams { combined: true, .. }).to_string(),
        };
        vec![Reply::Control(request::accepted(&id, &result))]
    }

    fn step(&mut self, step: Step, venue: &mut Venue) {
        match step {
            Step::Subscribe if !self.streams.contains_key(SPOT_ACCOUNT) => {
                let feed = Feed::Account(Market::Spot, SPOT_ACCOUNT.to_owned());
                venue.watch(&feed, Stamp::default());
                let subscription = Subscription { feed, after: venue.events(), muted: false };
                self.streams.insert(SPOT_ACCOUNT.to_owned(), Some(subscription));
            }
            Step::Unsubscribe => self.unsubscribe(&[SPOT_ACCOUNT.to_owned()], venue),
            Step::Subscribe | Step::None => {}
        }
    }

    /// An answer that was held back goes out before anything else is answered.
    fn release(&mut self) -> Vec<Reply> {
        self.late.take().map(|(_, text)| Reply::Control(text)).into_iter().collect()
    }
}

impl venue::Session for Session {
    type Venue = Venue;

    fn place(&self) -> &'static str {
        match (&self.kind, self.market()) {
            (Kind::Api, _) => "ws-api",
            (_, Some(market)) => market.as_str(),
            _ => "spot or coinm",
        }
    }

    fn on_text(
        &mut self,
        text: &str,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Vec<Reply> {
        if !self.life.admit(now.mono) {
            return vec![TOO_MUCH];
        }
        let mut replies = self.release();
        replies.extend(self.answer(text, now, venue, refuses));
        replies
    }

    fn on_beat(&mut self, beat: Beat<'_>, now: Stamp) -> Vec<Reply> {
        if let Beat::Pong(payload) = beat {
            self.life.pong(payload);
        }
        if self.life.admit(now.mono) { Vec::new() } else { vec![TOO_MUCH] }
    }

    fn alarm(&self) -> Mono {
        let ping = self.life.next_ping();
        self.late.as_ref().map_or(ping, |(at, _)| ping.min(*at))
    }

    fn on_alarm(&mut self, now: Stamp) -> Vec<Reply> {
        let mut replies = Vec::new();
        if self.late.as_ref().is_some_and(|(at, _)| *at <= now.mono) {
            replies = self.release();
        }
        replies.extend(self.life.ping(now).map(Reply::Ping));
        replies
    }

    fn framed(&self, message: Published) -> Published {
        let text = match self.kind {
            Kind::Api => ws_api::framed(&message.text),
            Kind::Streams { combined: true, .. } => {
                [br#"{"stream":"#, json_text(&message.topic).as_bytes(), br#","data":"#, &message.text, b"}"].concat()
            }
            Kind::Streams { .. } => return message,
        };
        Published { text: text.into(), ..message }
    }

    fn wants(&self, message: &Published) -> bool {
        let Some(Some(subscription)) = self.streams.get(message.topic.as_ref()) else { return false };
        if subscription.muted || subscription.after >= message.event || subscription.feed.product() != message.product {
            return false;
        }
        let Kind::Streams { events, .. } = &self.kind else { return true };
        let kind = |name: &String| message.text.starts_with(format!("{{\"e\":\"{name}\"").as_bytes());
        message.product != account::PRODUCT || events.is_empty() || events.iter().any(kind)
    }

    fn mute(&mut self, topic: &str) {
        if let Some(Some(subscription)) = self.streams.get_mut(topic) {
            subscription.muted = true;
        }
    }

    /// Books have no snapshots but those of REST.
    fn snapshot(&mut self, _: &str, _: Stamp, _: &mut Venue) -> Vec<Published> {
        Vec::new()
    }

    /// Only spot says so.
    fn notice(&self, now: Stamp) -> Option<String> {
        let Kind::Streams { combined, .. } = self.kind else { return None };
        if self.is_futures() {
            return None;
        }
        let event = format!(r#"{{"e":"serverShutdown","E":{}}}"#, now.wall.as_ms());
        Some(if combined { format!(r#"{{"stream":"!serverShutdown","data":{event}}}"#) } else { event })
    }

    /// Nothing a client does keeps the connection alive but its pongs.
    fn touch(&mut self, _: Mono) {}

    fn idle(&self) -> (Mono, u16, &'static str) {
        self.life.end()
    }

    fn close(&mut self, venue: &mut Venue) {
        for gone in std::mem::take(&mut self.streams).into_values().flatten() {
            venue.unwatch(&gone.feed);
        }
    }
}
