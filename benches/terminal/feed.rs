//! A whole feed from a terminal, whose frames are counted.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tickbus::bus::Outgoing;
use tickbus::clock;
use tickbus::feed::FeedSpec;
use tickbus::frame::{EncoderSpec, Encoding};
use tickbus::io::FrameSink;
use tickbus::io::command::Command;
use tickbus::io::terminal::{EventsSocket, Pool, PoolLimits, TerminalDriver, TerminalParts, TerminalReport};
use tickbus::model::{Channel, Stream};
use tickbus::pipeline::Pipeline;
use tickbus::venue::TerminalSpec;
use tickbus::venue::quik::VENUE;
use tickbus::zmtp::ClientSecurity;
use tokio::sync::{mpsc, oneshot};

/// Counts frames of trades.
struct Count(Arc<AtomicU64>);

impl FrameSink for Count {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        let is_trade = |work: &Outgoing| matches!(work, Outgoing::Frame(frame) if frame.topic.starts_with(b"trade."));
        let trades = batch.drain(..).filter(is_trade).count();
        self.0.fetch_add(trades as u64, Ordering::Relaxed);
    }
}

pub(crate) struct Running {
    trades: Arc<AtomicU64>,
    commands: mpsc::Sender<Command>,
}

impl Running {
    pub(crate) fn start(rpc: &str, events: &str) -> Self {
        let trades = Arc::new(AtomicU64::new(0));
        let (commands, receiver) = mpsc::channel(4);
        let driver = TerminalDriver::new(TerminalParts {
            feed: "bench".into(),
            pipeline: Pipeline::new(&VENUE, feed(), encoder()),
            sink: Arc::new(Count(Arc::clone(&trades))),
            commands: receiver,
            tap: None,
            pool: Pool::connect("bench", rpc, None, &ClientSecurity::Null, PoolLimits::default()),
            events: Some(EventsSocket { endpoint: events.to_owned(), security: ClientSecurity::Null }),
        });
        tokio::spawn(driver.run());
        Self { trades, commands }
    }

    /// Frames of trades so far.
    pub(crate) fn trades(&self) -> u64 {
        self.trades.load(Ordering::Relaxed)
    }

    pub(crate) async fn report(&self) -> Option<TerminalReport> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(Command::Report { reply }).await.ok()?;
        answer.await.ok()?.link.terminal
    }
}

fn feed() -> FeedSpec {
    FeedSpec {
        market: "SPBFUT".to_owned(),
        streams: vec![Stream::new("RIZ6", Channel::Trade)],
        discover: false,
        silence: Duration::from_secs(10),
        terminal: TerminalSpec {
            events: true,
            call_timeout: Duration::from_secs(1),
            heartbeat: Duration::from_secs(2),
            ..TerminalSpec::default()
        },
        ..FeedSpec::default()
    }
}

fn encoder() -> EncoderSpec {
    EncoderSpec {
        feed: "bench".to_owned(),
        venue: "quik".to_owned(),
        market: "SPBFUT".to_owned(),
        account: None,
        epoch: 1,
        encoding: Encoding::Json,
        book_depth: 25,
        depth_of: Default::default(),
        book_interval: Duration::ZERO,
        last_seq: Default::default(),
        feed_seq: Arc::default(),
        clock: clock::wall,
    }
}
