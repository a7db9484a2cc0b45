//! Books: each is fetched whole, when the terminal says that it changed or else on a period, and told as what changed
//! since the image before.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::json;

use super::image::Image;
use super::reply::Reply;
use super::rpc::{Caller, Machine, Part, place};
use super::schedule::{Pace, Schedule};
use crate::book::SyncRule;
use crate::model::{BookDepth, Channel, Clocks, Mono, Stamp, Stream, StreamId};
use crate::venue::{BookUpdate, Host, Output, TerminalSpec, Timer, Update, Urgency};

/// Every book is looked at this often although nothing is said to have changed: an event may be lost, and what is not
/// heard of for long is doubted.
const LOOK_EVERY: Duration = Duration::from_secs(3);
/// When a book that could not be fetched is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// One book.
#[derive(Clone, Debug)]
struct Fetched {
    stream: StreamId,
    symbol: String,
    depth: usize,
    /// The last image told, and its number.
    image: Image,
    seq: u64,
    /// The next image is told whole.
    is_whole: bool,
    /// Something changed after the request under way was made.
    is_dirty: bool,
    is_subscribed: bool,
    call: Option<u64>,
    asked_at: Mono,
}

/// All books of a feed.
#[derive(Clone, Debug)]
pub(super) struct Books {
    market: String,
    caller: Caller,
    books: Vec<Fetched>,
    of_symbol: HashMap<String, Vec<usize>>,
    due: Schedule,
    pace: Pace,
    /// The shortest time between two requests for one book.
    gap: Duration,
    /// The same while nothing tells of changes, so that all books together keep to the pace.
    poll_gap: Duration,
    /// The same when changes are told, and none was.
    look_gap: Duration,
    /// Whether the terminal tells of changes: it may be set not to, and then never does.
    hears: bool,
}

impl Books {
    pub(super) fn new(market: &str, streams: &[Stream], terminal: &TerminalSpec) -> Self {
        let mut books = Vec::new();
        let mut of_symbol: HashMap<String, Vec<usize>> = HashMap::new();
        for (at, stream) in (0..).zip(streams) {
            let Channel::Book(depth) = stream.channel else { continue };
            of_symbol.entry(stream.symbol.clone()).or_default().push(books.len());
            books.push(Fetched {
                stream: StreamId(at),
                symbol: stream.symbol.clone(),
                depth: match depth {
                    BookDepth::Levels(levels) => usize::from(levels),
                    BookDepth::Full => usize::MAX,
                },
                image: Image::default(),
                seq: 0,
                is_whole: true,
                is_dirty: false,
                is_subscribed: false,
                call: None,
                asked_at: Mono(0),
            });
        }
        // Half of the terminal's calls are left to everything else.
        let budget = (terminal.calls_per_second / 2).max(1);
        let count = u32::try_from(books.len()).unwrap_or(u32::MAX);
        let shared = |part: u32| Duration::from_secs(1).saturating_mul(count) / (budget / part).max(1);
        let gap = Duration::from_secs(1) / terminal.books_per_second.max(1);
        Self {
            market: market.to_owned(),
            caller: Caller::new(Part::Books, Host::Rpc, Urgency::Data, terminal.call_timeout),
            pace: Pace::new(budget),
            gap,
            poll_gap: gap.max(shared(1)),
            look_gap: LOOK_EVERY.max(shared(5)),
            books,
            of_symbol,
            due: Schedule::default(),
            hears: false,
        }
    }

    /// A book is subscribed to at the terminal: it is fetched.
    pub(super) fn subscribed(&mut self, symbol: &str, now: Stamp) {
        for place in self.of_symbol.get(symbol).into_iter().flatten() {
            self.books[*place].is_subscribed = true;
            self.due.set(*place, now.mono);
        }
    }

    /// The terminal says that a book changed.
    pub(super) fn changed(&mut self, market: &str, symbol: &str, now: Stamp) {
        self.hears = true;
        let places = if market == self.market { self.of_symbol.get(symbol) } else { None };
        for place in places.into_iter().flatten() {
            let book = &mut self.books[*place];
            book.is_dirty = true;
            if book.call.is_none() && book.is_subscribed {
                self.due.set(*place, now.mono.max(book.asked_at.after(self.gap)));
            }
        }
    }

    /// Events may not come any more: books are polled until one tells of a change.
    pub(super) fn deaf(&mut self, now: Stamp) {
        if !std::mem::replace(&mut self.hears, false) {
            return;
        }
        for (place, book) in self.books.iter().enumerate() {
            if book.call.is_none() && book.is_subscribed {
                self.due.set(place, now.mono.max(book.asked_at.after(self.poll_gap)));
            }
        }
    }

    fn told(&mut self, place: usize, fields: &super::reply::Fields<'_>, now: Stamp, out: &mut dyn Output) {
        let book = &mut self.books[place];
        let clocks = Clocks { event: None, venue: None, recv: Some(now.wall) };
        let next = match Image::read(fields, book.depth) {
            Ok(next) => next,
            Err(detail) => {
                book.is_whole = true;
                return out.update(Update::Broken { stream: Some(book.stream), detail: &detail });
            }
        };
        let changes = book.image.changes(&next);
        let is_same = changes == Image::default() && book.seq > 0;
        if !is_same {
            book.seq += 1;
        }
        // An image that is told again under its own number says that nothing changed.
        let snapshot = book.is_whole || is_same;
        book.image = next;
        book.is_whole = false;
        let levels = if snapshot { &book.image } else { &changes };
        out.update(Update::Book(BookUpdate {
            stream: book.stream,
            rule: SyncRule::SnapshotOnly,
            snapshot,
            seq: book.seq,
            first: 0,
            previous: 0,
            cross_seq: 0,
            checksum: None,
            middle: None,
            bids: &levels.bids,
            asks: &levels.asks,
            clocks,
        }));
    }
}

impl Machine for Books {
    /// Nothing is fetched before its subscription is confirmed.
    fn live(&mut self, _now: Stamp, _out: &mut dyn Output) {
        self.down();
    }

    fn down(&mut self) {
        self.due.clear();
        for book in &mut self.books {
            book.is_whole = true;
            book.is_dirty = false;
            book.is_subscribed = false;
            book.call = None;
        }
    }

    fn answered(&mut self, id: u64, reply: &Reply<'_>, now: Stamp, out: &mut dyn Output) {
        let place = place(id);
        let Some(book) = self.books.get_mut(place).filter(|book| book.call == Some(id)) else { return };
        book.call = None;
        let at = match reply {
            Reply::Result(fields) => {
                let gap = match (book.is_dirty, self.hears) {
                    (true, _) => self.gap,
                    (false, false) => self.poll_gap,
                    (false, true) => self.look_gap,
                };
                let at = book.asked_at.after(gap);
                self.told(place, fields, now, out);
                at
            }
            // The feed doubts what is silent for too long.
            _ => now.mono.after(RETRY),
        };
        self.due.set(place, at);
    }

    fn work(&mut self, now: Stamp, out: &mut dyn Output) {
        while self.pace.next() <= now.mono
            && let Some(place) = self.due.pop(now.mono)
        {
            let book = &mut self.books[place];
            self.pace.take(now.mono);
            book.asked_at = now.mono;
            book.is_dirty = false;
            let args = json!({ "class_code": self.market, "sec_code": book.symbol });
            book.call = Some(self.caller.call(place, "getQuoteLevel2", &args, out));
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let at = self.due.next()?.max(self.pace.next());
        Some(Timer { at, why: "books" })
    }

    /// The image after this is told whole; under its old number, if nothing changed.
    fn resync(&mut self, stream: StreamId, now: Stamp, _out: &mut dyn Output) {
        let Some(place) = self.books.iter().position(|book| book.stream == stream) else { return };
        let book = &mut self.books[place];
        book.is_whole = true;
        book.is_dirty = true;
        if book.call.is_none() && book.is_subscribed {
            self.due.set(place, now.mono.max(book.asked_at.after(self.gap)));
        }
    }

    /// Requests leave nothing behind.
    fn shut_down(&mut self, _out: &mut dyn Output) {
        self.down();
    }
}
