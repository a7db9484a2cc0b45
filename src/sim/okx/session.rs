//! The server's side of one connection: requests in, answers and subscribed messages out.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::model::{Mono, Stamp};
use crate::sim::venue::{self, Published, Reply};

use super::Settings;
use super::book::Channel;
use super::channel::{Arg, Path, PrivateChannel, Stream, Unknown, Wish};
use super::login::{self, Credentials};
use super::message;
use super::venue::{Feed, Venue};

/// Characters of one request.
const MOST_CHARACTERS: usize = 64 * 1024;
/// Requests to subscribe, unsubscribe or log in on one connection, in any hour.
const MOST_REQUESTS: usize = 480;
const HOUR: Duration = Duration::from_secs(3_600);
/// Characters of a request's id.
const MOST_ID: usize = 32;
/// The trading fee tier below which there is no `books-l2-tbt`, and no `books50-l2-tbt`.
const TIERS: [u8; 2] = [6, 5];

#[derive(Deserialize)]
struct Request {
    id: Option<Value>,
    op: Option<String>,
    #[serde(default)]
    args: Vec<Value>,
}

#[derive(Clone, Debug)]
struct Subscription {
    feed: Feed,
    /// Messages up to this event are older than what the client has.
    after: u64,
    muted: bool,
}

/// A refusal: the venue's code and words.
type Refusal = (u32, String);

/// What a request is answered with: first to every argument, then the data.
#[derive(Default)]
struct Answers {
    control: Vec<Reply>,
    data: Vec<Reply>,
}

/// One connection.
#[derive(Debug)]
pub struct Session {
    path: Path,
    conn_id: String,
    idle: Duration,
    japan: bool,
    logged_in: bool,
    subscriptions: BTreeMap<String, Subscription>,
    /// When requests came that count against the limit.
    requests: VecDeque<Mono>,
    last_active: Mono,
}

impl Session {
    /// The `number`th connection of a server.
    pub(super) fn new(path: Path, number: u64, settings: &Settings, japan: bool, now: Mono) -> Self {
        Self {
            path,
            conn_id: format!("{:08x}", number.wrapping_mul(0x9e37_79b9) & 0xffff_ffff),
            idle: settings.idle,
            japan,
            logged_in: false,
            subscriptions: BTreeMap::new(),
            requests: VecDeque::new(),
            last_active: now,
        }
    }

    fn refusal(&self, id: Option<&str>, (code, text): &Refusal) -> Reply {
        Reply::Control(message::error(id, *code, text, &self.conn_id))
    }

    /// Whether one more request is within the limit; if so, it counts.
    fn admit(&mut self, now: Mono) -> bool {
        while self.requests.front().is_some_and(|first| now.since(*first) >= HOUR) {
            self.requests.pop_front();
        }
        let admitted = self.requests.len() < MOST_REQUESTS;
        if admitted {
            self.requests.push_back(now);
        }
        admitted
    }

    fn read(&self, text: &str) -> Result<(Request, Option<String>), Refusal> {
        let word = if self.japan { "Illegal" } else { "Invalid" };
        let invalid = || (60_012, format!("{word} request: {text}"));
        let request: Request = serde_json::from_str(text).map_err(|_| invalid())?;
        let id = match &request.id {
            None => None,
            Some(Value::String(id)) => Some(id.clone()),
            Some(_) => return Err(invalid()),
        };
        let fits = |id: &String| (1..=MOST_ID).contains(&id.len()) && id.bytes().all(|b| b.is_ascii_alphanumeric());
        if id.as_ref().is_some_and(|id| !fits(id)) {
            return Err((60_033, "Invalid id: 1 to 32 letters and digits are allowed".to_owned()));
        }
        if request.op.is_none() { Err(invalid()) } else { Ok((request, id)) }
    }

    fn log_in(&mut self, args: &[Value], id: Option<&str>, now: Stamp, venue: &mut Venue) -> Vec<Reply> {
        if self.logged_in {
            let text = "The WebSocket endpoint does not allow multiple or repeated logins.".to_owned();
            return vec![self.refusal(id, &(60_031, text))];
        }
        let shown = match args {
            [shown] => Credentials::deserialize(shown).map_err(|_| (60_009, "Login failed.".to_owned())),
            _ => Err((60_009, "Login failed.".to_owned())),
        };
        let now_s = now.wall.as_ms() / 1_000;
        let checked = shown.and_then(|shown| login::check(&venue.settings, &shown, now_s));
        match venue.logins.count(checked) {
            Ok(()) => {
                self.logged_in = true;
                let text = format!(r#"{{"event":"login","msg":"","code":"0","connId":"{}"}}"#, self.conn_id);
                vec![Reply::Control(text)]
            }
            Err(refusal) => vec![self.refusal(id, &refusal), Reply::Close(4_001, "Login failed")],
        }
    }

    /// What an argument asks for, if this connection may have it.
    fn admissible(&self, value: &Value, venue: &Venue) -> Result<(Wish, String, Feed), Refusal> {
        let arg = Arg::deserialize(value).map_err(|_| (60_013, "Invalid args".to_owned()))?;
        if arg.uly.is_some() {
            let text = "Subscription parameter uly is unavailable anymore, please replace uly with instFamily.";
            return Err((64_000, text.to_owned()));
        }
        let wish = Wish::read(&arg).map_err(|unknown| match unknown {
            Unknown::Channel => no_such(value),
            Unknown::Argument => (60_013, "Invalid args".to_owned()),
        })?;
        let channel = arg.channel.unwrap_or_default();
        self.fits_path(&wish, &channel)?;
        if wish.needs_login() && !self.logged_in {
            return Err((60_011, "Please log in".to_owned()));
        }
        if let Wish::One(Stream::Book(channel), _) = &wish {
            tier(*channel, venue.settings.vip)?;
        }
        let (topic, feed) = venue.resolve(&wish).ok_or_else(|| no_such(value))?;
        Ok((wish, topic, feed))
    }

    fn fits_path(&self, wish: &Wish, channel: &str) -> Result<(), Refusal> {
        let there = wish.path();
        if there == self.path {
            return Ok(());
        }
        Err(match (there, self.path) {
            (Path::Business, _) => {
                let text = "This channel has been migrated to the '/business' URL. Please subscribe using the new URL.";
                (64_001, text.to_owned())
            }
            (_, Path::Business) => {
                let text = "This channel is not supported by the '/business' URL. Please use '/private' channel(s), or \
                            '/public' channel(s).";
                (64_002, text.to_owned())
            }
            // On the public path, one who did not log in hears of that first.
            (Path::Private, _) if !self.logged_in => (60_011, "Please log in".to_owned()),
            _ => (60_008, format!("The current WebSocket endpoint does not support subscribing to {channel}.")),
        })
    }

    /// `books-l2-tbt` goes together with neither `books` nor `books50-l2-tbt` of the same instrument.
    fn clash(&self, wish: &Wish) -> Option<Refusal> {
        let Wish::One(Stream::Book(channel), symbol) = wish else { return None };
        let others: &[Channel] = match channel {
            Channel::TickByTick => &[Channel::Books, Channel::TickByTick50],
            Channel::Books | Channel::TickByTick50 => &[Channel::TickByTick],
            Channel::Best | Channel::Books5 => &[],
        };
        let other =
            others.iter().find(|other| self.subscriptions.contains_key(&format!("{}:{symbol}", other.name())))?;
        let text = format!("{} and {} of {symbol} cannot be subscribed together.", channel.name(), other.name());
        Some((64_004, text))
    }

    fn subscribe(
        &mut self,
        value: &Value,
        id: Option<&str>,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
        answers: &mut Answers,
    ) {
        let admissible = self.admissible(value, venue).and_then(|(wish, topic, feed)| {
            if refuses(&topic) {
                return Err(no_such(value));
            }
            self.clash(&wish).map_or(Ok((topic, feed)), Err)
        });
        let (topic, feed) = match admissible {
            Ok(admissible) => admissible,
            Err(refusal) => return answers.control.push(self.refusal(id, &refusal)),
        };
        answers.control.push(Reply::Control(message::ack(id, "subscribe", &value.to_string(), &self.conn_id)));
        let known = self.subscriptions.contains_key(&topic);
        if let Feed::Account(wish) = &feed
            && !known
            && !self.join(wish.channel, venue, answers)
        {
            return;
        }
        if !known {
            venue.watch(&feed, now);
        }
        // Who subscribes again gets a second snapshot, except in Japan.
        if !known || !self.japan {
            answers.data.extend(venue.snapshot(&feed, now).into_iter().map(Reply::Data));
            self.subscriptions.insert(topic, Subscription { feed, after: venue.events(), muted: false });
        }
    }

    fn has(&self, channel: PrivateChannel) -> bool {
        let of =
            |subscription: &Subscription| matches!(&subscription.feed, Feed::Account(wish) if wish.channel == channel);
        self.subscriptions.values().any(of)
    }

    /// Counts the connection in on a private channel, and says how many there are; false when there are too many.
    fn join(&self, channel: PrivateChannel, venue: &mut Venue, answers: &mut Answers) -> bool {
        if self.has(channel) {
            return true;
        }
        let (event, count) = match venue.account.join(channel) {
            Ok(count) => ("channel-conn-count", count),
            Err(count) => ("channel-conn-count-error", count),
        };
        let (channel, conn_id) = (channel.name(), &self.conn_id);
        let text = format!(r#"{{"event":"{event}","channel":"{channel}","connCount":"{count}","connId":"{conn_id}"}}"#);
        answers.control.push(Reply::Control(text));
        event == "channel-conn-count"
    }

    fn unsubscribe(&mut self, value: &Value, id: Option<&str>, venue: &mut Venue, answers: &mut Answers) {
        let topic = match self.admissible(value, venue) {
            Ok((_, topic, _)) => topic,
            Err(refusal) => return answers.control.push(self.refusal(id, &refusal)),
        };
        if let Some(gone) = self.subscriptions.remove(&topic) {
            self.give_up(&gone.feed, venue);
        }
        answers.control.push(Reply::Control(message::ack(id, "unsubscribe", &value.to_string(), &self.conn_id)));
    }

    /// Gives up what is no longer among the subscriptions.
    fn give_up(&self, feed: &Feed, venue: &mut Venue) {
        venue.unwatch(feed);
        if let Feed::Account(wish) = feed
            && !self.has(wish.channel)
        {
            venue.account.leave(wish.channel);
        }
    }
}

/// There is no such channel or instrument.
fn no_such(value: &Value) -> Refusal {
    let parts: Vec<String> = value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(name, value)| format!("{name}:{}", value.as_str().unwrap_or_default()))
        .collect();
    let text = format!(
        "Wrong URL or {} doesn't exist. Please use the correct URL, channel and parameters referring to API document.",
        parts.join(",")
    );
    (60_018, text)
}

/// Refuses tick-by-tick books to those whose trading fee tier is too low; there are three ways of saying it.
fn tier(channel: Channel, vip: u8) -> Result<(), Refusal> {
    let (needed, code) = match channel {
        Channel::TickByTick => (TIERS[0], 60_029),
        Channel::TickByTick50 => (TIERS[1], 60_030),
        _ => return Ok(()),
    };
    match vip {
        _ if vip >= needed => Ok(()),
        0 => Err((64_003, "Your trading fee tier doesn't meet the requirement to access this channel.".to_owned())),
        _ => {
            let name = channel.name();
            let text = format!(
                "Only users who are VIP{needed} and above in trading fee tier are allowed to subscribe to {name}."
            );
            Err((code, text))
        }
    }
}

impl venue::Session for Session {
    type Venue = Venue;

    fn place(&self) -> &'static str {
        self.path.name()
    }

    fn on_text(
        &mut self,
        text: &str,
        now: Stamp,
        venue: &mut Venue,
        refuses: &mut dyn FnMut(&str) -> bool,
    ) -> Vec<Reply> {
        self.touch(now.mono);
        if text == "ping" {
            return vec![Reply::Pong("pong".to_owned())];
        }
        if text.len() > MOST_CHARACTERS {
            return vec![Reply::Close(1_009, "Max frame length of 65536 has been exceeded.")];
        }
        let (request, id) = match self.read(text) {
            Ok(read) => read,
            Err(refusal) => return vec![self.refusal(None, &refusal)],
        };
        let (id, op) = (id.as_deref(), request.op.as_deref().unwrap_or_default());
        if !["subscribe", "unsubscribe", "login"].contains(&op) {
            return vec![self.refusal(id, &(60_019, format!("Invalid op: {op}")))];
        }
        if !self.admit(now.mono) {
            return vec![self.refusal(id, &(60_014, "Requests too frequent".to_owned()))];
        }
        if op == "login" {
            return self.log_in(&request.args, id, now, venue);
        }
        if request.args.is_empty() {
            return vec![self.refusal(id, &(60_013, "Invalid args".to_owned()))];
        }
        let mut answers = Answers::default();
        for value in &request.args {
            if op == "subscribe" {
                self.subscribe(value, id, now, venue, refuses, &mut answers);
            } else {
                self.unsubscribe(value, id, venue, &mut answers);
            }
        }
        answers.control.into_iter().chain(answers.data).collect()
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

    fn snapshot(&mut self, topic: &str, now: Stamp, venue: &mut Venue) -> Vec<Published> {
        let Some(subscription) = self.subscriptions.get_mut(topic) else { return Vec::new() };
        subscription.after = venue.events();
        venue.snapshot(&subscription.feed, now)
    }

    fn notice(&self, _: Stamp) -> Option<String> {
        let text = "The connection will soon be closed for a service upgrade. Please reconnect.";
        Some(format!(r#"{{"event":"notice","code":"64008","msg":"{text}","connId":"{}"}}"#, self.conn_id))
    }

    fn touch(&mut self, now: Mono) {
        self.last_active = now;
    }

    fn idle(&self) -> (Mono, u16, &'static str) {
        (self.last_active.after(self.idle), 4_004, "No data received in 30s.")
    }

    fn close(&mut self, venue: &mut Venue) {
        while let Some((_, gone)) = self.subscriptions.pop_first() {
            self.give_up(&gone.feed, venue);
        }
    }
}
