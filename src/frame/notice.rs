//! The notice to one subscriber that was too slow: what it lost, by topic.

use bytes::Bytes;

use super::payload::{Encoding, Json, MessagePack, Payload};
use super::{Frame, Retain, VERSION};
use crate::model::UnixNanos;

/// Frames of one topic that a subscriber did not get.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Loss {
    /// Frames that are gone.
    pub dropped: u64,
    /// Frames in whose place a newer one of the topic came.
    pub conflated: u64,
    /// The lowest `seq` lost; 0 if the frames have none.
    pub first_seq: u64,
    /// The highest `seq` lost; 0 if the frames have none.
    pub last_seq: u64,
}

/// What a notice of loss says.
#[derive(Clone, Copy, Debug)]
pub struct Notice<'a> {
    /// Milliseconds since 1970 of the run's start.
    pub epoch: u64,
    /// Counts the notices of one connection from 1.
    pub seq: u64,
    /// When it was made.
    pub ts_pub: UnixNanos,
    /// When the first of these frames found no room.
    pub since: UnixNanos,
    /// The losses by topic.
    pub topics: &'a [(Bytes, Loss)],
    /// What was lost of topics that are not listed.
    pub other: Loss,
}

/// Encodes a notice; its topic is `notice.loss.`.
pub fn notice(encoding: Encoding, notice: Notice<'_>) -> Frame {
    let payload = match encoding {
        Encoding::Json => encode::<Json>(notice),
        Encoding::MessagePack => encode::<MessagePack>(notice),
    };
    let topic = Bytes::from_static(b"notice.loss.");
    Frame { topic, payload: payload.into(), retain: Retain::Stream, seq: notice.seq }
}

fn encode<P: Payload>(notice: Notice<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(256 + 128 * notice.topics.len());
    let all = || notice.topics.iter().map(|(_, loss)| loss).chain([&notice.other]);
    P::begin(&mut out);
    P::integer(&mut out, "v", VERSION);
    P::text(&mut out, "type", "notice");
    P::text(&mut out, "kind", "loss");
    P::integer(&mut out, "epoch", notice.epoch);
    P::integer(&mut out, "seq", notice.seq);
    P::integer(&mut out, "ts_pub", notice.ts_pub.0);
    P::integer(&mut out, "since", notice.since.0);
    P::integer(&mut out, "dropped", all().map(|loss| loss.dropped).sum());
    P::integer(&mut out, "conflated", all().map(|loss| loss.conflated).sum());
    let topics = P::begin_member(&mut out, "topics");
    for (topic, loss) in notice.topics {
        put_loss::<P>(&mut out, &String::from_utf8_lossy(topic), loss);
    }
    P::end(&mut out, topics, u16::try_from(notice.topics.len()).unwrap_or(u16::MAX));
    let other = notice.other != Loss::default();
    if other {
        put_loss::<P>(&mut out, "other", &notice.other);
    }
    P::end(&mut out, 0, 10 + u16::from(other));
    out
}

fn put_loss<P: Payload>(out: &mut Vec<u8>, name: &str, loss: &Loss) {
    let start = P::begin_member(out, name);
    P::integer(out, "dropped", loss.dropped);
    P::integer(out, "conflated", loss.conflated);
    let numbered = loss.first_seq > 0;
    if numbered {
        P::integer(out, "first_seq", loss.first_seq);
        P::integer(out, "last_seq", loss.last_seq);
    }
    P::end(out, start, if numbered { 4 } else { 2 });
}
