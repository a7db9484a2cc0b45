//! The server's side of one connection: JSON-RPC 2.0 requests in, answers and subscribed messages out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::model::{Mono, Stamp};
use crate::sim::venue::{self, Beat, Published, Reply};

use super::channel::{self, Channel};
use super::message::{done, failed};
use super::sign;
use super::venue::Venue;

/// How often the client is pinged. Nothing is known of how many it may leave unanswered: here it is two.
const PING_EVERY: Duration = Duration::from_secs(15);
const UNANSWERED_MAX: u32 = 2;

#[derive(Clone, Copy, Debug)]
struct Subscription {
    /// Messages up to this event are older than the subscription.
    after: u64,
    muted: bool,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    subscriptions: BTreeMap<String, Subscription>,
    signed_in: bool,
    ping_at: Mono,
    unanswered: u32,
}

/// What a request brings about: its answer, unless it wanted none.
type Outcome = Result<(), (i64, &'static str, &'static str)>;

impl Session {
    pub(super) fn new(now: Mono) -> Self {
        Self { subscriptions: BTreeMap::new(), signed_in: false, ping_at: now.after(PING_EVERY), unanswered: 0 }
    }

    /// Carries out one request and answers it if it has an id.
    fn request(
        &mut self,
        request: &Value,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Option<Value> {
        let params = &request["params"];
        let outcome = match request["method"].as_str() {
            Some("subscribe") => self.subscribe(params, now, venue, refuses),
            Some("unsubscribe") => self.unsubscribe(params, venue),
            Some("auth") => venue.logins.count(sign::check(&venue.settings, params)).map(|()| self.signed_in = true),
            Some(_) => Err((-32601, "Method not found", "")),
            None => Err((-32600, "Invalid Request", "")),
        };
        let id = request.get("id")?;
        Some(match outcome {
            Ok(()) => done(id),
            Err((code, message, data)) => failed(id, code, message, data),
        })
    }

    fn subscribe(
        &mut self,
        params: &Value,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Outcome {
        let name = params["channel"].as_str().ok_or((-32602, "Invalid params", "channel is missing"))?;
        let channel = channel::read(name).filter(|_| !refuses(name));
        let channel = channel.ok_or((-32602, "Invalid params", "invalid channel"))?;
        if channel == Channel::Private && !self.signed_in {
            return Err((-32007, "authentication required", "authentication required"));
        }
        if self.subscriptions.contains_key(name) {
            return Err((-32009, "already subscribed", "already subscribed"));
        }
        venue.watch(name, now.mono);
        self.subscriptions.insert(name.to_owned(), Subscription { after: venue.events(), muted: false });
        Ok(())
    }

    fn unsubscribe(&mut self, params: &Value, venue: &mut Venue) -> Outcome {
        let name = params["channel"].as_str().ok_or((-32602, "Invalid params", "channel is missing"))?;
        if self.subscriptions.remove(name).is_some() {
            venue.unwatch(name);
        }
        Ok(())
    }
}

impl venue::Session for Session {
    type Venue = Venue;

    fn place(&self) -> &'static str {
        "json-rpc"
    }

    fn on_text(
        &mut self,
        text: &str,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Vec<Reply> {
        let answer = match serde_json::from_str(text) {
            Ok(Value::Array(batch)) => {
                let answers = batch.iter().filter_map(|one| self.request(one, now, venue, refuses));
                Some(Value::Array(answers.collect())).filter(|answers| answers.get(0).is_some())
            }
            Ok(request) => self.request(&request, now, venue, refuses),
            Err(_) => Some(failed(&Value::Null, -32700, "Parse error", "Invalid JSON")),
        };
        answer.map(|answer| Reply::Control(answer.to_string())).into_iter().collect()
    }

    fn on_beat(&mut self, beat: Beat<'_>, _now: Stamp) -> Vec<Reply> {
        if matches!(beat, Beat::Pong(_)) {
            self.unanswered = 0;
        }
        Vec::new()
    }

    fn alarm(&self) -> Mono {
        self.ping_at
    }

    fn on_alarm(&mut self, now: Stamp) -> Vec<Reply> {
        if self.unanswered >= UNANSWERED_MAX {
            return vec![Reply::Close(1_011, "keepalive ping timeout")];
        }
        self.unanswered += 1;
        self.ping_at = now.mono.after(PING_EVERY);
        vec![Reply::Ping(Vec::new())]
    }

    fn wants(&self, message: &Published) -> bool {
        let subscription = self.subscriptions.get(message.topic.as_ref());
        subscription.is_some_and(|subscription| !subscription.muted && subscription.after < message.event)
    }

    fn mute(&mut self, topic: &str) {
        if let Some(subscription) = self.subscriptions.get_mut(topic) {
            subscription.muted = true;
        }
    }

    /// The whole book, for those who take it, whatever channel of the book is named.
    fn snapshot(&mut self, topic: &str, _now: Stamp, venue: &mut Venue) -> Vec<Published> {
        let whole = venue.whole_of(topic).filter(|whole| self.subscriptions.contains_key(whole.topic.as_ref()));
        if let Some(subscription) = whole.as_ref().and_then(|_| self.subscriptions.get_mut(topic)) {
            subscription.after = venue.events();
        }
        whole.into_iter().collect()
    }

    fn notice(&self, _: Stamp) -> Option<String> {
        None
    }

    fn touch(&mut self, _now: Mono) {}

    /// A connection may be idle for ever, so long as it answers pings.
    fn idle(&self) -> (Mono, u16, &'static str) {
        (Mono(u64::MAX), 1_000, "idle")
    }

    fn close(&mut self, venue: &mut Venue) {
        for name in std::mem::take(&mut self.subscriptions).into_keys() {
            venue.unwatch(&name);
        }
    }
}
