//! The simulated Binance as its clients see it: connections, requests and moves by hand, in made-up time.

mod account;
mod connections;
mod rest;
mod streams;

use std::net::{IpAddr, Ipv4Addr};

use serde_json::{Value, json};

use super::session::Session;
use super::venue::Venue;
use crate::model::{Mono, Stamp, UnixNanos};
use crate::sim::server::Options;
use crate::sim::venue::{Answer, Asked, Published, Reply, Session as _, Venue as _};

/// 2026-11-21T12:00:10Z, in ms.
const BEGINNING: u64 = 1_795_262_410_000;
const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// A venue, one connection to it, and what o'clock it is.
struct Scene {
    venue: Venue,
    session: Session,
    ms: u64,
    connections: u64,
}

fn stamp(ms: u64) -> Stamp {
    Stamp { mono: Mono(ms * 1_000_000), wall: UnixNanos::from_ms(BEGINNING + ms) }
}

impl Scene {
    /// A connection to this address of a venue whose markets stand still.
    fn new(path: &str) -> Self {
        Self::with(path, Options::default())
    }

    fn with(path: &str, options: Options) -> Self {
        let options = Options { rate: 0, seed: 3, ..options };
        let mut venue = Venue::open(&options, stamp(0));
        let session = connect(&mut venue, path, 1, 0).unwrap();
        Self { venue, session, ms: 0, connections: 1 }
    }

    fn now(&self) -> Stamp {
        stamp(self.ms)
    }

    /// Another connection takes the place of this one.
    fn reconnect(&mut self, path: &str) {
        self.session.close(&mut self.venue);
        self.connections += 1;
        self.session = connect(&mut self.venue, path, self.connections, self.ms).unwrap();
    }

    /// What a text is answered with; a second passes, so that no limit is met.
    fn ask(&mut self, text: &str) -> Vec<Value> {
        self.ms += 1_000;
        let replies = self.session.on_text(text, self.now(), &mut self.venue, &mut |_| false);
        replies.into_iter().map(value).collect()
    }

    fn subscribe(&mut self, names: &[&str]) {
        let text = json!({"method": "SUBSCRIBE", "params": names, "id": 7}).to_string();
        let answers = self.ask(&text);
        assert!(answers.is_empty() || answers == [json!({"result": null, "id": 7})], "{answers:?}");
        self.ms += 1_000;
        let _ = self.session.on_alarm(self.now());
    }

    /// What of this the connection gets, framed.
    fn seen(&self, published: Vec<Published>) -> Vec<Value> {
        let wanted = published.into_iter().filter(|message| self.session.wants(message));
        wanted.map(|message| serde_json::from_slice(&self.session.framed(message).text).unwrap()).collect()
    }

    /// Moves the markets so many times.
    fn step(&mut self, moves: usize) -> Vec<Value> {
        let mut published = Vec::new();
        self.venue.step(moves, self.now(), &mut published);
        self.seen(published)
    }

    /// Lets time pass.
    fn run(&mut self, ms: u64) -> Vec<Value> {
        let mut out = Vec::new();
        for _ in 0..ms / 10 {
            self.ms += 10;
            let mut published = Vec::new();
            self.venue.tick(self.now(), &mut published);
            out.extend(self.seen(published));
        }
        out
    }

    /// Lets time pass with three moves of the markets in every tenth of a second.
    fn live(&mut self, ms: u64) -> Vec<Value> {
        let mut out = Vec::new();
        for _ in 0..ms / 100 {
            out.extend(self.step(3));
            out.extend(self.run(100));
        }
        out
    }

    fn answer(&mut self, asked: &Asked<'_>) -> Answer {
        let now = self.now();
        self.venue.answer(asked, now)
    }

    /// A REST answer: HTTP status and body.
    fn get(&mut self, path: &str) -> (u16, Value) {
        let (path, query) = path.split_once('?').unwrap_or((path, ""));
        let answer = self.answer(&Asked::get(path, query, HOME));
        // What is no route at all is answered with a page.
        (answer.status, serde_json::from_str(&answer.body).unwrap_or_default())
    }

    /// A REST answer that must be a good one.
    fn body(&mut self, path: &str) -> Value {
        let (status, body) = self.get(path);
        assert_eq!(status, 200, "{path}: {body}");
        body
    }
}

fn connect(venue: &mut Venue, path: &str, number: u64, ms: u64) -> Result<Session, u16> {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    venue.connect(&Asked::get(path, query, HOME), number, stamp(ms))
}

fn value(reply: Reply) -> Value {
    match reply {
        Reply::Control(text) => serde_json::from_str(&text).unwrap(),
        Reply::Close(code, reason) => json!({"closed": code, "reason": reason}),
        other => panic!("{other:?}"),
    }
}

fn number(value: &Value) -> u64 {
    value.as_u64().unwrap_or_else(|| panic!("no number: {value}"))
}

/// The names of an object's fields, in the order in which they are written.
fn names(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    let mut depth = 0;
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}', '[', ']', '"']) {
        let (found, after) = (rest.as_bytes()[at], &rest[at + 1..]);
        rest = after;
        match found {
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {
                let end = rest.find('"').unwrap();
                if depth == 1 && rest[end + 1..].starts_with(':') {
                    names.push(rest[..end].to_owned());
                }
                rest = &rest[end + 1..];
            }
        }
    }
    names
}
