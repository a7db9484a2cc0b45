//! How many connections each peer address has, so that one host cannot take all places.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Connections by address. Only addresses that have one are held.
#[derive(Clone, Debug)]
pub(super) struct Crowds {
    counts: Arc<Mutex<HashMap<IpAddr, usize>>>,
    pub(super) most: usize,
}

/// A connection's place, given back on drop.
#[derive(Debug)]
pub(super) struct Place {
    crowds: Crowds,
    address: IpAddr,
}

impl Crowds {
    /// Lets in up to `most` connections of each address.
    pub(super) fn new(most: usize) -> Self {
        Self { counts: Arc::default(), most }
    }

    /// A place for a connection from this address; `None` if it has as many as it may have.
    pub(super) fn enter(&self, address: IpAddr) -> Option<Place> {
        let mut counts = self.lock();
        let count = counts.get(&address).copied().unwrap_or_default();
        if count >= self.most {
            return None;
        }
        counts.insert(address, count + 1);
        Some(Place { crowds: self.clone(), address })
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, usize>> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut counts = self.crowds.lock();
        if let Some(count) = counts.get_mut(&self.address) {
            *count -= 1;
            if *count == 0 {
                counts.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_address_has_its_own_places_and_gets_them_back() {
        let crowds = Crowds::new(2);
        let [a, b] = [1, 2].map(|last| IpAddr::from([10, 0, 0, last]));
        let first = crowds.enter(a).unwrap();
        let _second = crowds.enter(a).unwrap();
        assert!(crowds.enter(a).is_none());
        let other = crowds.enter(b).unwrap();
        drop(first);
        assert!(crowds.enter(a).is_some());
        drop(other);
        assert_eq!(crowds.lock().len(), 1);
    }
}
