//! What a refusal means for the calls after it: a host that tells us to slow down is left alone for as long as it says, and
//! never asked again at once.

use std::time::Duration;

use tracing::info;

use super::backoff::LONGEST_BAN;
use super::budget::Account;
use super::limits::millis;
use crate::clock;
use crate::model::{Mono, UnixNanos};

/// How long a host that limits us without saying for how long is left alone.
const LIMITED_PAUSE: Duration = Duration::from_secs(10);
/// The same for a host that banned us: the shortest ban that Binance gives.
const BANNED_PAUSE: Duration = Duration::from_secs(120);

/// An answer with a status that tells us to slow down.
pub(super) struct Refusal<'a> {
    host: &'a str,
    status: u16,
    account: &'a Account,
    left: Mono,
    /// What the headers named.
    asked: Option<Duration>,
    /// Until when the host is left alone because we guess so.
    guess: Option<Mono>,
}

impl<'a> Refusal<'a> {
    /// Of a call that left at `left`; `asked` is what its `Retry-After` says. Holds the account at once, whatever becomes of
    /// the body. `None` when the status refuses nothing.
    pub(super) fn of(
        host: &'a str,
        status: u16,
        asked: Option<Duration>,
        left: Mono,
        account: &'a Account,
    ) -> Option<Self> {
        let usual = match (status, asked) {
            (418, _) => BANNED_PAUSE,
            (429, _) => LIMITED_PAUSE,
            // It is not about us unless it says for how long.
            (503, Some(_)) => Duration::ZERO,
            (503, None) => return None,
            _ => {
                account.served(left);
                return None;
            }
        };
        if status != 503 {
            account.limited();
        }
        let mut refusal = Self { host, status, account, left, asked, guess: None };
        match asked {
            Some(asked) => refusal.hold(asked),
            None => refusal.guess = Some(account.guess(left, usual)),
        }
        Some(refusal)
    }

    /// Its body is here: `until` is the time that it names, which holds instead of what was guessed.
    pub(super) fn told(&self, until: Option<UnixNanos>) {
        let named = until.map(|until| Duration::from_nanos(until.0.saturating_sub(clock::wall().0)));
        match named.filter(|named| self.asked.is_none_or(|asked| *named > asked)) {
            Some(named) => {
                self.hold(named);
                if let Some(guess) = self.guess {
                    self.account.forget_guess(guess);
                }
            }
            None if self.asked.is_none() => {
                let pause = self.guess.map_or(Duration::ZERO, |guess| guess.since(clock::mono()));
                self.say(pause);
            }
            None => {}
        }
    }

    fn hold(&self, named: Duration) {
        self.say(self.account.refused(self.left, named.min(LONGEST_BAN)));
    }

    fn say(&self, pause: Duration) {
        let (host, status, account) = (self.host, self.status, self.account.name());
        info!(host, status, account, pause_ms = millis(pause), "the host limits our REST calls");
    }
}
