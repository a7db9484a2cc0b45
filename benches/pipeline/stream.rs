//! The generated stream in memory, with the moment at which each message is taken to be read.

use std::sync::Arc;
use std::time::Duration;

use tickbus::feed::FeedSpec;
use tickbus::frame::{EncoderSpec, Encoding};
use tickbus::model::{BookDepth, Channel, Mono, Stamp, Stream, UnixNanos};
use tickbus::sim::TrueBook;
use tickbus::sim::stream::{DEPTH, Generator};

use super::{BOOK_DEPTH, BOOK_INTERVAL, EPOCH};

/// A message and when it is read, in stream time.
pub(crate) struct Message {
    pub(crate) text: String,
    pub(crate) now: Stamp,
}

/// The stream.
pub(crate) struct Recorded {
    pub(crate) messages: Vec<Message>,
    pub(crate) symbols: Vec<String>,
    pub(crate) truth: Vec<(String, TrueBook)>,
    pub(crate) bytes: usize,
    pub(crate) deltas: usize,
    pub(crate) changes: usize,
    pub(crate) trade_messages: usize,
}

impl Recorded {
    pub(crate) fn generate(seed: u64, messages: usize) -> Self {
        let mut generator = Generator::new(seed);
        let (mut bytes, mut deltas, mut changes) = (0, 0, 0);
        let mut next = |_| {
            let mut out = Vec::with_capacity(512);
            generator.write_next(&mut out);
            let text = String::from_utf8(out).expect("text");
            bytes += text.len();
            if text.contains(r#""type":"delta""#) {
                deltas += 1;
                changes += text.matches("[\"").count();
            }
            let ms = text_number(&text, r#""ts":"#);
            Message { now: Stamp { mono: Mono(ms * 1_000_000), wall: UnixNanos::from_ms(ms) }, text }
        };
        let messages: Vec<_> = (0..messages).map(&mut next).collect();
        let truth = generator.truth();
        let symbols: Vec<_> = truth.iter().map(|(symbol, _)| symbol.clone()).collect();
        let trade_messages = messages.len() - symbols.len() - deltas;
        Self { messages, symbols, truth, bytes, deltas, changes, trade_messages }
    }

    /// What a feed of this stream subscribes to.
    pub(crate) fn streams(&self) -> Vec<Stream> {
        let depth = BookDepth::Levels(u16::try_from(DEPTH).expect("a depth"));
        let both = |symbol: &String| {
            [Channel::Book(depth), Channel::Trade].map(|channel| Stream::new(symbol.clone(), channel))
        };
        self.symbols.iter().flat_map(both).collect()
    }
}

fn text_number(text: &str, key: &str) -> u64 {
    let at = text.find(key).expect("the key") + key.len();
    let digits = text[at..].bytes().take_while(u8::is_ascii_digit).count();
    text[at..at + digits].parse().expect("a number")
}

/// The stream's feed.
pub(crate) fn feed(recorded: &Recorded) -> FeedSpec {
    let silence = Duration::from_secs(10);
    FeedSpec {
        market: "linear".to_owned(),
        streams: recorded.streams(),
        discover: false,
        silence,
        ..FeedSpec::default()
    }
}

/// The stream's encoder.
pub(crate) fn encoder(encoding: Encoding, clock: fn() -> UnixNanos) -> EncoderSpec {
    EncoderSpec {
        feed: "bench".to_owned(),
        venue: "bybit".to_owned(),
        market: "linear".to_owned(),
        account: None,
        epoch: EPOCH,
        encoding,
        book_depth: BOOK_DEPTH,
        depth_of: Default::default(),
        book_interval: BOOK_INTERVAL,
        last_seq: Default::default(),
        feed_seq: Arc::default(),
        clock,
    }
}
