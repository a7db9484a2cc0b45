//! One stream of a feed: its book if it has one, its status, and when to doubt it.

use std::time::Duration;

use super::closed::Closed;
use super::event::{Reason, State, Status};
use super::past::Track;
use crate::book::{BookSync, SyncRule, crc25};
use crate::model::{BookDepth, Channel, Clocks, Level, Mono, Stream};
use crate::venue::Route;

/// How long a snapshot may take after it was asked for.
const SNAPSHOT_WITHIN: Duration = Duration::from_secs(5);
/// How long the answer to an image request may take once the call has left.
const IMAGE_WITHIN: Duration = Duration::from_secs(30);
/// How long a first delta may take after the image; then another image shows whether the symbol is just quiet.
const QUIET_AFTER: Duration = Duration::from_secs(30);
/// Images that differ, without anything between them, before the stream is taken to be mute.
const QUIETS_MAX: u32 = 1;
/// The best levels a side that have to be known of a live book.
const KNOWN_AT_LEAST: usize = 25;
/// A live book's image is fetched again so often at most.
const REFRESH_EVERY: Duration = Duration::from_secs(10);
/// Levels a side of a book that knows no end.
const LEVELS_MAX: usize = 40_000;
/// Snapshots that may fail to come in a row before the connection is given up.
const ATTEMPTS_MAX: u32 = 3;
/// The longest wait between two resyncs of one stream.
const RESYNC_DELAY_MAX: Duration = Duration::from_secs(60);
/// A book that was live this long is taken to be well again.
const WELL_AFTER: Duration = Duration::from_secs(60);
/// How far an honest silence may stretch the limit.
const SILENCE_FACTOR_MAX: u32 = 16;

/// State of one stream.
#[derive(Debug)]
pub(super) struct StreamState {
    pub(super) stream: Stream,
    pub(super) symbol: u32,
    /// Which of the venue's addresses it comes from.
    pub(super) route: Route,
    /// False once it was left.
    pub(super) wanted: bool,
    /// The venue has confirmed it over the connection that is open, or sends its data.
    pub(super) confirmed: bool,
    pub(super) book: Option<BookSync>,
    pub(super) best: (Option<Level>, Option<Level>),
    pub(super) status: Status,
    pub(super) clocks: Clocks,
    pub(super) closed: Closed,
    /// What is missing before what comes.
    pub(super) past: Track,
    /// When data that counts came last.
    pub(super) heard: Mono,
    live_since: Option<Mono>,
    silence_factor: u32,
    /// The sequence and the digest of the book when it fell silent.
    silent_at: Option<(u64, u32)>,
    resyncs: u32,
    unanswered: u32,
    resync_at: Option<Mono>,
    snapshot_by: Option<Mono>,
    /// Until when the answer to an image request is waited for.
    image_by: Option<Mono>,
    /// When to fetch the image again, because nothing follows on it.
    quiet_at: Option<Mono>,
    /// How often in succession nothing had followed on it.
    quiets: u32,
    /// When a live book's image may be fetched again, because the market leaves it.
    refresh_at: Mono,
    /// It was left and asked for anew since it was live.
    resubscribed: bool,
}

/// What a look at the clock says about a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Check {
    /// Nothing.
    Fine,
    /// No data for too long.
    Silent,
    /// The snapshot did not come.
    NoSnapshot,
    /// It is time to resync.
    Resync,
    /// Nothing follows on the image: another one is needed.
    Quiet,
    /// The venue's book changes from image to image, and it says nothing of that.
    Mute,
    /// The market comes near the edge of the image: another one is needed while the book is live.
    NearEdge,
    /// The market is at levels that the image did not have: the book is not known any more.
    BeyondEdge,
    /// Snapshots keep failing to come: if nothing else comes either, the connection is of no use.
    GiveUp,
}

impl StreamState {
    pub(super) fn new(stream: Stream, symbol: u32, route: Route) -> Self {
        Self {
            stream,
            symbol,
            route,
            wanted: true,
            confirmed: false,
            book: None,
            best: (None, None),
            status: Status {
                state: State::Down,
                reason: None,
                since: crate::model::UnixNanos::default(),
                detail: None,
            },
            clocks: Clocks::default(),
            closed: Closed::default(),
            past: Track::default(),
            heard: Mono::default(),
            live_since: None,
            silence_factor: 1,
            silent_at: None,
            resyncs: 0,
            unanswered: 0,
            resync_at: None,
            snapshot_by: None,
            image_by: None,
            quiet_at: None,
            quiets: 0,
            refresh_at: Mono::default(),
            resubscribed: false,
        }
    }

    /// Most levels a side of this stream's book may have: four times what is subscribed to. On an image of a part of the
    /// venue's levels the others come by and by.
    pub(super) fn level_cap(&self, rule: SyncRule) -> usize {
        match self.stream.channel {
            _ if rule.is_from_image() => LEVELS_MAX,
            Channel::Book(BookDepth::Full) => LEVELS_MAX,
            Channel::Book(BookDepth::Levels(depth)) => usize::from(depth).max(25) * 4,
            // The best of a whole book.
            Channel::Bbo if rule == SyncRule::Unsequenced => LEVELS_MAX,
            _ => 100,
        }
    }

    /// Whether it carries a book.
    pub(super) const fn has_book(&self) -> bool {
        matches!(self.stream.channel, Channel::Book(_) | Channel::Bbo)
    }

    /// Whether it is of an account: it speaks for itself, as no symbol does.
    pub(super) const fn is_of_account(&self) -> bool {
        self.stream.channel.is_of_account()
    }

    /// How long it may be silent; trades, candles and liquidations may be so for ever.
    fn silence_limit(&self, base: Duration) -> Option<Duration> {
        match self.stream.channel {
            Channel::Book(_) | Channel::Bbo => Some(base.saturating_mul(self.silence_factor)),
            Channel::Ticker => Some(base.saturating_mul(6 * self.silence_factor)),
            Channel::Trade | Channel::Candle(_) | Channel::Liquidation | Channel::Account(_) | Channel::Raw => None,
        }
    }

    /// A connection is open and the stream was asked for.
    pub(super) fn connected(&mut self, now: Mono) {
        self.confirmed = false;
        self.heard = now;
        self.resync_at = None;
        self.unanswered = 0;
        self.snapshot_by = self.has_book().then(|| now.after(SNAPSHOT_WITHIN * 3));
    }

    /// The connection is gone or the venue refused: nothing is expected. After a book that was long well, the
    /// next resync is at once again.
    pub(super) fn idle(&mut self, now: Mono) {
        if self.live_since.take().is_some_and(|since| now.since(since) >= WELL_AFTER) {
            self.resyncs = 0;
        }
        if let Some(book) = &mut self.book {
            book.reset();
        }
        self.best = (None, None);
        self.resync_at = None;
        self.snapshot_by = None;
        self.image_by = None;
        self.quiet_at = None;
        self.quiets = 0;
    }

    fn digest(&self) -> u32 {
        self.book.as_ref().and_then(BookSync::live).map_or(0, crc25)
    }

    /// The book is live again. An honest silence (nothing was missed) stretches the limit.
    pub(super) fn restored(&mut self, seq: u64, now: Mono) {
        if let Some((before, digest)) = self.silent_at.take() {
            let honest = match self.book.as_ref().map(BookSync::rule) {
                // All there is to compare.
                Some(SyncRule::Unsequenced) => digest == self.digest(),
                // Ids that are shared with other books rise by themselves.
                Some(SyncRule::LinkedRangeFromImage) => before == seq || digest == self.digest(),
                _ => before == seq,
            };
            self.silence_factor = if honest { (self.silence_factor * 2).min(SILENCE_FACTOR_MAX) } else { 1 };
            self.resyncs = if honest { 0 } else { self.resyncs };
        }
        self.confirmed = true;
        self.live_since.get_or_insert(now);
        self.unanswered = 0;
        self.resync_at = None;
        self.snapshot_by = None;
        self.image_by = None;
        self.quiet_at = None;
        self.quiets = 0;
        self.resubscribed = false;
    }

    /// The book is given up and will be asked for again: when that was arranged already, then.
    pub(super) fn lost(&mut self, reason: Reason, now: Mono) {
        let (seq, digest) = (self.book.as_ref().map_or(0, BookSync::seq), self.digest());
        let arranged = self.resync_at;
        self.idle(now);
        if reason == Reason::Silence {
            self.silent_at = Some((seq, digest));
        }
        match arranged {
            Some(at) => self.resync_at = Some(at),
            None => self.arrange_resync(now),
        }
    }

    /// Arranges the next resync: at once the first time, later and later if it repeats.
    pub(super) fn arrange_resync(&mut self, now: Mono) {
        self.resyncs = self.resyncs.saturating_add(1);
        let delay = match self.resyncs {
            1 => Duration::ZERO,
            n => Duration::from_secs(1 << (n - 2).min(6)).min(RESYNC_DELAY_MAX),
        };
        self.resync_at = Some(now.after(delay));
    }

    /// A resync was asked for.
    pub(super) fn resync_sent(&mut self, now: Mono) {
        self.resync_at = None;
        self.heard = now;
        self.snapshot_by = self.has_book().then(|| now.after(SNAPSHOT_WITHIN));
    }

    /// It was left and asked for anew.
    pub(super) const fn resubscribed(&mut self) {
        self.resubscribed = true;
    }

    /// Whether an image is what is needed to have the book again: after a silence, only once the stream was asked for
    /// anew.
    pub(super) fn needs_image(&self) -> bool {
        let from_image = self.book.as_ref().is_some_and(|book| book.rule().is_from_image());
        from_image && (self.status.reason != Some(Reason::Silence) || self.resubscribed)
    }

    /// An image was asked for: it is answered in any case.
    pub(super) fn image_sent(&mut self, now: Mono) {
        self.snapshot_by = None;
        self.quiet_at = None;
        self.image_by = Some(now.after(IMAGE_WITHIN));
    }

    /// The request of an image has not left yet, and will not before so long.
    pub(super) fn image_waits(&mut self, wait: Duration, now: Mono) {
        self.image_by = Some(now.after(wait.saturating_add(IMAGE_WITHIN)));
    }

    /// The image came, and what follows on it has not yet.
    pub(super) fn image_came(&mut self, now: Mono) {
        self.image_by = None;
        self.quiet_at = Some(now.after(QUIET_AFTER));
    }

    /// The image that came is of no use.
    pub(super) const fn image_useless(&mut self) {
        self.image_by = None;
    }

    /// Whether the venue is expected to send a snapshot by itself.
    pub(super) fn awaits_snapshot(&self) -> bool {
        let by_image = self.stream.channel == Channel::Book(BookDepth::Full);
        !by_image && self.snapshot_by.is_some() && self.resync_at.is_none()
    }

    /// Whether its book is live.
    pub(super) fn is_book_live(&self) -> bool {
        self.book.as_ref().is_some_and(|book| book.live().is_some())
    }

    /// Whether the answer to an image request may still come, or the next request is arranged.
    pub(super) fn is_image_under_way(&self, now: Mono) -> bool {
        self.resync_at.is_some() || self.image_by.is_some_and(|by| now < by)
    }

    /// Whether an image was asked for, is not there and is still needed.
    pub(super) fn awaits_image(&self) -> bool {
        self.image_by.is_some() && !self.is_book_live()
    }

    /// Looks at the clock.
    pub(super) fn check(&mut self, base: Duration, now: Mono) -> Check {
        if self.resync_at.is_some_and(|at| at <= now) {
            return Check::Resync;
        }
        if self.snapshot_by.is_some_and(|at| at <= now) {
            self.snapshot_by = None;
            self.unanswered = self.unanswered.saturating_add(1);
            return if self.unanswered >= ATTEMPTS_MAX { Check::GiveUp } else { Check::NoSnapshot };
        }
        if self.image_by.is_some_and(|at| at <= now) && !self.is_book_live() {
            self.image_by = None;
            return Check::NoSnapshot;
        }
        if self.quiet_at.is_some_and(|at| at <= now) {
            self.quiet_at = None;
            self.quiets += 1;
            return if self.quiets > QUIETS_MAX { Check::Mute } else { Check::Quiet };
        }
        match self.edge(now) {
            Check::Fine => {}
            edge => return edge,
        }
        let limit = self.silence_limit(base).filter(|_| self.status.state == State::Live);
        if limit.is_some_and(|limit| now.since(self.heard) >= limit) { Check::Silent } else { Check::Fine }
    }

    /// How the market stands to the edge of the book's image.
    fn edge(&mut self, now: Mono) -> Check {
        let (Some(book), Channel::Book(BookDepth::Levels(depth))) = (&self.book, self.stream.channel) else {
            return Check::Fine;
        };
        let depth = usize::from(depth);
        if book.knows(depth / 2, depth) {
            return Check::Fine;
        }
        if !book.knows(KNOWN_AT_LEAST.min(depth / 2), depth) {
            return Check::BeyondEdge;
        }
        if now < self.refresh_at {
            return Check::Fine;
        }
        self.refresh_at = now.after(REFRESH_EVERY);
        Check::NearEdge
    }

    /// Another image will come while the book stays live.
    pub(super) fn refresh(&mut self) {
        if let Some(book) = &mut self.book {
            book.refresh();
        }
    }

    /// Whether a resync is due right now.
    pub(super) fn is_resync_due(&self, now: Mono) -> bool {
        self.resync_at.is_some_and(|at| at <= now)
    }
}
