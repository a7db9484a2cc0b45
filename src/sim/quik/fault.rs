//! The faults a simulated terminal can have, and when each is due: `KIND[:ARG][@N[+EVERY]]`, where N counts calls.

use std::str::FromStr;
use std::time::Duration;

use fastrand::Rng;

use crate::sim::fault::{FaultError, number, split};

/// The latest call at which a momentary fault without a place happens first.
const LATEST_FIRST: u64 = 100;

/// What a fault does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The script is gone for this long without a word: no socket answers.
    Dead(Duration),
    /// The script is stopped and started again, with all it says then; what it held is forgotten.
    Restart(Duration),
    /// The answer holds a number that JSON cannot say: no answer, and the script is gone for this long.
    EncodeCrash(Duration),
    /// So many calls in a row, each less than a millisecond after the one before, end the terminal for a while.
    CrashOnBurst(u32),
    /// The terminal answers but is not connected to its broker for this long.
    Offline(Duration),
    /// The terminal's clock and all markets stand still for this long.
    Frozen(Duration),
    /// Each call takes this long.
    Slow(Duration),
    /// The call is executed, its answer never sent.
    LostAnswer,
    /// No `OnAllTrade`, `OnParam` and `OnQuote`: what users comment out in main.lua.
    Light,
    /// No event at all.
    EventsOff,
    /// After each connecting to the broker the last so many trades of the day are told again.
    DayReplay(usize),
    /// So many trades at once.
    Burst(usize),
    /// Datasources stay empty for this long before they fill.
    LateHistory(Duration),
    /// Datasources stay empty.
    NoHistory,
    /// This security (or none at all) is known.
    UnknownSecurity(Option<String>),
    /// Every second level, from the worst on, has no quantity.
    NoQuantity,
    /// Trade and order numbers have 15 digits, which the server writes as `1.2345678901234e+14`.
    ExponentIds,
    /// Texts are not converted from windows-1251.
    Cp1251,
    /// The next event's payload is no JSON.
    Garbage,
    /// A new trading day: `OnCleanUp`, and the day's tables are empty.
    NewDay,
}

/// A fault and when it happens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// What.
    pub kind: FaultKind,
    /// At which call, from 1. `None`: a lasting one from the start, a momentary one at a seeded random call.
    pub at: Option<u64>,
    /// How many calls later it happens again.
    pub every: Option<u64>,
}

/// Every spelling that is allowed, for help and error texts.
pub const ALLOWED: &str = "momentary: dead[:MS], restart[:MS], encode_crash[:MS], offline[:MS], frozen[:MS], \
    lost_answer, burst[:TRADES], garbage, new_day; lasting: slow[:MS], light, events_off, day_replay[:TRADES], \
    late_history[:MS], no_history, unknown_security[:CODE], no_quantity, exponent_ids, cp1251, crash_on_burst[:CALLS]; \
    each with [@N[+EVERY]], which count calls";

impl FaultKind {
    /// The word on the command line and in logs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Dead(_) => "dead",
            Self::Restart(_) => "restart",
            Self::EncodeCrash(_) => "encode_crash",
            Self::CrashOnBurst(_) => "crash_on_burst",
            Self::Offline(_) => "offline",
            Self::Frozen(_) => "frozen",
            Self::Slow(_) => "slow",
            Self::LostAnswer => "lost_answer",
            Self::Light => "light",
            Self::EventsOff => "events_off",
            Self::DayReplay(_) => "day_replay",
            Self::Burst(_) => "burst",
            Self::LateHistory(_) => "late_history",
            Self::NoHistory => "no_history",
            Self::UnknownSecurity(_) => "unknown_security",
            Self::NoQuantity => "no_quantity",
            Self::ExponentIds => "exponent_ids",
            Self::Cp1251 => "cp1251",
            Self::Garbage => "garbage",
            Self::NewDay => "new_day",
        }
    }

    /// Whether it holds from when it happens on.
    pub const fn lasts(&self) -> bool {
        matches!(
            self,
            Self::CrashOnBurst(_)
                | Self::Slow(_)
                | Self::Light
                | Self::EventsOff
                | Self::DayReplay(_)
                | Self::LateHistory(_)
                | Self::NoHistory
                | Self::UnknownSecurity(_)
                | Self::NoQuantity
                | Self::ExponentIds
                | Self::Cp1251
        )
    }

    fn parse(name: &str, arg: Option<&str>) -> Result<Self, FaultError> {
        let ms = |kind, default| number(kind, arg, default, 1..=3_600_000, "1..3600000 ms").map(Duration::from_millis);
        let trades = |kind, default| number(kind, arg, default, 1..=200_000, "1..200000 trades");
        let kind = match name {
            "dead" => return Ok(Self::Dead(ms("dead", 3_000)?)),
            "restart" => return Ok(Self::Restart(ms("restart", 500)?)),
            "encode_crash" => return Ok(Self::EncodeCrash(ms("encode_crash", 3_000)?)),
            "offline" => return Ok(Self::Offline(ms("offline", 5_000)?)),
            "frozen" => return Ok(Self::Frozen(ms("frozen", 10_000)?)),
            "slow" => return Ok(Self::Slow(ms("slow", 50)?)),
            "late_history" => return Ok(Self::LateHistory(ms("late_history", 3_000)?)),
            "day_replay" => return Ok(Self::DayReplay(trades("day_replay", 500)?)),
            "burst" => return Ok(Self::Burst(trades("burst", 20_000)?)),
            "crash_on_burst" => {
                return Ok(Self::CrashOnBurst(number("crash_on_burst", arg, 200, 2..=1_000_000, "2..1000000 calls")?));
            }
            "unknown_security" => return Ok(Self::UnknownSecurity(arg.map(str::to_owned))),
            "lost_answer" => Self::LostAnswer,
            "light" => Self::Light,
            "events_off" => Self::EventsOff,
            "no_history" => Self::NoHistory,
            "no_quantity" => Self::NoQuantity,
            "exponent_ids" => Self::ExponentIds,
            "cp1251" => Self::Cp1251,
            "garbage" => Self::Garbage,
            "new_day" => Self::NewDay,
            _ => return Err(FaultError::Kind { name: name.to_owned(), allowed: ALLOWED }),
        };
        if arg.is_some() { Err(FaultError::NoArgument { name: kind.name(), allowed: ALLOWED }) } else { Ok(kind) }
    }
}

impl FromStr for Fault {
    type Err = FaultError;

    fn from_str(text: &str) -> Result<Self, FaultError> {
        let (name, arg, place) = split(text)?;
        let kind = FaultKind::parse(name, arg)?;
        Ok(Self { kind, at: place.map(|(at, _)| at), every: place.and_then(|(_, every)| every) })
    }
}

/// Which faults are still to come.
#[derive(Clone, Debug)]
pub(super) struct Schedule {
    planned: Vec<(FaultKind, Option<u64>, Option<u64>)>,
}

impl Schedule {
    /// Plans the faults; those that hold from the start are due before the first call.
    pub(super) fn new(faults: &[Fault], rng: &mut Rng) -> Self {
        let first = |fault: &Fault| match fault.at {
            Some(at) => at,
            None if fault.kind.lasts() => 0,
            None => rng.u64(1..=LATEST_FIRST),
        };
        let mut first = first;
        Self { planned: faults.iter().map(|f| (f.kind.clone(), Some(first(f)), f.every)).collect() }
    }

    /// Takes those that are due at this call.
    pub(super) fn due(&mut self, call: u64) -> Vec<FaultKind> {
        let mut due = Vec::new();
        for (kind, next, every) in &mut self.planned {
            if next.is_some_and(|next| next <= call) {
                *next = every.map(|every| call + every);
                due.push(kind.clone());
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(text: &str) -> Fault {
        text.parse().unwrap()
    }

    #[test]
    fn spellings() {
        assert_eq!(fault("dead").kind, FaultKind::Dead(Duration::from_secs(3)));
        assert_eq!(fault("slow:7").kind, FaultKind::Slow(Duration::from_millis(7)));
        assert_eq!(fault("burst:20000@5+9"), Fault { kind: FaultKind::Burst(20_000), at: Some(5), every: Some(9) });
        assert_eq!(fault("unknown_security:SBER").kind, FaultKind::UnknownSecurity(Some("SBER".into())));
    }

    #[test]
    fn every_allowed_name_is_understood() {
        let words = ALLOWED.replace("momentary: ", "").replace("; lasting: ", ", ");
        let words: Vec<&str> = words.split("; each").next().unwrap().split(", ").collect();
        assert_eq!(words.len(), 20);
        for word in words {
            let name = word.trim().split('[').next().unwrap();
            let kind = fault(name).kind;
            assert_eq!(kind.name(), name);
            let lasting = ALLOWED.find("lasting").unwrap() < ALLOWED.find(name).unwrap();
            assert_eq!(kind.lasts(), lasting, "{name}");
            let manual = include_str!("../../../docs/QUIK.md");
            assert!(manual.contains(&format!("`{word}`")), "docs/QUIK.md does not know {word}");
        }
    }

    #[test]
    fn errors_say_what_is_allowed() {
        let error = |text: &str| text.parse::<Fault>().unwrap_err().to_string();
        assert!(error("half-open").contains("encode_crash"), "{}", error("half-open"));
        assert!(error("garbage:3").contains("no argument"));
        assert!(error("slow:0").contains("1..3600000 ms"));
        assert!(error("dead@0").contains("@N+EVERY"));
    }

    #[test]
    fn faults_come_when_they_are_due() {
        let faults = ["light", "garbage@3+2", "dead@4"].map(fault);
        let mut schedule = Schedule::new(&faults, &mut Rng::with_seed(1));
        let names = |due: Vec<FaultKind>| due.iter().map(FaultKind::name).collect::<Vec<_>>();
        let seen: Vec<_> = (0..=7).map(|call| names(schedule.due(call))).collect();
        let expected: [&[&str]; 8] = [&["light"], &[], &[], &["garbage"], &["dead"], &["garbage"], &[], &["garbage"]];
        assert_eq!(seen, expected);
        let drawn = |seed| {
            let mut schedule = Schedule::new(&[fault("dead")], &mut Rng::with_seed(seed));
            (0..=100).find(|call| !schedule.due(*call).is_empty()).unwrap()
        };
        assert_eq!(drawn(7), drawn(7));
        assert!(drawn(7) >= 1);
    }
}
