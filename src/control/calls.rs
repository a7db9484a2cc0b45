//! What commands need to make REST calls: who makes them, what clients may ask for, and how many at a time.

use std::sync::Arc;

use tokio::sync::Semaphore;

use crate::fetch::{Allowed, Fetcher};

/// Calls that clients may have under way or waiting at one time: each may hold an answer of 16 MiB.
const AT_ONCE: usize = 16;

/// See the module.
#[derive(Debug)]
pub struct Calls {
    /// Makes them.
    pub fetcher: Arc<Fetcher>,
    /// What clients may ask for.
    pub allowed: Allowed,
    pub(super) at_once: Semaphore,
}

impl Calls {
    /// Calls with these accounts and limits.
    pub fn new(fetcher: Arc<Fetcher>, allowed: Allowed) -> Self {
        Self { fetcher, allowed, at_once: Semaphore::new(AT_ONCE) }
    }
}
