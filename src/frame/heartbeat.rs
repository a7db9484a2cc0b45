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

/// Topics in one heartbeat at most, so that its size is bounded.
pub const MOST_TOPICS: usize = 1000;

/// Encodes a heartbeat; its topic is `heartbeat.`. `topics` are the last `seq` of topics that its receiver is subscribed
/// to, without which its last frames, if lost, would not be missed while the topic is silent; only the first
/// [`MOST_TOPICS`] are taken.
pub fn heartbeat(encoding: Encoding, beat: Heartbeat, topics: &[(Bytes, u64)]) -> Frame {
    let topics = &topics[..topics.len().min(MOST_TOPICS)];
    let payload = match encoding {
        Encoding::Json => encode::<Json>(beat, topics),
        Encoding::MessagePack => encode::<MessagePack>(beat, topics),
    };
    let topic = Bytes::from_static(b"heartbeat.");
    Frame { topic, payload: payload.into(), retain: Retain::Stream, seq: beat.seq }
}

fn encode<P: Payload>(beat: Heartbeat, topics: &[(Bytes, u64)]) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + 64 * topics.len());
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
    if !topics.is_empty() {
        let start = P::begin_member(&mut out, "topics");
        for (topic, seq) in topics {
            P::count(&mut out, &String::from_utf8_lossy(topic), *seq);
        }
        P::end(&mut out, start, topics.len() as u16);
    }
    P::end(&mut out, 0, 2 + numbers.len() as u16 + u16::from(!topics.is_empty()));
    out
}
