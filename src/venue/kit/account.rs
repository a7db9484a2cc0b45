//! The account behind a private connection: its streams are live once their image is read and merged, and what the venue says
//! is published row by row.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::fills::{AGAIN_AFTER, Fills, Symbols};
use super::images::{Call, Images};
use super::initial::{Gone, Initial};
use super::login::RETRY as REFUSED_RETRY;
use super::rows::Row;
use crate::model::{AccountKind, Channel, Clocks, Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::{AccountUpdate, FieldValue, HttpRequest, Output, SessionSpec, Update};

/// What rows are published under without a signer: in recordings.
pub const NAMELESS: &str = "main";
/// Why an order is closed of which no more is known.
const MISSED: &str = "no longer among the open orders: what happened was missed";

/// What takes the rows of an answer, one by one.
pub type Each<'a> = &'a mut dyn FnMut(&Row<'_>);

/// How a venue's images are read.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The calls that together are the image of a kind; none where there is no image. Of fills, those that are missing.
    pub calls: fn(&Wanted<'_>) -> Vec<Call>,
    /// Reads one answer of these: its rows to the function, and the call for the next page, if there is one.
    ///
    /// # Errors
    /// The venue's words, or what was wrong with the answer.
    pub read: fn(&Page<'_>, each: Each<'_>) -> Result<Option<Call>, String>,
    /// Whether these words of the venue refuse the key, so that asking again soon would be of no use.
    pub refuses: fn(words: &str) -> bool,
    /// How old fills may be that these calls tell.
    pub reach: Duration,
    /// Whether they are told symbol by symbol.
    pub by_symbol: bool,
}

/// What the calls of an image are made for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The feed's market.
    pub market: &'a str,
    /// Of which kind.
    pub kind: AccountKind,
    /// Fills that are older are not wanted.
    pub since: UnixNanos,
    /// What our clock says.
    pub now: UnixNanos,
    /// The symbols that the feed names, and those that had rows.
    pub symbols: &'a [Box<str>],
}

impl Wanted<'_> {
    /// The time from `since` on in parts of at most this length: when each begins, and when it ends, in milliseconds. The
    /// last one has no end, as the venue's clock may be ahead.
    pub fn parts(&self, length: Duration) -> Vec<(u64, Option<u64>)> {
        let length = u64::try_from(length.as_millis()).unwrap_or(u64::MAX).max(1);
        let (mut from, now, mut parts) = (self.since.as_ms(), self.now.as_ms(), Vec::new());
        while now.saturating_sub(from) >= length {
            parts.push((from, Some(from + length - 1)));
            from += length;
        }
        parts.push((from, None));
        parts
    }
}

/// One answer of an image.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The feed's market.
    pub market: &'a str,
    /// Of which kind's image.
    pub kind: AccountKind,
    /// Fills that are older are not wanted.
    pub since: UnixNanos,
    /// The path and query that was asked for.
    pub path: &'a str,
    /// HTTP status.
    pub status: u16,
    /// The answer.
    pub body: &'a [u8],
}

/// An account's streams and rows.
#[derive(Clone, Debug)]
pub struct Account {
    name: Arc<str>,
    market: String,
    reader: Reader,
    initial: Initial,
    fills: Fills,
    /// Of rows of this run, and of the feed.
    symbols: Symbols,
    /// That fills cannot all be had, in words.
    lacks: Vec<String>,
    images: Images,
    /// Until when the venue's refusal of the key holds, and its words: over connections too.
    refused: BTreeMap<AccountKind, (Mono, String)>,
    /// The call under way of each kind's image.
    paths: BTreeMap<AccountKind, String>,
    /// The streams that the venue has confirmed, by kind, none without one; live when the image is merged.
    confirmed: BTreeMap<AccountKind, Confirmed>,
}

#[derive(Clone, Debug, Default)]
struct Confirmed {
    streams: Vec<StreamId>,
    is_merged: bool,
}

impl Account {
    /// The signer's account; without one (in recordings), `main`.
    pub fn new(spec: &SessionSpec, reader: Reader) -> Self {
        let mut symbols = Symbols::default();
        spec.symbols.iter().for_each(|symbol| symbols.know(symbol));
        Self {
            name: spec.signer.as_ref().map_or_else(|| NAMELESS.into(), |signer| Arc::clone(&signer.account)),
            market: spec.market.clone(),
            reader,
            initial: Initial::default(),
            fills: Fills::since(spec.whole),
            symbols,
            lacks: Vec::new(),
            images: Images::default(),
            refused: BTreeMap::new(),
            paths: BTreeMap::new(),
            confirmed: BTreeMap::new(),
        }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A connection is open.
    pub fn connected(&mut self) {
        self.disconnected();
        self.initial.connected();
    }

    /// The connection is gone.
    pub fn disconnected(&mut self) {
        self.images.disconnected();
        self.fills.disconnected();
        self.paths.clear();
        self.confirmed.clear();
    }

    /// A message came over the connection, whatever it says.
    pub fn heard(&mut self, now: Stamp) {
        self.fills.heard(now.wall);
    }

    /// The venue confirmed a stream of the account: its image is read now, and the stream is live when that is merged. Of
    /// fills, what was missed since the last connection is read.
    pub fn confirmed(&mut self, id: StreamId, stream: &Stream, now: Stamp, out: &mut dyn Output) {
        let Channel::Account(kind) = stream.channel else { return };
        let confirmed = self.confirmed.entry(kind).or_default();
        if confirmed.streams.contains(&id) {
            return;
        }
        confirmed.streams.push(id);
        if confirmed.is_merged {
            return out.update(Update::Subscribed(id));
        }
        if confirmed.streams.len() > 1 {
            return;
        }
        if kind == AccountKind::Fill && !self.fills.confirmed(now.wall) {
            self.merged(kind, out);
        } else {
            self.begin(kind, now, out);
        }
    }

    /// A stream was left.
    pub fn left(&mut self, id: StreamId) {
        let had_fills = self.has(AccountKind::Fill);
        self.confirmed.values_mut().for_each(|confirmed| confirmed.streams.retain(|known| *known != id));
        self.confirmed.retain(|_, confirmed| !confirmed.streams.is_empty());
        if had_fills && !self.has(AccountKind::Fill) {
            self.fills.left();
        }
    }

    /// Whether streams of this kind are confirmed.
    pub fn has(&self, kind: AccountKind) -> bool {
        self.confirmed.contains_key(&kind)
    }

    /// Asks for the image of a kind; where there is none, everything is merged.
    fn begin(&mut self, kind: AccountKind, now: Stamp, out: &mut dyn Output) {
        if self.is_refused(kind, now.mono, out) {
            return;
        }
        if kind == AccountKind::Fill {
            self.begin_fills(now);
        }
        let (since, symbols) = (self.fills.from(), self.symbols.known());
        let wanted = Wanted { market: &self.market, kind, since, now: now.wall, symbols };
        match self.images.begin(kind, (self.reader.calls)(&wanted)) {
            Some(request) => {
                self.initial.asked(kind);
                self.ask(kind, request, out);
            }
            None => self.image_ended(kind, now, out),
        }
    }

    fn begin_fills(&mut self, now: Stamp) {
        let reach = self.reader.reach;
        let (_, is_late) = self.fills.asked(now.wall, reach);
        let days = reach.as_secs() / 86_400;
        self.lacks = Vec::new();
        if is_late {
            self.lacks.push(format!("fills of more than {days} days ago are missing: they cannot be read any more"));
        }
        self.lacks.extend(self.symbols.lack().filter(|_| self.reader.by_symbol));
    }

    fn ask(&mut self, kind: AccountKind, request: HttpRequest, out: &mut dyn Output) {
        self.paths.insert(kind, request.path.clone());
        out.http(request);
    }

    /// Reads the images of all confirmed streams again.
    pub fn initialize(&mut self, now: Stamp, out: &mut dyn Output) {
        let kinds: Vec<_> = self.confirmed.keys().copied().collect();
        for kind in kinds {
            if kind == AccountKind::Fill {
                self.fills.wanted();
            }
            self.begin(kind, now, out);
        }
    }

    /// Reads the image of a kind again, if its streams are confirmed: for what no channel tells.
    pub fn read_again(&mut self, kind: AccountKind, now: Stamp, out: &mut dyn Output) {
        if self.has(kind) {
            self.begin(kind, now, out);
        }
    }

    /// Publishes a row that no image has.
    pub fn publish(&self, row: &Row<'_>, clocks: Clocks, out: &mut dyn Output) {
        row.tell(&self.name, clocks, out);
    }

    /// A row of the stream.
    pub fn streamed(&mut self, row: &Row<'_>, clocks: Clocks, out: &mut dyn Output) {
        know(&mut self.symbols, row);
        if row.kind == AccountKind::Fill || self.initial.streamed(row) {
            row.tell(&self.name, clocks, out);
        }
    }

    /// The image of a kind is whole.
    fn image_ended(&mut self, kind: AccountKind, now: Stamp, out: &mut dyn Output) {
        for gone in self.initial.completed(kind) {
            self.tell_gone(kind, &gone, now, out);
        }
        if kind == AccountKind::Fill {
            self.fills_ended(now, out);
        }
        self.merged(kind, out);
        if kind == AccountKind::Fill && !self.lacks.is_empty() {
            let lacks = std::mem::take(&mut self.lacks);
            self.note(kind, &lacks.join("; "), out);
        }
    }

    fn fills_ended(&mut self, now: Stamp, out: &mut dyn Output) {
        let (fills, is_to_be_read_again) = self.fills.completed();
        fills.iter().for_each(|fill| fill.tell(&self.name, received(now), out));
        if is_to_be_read_again {
            self.images.again(AccountKind::Fill, now.mono.after(AGAIN_AFTER));
        }
    }

    /// An answer of REST; false if it is none that was asked for here.
    pub fn http(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Stamp, out: &mut dyn Output) -> bool {
        let Some(kind) = self.images.answered(id) else { return false };
        let Self { name, market, reader, initial, fills, symbols, paths, .. } = self;
        let path = paths.remove(&kind).unwrap_or_default();
        let clocks = Clocks { recv: received(now), ..Clocks::default() };
        let read = match status {
            None => Err(words(body)),
            Some(status) => {
                let page = Page { market, kind, since: fills.from(), path: &path, status, body };
                (reader.read)(&page, &mut |row| match row.kind {
                    AccountKind::Fill => fills.read(row),
                    _ if initial.imaged(row) => {
                        know(symbols, row);
                        row.tell(name, clocks, out);
                    }
                    _ => {}
                })
            }
        };
        match read {
            Ok(more) => self.page_read(kind, more, now, out),
            Err(why) => self.failed(kind, &why, now.mono, out),
        }
        true
    }

    fn page_read(&mut self, kind: AccountKind, more: Option<Call>, now: Stamp, out: &mut dyn Output) {
        let next = match self.fills.lack().filter(|_| kind == AccountKind::Fill) {
            Some(lack) => Err(lack),
            None => self.images.page(kind, more),
        };
        match next {
            Ok(Some(request)) => self.ask(kind, request, out),
            Ok(None) => self.image_ended(kind, now, out),
            // To ask again would end as this did: what was read is published, and the lack told.
            Err(why) if kind == AccountKind::Fill => {
                self.lacks.push(why);
                self.image_ended(kind, now, out);
            }
            Err(why) => self.failed(kind, &why, now.mono, out),
        }
    }

    /// Whether a refusal of the key still holds, which is told again.
    fn is_refused(&mut self, kind: AccountKind, now: Mono, out: &mut dyn Output) -> bool {
        let Some((until, why)) = self.refused.get(&kind).filter(|(until, _)| now < *until) else { return false };
        self.images.refused(kind, *until);
        for id in self.confirmed.get(&kind).map_or(&[][..], |confirmed| &confirmed.streams) {
            out.update(Update::Rejected { stream: *id, detail: why });
        }
        true
    }

    fn failed(&mut self, kind: AccountKind, why: &str, now: Mono, out: &mut dyn Output) {
        if (self.reader.refuses)(why) {
            self.refused.insert(kind, (now.after(REFUSED_RETRY), why.to_owned()));
            self.is_refused(kind, now, out);
            return;
        }
        let wait = self.images.failed(kind, now).as_secs();
        let detail =
            format!("the {kind} image could not be read: {why}; asked again in {wait} s", kind = kind.as_str());
        self.note(kind, &detail, out);
    }

    fn note(&self, kind: AccountKind, detail: &str, out: &mut dyn Output) {
        for id in self.confirmed.get(&kind).map_or(&[][..], |confirmed| &confirmed.streams) {
            out.update(Update::Notice { stream: Some(*id), detail });
        }
    }

    fn merged(&mut self, kind: AccountKind, out: &mut dyn Output) {
        let Some(confirmed) = self.confirmed.get_mut(&kind) else { return };
        confirmed.is_merged = true;
        confirmed.streams.iter().for_each(|id| out.update(Update::Subscribed(*id)));
    }

    fn tell_gone(&self, kind: AccountKind, gone: &Gone, now: Stamp, out: &mut dyn Output) {
        let mut fields: Vec<(&'static str, FieldValue<'_>)> =
            gone.keys.iter().map(|(name, value)| (*name, FieldValue::Text(value))).collect();
        match kind {
            AccountKind::Order => {
                fields.extend([("state", FieldValue::Text("closed")), ("reason", FieldValue::Text(MISSED))]);
            }
            AccountKind::Position => fields.push(("size", FieldValue::Text("0"))),
            AccountKind::Balance => fields.push(("removed", FieldValue::Boolean(true))),
            AccountKind::Fill => return,
        }
        out.update(Update::Account(AccountUpdate {
            kind,
            account: &self.name,
            market: gone.market,
            symbol: &gone.symbol,
            fields: &fields,
            clocks: Clocks { recv: received(now), ..Clocks::default() },
        }));
    }

    /// Looks at the clock.
    pub fn timeout(&mut self, now: Stamp, out: &mut dyn Output) {
        for kind in self.images.due(now.mono) {
            self.begin(kind, now, out);
        }
    }

    /// When to look again.
    pub fn next_timeout(&self) -> Option<Mono> {
        self.images.next_timeout()
    }
}

/// A balance is of a currency, not of a symbol.
fn know(symbols: &mut Symbols, row: &Row<'_>) {
    if row.kind != AccountKind::Balance && !row.symbol.is_empty() {
        symbols.know(row.symbol);
    }
}

/// When something was read, unless it is of a recording that does not say.
pub fn received(now: Stamp) -> Option<UnixNanos> {
    (now.wall != UnixNanos::default()).then_some(now.wall)
}

/// The first words of an error.
fn words(body: &[u8]) -> String {
    String::from_utf8_lossy(body).chars().take(200).collect()
}
