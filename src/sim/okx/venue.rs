//! The simulated OKX as a whole: every instrument, the account, and the truth for those who check.

use std::collections::BTreeMap;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::model::{self, Mono, Stamp};
use crate::sim::fault::FaultKind;
use crate::sim::market::{Level, Side};
use crate::sim::pace::{Pace, mover};
use crate::sim::server::Options;
use crate::sim::venue::{self, Answer, Asked, Depth, Kind, Logins, Published, TrueBook};

use super::account::Account;
use super::book::Channel;
use super::catalog::{InstType, instruments};
use super::channel::{Path, Private, Stream, Wish};
use super::limits::{Counts, Limit};
use super::listed::Listed;
use super::message::{fields, frame};
use super::session::Session;
use super::{Checksum, JAPAN, Settings, rest};

/// What the path of every websocket begins with.
const PATH: &str = "/ws/v5/";
/// New connections of one address.
const CONNECTIONS: Limit = Limit::new(3, 1);
/// How often a change of an instrument is announced to those who watch instruments.
const ANNOUNCEMENT: Duration = Duration::from_secs(30);

/// What a subscription gets its messages from.
#[derive(Clone, Debug)]
pub(super) enum Feed {
    /// One stream of one instrument, or of all of a type.
    Market(Stream, Vec<usize>),
    /// Maintenance.
    Status,
    /// The account.
    Account(Private),
}

/// All instruments behind one simulated address.
#[derive(Debug)]
pub struct Venue {
    pub(super) settings: Settings,
    pub(super) logins: Logins,
    /// It is OKX Japan.
    pub(super) japan: bool,
    pub(super) listed: Vec<Listed>,
    places: BTreeMap<String, usize>,
    watched: Vec<usize>,
    pub(super) account: Account,
    pub(super) counts: Counts,
    rng: Rng,
    events: u64,
    pace: Pace,
    next_announcement: Mono,
    /// The last maintenance, as a row.
    pub(super) maintenance: Option<String>,
}

impl Venue {
    /// How many messages were published so far.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// One instrument.
    pub(super) fn find(&mut self, symbol: &str) -> Option<&mut Listed> {
        let at = *self.places.get(symbol)?;
        self.listed.get_mut(at)
    }

    /// The instrument whose market an index follows.
    pub(super) fn of_index(&self, index: &str) -> Option<usize> {
        self.listed.iter().position(|listed| listed.spec.index() == index)
    }

    /// The topic a wish means and where its messages come from; `None` when there is no such thing.
    pub(super) fn resolve(&self, wish: &Wish) -> Option<(String, Feed)> {
        match wish {
            Wish::Status => Some(("status".to_owned(), Feed::Status)),
            Wish::Account(private) => {
                private.symbol.as_ref().is_none_or(|symbol| self.places.contains_key(symbol)).then_some(())?;
                Some((private.topic(), Feed::Account(private.clone())))
            }
            Wish::OfType(stream, kind) => {
                let of_kind = |(at, listed): (usize, &Listed)| (listed.spec.kind == *kind).then_some(at);
                let places: Vec<usize> = self.listed.iter().enumerate().filter_map(of_kind).collect();
                (!places.is_empty()).then(|| (stream.topic("", *kind).0, Feed::Market(*stream, places)))
            }
            Wish::One(stream, symbol) => {
                let at = if stream.is_of_index() { self.of_index(symbol) } else { self.places.get(symbol).copied() }?;
                let kind = self.listed[at].spec.kind;
                let has = stream.is_of(kind, self.japan);
                has.then(|| (stream.topic(symbol, kind).0, Feed::Market(*stream, vec![at])))
            }
        }
    }

    pub(super) fn watch(&mut self, feed: &Feed, now: Stamp) {
        match feed {
            Feed::Market(stream, places) => {
                for &at in places {
                    self.listed[at].watch(*stream, now);
                }
                self.recount();
            }
            Feed::Status => {}
            Feed::Account(wish) => self.account.watch(wish, now.mono),
        }
    }

    pub(super) fn unwatch(&mut self, feed: &Feed) {
        match feed {
            Feed::Market(stream, places) => {
                for &at in places {
                    self.listed[at].unwatch(*stream);
                }
                self.recount();
            }
            Feed::Status => {}
            Feed::Account(wish) => self.account.unwatch(wish),
        }
    }

    /// Whether no connection is counted in anywhere.
    #[cfg(test)]
    pub(super) fn nobody_listens(&self) -> bool {
        self.watched.is_empty() && self.account.is_alone()
    }

    fn recount(&mut self) {
        self.watched = (0..self.listed.len()).filter(|at| self.listed[*at].any_watched()).collect();
    }

    /// What a new subscriber gets first.
    pub(super) fn snapshot(&mut self, feed: &Feed, now: Stamp) -> Vec<Published> {
        let event = self.events;
        let made = match feed {
            Feed::Market(_, places) if places.len() > 1 => None,
            Feed::Market(stream, places) => places.first().and_then(|at| self.listed[*at].snapshot(*stream, now)),
            Feed::Status => self.maintenance.as_ref().map(|row| status(row)),
            Feed::Account(wish) => self.account.snapshot(wish, &self.listed, now),
        };
        made.map(|message| Published { event, ..message }).into_iter().collect()
    }

    fn number(&mut self, published: &mut [Published]) {
        for message in published {
            self.events += 1;
            message.event = self.events;
        }
    }

    /// Tells those who watch instruments of a type that one of them will get a coarser tick, some day.
    fn announce(&mut self, now: Stamp, out: &mut Vec<Published>) {
        if now.mono < self.next_announcement {
            return;
        }
        self.next_announcement = now.mono.after(ANNOUNCEMENT);
        for kind in InstType::ALL {
            let of_kind: Vec<&Listed> = self.listed.iter().filter(|listed| listed.spec.kind == kind).collect();
            if !of_kind.first().is_some_and(|listed| listed.watches(Stream::Instruments)) {
                continue;
            }
            let spec = &of_kind[self.rng.usize(0..of_kind.len())].spec;
            let change = fields(&[
                ("param", "tickSz".to_owned()),
                ("newValue", spec.price(10).to_string()),
                ("effTime", (now.wall.as_ms() + 90 * 86_400_000).to_string()),
            ]);
            let (topic, arg) = Stream::Instruments.topic("", kind);
            out.push(Published::new("", &topic, Kind::Other, frame(&arg, &spec.row(&change))));
        }
    }

    /// Tells of a maintenance that is over as soon as it began.
    fn maintain(&mut self, now: Stamp, out: &mut Vec<Published>) {
        let ts = now.wall.as_ms().to_string();
        for state in ["ongoing", "completed"] {
            let row = fields(&[
                ("title", "Order book service".to_owned()),
                ("state", state.to_owned()),
                ("begin", ts.clone()),
                ("end", ts.clone()),
                ("preOpenBegin", String::new()),
                ("href", String::new()),
                ("serviceType", "0".to_owned()),
                ("system", "unified".to_owned()),
                ("maintType", "2".to_owned()),
                ("env", "1".to_owned()),
                ("scheDesc", String::new()),
                ("ts", ts.clone()),
            ]);
            out.push(status(&row));
            self.maintenance = Some(row);
        }
    }
}

fn status(row: &str) -> Published {
    Published::new("", "status", Kind::Other, frame(r#"{"channel":"status"}"#, row))
}

impl venue::Venue for Venue {
    type Session = Session;
    const STRANGER: &'static str =
        r#"{"arg":{"channel":"weather","instId":"MOON-USDT"},"data":[{"instId":"MOON-USDT","ts":"1"}]}"#;

    fn open(options: &Options, now: Stamp) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let settings = options.okx.clone();
        let japan = options.venue == JAPAN;
        let checksum = settings.checksum.unwrap_or(if japan { Checksum::Live } else { Checksum::Zero });
        let specs = instruments(japan, &options.symbols);
        let listed: Vec<Listed> = specs.into_iter().map(|spec| Listed::new(rng.u64(..), spec, checksum, now)).collect();
        let places = listed.iter().enumerate().map(|(at, listed)| (listed.spec.symbol.clone(), at)).collect();
        let account = Account::new(settings.deal_every, &listed, now);
        Self {
            settings,
            logins: Logins::default(),
            japan,
            listed,
            places,
            watched: Vec::new(),
            account,
            counts: Counts::default(),
            rng,
            events: 0,
            pace: Pace::new(options.rate, now.mono),
            next_announcement: now.mono.after(ANNOUNCEMENT),
            maintenance: None,
        }
    }

    /// `public`, `business` or `private`.
    fn path(place: &str) -> String {
        format!("{PATH}{place}")
    }

    /// Its books do not need images, and it bans nobody.
    fn can(kind: &FaultKind) -> bool {
        !matches!(kind, FaultKind::RestStale | FaultKind::RestBan(_))
    }

    fn next_due(&self) -> Mono {
        self.pace.next_due()
    }

    fn tick(&mut self, now: Stamp, out: &mut Vec<Published>) {
        let moves = self.pace.moves(now.mono);
        self.step(moves as usize, now, out);
        if self.pace.housekeeping(now.mono) {
            let from = out.len();
            for at in self.watched.clone() {
                self.listed[at].housekeep(now, out);
            }
            self.account.tick(&self.listed, now, out);
            self.announce(now, out);
            self.number(&mut out[from..]);
        }
    }

    /// Moves are among the instruments somebody listens to (any instrument when nobody does).
    fn step(&mut self, moves: usize, now: Stamp, out: &mut Vec<Published>) {
        for _ in 0..moves {
            let Some(at) = mover(&self.watched, self.listed.len(), &mut self.rng) else { return };
            let from = out.len();
            self.listed[at].step(&mut self.rng, now, out);
            self.number(&mut out[from..]);
        }
    }

    fn connect(&mut self, asked: &Asked<'_>, number: u64, now: Stamp) -> Result<Session, u16> {
        let name = asked.path.strip_prefix(PATH);
        let path = Path::ALL.into_iter().find(|path| Some(path.name()) == name).ok_or(404_u16)?;
        if self.settings.connect_limit && !self.counts.admit(asked.peer, "connect", CONNECTIONS, now.mono) {
            return Err(429);
        }
        Ok(Session::new(path, number, &self.settings, self.japan, now.mono))
    }

    fn answer(&mut self, asked: &Asked<'_>, now: Stamp) -> Answer {
        rest::answer(self, asked, now).into()
    }

    fn stats(&self, _now: Stamp) -> Value {
        json!({"logins": self.logins})
    }

    fn fills(&self, market: &str) -> Vec<String> {
        self.account.fills.told(market)
    }

    /// Nothing happens when it is no book topic.
    fn restart(&mut self, _: &str, topic: &str, now: Stamp, out: &mut Vec<Published>) {
        let Some((channel, symbol)) = topic.split_once(':') else { return };
        let is_book = Channel::ALL.into_iter().any(|known| known.name() == channel);
        let Some(listed) = self.find(symbol).filter(|_| is_book) else { return };
        let from = out.len();
        listed.restart(now, out);
        self.maintain(now, out);
        self.number(&mut out[from..]);
    }

    fn crossed(&self, message: &Published) -> String {
        let at = message.topic.split_once(':').and_then(|(_, symbol)| self.places.get(symbol).copied());
        let level = at.map(|at| self.listed[at].crossing_bid()).unwrap_or_default();
        let text = String::from_utf8_lossy(&message.text);
        let more = if text.contains(r#""bids":[]"#) { "" } else { "," };
        text.replacen(r#""bids":["#, &format!(r#""bids":[{level}{more}"#), 1)
    }

    fn truth(&mut self, market: &str, symbol: &str, depth: Depth, now: Stamp) -> Option<TrueBook> {
        let kind = InstType::of_market(market)?;
        let channel = Channel::of_depth(depth)?;
        let listed = self.find(symbol).filter(|listed| listed.spec.kind == kind)?;
        let (spec, seq) = (listed.spec.clone(), listed.market.seq());
        let spell = |level: Level| model::Level { price: spec.price(level.ticks), size: spec.size(level.lots) };
        let book = listed.book(channel, now);
        let side = |side| book.best_first(side, usize::MAX).into_iter().map(spell).collect();
        Some(TrueBook { u: book.seq_id, seq, bids: side(Side::Bid), asks: side(Side::Ask) })
    }

    fn digest(&self, market: &str, symbol: &str, depth: Depth, id: u64) -> Option<u32> {
        let kind = InstType::of_market(market)?;
        let listed = self.places.get(symbol).map(|at| &self.listed[*at]).filter(|listed| listed.spec.kind == kind)?;
        listed.digest(depth.levels(), id)
    }
}
