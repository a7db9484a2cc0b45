//! A network that delays, drops, repeats, swaps and ruins messages while it is told to, and keeps them in order else.

use std::collections::BTreeMap;

use fastrand::Rng;

/// Messages on their way in one direction, by the nanosecond of their arrival.
#[derive(Debug, Default)]
pub(crate) struct Link {
    on_the_way: BTreeMap<(u64, u64), Vec<u8>>,
    last: u64,
    count: u64,
}

const MS: u64 = 1_000_000;

impl Link {
    /// When the next message arrives.
    pub(crate) fn next(&self) -> Option<u64> {
        self.on_the_way.keys().next().map(|(at, _)| *at)
    }

    /// Takes the next message, if it has arrived.
    pub(crate) fn take(&mut self, now: u64) -> Option<Vec<u8>> {
        let entry = self.on_the_way.first_entry()?;
        if entry.key().0 > now { None } else { Some(entry.remove()) }
    }

    /// The connection is gone, and everything on it.
    pub(crate) fn clear(&mut self) {
        self.on_the_way.clear();
        self.last = 0;
    }

    /// Sends a message. `faults` is how many of a thousand messages suffer each kind of fault.
    pub(crate) fn send(&mut self, message: &[u8], now: u64, faults: u32, rng: &mut Rng) {
        let mut hit = || faults > 0 && rng.u32(0..1_000) < faults;
        let (dropped, repeated, late, ruined) = (hit(), hit(), hit(), hit());
        if dropped {
            return;
        }
        let message = if ruined { ruin(message, rng) } else { message.to_vec() };
        let in_order = (now + rng.u64(1..40) * MS).max(self.last);
        self.last = in_order;
        let after = |by: u64, rng: &mut Rng| in_order + rng.u64(1..by) * MS;
        if repeated {
            let at = after(if rng.bool() { 3 } else { 2_000 }, rng);
            self.put(at, message.clone());
        }
        let at = if late { after(300, rng) } else { in_order };
        self.put(at, message);
    }

    fn put(&mut self, at: u64, message: Vec<u8>) {
        self.count += 1;
        self.on_the_way.insert((at, self.count), message);
    }
}

/// Cuts a message off or puts a byte into it that JSON does not have. A digit in place of another is what TCP's and
/// TLS's own checks are for: this venue's books have no checksum.
fn ruin(message: &[u8], rng: &mut Rng) -> Vec<u8> {
    let mut bytes = message.to_vec();
    let at = rng.usize(0..bytes.len());
    match rng.u8(0..3) {
        0 => bytes.truncate(at),
        1 => bytes[at] = 0xff,
        _ => bytes[at] = 0,
    }
    bytes
}
