//! The account behind a private connection: its streams are live once their image is read and merged, and what the venue says
//! is published row by row.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::images::{Call, Images};
use super::initial::{Gone, Initial};
use super::rows::Row;
use crate::model::{AccountKind, Channel, Clocks, Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::{AccountUpdate, FieldValue, HttpRequest, Output, Signer, Update};

/// What rows are published under without a signer: in recordings.
pub const NAMELESS: &str = "main";
/// Why an order is closed of which no more is known.
const MISSED: &str = "no longer among the open orders: what happened was missed";

/// How a venue's images are read.
#[derive(Clone, Copy, Debug)]
pub struct Reader {
    /// The calls that together are the image of a kind; none where there is no image.
    pub calls: fn(market: &str, kind: AccountKind) -> Vec<Call>,
    /// Reads one answer of these: its rows to the function, and the call for the next page, if there is one.
    ///
    /// # Errors
    /// The venue's words, or what was wrong with the answer.
    pub read: fn(&Page<'_>, each: &mut dyn FnMut(&Row<'_>)) -> Result<Option<Call>, String>,
}

/// One answer of an image.
#[derive(Clone, Copy, Debug)]
pub struct Page<'a> {
    /// The feed's market.
    pub market: &'a str,
    /// Of which kind's image.
    pub kind: AccountKind,
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
    images: Images,
    /// The call under way of each kind's image.
    paths: BTreeMap<AccountKind, String>,
    /// The streams that the venue has confirmed, by kind; live when the image is merged.
    confirmed: BTreeMap<AccountKind, Confirmed>,
}

#[derive(Clone, Debug, Default)]
struct Confirmed {
    streams: Vec<StreamId>,
    is_merged: bool,
}

impl Account {
    /// The signer's account; without one (in recordings), `main`.
    pub fn new(market: &str, signer: Option<&Signer>, reader: Reader) -> Self {
        Self {
            name: signer.map_or_else(|| NAMELESS.into(), |signer| Arc::clone(&signer.account)),
            market: market.to_owned(),
            reader,
            initial: Initial::default(),
            images: Images::default(),
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
        self.paths.clear();
        self.confirmed.clear();
    }

    /// The venue confirmed a stream of the account: its image is read now, and the stream is live when that is merged.
    pub fn confirmed(&mut self, id: StreamId, stream: &Stream, out: &mut dyn Output) {
        let Channel::Account(kind) = stream.channel else { return };
        let confirmed = self.confirmed.entry(kind).or_default();
        if confirmed.streams.contains(&id) {
            return;
        }
        confirmed.streams.push(id);
        let is_first = confirmed.streams.len() == 1;
        if confirmed.is_merged {
            out.update(Update::Subscribed(id));
        } else if is_first && !self.begin(kind, out) {
            self.merged(kind, out);
        }
    }

    /// A stream was left.
    pub fn left(&mut self, id: StreamId) {
        self.confirmed.values_mut().for_each(|confirmed| confirmed.streams.retain(|known| *known != id));
    }

    /// Whether streams of this kind are confirmed.
    pub fn has(&self, kind: AccountKind) -> bool {
        self.confirmed.get(&kind).is_some_and(|confirmed| !confirmed.streams.is_empty())
    }

    /// Asks for the image of a kind; false if there is none.
    fn begin(&mut self, kind: AccountKind, out: &mut dyn Output) -> bool {
        let calls = (self.reader.calls)(&self.market, kind);
        let Some(request) = self.images.begin(kind, calls) else { return false };
        self.initial.asked(kind);
        self.ask(kind, request, out);
        true
    }

    fn ask(&mut self, kind: AccountKind, request: HttpRequest, out: &mut dyn Output) {
        self.paths.insert(kind, request.path.clone());
        out.http(request);
    }

    /// Reads the images of all confirmed streams again.
    pub fn initialize(&mut self, out: &mut dyn Output) {
        let kinds: Vec<_> = self.confirmed.keys().copied().filter(|kind| self.has(*kind)).collect();
        for kind in kinds {
            self.begin(kind, out);
        }
    }

    /// Reads the image of a kind again, if its streams are confirmed: for what no channel tells.
    pub fn read_again(&mut self, kind: AccountKind, out: &mut dyn Output) {
        if self.has(kind) {
            self.begin(kind, out);
        }
    }

    /// Publishes a row that no image has.
    pub fn publish(&self, row: &Row<'_>, clocks: Clocks, out: &mut dyn Output) {
        row.tell(&self.name, clocks, out);
    }

    /// A row of the stream.
    pub fn streamed(&mut self, row: &Row<'_>, clocks: Clocks, out: &mut dyn Output) {
        if self.initial.streamed(row) {
            row.tell(&self.name, clocks, out);
        }
    }

    /// The image of a kind is whole.
    fn image_ended(&mut self, kind: AccountKind, now: Stamp, out: &mut dyn Output) {
        for gone in self.initial.completed(kind) {
            self.tell_gone(kind, &gone, now, out);
        }
        self.merged(kind, out);
    }

    /// An answer of REST; false if it is none that was asked for here.
    pub fn http(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Stamp, out: &mut dyn Output) -> bool {
        let Some(kind) = self.images.answered(id) else { return false };
        let Self { name, market, reader, initial, paths, .. } = self;
        let path = paths.remove(&kind).unwrap_or_default();
        let clocks = Clocks { recv: received(now), ..Clocks::default() };
        let read = match status {
            None => Err(words(body)),
            Some(status) => {
                let page = Page { market, kind, path: &path, status, body };
                (reader.read)(&page, &mut |row| {
                    if initial.imaged(row) {
                        row.tell(name, clocks, out);
                    }
                })
            }
        };
        match read.and_then(|more| self.images.page(kind, more)) {
            Ok(Some(request)) => self.ask(kind, request, out),
            Ok(None) => self.image_ended(kind, now, out),
            Err(why) => self.failed(kind, &why, now.mono, out),
        }
        true
    }

    fn failed(&mut self, kind: AccountKind, why: &str, now: Mono, out: &mut dyn Output) {
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
    pub fn timeout(&mut self, now: Mono, out: &mut dyn Output) {
        for kind in self.images.due(now) {
            self.begin(kind, out);
        }
    }

    /// When to look again.
    pub fn next_timeout(&self) -> Option<Mono> {
        self.images.next_timeout()
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
