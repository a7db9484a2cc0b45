//! One feed from input to frames: session, books, encoder. Pure; live, replay, simulation and fuzzing all step it.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::feed::{BookReport, Event, Feed, FeedOutput, FeedSpec, Outcome, State, Status, Symbol};
use crate::frame::{Encoder, EncoderSpec, Frame, Outgoing, parse_topic};
use crate::model::{Channel, Stamp, Stream, StreamId};
use crate::secret::Secret;
use crate::venue::{HttpRequest, Input, LinkId, Reader, Route, RpcRequest, Timer, Told, VenueDef};

pub use crate::feed::{AccountReport, Counters, FeedReport, SymbolReport};

/// What a step left to do. The driver empties it after each burst of steps.
#[derive(Debug, Default)]
pub struct Outbox {
    /// Messages that sign in, to be sent before all others and recorded nowhere.
    pub logins: Vec<(LinkId, Secret)>,
    /// Keys that complete the addresses of connections.
    pub addresses: Vec<(LinkId, Secret)>,
    /// Text messages for the venue, each over its connection, in order.
    pub sends: Vec<(LinkId, String)>,
    /// REST calls to make; every one must be answered with [`Input::Http`] for the same connection's session.
    pub requests: Vec<(LinkId, HttpRequest)>,
    /// RPC calls to make; every one must be answered with [`Input::Rpc`].
    pub calls: Vec<RpcRequest>,
    /// Answers to [`Input::Ask`], by its id.
    pub answers: Vec<(u64, String)>,
    /// Connections that are of no more use, and why: close them and dial again with back-off.
    pub reconnects: Vec<(LinkId, String)>,
    /// What became of streams that were asked for, or left, at run time.
    pub settled: Vec<(StreamId, Settled)>,
    /// Work for the bus, in order.
    pub frames: Vec<Outgoing>,
    /// Changes of state worth a log line: of the feed as a whole, and into and out of a symbol's own trouble.
    pub changes: Vec<StateChange>,
}

/// [`Outcome`], to keep.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settled {
    /// The venue confirmed it.
    Subscribed,
    /// The venue refused it, in these words.
    Rejected(String),
    /// The venue confirmed that it was left.
    Unsubscribed,
}

/// A change of state, for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StateChange {
    /// The venue's own spelling; empty for the feed as a whole.
    pub symbol: String,
    /// Which of its channels.
    pub channel: Option<Channel>,
    /// The new state.
    pub status: Status,
}

/// A feed and its encoder.
pub struct Pipeline {
    feed: Feed,
    encoder: Encoder,
    outbox: Outbox,
    troubled: Troubled,
}

/// What the log was told, so that it is told of the end too.
#[derive(Debug, Default)]
struct Troubled {
    /// Streams in trouble of their own.
    streams: BTreeSet<(u32, Option<Channel>)>,
    /// The feed as a whole.
    whole: Option<State>,
}

/// Takes the feed's outputs into the outbox, events through the encoder.
struct Intake<'a> {
    encoder: &'a mut Encoder,
    outbox: &'a mut Outbox,
    troubled: &'a mut Troubled,
    now: Stamp,
}

impl Intake<'_> {
    fn note(&mut self, symbol: &Symbol, channel: Option<Channel>, status: &Status) {
        let key = (symbol.id, channel);
        let own = status.is_own_trouble();
        let told = match (symbol.id, channel) {
            // The feed as a whole is told what its connection goes through; a symbol's trouble is told of the symbol.
            (0, None) => !own && self.troubled.whole.replace(status.state) != Some(status.state),
            _ if own => self.troubled.streams.insert(key) || status.state != State::Syncing,
            _ => self.troubled.streams.remove(&key),
        };
        if told {
            self.change(symbol, channel, status);
        }
    }

    fn change(&mut self, symbol: &Symbol, channel: Option<Channel>, status: &Status) {
        self.outbox.changes.push(StateChange { symbol: symbol.name.clone(), channel, status: status.clone() });
    }
}

impl FeedOutput for Intake<'_> {
    fn send(&mut self, link: LinkId, text: String) {
        self.outbox.sends.push((link, text));
    }

    fn sign_in(&mut self, link: LinkId, text: Secret) {
        self.outbox.logins.push((link, text));
    }

    fn address(&mut self, link: LinkId, key: Secret) {
        self.outbox.addresses.push((link, key));
    }

    fn http(&mut self, link: LinkId, request: HttpRequest) {
        self.outbox.requests.push((link, request));
    }

    fn rpc(&mut self, request: RpcRequest) {
        self.outbox.calls.push(request);
    }

    fn answer(&mut self, id: u64, text: String) {
        self.outbox.answers.push((id, text));
    }

    fn reconnect(&mut self, link: LinkId, reason: String) {
        if !self.outbox.reconnects.iter().any(|(known, _)| *known == link) {
            self.outbox.reconnects.push((link, reason));
        }
    }

    fn settled(&mut self, stream: StreamId, outcome: Outcome<'_>) {
        let settled = match outcome {
            Outcome::Subscribed => Settled::Subscribed,
            Outcome::Rejected(detail) => Settled::Rejected(detail.to_owned()),
            Outcome::Unsubscribed => Settled::Unsubscribed,
        };
        self.outbox.settled.push((stream, settled));
    }

    #[inline]
    fn event(&mut self, symbol: &Symbol, event: Event<'_>) {
        match event {
            Event::Status { channel, status, .. } => self.note(symbol, channel, status),
            // The end of what there was to tell is no line.
            Event::Notice { channel, status, .. } if status.detail.is_some() => self.change(symbol, channel, status),
            _ => {}
        }
        self.encoder.event(symbol, event, self.now, &mut self.outbox.frames);
    }
}

/// Takes what an answer says: of each symbol the sequences go on where others may have left them.
struct Reading<'a> {
    intake: Intake<'a>,
    begun: BTreeSet<u32>,
}

impl FeedOutput for Reading<'_> {
    fn event(&mut self, symbol: &Symbol, event: Event<'_>) {
        if self.begun.insert(symbol.id) {
            self.intake.encoder.go_on(symbol);
        }
        self.intake.event(symbol, event);
    }

    // An answer that is read has no connection.
    fn send(&mut self, _: LinkId, _: String) {}
    fn http(&mut self, _: LinkId, _: HttpRequest) {}
    fn rpc(&mut self, _: RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn reconnect(&mut self, _: LinkId, _: String) {}
    fn settled(&mut self, _: StreamId, _: Outcome<'_>) {}
}

impl Pipeline {
    /// A feed of this venue and its encoder.
    pub fn new(venue: &'static VenueDef, feed: FeedSpec, encoder: EncoderSpec) -> Self {
        Self {
            feed: Feed::new(venue, feed),
            encoder: Encoder::new(encoder),
            outbox: Outbox::default(),
            troubled: Troubled::default(),
        }
    }

    /// Takes one input of the first connection; see [`Self::step_on`].
    pub fn step(&mut self, input: Input<'_>, now: Stamp) {
        let first = self.links().first().map_or(LinkId(0), |(link, _)| *link);
        self.step_on(first, input, now);
    }

    /// Takes one input of a connection; what follows from it is in the outbox afterwards.
    pub fn step_on(&mut self, link: LinkId, input: Input<'_>, now: Stamp) {
        let Self { feed, encoder, outbox, troubled } = self;
        encoder.new_input();
        feed.handle_on(link, input, now, &mut Intake { encoder, outbox, troubled, now });
        self.publish_due(now);
    }

    /// The connections it needs now, each with the route it leads over.
    pub fn links(&self) -> &[(LinkId, Route)] {
        self.feed.links()
    }

    /// Replay: a connection of this route was opened again, and its streams begin anew.
    pub fn reopened(&mut self, route: Route, now: Stamp) {
        let Self { feed, encoder, outbox, troubled } = self;
        encoder.new_input();
        feed.reopened(route, now, &mut Intake { encoder, outbox, troubled, now });
    }

    /// Asks for one stream more; true when the venue has confirmed it before.
    ///
    /// # Errors
    /// When the feed has no room for it.
    pub fn subscribe(&mut self, stream: &Stream, now: Stamp) -> Result<(StreamId, bool), String> {
        let Self { feed, encoder, outbox, troubled } = self;
        encoder.new_input();
        if let Some(symbol) = feed.symbol(&stream.symbol) {
            // Jobs may have published the stream's topic in the meantime.
            encoder.go_on(symbol);
        }
        feed.subscribe(stream, now, &mut Intake { encoder, outbox, troubled, now })
    }

    /// Leaves a stream; `None` if it was not wished.
    pub fn unsubscribe(&mut self, stream: &Stream, now: Stamp) -> Option<StreamId> {
        let Self { feed, encoder, outbox, troubled } = self;
        encoder.new_input();
        feed.unsubscribe(stream, now, &mut Intake { encoder, outbox, troubled, now })
    }

    /// The call for a stream's image has not left yet: so many are before it, and it takes about so long.
    pub fn image_waits(&mut self, stream: StreamId, ahead: usize, wait: Duration, now: Stamp) {
        let Self { feed, encoder, outbox, troubled } = self;
        encoder.new_input();
        feed.image_waits(stream, ahead, wait, now, &mut Intake { encoder, outbox, troubled, now });
    }

    /// Publishes what an answer says, of the streams that are admitted; see [`Feed::read`].
    ///
    /// # Errors
    /// Why the answer cannot be read; what was read before is in the outbox.
    pub fn read(
        &mut self,
        reader: Reader,
        told: &Told<'_>,
        admits: &mut dyn FnMut(&Stream) -> bool,
        now: Stamp,
    ) -> Result<(), String> {
        let Self { feed, encoder, outbox, troubled } = self;
        encoder.new_input();
        let intake = Intake { encoder, outbox, troubled, now };
        feed.read(reader, told, admits, now, &mut Reading { intake, begun: BTreeSet::new() })
    }

    /// Encodes the conflated books whose time has come.
    fn publish_due(&mut self, now: Stamp) {
        while let Some(id) = self.encoder.take_due(now.mono) {
            self.encoder.new_input();
            if let Some((symbol, view)) = self.feed.book(id) {
                self.encoder.due_book(symbol, view, now, &mut self.outbox.frames);
            }
        }
    }

    /// What is to be done.
    pub fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    /// When to step with [`Input::Timeout`], if nothing else happens first.
    pub fn next_timeout(&self) -> Option<Timer> {
        let book = self.encoder.next_due().map(|at| Timer { at, why: "book" });
        self.feed.next_timeout().into_iter().chain(book).min()
    }

    /// The current `book.` frame of this topic at full depth, if its book is live.
    pub fn snapshot(&mut self, topic: &str) -> Option<Frame> {
        let [channel, _, _, symbol] = parse_topic(topic)?;
        let id = self.feed.symbol_id(&symbol).filter(|_| channel == "book")?;
        let (symbol, view) = self.feed.book(id)?;
        let frame = self.encoder.snapshot(symbol, view);
        (frame.topic == topic.as_bytes()).then_some(frame)
    }

    /// Subscribes to one symbol's book anew; false if there is no such book.
    pub fn resync(&mut self, symbol: &str, now: Stamp) -> bool {
        let Self { feed, encoder, outbox, troubled } = self;
        encoder.new_input();
        feed.resync(symbol, now, &mut Intake { encoder, outbox, troubled, now })
    }

    /// Has the account's state be read again.
    ///
    /// # Errors
    /// Why it is not: no account is followed, or it is not signed in.
    pub fn initialize(&mut self, now: Stamp) -> Result<(), String> {
        let Self { feed, encoder, outbox, troubled } = self;
        encoder.new_input();
        feed.initialize(now, &mut Intake { encoder, outbox, troubled, now })
    }

    /// Publishes `down` for every symbol: the last thing before the process ends.
    pub fn shut_down(&mut self, now: Stamp) {
        let Self { feed, encoder, outbox, troubled } = self;
        encoder.new_input();
        feed.shut_down(now, &mut Intake { encoder, outbox, troubled, now });
    }

    /// State and counters.
    pub fn report(&self) -> FeedReport {
        let mut report = self.feed.report();
        report.counters.ignored += self.encoder.unencoded();
        report
    }

    /// What became of every book, for replays.
    pub fn book_reports(&self) -> Vec<BookReport> {
        self.feed.book_reports()
    }
}
