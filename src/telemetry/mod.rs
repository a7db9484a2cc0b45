//! What the gateway says about itself: logs now, and how often a line may be repeated.

pub mod limit;
pub mod log;
