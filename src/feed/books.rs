//! What an update does to its book: published, given up, asked for anew.

use super::core::{Command, Core};
use super::event::{BookView, Event, FeedOutput, Levels, Reason, State};
use super::stream::Check;
use std::time::Duration;

use crate::book::{BookSync, Findings, Loss, SyncRule, SyncUpdate, Verdict};
use crate::model::{Channel, Stamp, StreamId};
use crate::venue::{BookUpdate, Route};

/// What a venue said of a book, for the book.
#[inline]
pub(super) const fn sync_update<'a>(update: &BookUpdate<'a>) -> SyncUpdate<'a> {
    SyncUpdate {
        snapshot: update.snapshot,
        seq: update.seq,
        first: update.first,
        previous: update.previous,
        cross_seq: update.cross_seq,
        checksum: update.checksum,
        middle: update.middle,
        bids: update.bids,
        asks: update.asks,
    }
}

impl Core {
    #[inline]
    pub(super) fn on_book(&mut self, update: BookUpdate<'_>, now: Stamp, out: &mut dyn FeedOutput) {
        let at = update.stream.0 as usize;
        let Some(stream) = self.streams.get_mut(at) else { return };
        let cap = stream.level_cap(update.rule);
        let sync = stream.book.get_or_insert_with(|| BookSync::new(update.rule, cap));
        let verdict = sync.update(sync_update(&update));
        let findings = sync.take_findings();
        match verdict {
            Verdict::Replaced => {
                self.counters.snapshots += 1;
                stream.heard = now.mono;
                stream.clocks = update.clocks;
                stream.restored(update.seq, now.mono);
                self.set_status(at, State::Live, None, None, now, out);
                self.publish_book(at, None, out);
            }
            Verdict::Changed => {
                self.counters.deltas += 1;
                stream.heard = now.mono;
                stream.clocks = update.clocks;
                // A delta does not say what was dropped besides.
                let changes = Some(&update).filter(|_| findings.pruned == 0);
                self.publish_book(at, changes, out);
            }
            Verdict::Confirmed => stream.heard = now.mono,
            Verdict::Ignored => {}
            Verdict::Buffered if sync.wants_image() => self.want_image(at, now),
            Verdict::Buffered if update.snapshot => stream.image_came(now.mono),
            Verdict::Buffered => {}
            Verdict::ImageWanted => {
                stream.image_useless();
                stream.arrange_resync(now.mono);
            }
            Verdict::Lost(loss) => self.lost(at, loss, now, out),
        }
        if findings != Findings::default() {
            self.found(update.stream, findings, out);
        }
    }

    /// The venue's book was another than ours in part, and is not any more.
    #[cold]
    fn found(&mut self, id: StreamId, findings: Findings, out: &mut dyn FeedOutput) {
        self.counters.pruned += findings.pruned as u64;
        if findings.differed > 0 {
            self.counters.differed += 1;
            let levels = findings.differed;
            self.notice(
                Some(id),
                &format!("the venue's whole book had {levels} levels otherwise, and replaced ours"),
                out,
            );
        }
    }

    fn publish_book(&mut self, at: usize, changes: Option<&BookUpdate<'_>>, out: &mut dyn FeedOutput) {
        let stream = &mut self.streams[at];
        let Some(symbol) = self.symbols.get(stream.symbol as usize) else { return };
        let Some((book, seq)) = stream.book.as_ref().and_then(|sync| Some((sync.live()?, sync.seq()))) else { return };
        let main = symbol.main == Some(at as u32);
        let clocks = stream.clocks;
        if main && stream.stream.channel != Channel::Bbo {
            let levels = changes.map_or(Levels::Whole(book), |update| Levels::Changes(update.bids, update.asks));
            out.event(&symbol.symbol, Event::Delta { levels, venue_seq: seq, clocks });
            out.event(&symbol.symbol, Event::Book(BookView { book, venue_seq: seq, clocks }));
        }
        let gives_bbo = symbol.bbo.map_or(main, |bbo| bbo == at as u32);
        let best = book.best();
        if gives_bbo && stream.best != best {
            stream.best = best;
            out.event(&symbol.symbol, Event::Bbo { bid: best.0, ask: best.1, venue_seq: seq, clocks });
        }
    }

    #[cold]
    fn lost(&mut self, at: usize, loss: Loss, now: Stamp, out: &mut dyn FeedOutput) {
        let (reason, detail) = match loss {
            Loss::Gap { expected, got } => {
                self.counters.gaps += 1;
                (Reason::Gap, format!("expected update {expected}, got {got}"))
            }
            Loss::Crossed => {
                self.counters.crossed += 1;
                (Reason::Crossed, "best bid at or above best ask".to_owned())
            }
            Loss::Unsaid { levels } => {
                self.counters.gaps += 1;
                (Reason::Gap, format!("the venue's whole book has {levels} levels otherwise, and no update said so"))
            }
            Loss::Middle { expected, got: [bid, ask] } => {
                self.counters.checksums_bad += 1;
                (Reason::Checksum, format!("the venue's middle price is {expected}, the book's are {bid} and {ask}"))
            }
            Loss::Checksum { expected, got } => {
                self.counters.checksums_bad += 1;
                (Reason::Checksum, format!("the venue's checksum is {expected:08x}, the book's {got:08x}"))
            }
            Loss::Invalid(error) => {
                self.counters.errors += 1;
                (Reason::Invalid, error.to_string())
            }
        };
        self.lose(at, reason, &detail, now, out);
    }

    /// Gives a stream up, says so, and arranges for it to be had anew.
    pub(super) fn lose(&mut self, at: usize, reason: Reason, detail: &str, now: Stamp, out: &mut dyn FeedOutput) {
        self.set_status(at, State::Stale, Some(reason), Some(detail), now, out);
        self.streams[at].lost(reason, now.mono);
        if self.streams[at].is_resync_due(now.mono) {
            self.ask_anew(at, now, out);
        }
    }

    fn ask_anew(&mut self, at: usize, now: Stamp, out: &mut dyn FeedOutput) {
        if self.discover || !self.is_connected(self.streams[at].route) {
            return;
        }
        self.counters.resyncs += 1;
        let stream = &mut self.streams[at];
        stream.resync_sent(now.mono);
        let reason = stream.status.reason;
        let detail = stream.status.detail.clone();
        let id = StreamId(at as u32);
        let by_image = stream.needs_image();
        if by_image {
            stream.image_sent(now.mono);
        } else {
            stream.resubscribed();
        }
        self.commands.push_back(if by_image { Command::Image(id) } else { Command::Resync(id) });
        self.set_status(at, State::Syncing, reason, detail.as_deref(), now, out);
    }

    /// A stream whose book needs an image was confirmed.
    pub(super) fn wants_image(&mut self, id: StreamId, rule: SyncRule, now: Stamp) {
        let at = id.0 as usize;
        let Some(stream) = self.streams.get_mut(at) else { return };
        let cap = stream.level_cap(rule);
        if stream.book.get_or_insert_with(|| BookSync::new(rule, cap)).wants_image() {
            self.want_image(at, now);
        }
    }

    /// Answers that were to come over a connection that goes will not.
    pub(super) fn ask_images_again(&mut self, route: Route, now: Stamp) {
        for at in 0..self.streams.len() {
            let stream = &mut self.streams[at];
            if stream.wanted && stream.route == route && stream.awaits_image() {
                stream.image_sent(now.mono);
                self.commands.push_back(Command::Image(StreamId(at as u32)));
            }
        }
    }

    /// The request of a book's image waits, behind so many others.
    pub(super) fn image_waits(
        &mut self,
        id: StreamId,
        ahead: usize,
        wait: Duration,
        now: Stamp,
        out: &mut dyn FeedOutput,
    ) {
        let Some(stream) = self.streams.get_mut(id.0 as usize) else { return };
        if stream.is_book_live() || !stream.is_image_under_way(now.mono) {
            return;
        }
        stream.image_waits(wait, now.mono);
        let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
        let detail = format!("its image waits for the REST budget: {ahead} calls before it, about {seconds} s");
        self.notice(Some(id), &detail, out);
    }

    /// The first deltas of a book that needs an image have come.
    fn want_image(&mut self, at: usize, now: Stamp) {
        let command = Command::Image(StreamId(at as u32));
        let waiting = self.streams[at].is_image_under_way(now.mono);
        if !self.discover && !waiting {
            self.streams[at].resync_sent(now.mono);
            self.streams[at].image_sent(now.mono);
            self.commands.push_back(command);
        }
    }

    pub(super) fn resync(&mut self, symbol: &str, now: Stamp, out: &mut dyn FeedOutput) -> bool {
        let main = self.symbol_id(symbol).and_then(|id| self.symbols[id as usize].main);
        let connected = |at: &usize| self.streams.get(*at).is_some_and(|stream| self.is_connected(stream.route));
        let Some(at) = main.map(|at| at as usize).filter(connected) else { return false };
        self.set_status(at, State::Stale, Some(Reason::Requested), None, now, out);
        self.streams[at].idle(now.mono);
        self.ask_anew(at, now, out);
        true
    }

    /// Looks at every stream's deadlines.
    pub(super) fn check(&mut self, now: Stamp, out: &mut dyn FeedOutput) {
        for at in 0..self.streams.len() {
            if !self.streams[at].wanted {
                continue;
            }
            let route = self.streams[at].route;
            match self.streams[at].check(self.silence, now.mono) {
                Check::Fine => {}
                Check::Silent => {
                    self.counters.silences += 1;
                    self.lose(at, Reason::Silence, "no data for too long", now, out);
                }
                Check::Quiet => {
                    self.streams[at].image_sent(now.mono);
                    self.commands.push_back(Command::Image(StreamId(at as u32)));
                }
                Check::Mute => {
                    self.counters.silences += 1;
                    let detail = "the venue confirmed it and sends nothing, while its images change: check the symbol and the channel";
                    self.lose(at, Reason::Silence, detail, now, out);
                }
                Check::NearEdge if self.discover => {}
                Check::NearEdge => {
                    self.streams[at].refresh();
                    self.commands.push_back(Command::Image(StreamId(at as u32)));
                }
                Check::BeyondEdge if self.discover => {}
                Check::BeyondEdge => {
                    self.lose(at, Reason::NoSnapshot, "the market has left the levels of the REST image", now, out);
                }
                Check::NoSnapshot => self.lose(at, Reason::NoSnapshot, "no snapshot in time", now, out),
                Check::Resync => self.ask_anew(at, now, out),
                // One symbol's trouble does not end the connection of those that are well.
                Check::GiveUp if self.streams_of(route).any(|(_, stream)| stream.is_book_live()) => {
                    self.lose(at, Reason::NoSnapshot, "no snapshot in time", now, out);
                }
                Check::GiveUp => {
                    let stream = &self.streams[at].stream;
                    let why = format!("no snapshot of {} {}", stream.channel, stream.symbol);
                    self.commands.push_back(Command::Reconnect(route, why));
                }
            }
        }
    }
}
