//! What commands need to make REST calls: who makes them, what clients may ask for, and how many at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::fetch::{Allowed, Fetcher};
use crate::jobs::Desk;

/// Calls that clients may have under way or waiting at one time: each may hold an answer of 16 MiB.
const AT_ONCE: usize = 16;

/// See the module.
pub struct Calls {
    /// Makes single ones.
    pub fetcher: Arc<Fetcher>,
    /// What clients may ask for.
    pub allowed: Allowed,
    /// The jobs.
    pub jobs: Arc<Desk>,
    pub(super) at_once: Semaphore,
}

impl Calls {
    /// Calls with these accounts, limits and jobs.
    pub fn new(fetcher: Arc<Fetcher>, allowed: Allowed, jobs: Arc<Desk>) -> Self {
        Self { fetcher, allowed, jobs, at_once: Semaphore::new(AT_ONCE) }
    }
}
