//! Log lines about changes of state: one each, but never a flood.

use std::time::Duration;

use tracing::{info, warn};

use crate::feed::{Reason, State};
use crate::log_limit::LogLimit;
use crate::model::Mono;
use crate::pipeline::StateChange;

/// Lines one feed may log in a window; what is over is counted and told with the next window's first line.
const LINES: u32 = 20;
const WINDOW: Duration = Duration::from_secs(10);

/// The lines of one feed.
#[derive(Clone, Copy, Debug)]
pub(super) struct StateLog(LogLimit);

impl Default for StateLog {
    fn default() -> Self {
        Self(LogLimit::new(LINES, WINDOW))
    }
}

impl StateLog {
    /// Logs the changes and empties the list.
    pub(super) fn log(&mut self, feed: &str, changes: &mut Vec<StateChange>, now: Mono) {
        for change in changes.drain(..) {
            if let Some(suppressed) = self.0.pass(now) {
                line(feed, &change, suppressed);
            }
        }
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
