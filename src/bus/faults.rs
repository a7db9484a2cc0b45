//! Why the bus ends connections: counted by kind, and logged at most once a second per kind, so that a port scan or a
//! broken client cannot flood the log.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use thiserror::Error;

use super::queue::Slow;
use super::topics::SubscribeError;
use crate::clock;
use crate::log_limit::LogLimit;
use crate::zmtp::{KeyError, WireError};

const LOG_EVERY: Duration = Duration::from_secs(1);

/// Why a connection ended, or was never made.
#[derive(Debug, Error)]
pub(super) enum Fault {
    /// The peer closed it in order, or its network failed.
    #[error("the peer closed the connection")]
    Closed,
    #[error("all {0} places are taken")]
    Full(usize),
    #[error("its address has {0} connections already")]
    Crowd(usize),
    #[error("the handshake was not complete within {0:?}")]
    HandshakeTimeout(Duration),
    #[error("the peer left before the handshake was complete")]
    LeftEarly,
    #[error("handshake: {0}")]
    Handshake(WireError),
    #[error("{0}")]
    Protocol(#[from] WireError),
    #[error("the peer's key is not on the list of clients any more")]
    Revoked,
    #[error("{0}")]
    Entropy(#[from] KeyError),
    #[error("{0}")]
    Subscriptions(#[from] SubscribeError),
    #[error("a request of more than {0} bytes or of too many frames")]
    Request(usize),
    #[error("the peer did not answer a PING within {0:?}")]
    Silent(Duration),
    #[error("{0}")]
    Slow(Slow),
    #[error("a reply was not read within {0:?}")]
    ReplyNotRead(Duration),
    #[error("cannot accept: {0}; if it is about open files, raise their limit (ulimit -n, LimitNOFILE)")]
    Accept(std::io::Error),
}

/// How many connections ended for each reason; those that peers closed in order are not counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Refused {
    /// Too many connections.
    pub full: u64,
    /// Too many connections from one address.
    pub crowd: u64,
    /// No complete handshake within its deadline.
    pub handshake_timeout: u64,
    /// Not ZMTP 3.x with our mechanism, a socket type that does not fit, or gone before the handshake was complete.
    pub handshake: u64,
    /// A wrong password, a key that is not on the list, or one that was taken off it.
    pub denied: u64,
    /// A frame or a request over its limit was announced.
    pub too_large: u64,
    /// Any other breach of the protocol.
    pub protocol: u64,
    /// Too many subscriptions, or one longer than any topic.
    pub subscriptions: u64,
    /// No answer to a PING.
    pub silent: u64,
    /// Did not read: a queue full, or a reply pending, for too long.
    pub slow: u64,
    /// Had no room for a frame, where the policy is to disconnect.
    pub no_room: u64,
    /// `accept` failed (no connection was made).
    pub accept: u64,
}

impl Refused {
    /// Every reason by name, with its count.
    pub const fn by_reason(&self) -> [(&'static str, u64); KINDS] {
        [
            ("full", self.full),
            ("crowd", self.crowd),
            ("handshake_timeout", self.handshake_timeout),
            ("handshake", self.handshake),
            ("denied", self.denied),
            ("too_large", self.too_large),
            ("protocol", self.protocol),
            ("subscriptions", self.subscriptions),
            ("silent", self.silent),
            ("slow", self.slow),
            ("no_room", self.no_room),
            ("accept", self.accept),
        ]
    }
}

#[derive(Clone, Copy)]
enum Kind {
    Full,
    Crowd,
    HandshakeTimeout,
    Handshake,
    Denied,
    TooLarge,
    Protocol,
    Subscriptions,
    Silent,
    Slow,
    NoRoom,
    Accept,
}

const KINDS: usize = Kind::Accept as usize + 1;

impl Fault {
    fn kind(&self) -> Option<Kind> {
        Some(match self {
            Self::Closed => return None,
            Self::Full(_) => Kind::Full,
            Self::Crowd(_) => Kind::Crowd,
            Self::HandshakeTimeout(_) => Kind::HandshakeTimeout,
            Self::Handshake(WireError::TooLarge { .. }) | Self::Protocol(WireError::TooLarge { .. }) => Kind::TooLarge,
            Self::Handshake(WireError::Denied(_)) | Self::Revoked => Kind::Denied,
            Self::LeftEarly | Self::Entropy(_) | Self::Handshake(_) => Kind::Handshake,
            Self::Request(_) => Kind::TooLarge,
            Self::Protocol(_) => Kind::Protocol,
            Self::Subscriptions(_) => Kind::Subscriptions,
            Self::Silent(_) => Kind::Silent,
            Self::Slow(Slow::NoRoom { .. }) => Kind::NoRoom,
            Self::Slow(_) | Self::ReplyNotRead(_) => Kind::Slow,
            Self::Accept(_) => Kind::Accept,
        })
    }
}

/// Counts and logs faults.
#[derive(Debug)]
pub(super) struct FaultLog {
    counts: [AtomicU64; KINDS],
    lines: Mutex<[LogLimit; KINDS]>,
}

impl Default for FaultLog {
    fn default() -> Self {
        Self { counts: Default::default(), lines: Mutex::new([LogLimit::new(1, LOG_EVERY); KINDS]) }
    }
}

impl FaultLog {
    /// Counts a fault; `peer` is its address.
    pub(super) fn record(&self, fault: &Fault, peer: &dyn std::fmt::Display) {
        let Some(kind) = fault.kind() else {
            tracing::debug!(%peer, "bus peer left");
            return;
        };
        self.counts[kind as usize].fetch_add(1, Ordering::Relaxed);
        let passed = {
            let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
            lines[kind as usize].pass(clock::now().mono)
        };
        if let Some(suppressed) = passed {
            // This one and those like it that were left out before.
            tracing::warn!(%peer, reason = %fault, count = suppressed + 1, "bus peer refused");
        }
    }

    pub(super) fn refused(&self) -> Refused {
        let count = |kind: Kind| self.counts[kind as usize].load(Ordering::Relaxed);
        Refused {
            full: count(Kind::Full),
            crowd: count(Kind::Crowd),
            handshake_timeout: count(Kind::HandshakeTimeout),
            handshake: count(Kind::Handshake),
            denied: count(Kind::Denied),
            too_large: count(Kind::TooLarge),
            protocol: count(Kind::Protocol),
            subscriptions: count(Kind::Subscriptions),
            silent: count(Kind::Silent),
            slow: count(Kind::Slow),
            no_room: count(Kind::NoRoom),
            accept: count(Kind::Accept),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_are_counted_apart_and_orderly_ends_not_at_all() {
        let log = FaultLog::default();
        log.record(&Fault::Closed, &"a");
        log.record(&Fault::Protocol(WireError::TooLarge { length: 9, limit: 1 }), &"b");
        log.record(&Fault::Protocol(WireError::Command), &"c");
        assert_eq!(log.refused(), Refused { too_large: 1, protocol: 1, ..Refused::default() });
    }
}
