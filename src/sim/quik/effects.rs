//! What faults do to the terminal.

use std::time::Duration;

use super::fault::FaultKind;
use super::terminal::{End, Terminal, shifted};
use crate::model::{Mono, Stamp};

/// Calls closer together than this are a burst.
const QUICK: Duration = Duration::from_millis(1);
/// How long the terminal needs to come back after a crash.
const CRASHED_FOR: Duration = Duration::from_secs(3);

/// What faults have switched for good.
#[derive(Clone, Debug, Default)]
pub(super) struct Modes {
    pub(super) slow: Duration,
    pub(super) light: bool,
    pub(super) events_off: bool,
    pub(super) day_replay: Option<usize>,
    pub(super) late_history: Duration,
    pub(super) no_history: bool,
    pub(super) unknown: Option<Option<String>>,
    pub(super) no_quantity: bool,
    pub(super) exponent_ids: bool,
    pub(super) cp1251: bool,
    pub(super) crash_on_burst: Option<u32>,
}

/// What the faults that are due do to the call at hand.
#[derive(Default)]
pub(super) struct Due {
    pub(super) end: Option<End>,
    pub(super) encode_crash: Option<Duration>,
    pub(super) lost_answer: bool,
}

impl Terminal {
    /// Whether this call is one too many in too short a time.
    pub(super) fn crash_of_burst(&mut self, now: Mono) -> Option<End> {
        self.quick = if now.since(self.last_call) < QUICK { self.quick + 1 } else { 0 };
        self.last_call = now;
        let most = self.modes.crash_on_burst?;
        (self.quick >= most).then(|| {
            tracing::info!(calls = self.quick, "simulated terminal crashes of too many quick calls");
            self.quick = 0;
            End { down: CRASHED_FOR, said: false }
        })
    }

    pub(super) fn apply_due(&mut self, call: u64, now: Stamp) -> Due {
        let mut due = Due::default();
        for kind in self.schedule.due(call) {
            tracing::info!(fault = kind.name(), call, "fault injected");
            self.apply(kind, now, &mut due);
        }
        due
    }

    /// Lets a fault happen now; the script's end, if that is what it is.
    pub fn inject(&mut self, kind: FaultKind, now: Stamp) -> Option<End> {
        let mut due = Due::default();
        self.apply(kind, now, &mut due);
        due.end.or_else(|| due.encode_crash.map(|down| End { down, said: false }))
    }

    fn apply(&mut self, kind: FaultKind, now: Stamp, due: &mut Due) {
        match kind {
            FaultKind::Dead(down) => due.end = Some(End { down, said: false }),
            FaultKind::Restart(down) => due.end = Some(End { down, said: true }),
            FaultKind::EncodeCrash(down) => due.encode_crash = Some(down),
            FaultKind::LostAnswer => due.lost_answer = true,
            FaultKind::CrashOnBurst(calls) => self.modes.crash_on_burst = Some(calls),
            FaultKind::Offline(length) => {
                self.connected = false;
                self.offline_until = Some(now.mono.after(length));
                self.emit("OnDisconnected", None);
            }
            FaultKind::Frozen(length) => {
                self.frozen = Some((now.mono.after(length), shifted(now.wall, self.shift)));
            }
            FaultKind::Slow(length) => self.modes.slow = length,
            FaultKind::Light => self.modes.light = true,
            FaultKind::EventsOff => self.modes.events_off = true,
            FaultKind::DayReplay(trades) => {
                self.modes.day_replay = Some(trades);
                self.begin_replay();
            }
            FaultKind::Burst(trades) => self.burst += trades,
            FaultKind::LateHistory(length) => self.modes.late_history = length,
            FaultKind::NoHistory => self.modes.no_history = true,
            FaultKind::UnknownSecurity(code) => self.modes.unknown = Some(code),
            FaultKind::NoQuantity => self.modes.no_quantity = true,
            FaultKind::ExponentIds => self.modes.exponent_ids = true,
            FaultKind::Cp1251 => self.modes.cp1251 = true,
            FaultKind::Garbage => self.garbage = true,
            FaultKind::NewDay => self.new_day(self.clock(now.wall)),
        }
    }
}
