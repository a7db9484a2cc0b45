//! What the gateway says about itself: logs and metrics.

pub mod log;
pub mod metrics;
pub mod process;
