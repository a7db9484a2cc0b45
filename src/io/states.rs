//! Log lines about changes of state: one each, but never a flood.

use std::time::Duration;

use tracing::{info, warn};

use crate::feed::{Reason, State};
use crate::model::Mono;
use crate::pipeline::StateChange;

/// Lines one feed may log in a window; what is over is counted and told with the next window's first line.
const LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// The lines of one feed.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct StateLog {
    window: Mono,
    lines: u32,
    suppressed: u64,
}

impl StateLog {
    /// Logs the changes and empties the list.
    pub(super) fn log(&mut self, feed: &str, changes: &mut Vec<StateChange>, now: Mono) {
        for change in changes.drain(..) {
            if let Some(suppressed) = self.admit(now) {
                line(feed, &change, suppressed);
            }
        }
    }

    /// Whether a line may be logged, and how many were not since the last one.
    fn admit(&mut self, now: Mono) -> Option<u64> {
        if now.since(self.window) >= WINDOW {
            self.window = now;
            self.lines = 0;
        }
        if self.lines >= LINES {
            self.suppressed += 1;
            return None;
        }
        self.lines += 1;
        Some(std::mem::take(&mut self.suppressed))
    }
}

fn line(feed: &str, change: &StateChange, suppressed: u64) {
    let symbol = change.symbol.as_str();
    let channel = change.channel.map(|channel| channel.to_string()).unwrap_or_default();
    let state = change.status.state.as_str();
    let reason = change.status.reason.map_or("", |reason| reason.as_str());
    let detail = change.status.detail.as_deref().unwrap_or_default();
    let planned = matches!(change.status.reason, None | Some(Reason::Starting | Reason::Shutdown | Reason::Requested));
    if planned || change.status.state == State::Syncing {
        info!(feed, symbol, channel, state, reason, detail, suppressed, "State");
    } else {
        warn!(feed, symbol, channel, state, reason, detail, suppressed, "State");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_is_counted_and_not_written() {
        let mut log = StateLog::default();
        let now = Mono(1_000_000_000_000);
        let admitted = (0..100).filter(|_| log.admit(now).is_some()).count();
        assert_eq!(admitted, 20);
        assert_eq!(log.admit(now.after(WINDOW)), Some(80));
        assert_eq!(log.admit(now.after(WINDOW)), Some(0));
    }
}
