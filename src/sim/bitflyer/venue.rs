//! The simulated bitFlyer as a whole: every product, the account, and the truth for those who check.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::model::{self, Mono, Stamp};
use crate::sim::fault::FaultKind;
use crate::sim::market::{Level, Side};
use crate::sim::pace::{Pace, mover};
use crate::sim::server::Options;
use crate::sim::venue::{self, Answer, Asked, Depth, Logins, Published, TrueBook};

use super::account::Account;
use super::catalog::products;
use super::channel::{self, Channel, Kind};
use super::listed::Listed;
use super::session::Session;
use super::{Settings, rest};

/// The path of every websocket.
const PATH: &str = "/json-rpc";

/// All products behind one simulated address.
#[derive(Debug)]
pub struct Venue {
    pub(super) settings: Settings,
    pub(super) logins: Logins,
    pub(super) listed: Vec<Listed>,
    places: BTreeMap<String, usize>,
    watched: Vec<usize>,
    pub(super) account: Account,
    rng: Rng,
    events: u64,
    /// The number of the last trade, of all products.
    trades: u64,
    pace: Pace,
}

impl Venue {
    /// How many messages were published so far.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// One product.
    pub(super) fn find(&self, code: &str) -> Option<&Listed> {
        self.listed.get(*self.places.get(code)?)
    }

    fn place_of(&self, name: &str) -> Option<(Kind, usize)> {
        let Some(Channel::Product(kind, code)) = channel::read(name) else { return None };
        Some((kind, *self.places.get(code)?))
    }

    /// Counts a subscriber in. Nobody knows the channel of a product that does not exist.
    pub(super) fn watch(&mut self, name: &str, now: Mono) {
        match self.place_of(name) {
            Some((kind, at)) => self.listed[at].watch(kind, &self.settings, &mut self.rng, now),
            None => self.account.watch(name, now),
        }
        self.recount();
    }

    /// Counts a subscriber out.
    pub(super) fn unwatch(&mut self, name: &str) {
        match self.place_of(name) {
            Some((kind, at)) => self.listed[at].unwatch(kind),
            None => self.account.unwatch(name),
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.watched = (0..self.listed.len()).filter(|at| self.listed[*at].any_watched()).collect();
    }

    /// Whether no connection is counted in anywhere.
    #[cfg(test)]
    pub(super) fn nobody_listens(&self) -> bool {
        self.watched.is_empty() && self.account.is_alone()
    }

    /// The whole book of the product that a channel is of.
    pub(super) fn whole_of(&mut self, name: &str) -> Option<Published> {
        let (_, at) = self.place_of(name)?;
        let whole = self.listed[at].whole(&mut self.rng);
        Some(Published { event: self.events, ..whole })
    }

    fn number(&mut self, published: &mut [Published]) {
        for message in published {
            self.events += 1;
            message.event = self.events;
        }
    }
}

impl venue::Venue for Venue {
    type Session = Session;
    const STRANGER: &'static str = r#"{"jsonrpc":"2.0","method":"channelMessage","params":{"channel":"lightning_weather_MOON","message":{"mid_price":1.0,"bids":[],"asks":[]}}}"#;

    fn open(options: &Options, now: Stamp) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let settings = options.bitflyer.clone();
        let specs = products(&options.symbols);
        let listed: Vec<Listed> = specs.into_iter().map(|spec| Listed::new(rng.u64(..), spec, now)).collect();
        let places = listed.iter().enumerate().map(|(at, listed)| (listed.spec.code.clone(), at)).collect();
        Self {
            account: Account::new(settings.deal_every, &listed, now.mono),
            settings,
            logins: Logins::default(),
            listed,
            places,
            watched: Vec::new(),
            trades: 2_500_000_000 + rng.u64(0..1_000_000),
            rng,
            events: 0,
            pace: Pace::new(options.rate, now.mono),
        }
    }

    /// All connections have the same path.
    fn path(_place: &str) -> String {
        PATH.to_owned()
    }

    /// It sends no checksums, announces nothing, bans nobody, and its books do not need images.
    fn can(kind: &FaultKind) -> bool {
        !matches!(kind, FaultKind::Checksum | FaultKind::Notice(_) | FaultKind::RestStale | FaultKind::RestBan(_))
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
                self.listed[at].housekeep(&self.settings, &mut self.rng, now, out);
            }
            self.account.tick(&self.listed, now, out);
            self.number(&mut out[from..]);
        }
    }

    /// Moves are among the products somebody listens to (any product when nobody does).
    fn step(&mut self, moves: usize, now: Stamp, out: &mut Vec<Published>) {
        for _ in 0..moves {
            let Some(at) = mover(&self.watched, self.listed.len(), &mut self.rng) else { return };
            let from = out.len();
            self.listed[at].step(&mut self.rng, &mut self.trades, now, out);
            self.number(&mut out[from..]);
        }
    }

    fn connect(&mut self, asked: &Asked<'_>, _number: u64, now: Stamp) -> Result<Session, u16> {
        if asked.path == PATH { Ok(Session::new(now.mono)) } else { Err(404) }
    }

    fn answer(&mut self, asked: &Asked<'_>, now: Stamp) -> Answer {
        rest::answer(self, asked, now)
    }

    fn stats(&self, _now: Stamp) -> Value {
        json!({"logins": self.logins})
    }

    fn fills(&self, market: &str) -> Vec<String> {
        self.account.fills.told(market)
    }

    /// An auction breaks in; nothing happens when it is no channel of a book.
    fn restart(&mut self, _: &str, topic: &str, now: Stamp, out: &mut Vec<Published>) {
        let Some((Kind::Whole | Kind::Changes, at)) = self.place_of(topic) else { return };
        let from = out.len();
        self.listed[at].auction(&mut self.rng, &mut self.trades, now, out);
        self.number(&mut out[from..]);
    }

    fn crossed(&self, message: &Published) -> String {
        let level = self.place_of(&message.topic).map(|(_, at)| self.listed[at].crossing_bid()).unwrap_or_default();
        let text = String::from_utf8_lossy(&message.text);
        let more = if text.contains(r#""bids":[]"#) { "" } else { "," };
        text.replacen(r#""bids":["#, &format!(r#""bids":[{level}{more}"#), 1)
    }

    fn truth(&mut self, market: &str, symbol: &str, depth: Depth, _now: Stamp) -> Option<TrueBook> {
        let listed = self.find(symbol).filter(|listed| listed.spec.market() == market)?;
        let spec = &listed.spec;
        let spell = |level: Level| model::Level { price: spec.price(level.ticks), size: spec.size(level.lots) };
        let side = |side| listed.board.best_first(side, depth.levels()).into_iter().map(spell).collect();
        Some(TrueBook { u: 0, seq: listed.market.seq(), bids: side(Side::Bid), asks: side(Side::Ask) })
    }

    /// Its books have no ids: one is asked for by its own digest.
    fn digest(&self, market: &str, symbol: &str, _depth: Depth, id: u64) -> Option<u32> {
        let listed = self.find(symbol).filter(|listed| listed.spec.market() == market)?;
        u32::try_from(id).ok().filter(|digest| listed.board.has_been(*digest))
    }
}
