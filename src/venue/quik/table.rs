//! Reading the terminal's table of all trades row by row, for the time that `OnAllTrade` does not come: it is switched
//! off, or the events socket is lost.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::json;

use super::reply::{Integer, Reply};
use super::rpc::{Caller, Part};
use super::schedule::Pace;
use crate::model::{Mono, Stamp};
use crate::venue::{Host, Output, TerminalSpec, Timer, Urgency};

const TABLE: &str = "all_trades";
/// How often the table's size is asked for, and how often when there is no table.
const SIZE_EVERY: Duration = Duration::from_millis(500);
const MISSING_EVERY: Duration = Duration::from_secs(60);
/// Rows asked for at one time.
const WINDOW: usize = 8;
/// How far reading may fall behind before rows are skipped.
const BEHIND_MAX: u64 = 5_000;
/// Rows read again from before the point where events were lost, which is noticed late.
const OVERLAP: u64 = 500;
/// How often a row is asked for.
const TRIES: u32 = 3;

/// A row that was asked for.
#[derive(Clone, Debug)]
enum Slot {
    Waiting { id: u64, tries: u32 },
    Read(String),
    Failed(String),
}

/// Where reading stands.
#[derive(Clone, Debug)]
pub(super) struct Table {
    caller: Caller,
    pace: Pace,
    /// Whether anyone wants trades.
    is_wanted: bool,
    is_live: bool,
    /// Whether events bring the trades, so that nothing need be read beyond `until`.
    hears: bool,
    /// Rows to read again from before the first size.
    overlap: u64,
    /// The first row not handed on yet; none before the first size is known.
    next: Option<u64>,
    size: u64,
    /// Rows from `next` on.
    window: VecDeque<Slot>,
    size_call: Option<u64>,
    ask_at: Option<Mono>,
}

impl Table {
    pub(super) fn new(terminal: &TerminalSpec, is_wanted: bool) -> Self {
        Self {
            caller: Caller::new(Part::Trades, Host::Rpc, Urgency::Data, terminal.call_timeout),
            pace: Pace::new(terminal.calls_per_second / 4),
            is_wanted,
            is_live: false,
            hears: false,
            overlap: 0,
            next: None,
            size: 0,
            window: VecDeque::new(),
            size_call: None,
            ask_at: None,
        }
    }

    /// Trades come as events again: what the table has until now is read, and then no more.
    pub(super) fn heard(&mut self, now: Stamp) {
        if !std::mem::replace(&mut self.hears, true) && self.is_live && self.next.is_some() {
            self.ask_at = Some(now.mono);
        }
    }

    /// Events may not come any more. Whether they did until now.
    pub(super) fn deaf(&mut self, now: Stamp) -> bool {
        let heard = std::mem::replace(&mut self.hears, false);
        if heard {
            self.overlap = OVERLAP;
            self.next = None;
            self.window.clear();
            self.ask_at = Some(now.mono).filter(|_| self.is_live && self.is_wanted);
        }
        heard
    }

    pub(super) fn live(&mut self, now: Stamp) {
        self.down();
        self.is_live = true;
        self.ask_at = Some(now.mono).filter(|_| self.is_wanted && !self.hears);
    }

    pub(super) fn down(&mut self) {
        self.is_live = false;
        self.size_call = None;
        self.ask_at = None;
        self.window.clear();
    }

    pub(super) fn work(&mut self, now: Stamp, out: &mut dyn Output) {
        if !self.is_live || !self.is_wanted {
            return;
        }
        if self.size_call.is_none() && self.ask_at.is_some_and(|at| at <= now.mono) {
            self.ask_at = None;
            self.size_call = Some(self.caller.call(0, "getNumberOf", &json!({ "table_name": TABLE }), out));
        }
        let Some(next) = self.next else { return };
        while self.wants_row(next) && self.pace.take(now.mono) {
            let id = self.row(next + self.window.len() as u64, out);
            self.window.push_back(Slot::Waiting { id, tries: 1 });
        }
    }

    fn wants_row(&self, next: u64) -> bool {
        self.window.len() < WINDOW && next + (self.window.len() as u64) < self.size
    }

    fn row(&mut self, index: u64, out: &mut dyn Output) -> u64 {
        self.caller.call(1, "getItem", &json!({ "table_name": TABLE, "index": index }), out)
    }

    pub(super) fn next_timeout(&self) -> Option<Timer> {
        let size = self.ask_at.filter(|_| self.size_call.is_none());
        let row = self.next.filter(|next| self.is_live && self.wants_row(*next)).map(|_| self.pace.next());
        size.into_iter().chain(row).min().map(|at| Timer { at, why: "trades" })
    }

    /// Takes the answer of one of its calls. What was lost by it, if anything was.
    pub(super) fn answered(&mut self, id: u64, reply: &Reply<'_>, now: Stamp, out: &mut dyn Output) -> Option<String> {
        if self.size_call == Some(id) {
            self.size_call = None;
            return self.sized(reply, now);
        }
        let (at, tries) = (0..).zip(&self.window).find_map(|(at, slot)| match slot {
            Slot::Waiting { id: waiting, tries } if *waiting == id => Some((at, *tries)),
            _ => None,
        })?;
        let index = self.next.unwrap_or(0) + at as u64;
        let row = reply.result().and_then(|fields| fields.get("table_row"));
        self.window[at] = match (row, reply) {
            (Some(row), _) => Slot::Read(row.get().to_owned()),
            (None, Reply::Lost(_)) if tries < TRIES => Slot::Waiting { id: self.row(index, out), tries: tries + 1 },
            (None, _) => {
                let why = reply.trouble().unwrap_or_else(|| "it is gone".to_owned());
                Slot::Failed(format!("row {index} of the table of all trades could not be read: {why}"))
            }
        };
        None
    }

    fn sized(&mut self, reply: &Reply<'_>, now: Stamp) -> Option<String> {
        let size = reply.result().and_then(|fields| fields.integer("result")).and_then(Integer::exact);
        let Some(size) = size.and_then(|size| u64::try_from(size).ok()) else {
            let every = if matches!(reply, Reply::Lost(_)) { SIZE_EVERY } else { MISSING_EVERY };
            self.ask_at = Some(now.mono.after(every));
            return None;
        };
        self.size = size;
        self.ask_at = Some(now.mono.after(SIZE_EVERY)).filter(|_| !self.hears);
        let overlap = std::mem::take(&mut self.overlap);
        let next = self.next.unwrap_or_else(|| size.saturating_sub(overlap));
        self.next = Some(next);
        if size < next {
            // Emptied: a new day, or the terminal fills it anew.
            self.window.clear();
            self.next = Some(0);
        }
        let behind = size - self.next.unwrap_or(0).min(size);
        if behind <= BEHIND_MAX {
            return None;
        }
        self.window.clear();
        self.next = Some(size - OVERLAP);
        Some(format!("{} rows of the table of all trades were skipped", behind - OVERLAP))
    }

    /// Hands on the next row in order, or why it cannot be had.
    pub(super) fn next_row(&mut self) -> Option<Result<String, String>> {
        let next = self.next?;
        if matches!(self.window.front()?, Slot::Waiting { .. }) {
            return None;
        }
        let slot = self.window.pop_front()?;
        self.next = Some(next + 1);
        match slot {
            Slot::Read(row) => Some(Ok(row)),
            Slot::Failed(why) => Some(Err(why)),
            Slot::Waiting { .. } => None,
        }
    }
}
