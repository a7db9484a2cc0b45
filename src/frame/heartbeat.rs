//! The heartbeat frame: one a second, so that a silent bus is told from a dead one.

use bytes::Bytes;

use super::payload::{Encoding, Json, MessagePack, Payload};
use super::{Frame, Retain, VERSION};
use crate::model::UnixNanos;

/// What a heartbeat says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Heartbeat {
    /// Milliseconds since 1970 of the run's start.
    pub epoch: u64,
    /// Counts heartbeats from 1.
    pub seq: u64,
    /// When it was published.
    pub ts_pub: UnixNanos,
    /// Feeds configured.
    pub feeds: u64,
    /// Feeds that are live.
    pub feeds_live: u64,
    /// Subscribers connected.
    pub subscribers: u64,
    /// Frames published since the start.
    pub frames: u64,
    /// Frames dropped behind slow subscribers since the start.
    pub dropped: u64,
}

/// Encodes a heartbeat; its topic is `heartbeat.`.
pub fn heartbeat(encoding: Encoding, beat: Heartbeat) -> Frame {
    let payload = match encoding {
        Encoding::Json => encode::<Json>(beat),
        Encoding::MessagePack => encode::<MessagePack>(beat),
    };
    Frame { topic: Bytes::from_static(b"heartbeat."), payload: payload.into(), retain: Retain::Stream }
}

fn encode<P: Payload>(beat: Heartbeat) -> Vec<u8> {
    let mut out = Vec::with_capacity(256);
    P::begin(&mut out);
    P::integer(&mut out, "v", VERSION);
    P::text(&mut out, "type", "heartbeat");
    let numbers = [
        ("epoch", beat.epoch),
        ("seq", beat.seq),
        ("ts_pub", beat.ts_pub.0),
        ("feeds", beat.feeds),
        ("feeds_live", beat.feeds_live),
        ("subscribers", beat.subscribers),
        ("frames", beat.frames),
        ("dropped", beat.dropped),
    ];
    for (key, value) in numbers {
        P::integer(&mut out, key, value);
    }
    P::end(&mut out, 0, 2 + numbers.len() as u16);
    out
}
