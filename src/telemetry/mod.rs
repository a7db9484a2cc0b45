//! What the gateway says about itself: logs, how often a line may be repeated, and metrics.

pub mod limit;
pub mod log;
pub mod metrics;
pub mod process;
