//! The simulated venue as a whole: every symbol, the pace at which markets move, and the truth for those who check.

use std::collections::BTreeMap;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::model::{self, Mono, Stamp};
use crate::sim::fault::FaultKind;
use crate::sim::market::{Level, Side};
use crate::sim::pace::{Pace, mover};
use crate::sim::server::Options;
use crate::sim::venue::{self, Answer, Asked, Depth, Logins, Published, TrueBook};

use super::account::{self, Account};
use super::catalog::{Category, instruments};
use super::listed::Listed;
use super::private::Private;
use super::session::Session;
use super::topic::{self, Stream};
use super::{Settings, rest};

/// What the path of every product begins with.
const PUBLIC: &str = "/v5/public/";
/// The account's path, and what it is called.
const PRIVATE: &str = "/v5/private";

/// All symbols behind one simulated address.
#[derive(Clone, Debug)]
pub struct Venue {
    pub(super) settings: Settings,
    pub(super) logins: Logins,
    pub(super) account: Account,
    pub(super) symbols: Vec<Listed>,
    places: BTreeMap<(Category, String), usize>,
    watched: Vec<usize>,
    rng: Rng,
    events: u64,
    pace: Pace,
}

impl Venue {
    /// A venue whose markets move `rate` times a second in all (0: only by `step`). `only` chooses symbols;
    /// empty means all.
    pub fn new(seed: u64, rate: u32, only: &[String], settings: Settings, now: Stamp) -> Self {
        let mut rng = Rng::with_seed(seed);
        let symbols: Vec<Listed> =
            instruments(only).into_iter().map(|spec| Listed::new(rng.u64(..), spec, now)).collect();
        let place = |(at, listed): (usize, &Listed)| ((listed.spec.category, listed.spec.symbol.clone()), at);
        let places = symbols.iter().enumerate().map(place).collect();
        let account = Account::new(settings.deal_every, &symbols, now);
        let pace = Pace::new(rate, now.mono);
        Self {
            settings,
            logins: Logins::default(),
            account,
            symbols,
            places,
            watched: Vec::new(),
            rng,
            events: 0,
            pace,
        }
    }

    /// How many messages were published so far.
    pub const fn events(&self) -> u64 {
        self.events
    }

    /// The symbols of a product, in listing order.
    pub fn listed(&self, category: Category) -> impl Iterator<Item = &Listed> {
        self.symbols.iter().filter(move |listed| listed.spec.category == category)
    }

    /// One symbol.
    pub fn find(&mut self, category: Category, symbol: &str) -> Option<&mut Listed> {
        let at = *self.places.get(&(category, symbol.to_owned()))?;
        self.symbols.get_mut(at)
    }

    fn number(&mut self, published: &mut [Published]) {
        for message in published {
            self.events += 1;
            message.event = self.events;
        }
    }

    /// The stream a topic means and the symbols it is about; `None` when there is no such topic.
    pub(super) fn resolve(&self, category: Category, topic: &str) -> Option<(Stream, Vec<usize>)> {
        let (stream, name) = topic::parse(category, topic)?;
        if category == Category::Option && stream == Stream::Trades {
            let of_base =
                |(_, listed): &(usize, &Listed)| listed.spec.category == Category::Option && listed.spec.base == name;
            let places: Vec<usize> = self.symbols.iter().enumerate().filter(of_base).map(|(at, _)| at).collect();
            return (!places.is_empty()).then_some((stream, places));
        }
        let at = *self.places.get(&(category, name.to_owned()))?;
        Some((stream, vec![at]))
    }

    pub(super) fn watch(&mut self, stream: Stream, places: &[usize], now: Stamp) {
        for &at in places {
            self.symbols[at].watch(stream, now);
        }
        self.recount();
    }

    pub(super) fn unwatch(&mut self, stream: Stream, places: &[usize]) {
        for &at in places {
            self.symbols[at].unwatch(stream);
        }
        self.recount();
    }

    fn recount(&mut self) {
        self.watched = (0..self.symbols.len()).filter(|at| self.symbols[*at].any_watched()).collect();
    }

    pub(super) fn snapshot(&mut self, stream: Stream, places: &[usize], now: Stamp) -> Vec<Published> {
        let event = self.events;
        let made = places.iter().filter_map(|at| self.symbols[*at].snapshot(stream, now));
        made.map(|message| Published { event, ..message }).collect()
    }
}

impl venue::Venue for Venue {
    type Session = Session;
    const STRANGER: &'static str = r#"{"topic":"weather.1.MOON","type":"snapshot","ts":1,"data":{"s":"MOON"}}"#;

    fn open(options: &Options, now: Stamp) -> Self {
        Self::new(options.seed, options.rate, &options.symbols, options.bybit.clone(), now)
    }

    /// The path of a product's connections, or the account's: `private`.
    fn path(place: &str) -> String {
        if place == account::PRODUCT { PRIVATE.to_owned() } else { format!("{PUBLIC}{place}") }
    }

    /// It sends no checksums, announces nothing, and its books do not need images.
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
                self.symbols[at].housekeep(now, out);
            }
            self.account.tick(&self.symbols, now, out);
            self.number(&mut out[from..]);
        }
    }

    /// Moves are among the symbols somebody listens to (any symbol when nobody does).
    fn step(&mut self, moves: usize, now: Stamp, out: &mut Vec<Published>) {
        for _ in 0..moves {
            let Some(at) = mover(&self.watched, self.symbols.len(), &mut self.rng) else { return };
            let from = out.len();
            self.symbols[at].step(&mut self.rng, now, out);
            self.number(&mut out[from..]);
        }
    }

    fn connect(&mut self, asked: &Asked<'_>, number: u64, now: Stamp) -> Result<Session, u16> {
        if asked.path == PRIVATE {
            return Ok(Session::Private(Private::new(format!("sim-{number:08x}-p"), now.mono)));
        }
        let category = asked.path.strip_prefix(PUBLIC).and_then(Category::parse).ok_or(404_u16)?;
        Ok(Session::new(category, format!("sim-{number:08x}-{category}"), now.mono))
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
    fn restart(&mut self, product: &str, topic: &str, now: Stamp, out: &mut Vec<Published>) {
        let found = Category::parse(product).and_then(|category| self.resolve(category, topic));
        let Some((Stream::Book(depth), places)) = found else { return };
        let from = out.len();
        for at in places {
            self.symbols[at].restart(depth, now, out);
        }
        self.number(&mut out[from..]);
    }

    fn crossed(&self, message: &Published) -> String {
        let found = Category::parse(message.product).and_then(|category| self.resolve(category, &message.topic));
        let at = found.and_then(|(_, places)| places.first().copied());
        let level = at.map(|at| self.symbols[at].crossing_bid()).unwrap_or_default();
        let text = String::from_utf8_lossy(&message.text);
        let more = if text.contains(r#""b":[]"#) { "" } else { "," };
        text.replacen(r#""b":["#, &format!(r#""b":[{level}{more}"#), 1)
    }

    fn truth(&mut self, market: &str, symbol: &str, depth: Depth, now: Stamp) -> Option<TrueBook> {
        let listed = self.find(Category::parse(market)?, symbol)?;
        let spec = listed.spec.clone();
        let spell = |level: Level| model::Level { price: spec.price(level.ticks), size: spec.size(level.lots) };
        let book = listed.book(depth, now);
        let side = |side| book.best_first(side, usize::MAX).into_iter().map(spell).collect();
        Some(TrueBook { u: book.u, seq: book.seq, bids: side(Side::Bid), asks: side(Side::Ask) })
    }

    fn digest(&self, market: &str, symbol: &str, depth: Depth, id: u64) -> Option<u32> {
        let at = *self.places.get(&(Category::parse(market)?, symbol.to_owned()))?;
        self.symbols[at].digest(depth, id)
    }
}
