//! The simulated terminal, sans-IO: calls and time in; answers, events and its own end out. One of them is behind all
//! sockets.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use fastrand::Rng;
use jiff::civil::{Date, DateTime};

use super::account::{Account, Deal};
use super::catalog::securities;
use super::datasource::Sources;
use super::effects::Modes;
use super::fault::{Fault, Schedule};
use super::moscow;
use super::security::{AllTrade, Security};
use super::value::{Encoder, Value};
use crate::model::{Mono, Stamp, UnixNanos};
use crate::sim::market::Side;

/// Trades of a day at most; then the next day begins.
const MOST_TRADES: usize = 200_000;
/// Trades of each security that the day begins with.
const FIRST_TRADES: usize = 20;
/// Moves made in one look at the clock at most; what a late look missed beyond that never happens.
const MOST_MOVES: u32 = 10_000;
/// Events of a burst or a replay sent at one look.
const CHUNK: usize = 250;
/// How often a burst, and a terminal where nothing happens, are looked after.
const SOON: Duration = Duration::from_millis(2);
const HOUSEKEEPING: Duration = Duration::from_millis(50);

/// How a terminal begins.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Seed of everything.
    pub seed: u64,
    /// Market moves a second over all securities; every fifth is a trade. 0: only by [`Terminal::step`].
    pub rate: u32,
    /// Securities to list (`SBER` or `TQBR.SBER`); empty for all, unknown ones are made up.
    pub securities: Vec<String>,
    /// Bars of a datasource at its first opening.
    pub history_bars: usize,
    /// How long a datasource takes to fill.
    pub history_load: Duration,
    /// How often the account deals by itself; zero for never.
    pub deal_every: Duration,
    /// What the terminal's clock shows at the start; the real time if absent.
    pub clock: Option<UnixNanos>,
    /// Faults.
    pub faults: Vec<Fault>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            seed: 1,
            rate: 50,
            securities: Vec::new(),
            history_bars: 300,
            history_load: Duration::from_millis(300),
            deal_every: Duration::ZERO,
            clock: None,
            faults: Vec::new(),
        }
    }
}

/// A message of the events socket: one frame, or two with a payload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its name.
    pub name: String,
    /// JSON, or what a fault made of it.
    pub payload: Option<Vec<u8>>,
}

/// The script ends, with all sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct End {
    /// Until it is started again.
    pub down: Duration,
    /// Whether it says so: a script that is stopped does, one that crashes does not.
    pub said: bool,
}

/// What a call leads to.
#[derive(Clone, Debug, Default)]
pub struct Answered {
    /// The answer, if one is sent.
    pub reply: Option<Vec<u8>>,
    /// How long the server is busy with it.
    pub busy: Duration,
    /// Whether the script ends.
    pub end: Option<End>,
}

/// What the script holds in the terminal; forgotten when it ends.
#[derive(Clone, Debug, Default)]
pub(super) struct Held {
    pub(super) sources: Sources,
    /// Parameters ordered by `ParamRequest`.
    pub(super) params: BTreeSet<(usize, String)>,
    /// Parameters ordered by asking with `getParamEx`, which nothing takes back.
    pub(super) implied: BTreeSet<(usize, String)>,
    pub(super) level_ii: BTreeSet<usize>,
}

/// See the module.
#[derive(Clone, Debug)]
pub struct Terminal {
    pub(super) settings: Settings,
    pub(super) rng: Rng,
    pub(super) securities: Vec<Security>,
    pub(super) places: BTreeMap<(String, String), usize>,
    pub(super) all_trades: Vec<AllTrade>,
    pub(super) account: Account,
    pub(super) held: Held,
    pub(super) modes: Modes,
    pub(super) connected: bool,
    /// How long the call that is being answered keeps the server busy.
    pub(super) busy: Duration,
    pub(super) run: u64,
    pub(super) calls: BTreeMap<String, u64>,
    pub(super) call: u64,
    pub(super) schedule: Schedule,
    pub(super) last_call: Mono,
    pub(super) quick: u32,
    pub(super) offline_until: Option<Mono>,
    pub(super) frozen: Option<(Mono, UnixNanos)>,
    /// The terminal's clock less ours, in nanoseconds.
    pub(super) shift: i128,
    day: Date,
    next_move: Mono,
    next_deal: Mono,
    pub(super) burst: usize,
    replay: VecDeque<AllTrade>,
    pub(super) garbage: bool,
    outbox: Vec<Event>,
}

impl Terminal {
    /// A terminal that is connected, with its script about to start.
    pub fn new(settings: Settings, now: Stamp) -> Self {
        let mut rng = Rng::with_seed(settings.seed);
        let shift = settings.clock.map_or(0, |clock| i128::from(clock.0) - i128::from(now.wall.0));
        let at = moscow::civil(shifted(now.wall, shift));
        let specs = securities(&settings.securities);
        let securities: Vec<Security> = specs.into_iter().map(|spec| Security::new(rng.u64(..), spec, at)).collect();
        let place = |(at, s): (usize, &Security)| ((s.spec.class.code.to_owned(), s.spec.code.clone()), at);
        let schedule = Schedule::new(&settings.faults, &mut rng);
        let mut terminal = Self {
            places: securities.iter().enumerate().map(place).collect(),
            account: Account::new(rng.i64(5_000_000_000..6_000_000_000)),
            next_deal: now.mono.after(settings.deal_every),
            settings,
            rng,
            securities,
            all_trades: Vec::new(),
            held: Held::default(),
            modes: Modes::default(),
            connected: true,
            busy: Duration::ZERO,
            run: 0,
            calls: BTreeMap::new(),
            call: 0,
            schedule,
            last_call: Mono(0),
            quick: 0,
            offline_until: None,
            frozen: None,
            shift,
            day: at.date(),
            next_move: now.mono,
            burst: 0,
            replay: VecDeque::new(),
            garbage: false,
            outbox: Vec::new(),
        };
        terminal.apply_due(0, now);
        terminal.first_trades(at);
        terminal
    }

    fn first_trades(&mut self, now: DateTime) {
        let exponent_ids = self.modes.exponent_ids;
        for _ in 0..FIRST_TRADES {
            for (place, security) in self.securities.iter_mut().enumerate() {
                self.all_trades.push(security.trade(place, exponent_ids, now));
            }
        }
    }

    /// The script starts: it holds nothing, and says that it is there.
    pub fn start_script(&mut self) {
        self.run += 1;
        self.held = Held::default();
        self.outbox.clear();
        self.emit("PublisherOnline", None);
        self.begin_replay();
    }

    /// What a script says that is stopped by its user (1) or by the terminal's own end (2).
    pub fn stop_script(&mut self, signal: i64) {
        if signal == 2 {
            self.emit("OnClose", None);
        }
        self.emit("OnStop", Some(&Value::Table(vec![("signal", Value::Int(signal))])));
    }

    /// What there is to publish.
    pub fn take_events(&mut self) -> Vec<Event> {
        std::mem::take(&mut self.outbox)
    }

    /// What the terminal's clock shows.
    pub fn clock(&self, now: UnixNanos) -> DateTime {
        moscow::civil(self.frozen.map_or_else(|| shifted(now, self.shift), |(_, stands_at)| stands_at))
    }

    /// When to call [`Self::tick`] next.
    pub fn next_due(&self, now: Mono) -> Mono {
        if self.burst > 0 || !self.replay.is_empty() {
            return now.after(SOON);
        }
        let soon = now.after(HOUSEKEEPING);
        if self.settings.rate > 0 && self.moves() { soon.min(self.next_move) } else { soon }
    }

    fn moves(&self) -> bool {
        self.connected && self.frozen.is_none()
    }

    /// Does all that time brings.
    pub fn tick(&mut self, now: Stamp) {
        if self.offline_until.is_some_and(|until| until <= now.mono) {
            self.connect();
        }
        if let Some((_, stood_at)) = self.frozen.filter(|(until, _)| *until <= now.mono) {
            tracing::info!(stood_at = stood_at.as_ms(), "simulated clock goes on");
            self.frozen = None;
        }
        let at = self.clock(now.wall);
        if at.date() != self.day {
            self.new_day(at);
        }
        self.send_burst(at);
        let moving = self.moves();
        let mut moves = 0;
        while self.settings.rate > 0 && self.next_move <= now.mono {
            if moves == MOST_MOVES || !moving {
                self.next_move = now.mono.after(Duration::from_nanos(1));
                break;
            }
            self.move_market(at);
            moves += 1;
            self.next_move = Mono(self.next_move.0 + 1_000_000_000 / u64::from(self.settings.rate));
        }
        if !self.settings.deal_every.is_zero() && self.next_deal <= now.mono {
            self.next_deal = now.mono.after(self.settings.deal_every);
            if moving {
                self.deal_at_random(at);
            }
        }
    }

    /// Makes this many market moves now.
    pub fn step(&mut self, moves: usize, now: Stamp) {
        let at = self.clock(now.wall);
        for _ in 0..moves {
            self.move_market(at);
        }
    }

    fn move_market(&mut self, at: DateTime) {
        if self.securities.is_empty() {
            return;
        }
        let place = self.rng.usize(0..self.securities.len());
        if self.rng.u8(0..5) == 0 {
            self.trade(place, at);
        } else {
            let changes = self.rng.usize(1..=4);
            self.securities[place].market.change(changes);
        }
        let names = |security: &Security| {
            let table = Value::Table(Vec::with_capacity(2));
            table.with("class_code", security.spec.class.code).with("sec_code", security.spec.code.as_str())
        };
        if self.held.level_ii.contains(&place) {
            self.emit("OnQuote", Some(&names(&self.securities[place])));
        }
        let ordered = |params: &BTreeSet<(usize, String)>| {
            params.range((place, String::new())..).next().is_some_and(|(of, _)| *of == place)
        };
        if ordered(&self.held.params) || ordered(&self.held.implied) {
            self.emit("OnParam", Some(&names(&self.securities[place])));
        }
    }

    fn trade(&mut self, place: usize, at: DateTime) {
        if self.all_trades.len() >= MOST_TRADES {
            self.new_day(at);
        }
        let trade = self.securities[place].trade(place, self.modes.exponent_ids, at);
        self.all_trades.push(trade);
        self.emit_trade(&trade);
    }

    fn emit_trade(&mut self, trade: &AllTrade) {
        if !self.modes.light && !self.modes.events_off {
            let table = self.securities[trade.security].trade_table(trade);
            self.emit("OnAllTrade", Some(&table));
        }
    }

    /// Publishes an event, unless something keeps it from being sent.
    pub(super) fn emit(&mut self, name: &str, payload: Option<&Value>) {
        let heavy = matches!(name, "OnAllTrade" | "OnParam" | "OnQuote");
        if self.modes.events_off || (self.modes.light && heavy) {
            return;
        }
        let encoder = self.encoder();
        let mut payload = payload.map(|payload| encoder.encode(payload));
        if let Some(payload) = payload.as_mut().filter(|_| self.garbage) {
            self.garbage = false;
            payload.truncate(payload.len() / 2);
            payload.extend_from_slice(b"\xff}{");
        }
        self.outbox.push(Event { name: name.to_owned(), payload });
    }

    /// Publishes an event as it is given.
    pub fn publish(&mut self, event: Event) {
        self.outbox.push(event);
    }

    pub(super) fn encoder(&self) -> Encoder {
        Encoder { run: self.settings.seed.wrapping_add(self.run), cp1251: self.modes.cp1251 }
    }

    fn send_burst(&mut self, at: DateTime) {
        for _ in 0..self.burst.min(CHUNK) {
            let place = self.rng.usize(0..self.securities.len().max(1));
            if place < self.securities.len() {
                self.trade(place, at);
            }
            self.burst -= 1;
        }
        for _ in 0..CHUNK {
            let Some(trade) = self.replay.pop_front() else { break };
            self.emit_trade(&trade);
        }
    }

    pub(super) fn begin_replay(&mut self) {
        if let Some(trades) = self.modes.day_replay {
            let from = self.all_trades.len().saturating_sub(trades);
            self.replay = self.all_trades[from..].iter().copied().collect();
        }
    }

    fn connect(&mut self) {
        self.offline_until = None;
        self.connected = true;
        self.emit("OnConnected", Some(&Value::Table(vec![("flag", Value::Bool(true))])));
        self.begin_replay();
    }

    pub(super) fn new_day(&mut self, at: DateTime) {
        self.day = at.date();
        self.all_trades.clear();
        self.replay.clear();
        self.account.new_day();
        for security in &mut self.securities {
            security.new_day(at);
        }
        self.emit("OnCleanUp", None);
    }

    fn deal_at_random(&mut self, at: DateTime) {
        if self.securities.is_empty() {
            return;
        }
        let (place, buy) = (self.rng.usize(0..self.securities.len()), self.rng.bool());
        let best = self.securities[place].market.best(if buy { Side::Ask } else { Side::Bid });
        self.deal(place, Deal { buy, ticks: best.ticks, lots: 1, trans_id: 0 }, at);
    }

    /// The account deals, and its events go out.
    pub(super) fn deal(&mut self, place: usize, deal: Deal, at: DateTime) {
        for (name, payload) in self.account.deal(place, &self.securities[place], deal, at) {
            self.emit(name, Some(&payload));
        }
    }

    /// One frame of a request.
    pub fn answer(&mut self, frame: &[u8], now: Stamp) -> Answered {
        if let Some(reply) = self.state_answer(frame) {
            return Answered { reply: Some(reply), ..Answered::default() };
        }
        self.call += 1;
        let due = self.apply_due(self.call, now);
        if let Some(end) = due.end.or_else(|| self.crash_of_burst(now.mono)) {
            return Answered { end: Some(end), ..Answered::default() };
        }
        self.busy = self.modes.slow;
        let reply = self.execute(frame, now);
        if let Some(down) = due.encode_crash {
            // The call was executed; its answer kills the server on the way out.
            return Answered { end: Some(End { down, said: false }), ..Answered::default() };
        }
        Answered { reply: (!due.lost_answer).then_some(reply), busy: self.busy, end: None }
    }
}

/// A moment on the terminal's clock.
pub(super) fn shifted(at: UnixNanos, by: i128) -> UnixNanos {
    UnixNanos(u64::try_from(i128::from(at.0) + by).unwrap_or(0))
}
