//! The server's side of one connection: requests in, answers and subscribed messages out.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::Deserialize;

use crate::model::{Mono, Stamp};
use crate::sim::venue::{self, Published, Reply};

use super::account::PRODUCT;
use super::catalog::Category;
use super::message;
use super::private::Private;
use super::topic::Stream;
use super::venue::Venue;

/// A connection with neither requests nor data for this long is closed.
const IDLE: Duration = Duration::from_secs(600);
/// Characters of all topics together on one connection.
const MOST_CHARACTERS: usize = 21_000;
/// Topics in one spot request.
const MOST_SPOT_ARGS: usize = 10;
/// Topics on one option connection.
const MOST_OPTION_ARGS: usize = 2_000;

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    req_id: Option<String>,
    op: String,
    #[serde(default)]
    args: Vec<String>,
}

#[derive(Clone, Debug)]
struct Subscription {
    stream: Stream,
    places: Vec<usize>,
    /// Messages up to this event are older than what the client has.
    after: u64,
    muted: bool,
}

/// One connection.
#[derive(Debug)]
pub enum Session {
    /// Of a product.
    Public(Public),
    /// Of the account.
    Private(Private),
}

impl Session {
    /// A new connection to a product's path.
    pub const fn new(category: Category, conn_id: String, now: Mono) -> Self {
        Self::Public(Public::new(category, conn_id, now))
    }
}

/// A connection of a product.
#[derive(Debug)]
pub struct Public {
    category: Category,
    conn_id: String,
    subscriptions: BTreeMap<String, Subscription>,
    characters: usize,
    last_active: Mono,
}

impl Public {
    const fn new(category: Category, conn_id: String, now: Mono) -> Self {
        Self { category, conn_id, subscriptions: BTreeMap::new(), characters: 0, last_active: now }
    }

    fn refusal(&self, reason: &str, req_id: Option<&str>, op: &str) -> Reply {
        Reply::Control(message::reply(self.category, false, reason, &self.conn_id, req_id, op))
    }

    /// Checks a whole request; one bad topic fails all of it.
    fn admissible(
        &self,
        args: &[String],
        venue: &Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Result<BTreeMap<String, (Stream, Vec<usize>)>, String> {
        if self.category == Category::Spot && args.len() > MOST_SPOT_ARGS {
            return Err(format!("args size >{MOST_SPOT_ARGS}"));
        }
        if self.characters + args.iter().map(String::len).sum::<usize>() > MOST_CHARACTERS {
            return Err(format!("error:args length >{MOST_CHARACTERS}"));
        }
        let mut topics = BTreeMap::new();
        for topic in args {
            if self.subscriptions.contains_key(topic) {
                return Err(format!("error:already subscribed,topic:{topic}"));
            }
            let found = venue.resolve(self.category, topic).filter(|_| !refuses(topic));
            let Some(found) = found else { return Err(format!("error:handler not found,topic:{topic}")) };
            topics.insert(topic.clone(), found);
        }
        Ok(topics)
    }

    fn subscribe(
        &mut self,
        topics: BTreeMap<String, (Stream, Vec<usize>)>,
        req_id: Option<&str>,
        now: Stamp,
        venue: &mut Venue,
    ) -> Vec<Reply> {
        let ret_msg = if self.category == Category::Spot { "subscribe" } else { "" };
        let ack = message::reply(self.category, true, ret_msg, &self.conn_id, req_id, "subscribe");
        let mut replies = vec![Reply::Control(ack)];
        for (topic, found) in topics {
            replies.extend(self.add(topic, found, now, venue).into_iter().map(Reply::Data));
        }
        replies
    }

    fn add(
        &mut self,
        topic: String,
        (stream, places): (Stream, Vec<usize>),
        now: Stamp,
        venue: &mut Venue,
    ) -> Vec<Published> {
        venue.watch(stream, &places, now);
        self.characters += topic.len();
        let first = venue.snapshot(stream, &places, now);
        self.subscriptions.insert(topic, Subscription { stream, places, after: venue.events(), muted: false });
        first
    }

    /// Options are answered topic by topic; a topic already subscribed counts as accepted.
    fn subscribe_options(
        &mut self,
        request: &Request,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Vec<Reply> {
        let (mut failed, mut accepted, mut data) = (Vec::new(), Vec::new(), Vec::new());
        for topic in &request.args {
            let known = self.subscriptions.contains_key(topic);
            let full = self.subscriptions.len() >= MOST_OPTION_ARGS || self.characters + topic.len() > MOST_CHARACTERS;
            match venue.resolve(self.category, topic) {
                _ if known => accepted.push(topic.as_str()),
                Some(found) if !full && !refuses(topic) => {
                    accepted.push(topic);
                    data.extend(self.add(topic.clone(), found, now, venue).into_iter().map(Reply::Data));
                }
                _ => failed.push(topic.as_str()),
            }
        }
        let ack = Reply::Control(message::command_resp(&self.conn_id, &failed, &accepted));
        std::iter::once(ack).chain(data).collect()
    }

    fn unsubscribe(&mut self, request: &Request, venue: &mut Venue) -> Vec<Reply> {
        let topics: BTreeSet<&String> = request.args.iter().collect();
        for topic in topics {
            if let Some(gone) = self.subscriptions.remove(topic) {
                self.characters -= topic.len();
                venue.unwatch(gone.stream, &gone.places);
            }
        }
        let text = match self.category {
            Category::Option => {
                let topics: Vec<&str> = request.args.iter().map(String::as_str).collect();
                message::command_resp(&self.conn_id, &[], &topics)
            }
            category => {
                let ret_msg = if category == Category::Spot { "unsubscribe" } else { "" };
                let req_id = request.req_id.as_deref();
                message::reply(category, true, ret_msg, &self.conn_id, req_id, "unsubscribe")
            }
        };
        vec![Reply::Control(text)]
    }
}

impl Public {
    fn on_text(
        &mut self,
        text: &str,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Vec<Reply> {
        self.touch(now.mono);
        let Ok(request) = serde_json::from_str::<Request>(text) else {
            return vec![self.refusal("error:invalid request", None, "")];
        };
        let req_id = request.req_id.as_deref();
        match request.op.as_str() {
            "ping" => {
                let text = message::pong(self.category, &self.conn_id, req_id, now.wall.as_ms());
                vec![Reply::Pong(text)]
            }
            "subscribe" if self.category == Category::Option => self.subscribe_options(&request, now, venue, refuses),
            "subscribe" => match self.admissible(&request.args, venue, refuses) {
                Ok(topics) => self.subscribe(topics, req_id, now, venue),
                Err(reason) => vec![self.refusal(&reason, req_id, "subscribe")],
            },
            "unsubscribe" => self.unsubscribe(&request, venue),
            _ => vec![self.refusal("error:invalid op", req_id, &request.op)],
        }
    }

    fn wants(&self, message: &Published) -> bool {
        let subscription = self.subscriptions.get(message.topic.as_ref());
        message.product == self.category.as_str()
            && subscription.is_some_and(|subscription| !subscription.muted && subscription.after < message.event)
    }

    fn mute(&mut self, topic: &str) {
        if let Some(subscription) = self.subscriptions.get_mut(topic) {
            subscription.muted = true;
        }
    }

    fn snapshot(&mut self, topic: &str, now: Stamp, venue: &mut Venue) -> Vec<Published> {
        let Some(subscription) = self.subscriptions.get_mut(topic) else { return Vec::new() };
        subscription.after = venue.events();
        venue.snapshot(subscription.stream, &subscription.places, now)
    }

    const fn touch(&mut self, now: Mono) {
        self.last_active = now;
    }

    fn idle(&self) -> (Mono, u16, &'static str) {
        (self.last_active.after(IDLE), 1_000, "idle")
    }

    fn close(&mut self, venue: &mut Venue) {
        for subscription in std::mem::take(&mut self.subscriptions).into_values() {
            venue.unwatch(subscription.stream, &subscription.places);
        }
    }
}

impl venue::Session for Session {
    type Venue = Venue;

    fn place(&self) -> &'static str {
        match self {
            Self::Public(public) => public.category.as_str(),
            Self::Private(_) => PRODUCT,
        }
    }

    fn on_text(
        &mut self,
        text: &str,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Vec<Reply> {
        match self {
            Self::Public(public) => public.on_text(text, now, venue, refuses),
            Self::Private(private) => private.on_text(text, now, venue, refuses),
        }
    }

    fn wants(&self, message: &Published) -> bool {
        match self {
            Self::Public(public) => public.wants(message),
            Self::Private(private) => private.wants(message),
        }
    }

    fn mute(&mut self, topic: &str) {
        match self {
            Self::Public(public) => public.mute(topic),
            Self::Private(private) => private.mute(topic),
        }
    }

    /// The account's topics have none.
    fn snapshot(&mut self, topic: &str, now: Stamp, venue: &mut Venue) -> Vec<Published> {
        match self {
            Self::Public(public) => public.snapshot(topic, now, venue),
            Self::Private(_) => Vec::new(),
        }
    }

    fn notice(&self, _: Stamp) -> Option<String> {
        None
    }

    fn touch(&mut self, now: Mono) {
        match self {
            Self::Public(public) => public.touch(now),
            Self::Private(private) => private.touch(now),
        }
    }

    fn idle(&self) -> (Mono, u16, &'static str) {
        match self {
            Self::Public(public) => public.idle(),
            Self::Private(private) => private.idle(),
        }
    }

    fn close(&mut self, venue: &mut Venue) {
        match self {
            Self::Public(public) => public.close(venue),
            Self::Private(private) => private.close(venue),
        }
    }
}
