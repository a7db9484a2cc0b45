//! Frames laid out as ZMTP messages for vectored writes: headers, topics and small payloads side by side in one
//! buffer, large payloads shared and not copied. Pure.

use std::io::IoSlice;
use std::ops::Range;
use std::sync::Arc;

use super::Frame;
use crate::zmtp::{self, Encoder};

/// Slices per call; the kernel takes up to 1024.
pub(super) const MAX_SLICES: usize = 256;
/// Payloads up to this many bytes are copied, which costs less than two more slices in the kernel.
const COPY_UP_TO: usize = 1024;

#[derive(Debug)]
enum Part {
    Copied(Range<usize>),
    /// The payload of a frame.
    Shared(Arc<Frame>),
}

/// What is being written to one subscriber.
#[derive(Debug, Default)]
pub(super) struct Burst {
    copied: Vec<u8>,
    parts: Vec<Part>,
    /// The part that is to be written next, and how many of its bytes have been.
    next: usize,
    offset: usize,
}

impl Burst {
    /// Whether all has been written.
    pub(super) fn is_done(&self) -> bool {
        self.next == self.parts.len()
    }

    /// Lays out frames (each as a message of topic and payload) after `commands`, which are complete frames already.
    /// What was written before is dropped; call only when that is all. Frames that are sealed for this subscriber alone
    /// share nothing.
    pub(super) fn fill(&mut self, commands: &[u8], frames: &mut Vec<Arc<Frame>>, encoder: &mut Encoder) {
        self.copied.clear();
        self.parts.clear();
        (self.next, self.offset) = (0, 0);
        self.copied.extend_from_slice(commands);
        if encoder.is_sealing() {
            for frame in frames.drain(..) {
                encoder.put_frame(&mut self.copied, true, &frame.topic);
                encoder.put_frame(&mut self.copied, false, &frame.payload);
            }
        }
        let mut start = 0;
        for frame in frames.drain(..) {
            zmtp::put_frame(&mut self.copied, true, &frame.topic);
            zmtp::put_header(&mut self.copied, false, frame.payload.len());
            if frame.payload.len() <= COPY_UP_TO {
                self.copied.extend_from_slice(&frame.payload);
            } else {
                self.parts.push(Part::Copied(start..self.copied.len()));
                self.parts.push(Part::Shared(frame));
                start = self.copied.len();
            }
        }
        if start < self.copied.len() {
            self.parts.push(Part::Copied(start..self.copied.len()));
        }
    }

    /// Fills `slices` with what is to be written next and returns how many there are.
    pub(super) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; MAX_SLICES]) -> usize {
        let rest = &self.parts[self.next..];
        for (at, (slice, part)) in slices.iter_mut().zip(rest).enumerate() {
            let skipped = if at == 0 { self.offset } else { 0 };
            *slice = IoSlice::new(&self.bytes(part)[skipped..]);
        }
        rest.len().min(MAX_SLICES)
    }

    /// Takes note that `count` bytes were written, and lets go of payloads that are through.
    pub(super) fn advance(&mut self, count: usize) {
        self.offset += count;
        while let Some(part) = self.parts.get(self.next) {
            let length = self.bytes(part).len();
            if self.offset < length {
                return;
            }
            self.offset -= length;
            self.parts[self.next] = Part::Copied(0..0);
            self.next += 1;
        }
    }

    fn bytes<'a>(&'a self, part: &'a Part) -> &'a [u8] {
        match part {
            Part::Copied(range) => &self.copied[range.clone()],
            Part::Shared(frame) => &frame.payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use proptest::prelude::*;

    use super::*;
    use crate::bus::Retain;

    proptest! {
        #[test]
        fn any_partial_writes_give_the_same_bytes(
            sizes in proptest::collection::vec(0..3000_usize, 0..300),
            writes in proptest::collection::vec(1..9000_usize, 1..20),
        ) {
            let mut expected = b"PING".to_vec();
            let mut frames: Vec<Arc<Frame>> = sizes.iter().map(|&size| {
                let payload = Bytes::from(vec![(size % 251) as u8; size]);
                zmtp::put_frame(&mut expected, true, b"topic.");
                zmtp::put_frame(&mut expected, false, &payload);
                Arc::new(Frame { topic: Bytes::from_static(b"topic."), payload, retain: Retain::Stream, seq: 0 })
            }).collect();
            let mut burst = Burst::default();
            burst.fill(b"PING", &mut frames, &mut Encoder::default());
            let mut written = Vec::new();
            for limit in writes.iter().cycle() {
                if burst.is_done() {
                    break;
                }
                let mut slices = [IoSlice::new(&[]); MAX_SLICES];
                let count = burst.slices(&mut slices);
                let bytes: Vec<u8> = slices[..count].iter().flat_map(|slice| slice.iter().copied()).take(*limit).collect();
                prop_assert!(!bytes.is_empty());
                written.extend_from_slice(&bytes);
                burst.advance(bytes.len());
            }
            prop_assert_eq!(written, expected);
        }
    }
}
