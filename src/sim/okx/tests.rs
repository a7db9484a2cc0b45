//! The protocol in virtual time: answers and limits, what channels carry, the account, REST.

mod channels;
mod requests;
mod rest;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use serde_json::{Value, json};

use super::*;
use crate::model::{Mono, Stamp, UnixNanos};
use crate::sim::server::Options;
use crate::sim::venue::{Asked, Reply, Session as _, Venue as _};

/// 2026-11-21T12:00:37Z
const START_MS: u64 = 1_795_262_437_000;

fn at(ms: u64) -> Stamp {
    Stamp { mono: Mono(1_000_000_000 + ms * 1_000_000), wall: UnixNanos::from_ms(START_MS + ms) }
}

/// A venue and one connection to it.
struct Bench {
    venue: Venue,
    session: Session,
    ms: u64,
    refused: &'static str,
    /// The code the connection was closed with.
    closed: Option<u16>,
}

impl Bench {
    fn new(path: &str) -> Self {
        Self::with(path, Settings::default())
    }

    fn with(path: &str, okx: Settings) -> Self {
        Self::of("okx", path, okx)
    }

    fn of(venue: &str, path: &str, okx: Settings) -> Self {
        let options = Options { venue: venue.to_owned(), seed: 9, rate: 100, okx, ..Options::default() };
        let mut venue = Venue::open(&options, at(0));
        let path = Venue::path(path);
        let asked = Asked::get(&path, "", IpAddr::V4(Ipv4Addr::LOCALHOST));
        let session = venue.connect(&asked, 1, at(0)).unwrap();
        Self { venue, session, ms: 0, refused: "", closed: None }
    }

    fn now(&self) -> Stamp {
        at(self.ms)
    }

    /// What a text is answered with.
    fn ask(&mut self, text: &str) -> Vec<Value> {
        let (now, refused) = (self.now(), self.refused);
        let mut out = Vec::new();
        for reply in self.session.on_text(text, now, &mut self.venue, &mut |topic| topic == refused) {
            match reply {
                Reply::Control(text) => out.push(serde_json::from_str(&text).unwrap()),
                Reply::Pong(text) => out.push(Value::from(text)),
                Reply::Data(message) => out.push(serde_json::from_slice(&message.text).unwrap()),
                Reply::Close(code, _) => self.closed = Some(code),
                Reply::Ping(_) => panic!("a ping frame"),
            }
        }
        out
    }

    fn request(&mut self, op: &str, args: &[Value]) -> Vec<Value> {
        self.ask(&json!({"id": "7", "op": op, "args": args}).to_string())
    }

    /// Subscribes to a channel of an instrument.
    fn join(&mut self, channel: &str, symbol: &str) -> Vec<Value> {
        self.request("subscribe", &[arg(channel, symbol)])
    }

    /// The code of the error that one argument is refused with.
    fn refusal(&mut self, arg: Value) -> String {
        let answers = self.request("subscribe", &[arg]);
        assert_eq!((answers.len(), &answers[0]["event"], &answers[0]["id"]), (1, &json!("error"), &json!("7")));
        answers[0]["code"].as_str().unwrap().to_owned()
    }

    fn log_in(&mut self) -> Vec<Value> {
        let timestamp = (self.now().wall.as_ms() / 1_000).to_string();
        let sign = sign("secret", &timestamp);
        let shown = json!({"apiKey": "key", "passphrase": "phrase", "timestamp": timestamp, "sign": sign});
        self.ask(&json!({"op": "login", "args": [shown]}).to_string())
    }

    /// Lets time pass and collects what the connection gets.
    fn run(&mut self, ms: u64) -> Vec<Value> {
        let mut out = Vec::new();
        for _ in 0..ms / 10 {
            self.ms += 10;
            let mut published = Vec::new();
            self.venue.tick(self.now(), &mut published);
            let wanted = published.iter().filter(|message| self.session.wants(message));
            out.extend(wanted.map(|message| serde_json::from_slice::<Value>(&message.text).unwrap()));
        }
        out
    }

    /// A REST answer: HTTP status and body.
    fn get(&mut self, path: &str, query: &str) -> (u16, Value) {
        let path = format!("/api/v5{path}");
        let asked = Asked::get(&path, query, IpAddr::V4(Ipv4Addr::LOCALHOST));
        let answer = self.venue.answer(&asked, self.now());
        (answer.status, serde_json::from_str(&answer.body).unwrap())
    }

    /// The rows of a REST answer.
    fn rows(&mut self, path: &str, query: &str) -> Vec<Value> {
        let (status, body) = self.get(path, query);
        assert_eq!((status, &body["code"], &body["msg"]), (200, &json!("0"), &json!("")), "{path}?{query}");
        body["data"].as_array().unwrap().clone()
    }
}

fn arg(channel: &str, symbol: &str) -> Value {
    json!({"channel": channel, "instId": symbol})
}

/// The messages of a channel.
fn of<'a>(messages: &'a [Value], channel: &str) -> Vec<&'a Value> {
    messages.iter().filter(|message| message["arg"]["channel"] == channel && message.get("data").is_some()).collect()
}
