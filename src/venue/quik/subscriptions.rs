//! What is asked of each security before its data: its definition, then the subscription to its book.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::instruments;
use super::reply::{Fields, Reply};
use super::rpc::{Caller, Part, place};
use super::schedule::Schedule;
use crate::model::{Channel, Stamp, Stream, StreamId};
use crate::venue::{Host, Output, Timer, Update, Urgency};

/// Calls under way at one time, so that a long list leaves room for the heartbeat.
const UNDER_WAY_MAX: usize = 16;
/// When a call that got no answer is made again.
const RETRY_LOST: Duration = Duration::from_secs(1);
/// When what was refused is asked for again: the class or the security may come.
const RETRY_REFUSED: Duration = Duration::from_secs(60);

/// A security and how far it is.
#[derive(Clone, Debug)]
struct Security {
    symbol: String,
    streams: Vec<(StreamId, Channel)>,
    step: Step,
    /// The call under way.
    call: Option<u64>,
    is_refused: bool,
    /// Whether the terminal may hold a subscription of ours.
    is_held: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Definition,
    Book,
    Done,
}

const fn is_book(channel: Channel) -> bool {
    matches!(channel, Channel::Book(_))
}

/// All securities of a feed.
#[derive(Clone, Debug)]
pub(super) struct Subscriptions {
    market: String,
    caller: Caller,
    securities: Vec<Security>,
    due: Schedule,
    under_way: usize,
}

impl Subscriptions {
    pub(super) fn new(market: &str, streams: &[Stream], timeout: Duration) -> Self {
        let mut securities: Vec<Security> = Vec::new();
        let mut places = HashMap::new();
        for (at, stream) in (0..).zip(streams) {
            let place = *places.entry(stream.symbol.as_str()).or_insert_with(|| {
                securities.push(Security {
                    symbol: stream.symbol.clone(),
                    streams: Vec::new(),
                    step: Step::Definition,
                    call: None,
                    is_refused: false,
                    is_held: false,
                });
                securities.len() - 1
            });
            securities[place].streams.push((StreamId(at), stream.channel));
        }
        Self {
            market: market.to_owned(),
            caller: Caller::new(Part::Subscriptions, Host::Rpc, Urgency::Control, timeout),
            securities,
            due: Schedule::default(),
            under_way: 0,
        }
    }

    /// The terminal is live: everything is asked for, in the order of the config.
    pub(super) fn live(&mut self, now: Stamp) {
        self.down();
        for (place, security) in self.securities.iter_mut().enumerate() {
            security.step = Step::Definition;
            self.due.set(place, now.mono);
        }
    }

    /// The terminal is not live: no more calls.
    pub(super) fn down(&mut self) {
        self.due.clear();
        self.under_way = 0;
        for security in &mut self.securities {
            security.call = None;
        }
    }

    /// A class was added: what was refused is asked for again.
    pub(super) fn retry(&mut self, now: Stamp) {
        for (place, security) in self.securities.iter().enumerate() {
            if security.is_refused && security.call.is_none() {
                self.due.set(place, now.mono);
            }
        }
    }

    /// Makes the calls that are due.
    pub(super) fn work(&mut self, now: Stamp, out: &mut dyn Output) {
        while self.under_way < UNDER_WAY_MAX
            && let Some(place) = self.due.pop(now.mono)
        {
            let Some(security) = self.securities.get_mut(place) else { continue };
            let method = match security.step {
                Step::Definition => "getSecurityInfo",
                Step::Book => "Subscribe_Level_II_Quotes",
                Step::Done => continue,
            };
            security.is_held |= security.step == Step::Book;
            let args = json!({ "class_code": self.market, "sec_code": security.symbol });
            security.call = Some(self.caller.call(place, method, &args, out));
            self.under_way += 1;
        }
    }

    /// When to work next.
    pub(super) fn next_timeout(&self) -> Option<Timer> {
        let at = self.due.next().filter(|_| self.under_way < UNDER_WAY_MAX)?;
        Some(Timer { at, why: "subscriptions" })
    }

    /// Takes the answer of one of its calls. The symbol, if its book can now be asked for.
    pub(super) fn answered(&mut self, id: u64, reply: &Reply<'_>, now: Stamp, out: &mut dyn Output) -> Option<&str> {
        let place = place(id);
        let security = self.securities.get_mut(place).filter(|security| security.call == Some(id))?;
        security.call = None;
        self.under_way -= 1;
        let fields = match reply {
            Reply::Result(fields) => fields,
            Reply::Refused(refusal) => {
                self.refused(place, &refusal.to_string(), now, out);
                return None;
            }
            Reply::Lost(_) | Reply::Unreadable(_) => {
                self.due.set(place, now.mono.after(RETRY_LOST));
                return None;
            }
        };
        match security.step {
            Step::Definition => self.defined(place, &fields.object("security_info"), now, out),
            Step::Book if fields.is_true("result") => {
                security.step = Step::Done;
                security.is_refused = false;
                for (stream, _) in security.streams.iter().filter(|(_, channel)| is_book(*channel)) {
                    out.update(Update::Subscribed(*stream));
                }
                return Some(&self.securities[place].symbol);
            }
            Step::Book => self.refused(place, "the terminal refused the subscription to the book", now, out),
            Step::Done => {}
        }
        None
    }

    fn defined(&mut self, place: usize, info: &Fields<'_>, now: Stamp, out: &mut dyn Output) {
        let security = &mut self.securities[place];
        if info.is_empty() {
            let detail = format!("class {} has no security {}", self.market, security.symbol);
            return self.refused(place, &detail, now, out);
        }
        out.update(Update::Instrument(&instruments::read(&self.market, &security.symbol, info)));
        // A book is live with its first image; the others have nothing to wait for.
        for (stream, _) in security.streams.iter().filter(|(_, c)| !is_book(*c) && *c != Channel::Bbo) {
            out.update(Update::Subscribed(*stream));
        }
        security.is_refused = false;
        security.step = Step::Done;
        if security.streams.iter().any(|(_, channel)| is_book(*channel)) {
            security.step = Step::Book;
            self.due.set(place, now.mono);
        }
    }

    /// All of a security's streams are refused when it is unknown; when its book is, the others run on.
    fn refused(&mut self, place: usize, detail: &str, now: Stamp, out: &mut dyn Output) {
        let security = &mut self.securities[place];
        security.is_refused = true;
        for (stream, channel) in &security.streams {
            if security.step == Step::Definition || is_book(*channel) {
                out.update(Update::Rejected { stream: *stream, detail });
            }
        }
        self.due.set(place, now.mono.after(RETRY_REFUSED));
    }

    /// The process ends: gives the subscriptions back.
    pub(super) fn shut_down(&mut self, out: &mut dyn Output) {
        for (place, security) in self.securities.iter_mut().enumerate() {
            if std::mem::take(&mut security.is_held) {
                let args = json!({ "class_code": self.market, "sec_code": security.symbol });
                self.caller.call(place, "Unsubscribe_Level_II_Quotes", &args, out);
            }
        }
    }
}
