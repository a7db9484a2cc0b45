//! The server's side of one private connection: signing in, topics of the account, its messages.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;
use serde_json::{Value, json};

use crate::model::{Mono, Stamp};
use crate::sim::venue::{Published, Reply};

use super::account::{PRODUCT, TOPICS};
use super::catalog::Category;
use super::login;
use super::venue::Venue;

/// A connection with neither requests nor data for this long is closed.
const IDLE: Duration = Duration::from_secs(600);

#[derive(Deserialize)]
struct Request {
    #[serde(default)]
    req_id: Option<String>,
    op: String,
    #[serde(default)]
    args: Vec<Value>,
}

/// One private connection.
#[derive(Debug)]
pub struct Private {
    conn_id: String,
    is_signed_in: bool,
    /// Each topic, and the event after which its messages count.
    topics: BTreeMap<String, u64>,
    last_active: Mono,
}

impl Private {
    pub(super) fn new(conn_id: String, now: Mono) -> Self {
        Self { conn_id, is_signed_in: false, topics: BTreeMap::new(), last_active: now }
    }

    fn reply(&self, success: bool, words: &str, request: &Request) -> Reply {
        let mut reply = json!({"success": success, "ret_msg": words, "op": request.op, "conn_id": self.conn_id});
        if let Some(id) = &request.req_id {
            reply["req_id"] = json!(id);
        }
        Reply::Control(reply.to_string())
    }

    pub(super) fn on_text(
        &mut self,
        text: &str,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Vec<Reply> {
        self.last_active = now.mono;
        let Ok(request) = serde_json::from_str::<Request>(text) else {
            let request = Request { req_id: None, op: String::new(), args: Vec::new() };
            return vec![self.reply(false, "error:invalid request", &request)];
        };
        match request.op.as_str() {
            "ping" => {
                let id = request.req_id.unwrap_or_default();
                let args = [now.wall.as_ms().to_string()];
                vec![Reply::Pong(
                    json!({"req_id": id, "op": "pong", "args": args, "conn_id": self.conn_id}).to_string(),
                )]
            }
            "auth" => match venue.logins.count(login::check(&venue.settings, &request.args, now.wall.as_ms())) {
                Ok(()) => {
                    self.is_signed_in = true;
                    vec![self.reply(true, "", &request)]
                }
                Err(words) => vec![self.reply(false, words, &request), Reply::Close(1_000, "auth failed")],
            },
            "subscribe" | "unsubscribe" if !self.is_signed_in => {
                vec![self.reply(false, "Request not authorized", &request)]
            }
            "subscribe" => vec![self.subscribe(&request, venue, refuses)],
            "unsubscribe" => {
                for topic in request.args.iter().filter_map(Value::as_str) {
                    if self.topics.remove(topic).is_some() {
                        venue.account.unwatch(topic);
                    }
                }
                vec![self.reply(true, "", &request)]
            }
            _ => vec![self.reply(false, "error:invalid op", &request)],
        }
    }

    /// One bad topic fails the whole request; topics of all categories do not go together with those of one.
    fn subscribe(&mut self, request: &Request, venue: &mut Venue, refuses: &mut dyn FnMut(&str) -> bool) -> Reply {
        let topics: Vec<&str> = request.args.iter().filter_map(Value::as_str).collect();
        if let Some(topic) = topics.iter().find(|topic| self.topics.contains_key(**topic)) {
            return self.reply(false, &format!("error:already subscribed,topic:{topic}"), request);
        }
        if let Some(topic) = topics.iter().find(|topic| !exists(topic) || refuses(topic)) {
            return self.reply(false, &format!("error:handler not found,topic:{topic}"), request);
        }
        let by_category = topics.iter().filter(|topic| topic.contains('.')).count();
        if by_category > 0 && by_category < topics.len() {
            let words = "error:all-in-one and categorised topics cannot be in one request";
            return self.reply(false, words, request);
        }
        for topic in topics {
            venue.account.watch(topic);
            self.topics.insert(topic.to_owned(), venue.events());
        }
        self.reply(true, "", request)
    }

    pub(super) fn wants(&self, message: &Published) -> bool {
        message.product == PRODUCT && self.topics.get(&*message.topic).is_some_and(|after| *after < message.event)
    }

    pub(super) fn mute(&mut self, topic: &str) {
        if let Some(after) = self.topics.get_mut(topic) {
            *after = u64::MAX;
        }
    }

    pub(super) const fn touch(&mut self, now: Mono) {
        self.last_active = now;
    }

    pub(super) fn idle(&self) -> (Mono, u16, &'static str) {
        (self.last_active.after(IDLE), 1_000, "idle")
    }

    pub(super) fn close(&mut self, venue: &mut Venue) {
        for topic in std::mem::take(&mut self.topics).into_keys() {
            venue.account.unwatch(&topic);
        }
    }
}

fn exists(topic: &str) -> bool {
    match topic.split_once('.') {
        None => TOPICS.contains(&topic),
        Some((topic, category)) => TOPICS[..3].contains(&topic) && Category::parse(category).is_some(),
    }
}
