//! The simulated Binance as a whole: every symbol, the account, who used how much, and the truth for those who check.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::model::{self, Mono, Stamp};
use crate::sim::fault::FaultKind;
use crate::sim::market::Level;
use crate::sim::pace::{Pace, mover};
use crate::sim::server::Options;
use crate::sim::venue::{self, Answer, Asked, Depth, Kind, Logins, Published, TrueBook};

use super::account::{self, Account};
use super::catalog::{Market, instruments};
use super::listed::Listed;
use super::message::array;
use super::session::Session;
use super::stream::{self, All, Class, Wish};
use super::weights::Weights;
use super::{Settings, figures, path, rest};

/// What goes out by the clock goes out at multiples of this.
const BEAT_MS: u64 = 50;
const BEAT: Duration = Duration::from_millis(BEAT_MS);
/// New connections of one address in [`CONNECT_WINDOW`].
const MOST_CONNECTS: u32 = 300;
const CONNECT_WINDOW: Duration = Duration::from_secs(300);
/// Addresses whose connections are counted; the list begins anew when there are more.
const MOST_ADDRESSES: usize = 10_000;

/// What a subscription gets its messages from.
#[derive(Clone, Debug)]
pub(super) enum Feed {
    /// A stream of the symbol at this place.
    One(stream::Stream, usize, Market),
    /// A stream of all symbols, as this market sends it.
    All(All, Market),
    /// The account's events on a market, under this topic.
    Account(Market, String),
}

impl Feed {
    /// Whose messages they are.
    pub(super) const fn product(&self) -> &'static str {
        match self {
            Self::One(_, _, market) | Self::All(_, market) => market.as_str(),
            Self::Account(..) => account::PRODUCT,
        }
    }
}

/// A stream of all symbols somebody listens to.
#[derive(Clone, Debug)]
struct WatchedAll {
    count: usize,
    /// Of each market the sequence that was last told.
    told: Vec<u64>,
}

/// All symbols behind one simulated address.
#[derive(Debug)]
pub struct Venue {
    pub(super) settings: Settings,
    pub(super) logins: Logins,
    pub(super) listed: Vec<Listed>,
    places: BTreeMap<(Market, String), usize>,
    watched: Vec<usize>,
    all: BTreeMap<(Market, All), WatchedAll>,
    pub(super) account: Account,
    /// Request weight: spot, futures.
    pub(super) weights: [Weights; 2],
    connects: BTreeMap<IpAddr, (Mono, u32)>,
    refused_connects: u64,
    /// Images from before the first subscription are kept.
    outdate: bool,
    pub(super) rng: Rng,
    events: u64,
    pace: Pace,
    next_beat: Mono,
    beats: u64,
}

impl Venue {
    /// How many messages were published so far.
    pub(super) const fn events(&self) -> u64 {
        self.events
    }

    /// The place of a symbol. COIN-M's REST routes know those of USD-M too.
    pub(super) fn place(&self, market: Market, symbol: &str) -> Option<usize> {
        self.places.get(&(market, symbol.to_owned())).copied()
    }

    /// What a stream's name means on a market, and its class.
    pub(super) fn resolve(&self, market: Market, name: &str) -> Option<(Class, Feed)> {
        let wish = stream::parse(market, name)?;
        let feed = match wish {
            Wish::All(all) => Feed::All(all, market),
            // Stream names are lower case; others are accepted and silent.
            Wish::One(symbol, _) if symbol.chars().any(char::is_uppercase) => return None,
            Wish::One(symbol, stream) => Feed::One(stream, self.place(market, &symbol.to_uppercase())?, market),
        };
        Some((wish.class(), feed))
    }

    pub(super) fn watch(&mut self, feed: &Feed, now: Stamp) {
        match feed {
            Feed::One(stream, at, _) => {
                let outdate = self.outdate;
                self.listed[*at].watch(*stream, outdate, now);
            }
            Feed::All(all, market) => {
                let told = || self.listed.iter().map(|listed| listed.market.seq()).collect();
                let new = || WatchedAll { count: 0, told: told() };
                self.all.entry((*market, *all)).or_insert_with(new).count += 1;
            }
            Feed::Account(market, topic) => return self.account.watch(*market, topic),
        }
        self.recount();
    }

    pub(super) fn unwatch(&mut self, feed: &Feed) {
        match feed {
            Feed::One(stream, at, _) => self.listed[*at].unwatch(*stream),
            Feed::All(all, market) => {
                if let Some(watched) = self.all.get_mut(&(*market, *all)) {
                    watched.count -= 1;
                    if watched.count == 0 {
                        self.all.remove(&(*market, *all));
                    }
                }
            }
            Feed::Account(market, topic) => return self.account.unwatch(*market, topic),
        }
        self.recount();
    }

    fn recount(&mut self) {
        let all: Vec<Market> = self.all.keys().map(|(market, _)| *market).collect();
        let of_all = |market: Market| all.iter().any(|all| concerns(*all, market));
        let watched = |at: &usize| self.listed[*at].any_watched() || of_all(self.listed[*at].spec.market);
        self.watched = (0..self.listed.len()).filter(watched).collect();
    }

    fn number(&mut self, published: &mut [Published]) {
        for message in published {
            self.events += 1;
            message.event = self.events;
        }
    }

    /// Sends what is due by the clock.
    fn beat(&mut self, now: Stamp, out: &mut Vec<Published>) {
        let passed = u64::try_from(now.mono.since(self.next_beat).as_millis()).unwrap_or(0) / BEAT_MS;
        let from_ms = self.beats * BEAT_MS;
        self.beats += 1 + passed;
        self.next_beat = self.next_beat.after(Duration::from_millis(BEAT_MS.saturating_mul(1 + passed)));
        let to_ms = self.beats * BEAT_MS;
        // Once for every pace, even if several of its turns have passed.
        let due = |pace: u64| to_ms / pace != from_ms / pace;
        for at in self.watched.clone() {
            self.listed[at].housekeep(due, now, out);
        }
        self.publish_all(due, now, out);
        self.account.tick(&self.listed, now, out);
    }

    fn publish_all(&mut self, due: impl Fn(u64) -> bool, now: Stamp, out: &mut Vec<Published>) {
        let wanted: Vec<(Market, All)> =
            self.all.keys().copied().filter(|(market, all)| due(all.pace(*market))).collect();
        for (market, all) in wanted {
            let Some(mut watched) = self.all.remove(&(market, all)) else { continue };
            self.publish_one_all(market, all, &mut watched.told, now, out);
            self.all.insert((market, all), watched);
        }
    }

    fn publish_one_all(&mut self, market: Market, all: All, told: &mut [u64], now: Stamp, out: &mut Vec<Published>) {
        let (now_ms, product) = (now.wall.as_ms(), Feed::All(all, market).product());
        let mut rows = Vec::new();
        for (listed, told) in self.listed.iter_mut().zip(told) {
            if !concerns(market, listed.spec.market) {
                continue;
            }
            if all == All::ForceOrder {
                if let Some((seq, text)) = listed.liquidation(*told, now_ms) {
                    *told = seq;
                    rows.push(text);
                }
                continue;
            }
            // Mark prices of all; of everything else what changed.
            let before = std::mem::replace(told, listed.market.seq());
            rows.extend(match all {
                All::MarkPrice(_) => Some(figures::mark_price(listed, now_ms)),
                _ if before == *told => None,
                All::Ticker => Some(figures::ticker(listed, now_ms)),
                All::MiniTicker => Some(figures::mini_ticker(listed, now_ms)),
                All::BookTicker => Some(listed.best_text(now)),
                All::ForceOrder => None,
            });
        }
        let mut push = |text: String| out.push(Published::new(product, all.name(), Kind::Other, text.into_bytes()));
        match all {
            All::BookTicker | All::ForceOrder => rows.into_iter().for_each(push),
            _ if rows.is_empty() => {}
            _ => push(array(&rows)),
        }
    }

    /// Whether one more connection of an address is within the limit.
    fn admits(&mut self, peer: IpAddr, now: Mono) -> bool {
        if self.connects.len() >= MOST_ADDRESSES {
            self.connects.clear();
        }
        let (since, count) = self.connects.entry(peer).or_insert((now, 0));
        if now.since(*since) >= CONNECT_WINDOW {
            (*since, *count) = (now, 0);
        }
        *count += 1;
        *count <= MOST_CONNECTS || !self.settings.connect_limit
    }
}

/// Whether streams of all symbols of `market` tell of those of `other`: since futures were merged, both of both.
fn concerns(market: Market, other: Market) -> bool {
    market.is_futures() == other.is_futures()
}

impl venue::Venue for Venue {
    type Session = Session;
    const STRANGER: &'static str =
        r#"{"stream":"moonusdt@weather","data":{"e":"weather","E":1,"s":"MOONUSDT","w":"clear"}}"#;

    fn open(options: &Options, now: Stamp) -> Self {
        let mut rng = Rng::with_seed(options.seed);
        let settings = options.binance.clone();
        let specs = instruments(&options.symbols);
        let listed: Vec<Listed> = specs.into_iter().map(|spec| Listed::new(rng.u64(..), spec, now)).collect();
        let place = |(at, listed): (usize, &Listed)| ((listed.spec.market, listed.spec.symbol.clone()), at);
        let outdate = |fault: &crate::sim::FaultSpec| matches!(fault, crate::sim::FaultSpec::One(fault) if fault.kind == FaultKind::RestStale);
        Self {
            places: listed.iter().enumerate().map(place).collect(),
            account: Account::new(settings.deal_every, settings.key_life, &listed, now),
            weights: Weights::pools(settings.weight_limit),
            settings,
            logins: Logins::default(),
            listed,
            watched: Vec::new(),
            all: BTreeMap::new(),
            connects: BTreeMap::new(),
            refused_connects: 0,
            outdate: options.faults.iter().any(outdate),
            rng,
            events: 0,
            pace: Pace::new(options.rate, now.mono),
            next_beat: now.mono.after(BEAT),
            beats: 0,
        }
    }

    /// One address serves every market; anything else is a path of its own: `coinm/ws`, `public/stream` …
    fn path(place: &str) -> String {
        if Market::parse(place).is_some() { String::new() } else { format!("/{place}") }
    }

    /// It has neither checksums nor snapshots on the stream, and no pings in JSON.
    fn can(kind: &FaultKind) -> bool {
        !matches!(kind, FaultKind::Checksum | FaultKind::Snapshot | FaultKind::Restart | FaultKind::NoPong)
    }

    fn next_due(&self) -> Mono {
        self.pace.next_due().min(self.next_beat)
    }

    fn tick(&mut self, now: Stamp, out: &mut Vec<Published>) {
        let moves = self.pace.moves(now.mono);
        self.step(moves as usize, now, out);
        self.pace.housekeeping(now.mono);
        if self.next_beat <= now.mono {
            let from = out.len();
            self.beat(now, out);
            self.number(&mut out[from..]);
        }
    }

    /// Moves are among the symbols somebody listens to (any symbol when nobody does).
    fn step(&mut self, moves: usize, now: Stamp, out: &mut Vec<Published>) {
        for _ in 0..moves {
            let Some(at) = mover(&self.watched, self.listed.len(), &mut self.rng) else { return };
            let from = out.len();
            self.listed[at].step(&mut self.rng, self.settings.every_move, now, out);
            self.number(&mut out[from..]);
        }
    }

    fn connect(&mut self, asked: &Asked<'_>, number: u64, now: Stamp) -> Result<Session, u16> {
        let place = path::parse(asked.path, asked.query)?;
        if !self.admits(asked.peer, now.mono) {
            self.refused_connects += 1;
            return Err(429);
        }
        Ok(Session::new(place, number, self, now))
    }

    fn takes(method: &str) -> bool {
        ["GET", "POST", "PUT", "DELETE"].contains(&method)
    }

    fn is_image(path: &str) -> bool {
        path.ends_with("/depth")
    }

    fn answer(&mut self, asked: &Asked<'_>, now: Stamp) -> Answer {
        rest::answer(self, asked, now)
    }

    fn broken(status: u16) -> String {
        let (code, words) = match status {
            503 => (-1_008, "Server is currently overloaded with other requests. Please try again in a few minutes."),
            504 => (
                -1_007,
                "Timeout waiting for response from backend server. Send status unknown; execution status unknown.",
            ),
            _ => (-1_001, "Internal error; unable to process your request. Please try again."),
        };
        format!(r#"{{"code":{code},"msg":"{words}"}}"#)
    }

    fn stats(&self, now: Stamp) -> Value {
        let [spot, futures] = &self.weights;
        json!({
            "spot": spot.stats(now), "futures": futures.stats(now), "refused_connects": self.refused_connects,
            "logins": self.logins,
        })
    }

    fn fills(&self, market: &str) -> Vec<String> {
        self.account.fills.told(market)
    }

    /// Not a thing that happens: see `can`.
    fn restart(&mut self, _: &str, _: &str, _: Stamp, _: &mut Vec<Published>) {}

    fn crossed(&self, message: &Published) -> String {
        let symbol = message.topic.split('@').next().unwrap_or_default().to_uppercase();
        let at = Market::parse(message.product).and_then(|market| self.place(market, &symbol));
        let level = at.map(|at| self.listed[at].crossing_bid()).unwrap_or_default();
        let text = String::from_utf8_lossy(&message.text);
        let more = if text.contains(r#""b":[]"#) { "" } else { "," };
        text.replacen(r#""b":["#, &format!(r#""b":[{level}{more}"#), 1)
    }

    /// The book as it is, whatever has been published of it.
    fn truth(&mut self, market: &str, symbol: &str, depth: Depth, _: Stamp) -> Option<TrueBook> {
        let at = self.place(Market::parse(market)?, symbol)?;
        let listed = &mut self.listed[at];
        let image = listed.image(depth.levels(), false);
        let spec = &listed.spec;
        let spell = |level: Level| model::Level { price: spec.price(level.ticks), size: spec.size(level.lots) };
        let side = |levels: Vec<Level>| levels.into_iter().map(spell).collect();
        Some(TrueBook { u: image.id, seq: image.id, bids: side(image.bids), asks: side(image.asks) })
    }

    /// Ids are those of states, whatever stream told of them: the depth says nothing.
    fn digest(&self, market: &str, symbol: &str, _: Depth, id: u64) -> Option<u32> {
        self.listed[self.place(Market::parse(market)?, symbol)?].digest(id)
    }
}
