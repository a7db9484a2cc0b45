//! The faults a simulated venue can have, and how a command line spells them: `KIND[:ARG][@N[+EVERY]]`.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// A book delta is not sent.
    Drop,
    /// A book delta is sent twice.
    Dup,
    /// A book delta is sent after the next one of its topic.
    Swap,
    /// A book delta also carries a bid above the best ask; its ids are right.
    Crossed,
    /// Something that is no JSON is sent instead.
    Garbage,
    /// The message ends in the middle.
    Truncated,
    /// The message has a byte that is no UTF-8.
    BadUtf8,
    /// The message is blown up to this many bytes; still valid.
    Huge(usize),
    /// The whole connection carries no data for this many ms, and what falls in that time is lost; pings are answered.
    Stall(u64),
    /// A topic (this one, or the message's) falls silent until it is subscribed to anew.
    Silence(Option<String>),
    /// The connection is closed with this code.
    Close(u16),
    /// TCP reset.
    Reset,
    /// TCP end without a close frame.
    Eof,
    /// Nothing more is read or written; TCP stays open.
    HalfOpen,
    /// The message comes in several websocket fragments.
    Fragmented,
    /// A subscription to this topic (or the first of a request) is refused.
    Reject(Option<String>),
    /// Pings are not answered from here on.
    NoPong,
    /// The order book service restarts, for every client of the topic. Bybit: a snapshot with u = 1; OKX: a change whose
    /// `seqId` is smaller than its `prevSeqId`.
    Restart,
    /// A snapshot that nobody asked for takes the delta's place.
    Snapshot,
    /// The message has fields nobody knows.
    NewField,
    /// A message of an unknown topic comes in between.
    UnknownTopic,
    /// A connection attempt is answered with this HTTP status instead of 101.
    Refuse(u16),
    /// A book message has a wrong checksum; all else is right.
    Checksum,
    /// The venue announces that the connection will be closed, and closes it after this many ms.
    Notice(u64),
    /// Every connection is closed this many ms after it was opened.
    Lifetime(u64),
    /// A REST answer comes this many ms late.
    RestSlow(u64),
    /// The image of a book is from before its first subscription.
    RestStale,
    /// A REST request is answered with this status, of the venue's own failures.
    RestError(u16),
    /// The client's address is banned for this many seconds.
    RestBan(u64),
}

/// A fault and when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// At which book or trade message of each connection, from 1 (`refuse`: connection attempt of the server;
    /// `reject`: subscribe request it could hit; `rest-…`: REST request of the server). `None`: a seeded random one
    /// (`refuse`, `reject`, `nopong`, `rest-…`: at once).
    pub at: Option<u64>,
    /// How many messages later it happens again.
    pub every: Option<u64>,
}

/// One `--fault`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultSpec {
    /// One fault.
    One(Fault),
    /// Random faults at this percentage of all book and trade messages.
    Random(u8),
}

/// Every spelling that is allowed, for help and error texts.
pub const ALLOWED: &str = "drop, dup, swap, crossed, garbage, truncated, badutf8, huge[:BYTES], stall[:MS], \
    silence[:TOPIC], close[:CODE], reset, eof, half-open, fragmented, reject[:TOPIC], nopong (not Binance), \
    restart (not Binance), snapshot (not Binance), newfield, unknown-topic, refuse[:STATUS], checksum (OKX), notice[:MS] (not Bybit), lifetime[:MS], rest-slow[:MS], \
    rest-stale (Binance), rest-5xx[:STATUS], rest-ban[:SECONDS] (Binance), each with [@N[+EVERY]]; or random[:PERCENT]";

/// Why a `--fault` was refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum FaultError {
    /// No such kind.
    #[error("unknown fault {name:?}; allowed: {allowed}")]
    Kind {
        /// What was given.
        name: String,
        /// What this venue has.
        allowed: &'static str,
    },
    /// A kind that this venue cannot have.
    #[error("fault {name} cannot happen on {venue}")]
    Venue {
        /// Which fault.
        name: &'static str,
        /// The venue.
        venue: String,
    },
    /// An argument where none belongs.
    #[error("fault {name} takes no argument; allowed: {allowed}")]
    NoArgument {
        /// Which fault.
        name: &'static str,
        /// What this venue has.
        allowed: &'static str,
    },
    /// An argument that is out of bounds.
    #[error("fault {kind}: argument {text:?} must be {allowed}")]
    Argument {
        /// Which fault.
        kind: &'static str,
        /// What was given.
        text: String,
        /// What is allowed.
        allowed: &'static str,
    },
    /// A place that is no `@N` or `@N+EVERY`.
    #[error("fault place {0:?} must be @N or @N+EVERY, whole numbers from 1")]
    Place(String),
}

impl FaultKind {
    /// The word on the command line and in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Drop => "drop",
            Self::Dup => "dup",
            Self::Swap => "swap",
            Self::Crossed => "crossed",
            Self::Garbage => "garbage",
            Self::Truncated => "truncated",
            Self::BadUtf8 => "badutf8",
            Self::Huge(_) => "huge",
            Self::Stall(_) => "stall",
            Self::Silence(_) => "silence",
            Self::Close(_) => "close",
            Self::Reset => "reset",
            Self::Eof => "eof",
            Self::HalfOpen => "half-open",
            Self::Fragmented => "fragmented",
            Self::Reject(_) => "reject",
            Self::NoPong => "nopong",
            Self::Restart => "restart",
            Self::Snapshot => "snapshot",
            Self::NewField => "newfield",
            Self::UnknownTopic => "unknown-topic",
            Self::Refuse(_) => "refuse",
            Self::Checksum => "checksum",
            Self::Notice(_) => "notice",
            Self::Lifetime(_) => "lifetime",
            Self::RestSlow(_) => "rest-slow",
            Self::RestStale => "rest-stale",
            Self::RestError(_) => "rest-5xx",
            Self::RestBan(_) => "rest-ban",
        }
    }

    /// Whether it happens to a REST request.
    pub const fn is_rest(&self) -> bool {
        matches!(self, Self::RestSlow(_) | Self::RestStale | Self::RestError(_) | Self::RestBan(_))
    }

    fn parse(name: &str, arg: Option<&str>) -> Result<Self, FaultError> {
        let kind = match name {
            "huge" => return Ok(Self::Huge(number("huge", arg, 20_000_000, 1..=256_000_000, "1..256000000 bytes")?)),
            "stall" => return Ok(Self::Stall(number("stall", arg, 15_000, 1..=3_600_000, "1..3600000 ms")?)),
            "close" => return Ok(Self::Close(number("close", arg, 1_012, 1_000..=4_999, "a close code, 1000..4999")?)),
            "refuse" => return Ok(Self::Refuse(number("refuse", arg, 503, 400..=599, "an HTTP status, 400..599")?)),
            "notice" => return Ok(Self::Notice(number("notice", arg, 60_000, 1..=3_600_000, "1..3600000 ms")?)),
            "lifetime" => {
                return Ok(Self::Lifetime(number("lifetime", arg, 30_000, 1..=86_400_000, "1..86400000 ms")?));
            }
            "rest-slow" => return Ok(Self::RestSlow(number("rest-slow", arg, 3_000, 1..=600_000, "1..600000 ms")?)),
            "rest-5xx" => {
                return Ok(Self::RestError(number("rest-5xx", arg, 503, 500..=599, "an HTTP status, 500..599")?));
            }
            "rest-ban" => {
                return Ok(Self::RestBan(number("rest-ban", arg, 120, 1..=259_200, "1..259200 seconds")?));
            }
            "silence" => return Ok(Self::Silence(arg.map(str::to_owned))),
            "reject" => return Ok(Self::Reject(arg.map(str::to_owned))),
            "drop" => Self::Drop,
            "dup" => Self::Dup,
            "swap" => Self::Swap,
            "crossed" => Self::Crossed,
            "garbage" => Self::Garbage,
            "truncated" => Self::Truncated,
            "badutf8" => Self::BadUtf8,
            "reset" => Self::Reset,
            "eof" => Self::Eof,
            "half-open" => Self::HalfOpen,
            "fragmented" => Self::Fragmented,
            "nopong" => Self::NoPong,
            "restart" => Self::Restart,
            "snapshot" => Self::Snapshot,
            "newfield" => Self::NewField,
            "unknown-topic" => Self::UnknownTopic,
            "checksum" => Self::Checksum,
            "rest-stale" => Self::RestStale,
            _ => return Err(FaultError::Kind { name: name.to_owned(), allowed: ALLOWED }),
        };
        if arg.is_some() { Err(FaultError::NoArgument { name: kind.name(), allowed: ALLOWED }) } else { Ok(kind) }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Reads a fault's number, or takes the default when there is none.
pub(super) fn number<T: FromStr + PartialOrd>(
    kind: &'static str,
    arg: Option<&str>,
    default: T,
    bounds: std::ops::RangeInclusive<T>,
    allowed: &'static str,
) -> Result<T, FaultError> {
    let Some(text) = arg else { return Ok(default) };
    let wrong = || FaultError::Argument { kind, text: text.to_owned(), allowed };
    text.parse().ok().filter(|n| bounds.contains(n)).ok_or_else(wrong)
}

/// When a fault happens: first, and how much later again.
type Place = (u64, Option<u64>);

/// Splits `KIND[:ARG][@N[+EVERY]]` into name, argument and place.
pub(super) fn split(text: &str) -> Result<(&str, Option<&str>, Option<Place>), FaultError> {
    let Some((name, rest)) = text.split_once(':') else {
        let (name, place) = match text.split_once('@') {
            Some((name, at)) => (name, Some(place(at)?)),
            None => (text, None),
        };
        return Ok((name, None, place));
    };
    // An argument may be a topic with an @ of its own: `btcusdt@depth`.
    match rest.rsplit_once('@').filter(|(_, at)| !at.is_empty() && at.bytes().all(|b| b.is_ascii_digit() || b == b'+'))
    {
        Some((arg, at)) => Ok((name, Some(arg), Some(place(at)?))),
        None => Ok((name, Some(rest), None)),
    }
}

fn place(text: &str) -> Result<Place, FaultError> {
    let wrong = || FaultError::Place(format!("@{text}"));
    let count = |text: &str| text.parse::<u64>().ok().filter(|n| *n > 0).ok_or_else(wrong);
    match text.split_once('+') {
        Some((at, every)) => Ok((count(at)?, Some(count(every)?))),
        None => Ok((count(text)?, None)),
    }
}

impl FromStr for FaultSpec {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, arg, place) = split(text)?;
        if name == "random" {
            if let Some(place) = text.split_once('@') {
                return Err(FaultError::Place(format!("@{} (random has none)", place.1)));
            }
            return Ok(Self::Random(number("random", arg, 1, 1..=100, "a percentage, 1..100")?));
        }
        let kind = FaultKind::parse(name, arg)?;
        Ok(Self::One(Fault { kind, at: place.map(|(at, _)| at), every: place.and_then(|(_, every)| every) }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(kind: FaultKind, at: Option<u64>, every: Option<u64>) -> Result<FaultSpec, FaultError> {
        Ok(FaultSpec::One(Fault { kind, at, every }))
    }

    #[test]
    fn spellings() {
        assert_eq!("drop".parse(), one(FaultKind::Drop, None, None));
        assert_eq!("drop@7".parse(), one(FaultKind::Drop, Some(7), None));
        assert_eq!("close:1008@10+50".parse(), one(FaultKind::Close(1008), Some(10), Some(50)));
        assert_eq!("huge".parse(), one(FaultKind::Huge(20_000_000), None, None));
        let topic = Some("orderbook.50.BTCUSDT".to_owned());
        assert_eq!("silence:orderbook.50.BTCUSDT@3".parse(), one(FaultKind::Silence(topic), Some(3), None));
        let topic = || Some("btcusdt@depth@100ms".to_owned());
        assert_eq!("silence:btcusdt@depth@100ms".parse(), one(FaultKind::Silence(topic()), None, None));
        assert_eq!("silence:btcusdt@depth@100ms@7+2".parse(), one(FaultKind::Silence(topic()), Some(7), Some(2)));
        assert_eq!("random:20".parse(), Ok(FaultSpec::Random(20)));
    }

    #[test]
    fn every_allowed_name_is_understood() {
        for word in ALLOWED.split(", each").next().unwrap().split(',').map(str::trim) {
            let name = word.split(['[', ' ']).next().unwrap();
            let parsed: FaultSpec = name.parse().unwrap();
            assert!(matches!(parsed, FaultSpec::One(Fault { kind, .. }) if kind.name() == name), "{name}");
        }
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let error = |text: &str| text.parse::<FaultSpec>().unwrap_err().to_string();
        assert!(error("explode").contains("half-open"), "{}", error("explode"));
        assert!(error("drop:3").contains("no argument"));
        assert!(error("close:99").contains("1000..4999"));
        assert!(error("drop@0").contains("@N+EVERY"));
        assert!(error("close:1008@0").contains("@N+EVERY"));
        assert!(error("close:1008@x").contains("1000..4999"));
        assert!(error("drop@1+x").contains("@N+EVERY"));
        assert!(error("random:0").contains("1..100"));
        assert!(error("random@4").contains("random has none"));
    }
}
