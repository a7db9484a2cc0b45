//! The session of one bitFlyer connection: JSON-RPC requests and their answers, and whether books are repeated.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use super::account;
use super::channels::{self, Kind};
use super::listing::{self, Listed, Listing};
use super::login;
use super::wire::{self, Envelope};
use crate::model::{AccountKind, Channel, Level, Mono, Stamp, Stream, StreamId, UnixNanos};
use crate::venue::kit::account::Account;
use crate::venue::kit::login::Login;
use crate::venue::kit::streams::Streams;
use crate::venue::kit::subscriptions::{Answer, Change, Limits, Op, Subscriptions, Wish};
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::{Ignored, Input, Output, Session, SessionSpec, Signer, Timer, Update};

/// No limit is published but that one should be gentle. A request has one channel.
const LIMITS: Limits = Limits {
    topics_per_request: 1,
    characters: usize::MAX,
    pace: Duration::from_millis(20),
    per_hour: usize::MAX,
    in_flight: 8,
    patience: Duration::from_secs(5),
    retry_refused: Duration::from_secs(600),
};
/// A book is repeated every five seconds; when three repetitions did not come, they are asked for anew.
const REPEATED_WITHIN: Duration = Duration::from_secs(16);
/// Positions and balances are read so long after a trade, and so often at most: they cost three calls.
const READ_AFTER: Duration = Duration::from_secs(1);
const READ_EVERY: Duration = Duration::from_secs(5);
/// The code of a channel that is subscribed to already.
const ALREADY: i64 = -32009;

/// What is known of a product besides its book.
#[derive(Debug, Default)]
pub(super) struct Product {
    /// The venue's word for what it is at; empty before the first ticker.
    pub(super) state: String,
    /// When its whole book is to come at the latest.
    whole_by: Option<Mono>,
}

impl Product {
    /// Whether orders match as they come. In an auction books may be crossed, and the middle price is only a sign.
    pub(super) fn is_open(&self) -> bool {
        self.state.is_empty() || self.state == "RUNNING"
    }
}

/// Protocol state of one connection.
pub(super) struct FlyerSession {
    market: String,
    discover: bool,
    leads: bool,
    pub(super) streams: Streams,
    pub(super) subscriptions: Subscriptions,
    pub(super) products: BTreeMap<String, Product>,
    /// The account's connection: how far signing in is, and who does.
    pub(super) login: Option<(Login, Signer)>,
    pub(super) account: Account,
    /// When positions and balances are read again after a trade, and when that was last.
    read_again: (Option<Mono>, Mono),
    listing: Listing,
    /// Channels that streams are still leaving.
    leaving: HashMap<StreamId, usize>,
    pub(super) ticker: MergedTicker,
    pub(super) bids: Vec<Level>,
    pub(super) asks: Vec<Level>,
}

impl FlyerSession {
    pub(super) fn new(spec: SessionSpec) -> Self {
        let is_private = spec.route == super::PRIVATE && !spec.discover;
        let mut session = Self {
            account: Account::new(&spec, account::READER),
            login: spec.signer.filter(|_| is_private).map(|signer| (Login::new(), signer)),
            market: spec.market,
            discover: spec.discover,
            leads: spec.leads,
            streams: Streams::default(),
            subscriptions: Subscriptions::new(LIMITS),
            products: BTreeMap::new(),
            read_again: (None, Mono::default()),
            listing: Listing::new(),
            leaving: HashMap::new(),
            ticker: MergedTicker::default(),
            bids: Vec::new(),
            asks: Vec::new(),
        };
        for (id, stream) in spec.streams {
            session.add(id, stream);
        }
        session
    }

    fn add(&mut self, id: StreamId, stream: Stream) {
        for topic in channels::topics(&stream) {
            self.subscriptions.add(&topic, id);
        }
        self.streams.insert(id, stream);
    }

    pub(super) fn channel(&self, id: StreamId) -> Option<Channel> {
        self.streams.get(id).map(|stream| stream.channel)
    }

    /// A channel's place; in a recording, its streams are added as they appear.
    pub(super) fn place(&mut self, name: &str, kind: Kind, product: &str, out: &mut dyn Output) -> Option<usize> {
        let is_ours = |product: &str| product.is_empty() || super::market_of_product(product) == Some(&*self.market);
        if self.discover && is_ours(product) {
            for stream in kind.streams(product) {
                let id = out.discovered(stream.clone())?;
                if self.streams.get(id).is_none() {
                    self.add(id, stream);
                }
            }
        }
        self.subscriptions.place(name)
    }

    fn subscribe(&mut self, id: StreamId, stream: &Stream, now: Stamp, out: &mut dyn Output) {
        self.streams.insert(id, stream.clone());
        if let Some(detail) = self.login.as_ref().and_then(|(login, _)| login.refusal()) {
            out.update(Update::Rejected { stream: id, detail });
        }
        for (at, topic) in channels::topics(stream).iter().enumerate() {
            if self.subscriptions.wish(topic, id).1 == Wish::Confirmed && at == 0 {
                self.confirm(id, now, out);
            }
        }
        self.publish_instrument(&stream.symbol, out);
        self.send_requests(now, out);
    }

    fn unsubscribe(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        let Some(stream) = self.streams.remove(id) else { return };
        self.listing.forget(id);
        self.account.left(id);
        let topics = channels::topics(&stream);
        self.leaving.insert(id, topics.len());
        for topic in topics {
            let place = self.subscriptions.place(&topic);
            let change = place.and_then(|place| self.subscriptions.unwish(place, id));
            self.changed(change.into_iter().collect(), now, out);
        }
        if self.streams.iter().all(|(_, other)| other.symbol != stream.symbol) {
            self.products.remove(&stream.symbol);
        }
        self.send_requests(now, out);
    }

    fn connected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.products.clear();
        if self.discover {
            return;
        }
        self.account.connected();
        let of_product = self.streams.iter().filter(|(_, stream)| stream.channel.has_symbol());
        let symbols: Vec<String> = of_product.map(|(_, stream)| stream.symbol.clone()).collect();
        for symbol in symbols {
            if self.listing.says(&symbol, now.mono) == Listed::Unknown {
                self.ask_for_list(&symbol, out);
            }
        }
        self.opened(now, out);
    }

    /// All that is wished may be asked for now.
    pub(super) fn signed_in(&mut self, now: Stamp, out: &mut dyn Output) {
        self.subscriptions.connected(now.mono);
        self.send_requests(now, out);
    }

    fn disconnected(&mut self, now: Stamp, out: &mut dyn Output) {
        self.products.clear();
        self.account.disconnected();
        self.read_again.0 = None;
        if let Some((login, _)) = &mut self.login {
            login.disconnected();
        }
        self.listing.disconnected();
        let changes = self.subscriptions.disconnected();
        self.changed(changes, now, out);
    }

    fn ask_for_list(&mut self, product: &str, out: &mut dyn Output) {
        if let Some(request) = self.listing.ask(product) {
            out.http(request);
        }
    }

    fn timeout(&mut self, now: Stamp, out: &mut dyn Output) {
        self.login_due(now, out);
        self.account.timeout(now, out);
        if self.read_again.0.is_some_and(|at| at <= now.mono) {
            self.read_again = (None, now.mono);
            for kind in [AccountKind::Position, AccountKind::Balance] {
                self.account.read_again(kind, now, out);
            }
        }
        if let Err(reason) = self.subscriptions.timeout(now.mono) {
            return out.reconnect(reason);
        }
        self.listing.due(now.mono).into_iter().for_each(|request| out.http(request));
        let is_late = |(_, product): &(&String, &mut Product)| product.whole_by.is_some_and(|at| at <= now.mono);
        let mut late = Vec::new();
        for (name, product) in self.products.iter_mut().filter(is_late) {
            product.whole_by = Some(now.mono.after(REPEATED_WITHIN));
            late.extend(self.subscriptions.place(&Kind::Whole.of(name)));
        }
        for place in late {
            self.subscriptions.resync(place);
            let detail = format!("no whole book in {} s: asked for anew", REPEATED_WITHIN.as_secs());
            for stream in self.subscriptions.streams(place) {
                out.update(Update::Notice { stream: Some(*stream), detail: &detail });
            }
        }
        self.send_requests(now, out);
    }

    fn send_requests(&mut self, now: Stamp, out: &mut dyn Output) {
        while let Some(request) = self.subscriptions.next_request(now.mono) {
            let method = match request.op {
                Op::Subscribe => "subscribe",
                Op::Unsubscribe => "unsubscribe",
            };
            for place in &request.topics {
                let channel = self.subscriptions.name(*place);
                out.send(format!(
                    r#"{{"jsonrpc":"2.0","method":"{method}","params":{{"channel":"{channel}"}},"id":{}}}"#,
                    request.id
                ));
            }
        }
    }

    /// The account traded: what no channel tells of it has changed.
    pub(super) fn traded(&mut self, now: Mono) {
        let (at, last) = self.read_again;
        let soon = now.after(READ_AFTER).max(last.after(READ_EVERY));
        self.read_again.0 = Some(at.unwrap_or(soon));
    }

    /// The whole book of a product came, or is to come.
    pub(super) fn expect_whole(&mut self, product: &str, now: Mono) {
        if !self.discover {
            self.products.entry(product.to_owned()).or_default().whole_by = Some(now.after(REPEATED_WITHIN));
        }
    }

    /// Whether a channel is the stream's own, and not one that merely tells whether its market is open.
    pub(super) fn is_own(&self, place: usize, stream: StreamId) -> bool {
        let kind = channels::read(self.subscriptions.name(place)).map(|(kind, _)| kind);
        kind != Some(Kind::Ticker) || self.channel(stream) == Some(Channel::Ticker)
    }

    fn changed(&mut self, changes: Vec<Change>, now: Stamp, out: &mut dyn Output) {
        for change in changes {
            match change {
                Change::Subscribed(place) => self.subscribed(place, now, out),
                Change::Refused(place, detail) => self.refused(place, &detail, out),
                Change::Left(stream) => self.left(stream, out),
            }
        }
    }

    fn subscribed(&mut self, place: usize, now: Stamp, out: &mut dyn Output) {
        let name = self.subscriptions.name(place).to_owned();
        match channels::read(&name) {
            Some((Kind::Whole, product)) => self.expect_whole(product, now.mono),
            // A stream of two channels is confirmed with its first.
            Some((Kind::Changes | Kind::ParentOrders, _)) => return,
            _ => {}
        }
        for stream in self.subscriptions.streams(place).to_vec() {
            if self.is_own(place, stream) {
                self.confirm(stream, now, out);
            }
        }
    }

    fn refused(&self, place: usize, detail: &str, out: &mut dyn Output) {
        for stream in self.subscriptions.streams(place) {
            if self.is_own(place, *stream) {
                out.update(Update::Rejected { stream: *stream, detail });
            } else {
                let detail = format!("without {}: {detail}", self.subscriptions.name(place));
                out.update(Update::Notice { stream: Some(*stream), detail: &detail });
            }
        }
    }

    fn left(&mut self, stream: StreamId, out: &mut dyn Output) {
        let left = self.leaving.get(&stream).map_or(0, |topics| topics.saturating_sub(1));
        if left > 0 {
            self.leaving.insert(stream, left);
        } else {
            self.leaving.remove(&stream);
            out.update(Update::Unsubscribed(stream));
        }
    }

    /// The venue confirmed a stream, which it does whatever its product. Of the account, images are read first.
    fn confirm(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        let Some(stream) = self.streams.get(id).cloned() else { return };
        if !stream.channel.has_symbol() {
            return self.account.confirmed(id, &stream, now, out);
        }
        let product = stream.symbol;
        match self.listing.says(&product, now.mono) {
            Listed::Yes => {
                self.listing.forget(id);
                out.update(Update::Subscribed(id));
            }
            Listed::No => self.reject_unlisted(id, &product, now, out),
            Listed::Unknown => {
                self.listing.held.insert(id);
                self.ask_for_list(&product, out);
            }
        }
    }

    fn reject_unlisted(&mut self, id: StreamId, product: &str, now: Stamp, out: &mut dyn Output) {
        self.listing.reread(product, now.mono);
        self.listing.held.remove(&id);
        if self.listing.unlisted.insert(id) {
            let detail = format!("bitFlyer lists no product {product}");
            out.update(Update::Rejected { stream: id, detail: &detail });
        }
    }

    fn http(&mut self, id: u64, status: Option<u16>, body: &[u8], now: Stamp, out: &mut dyn Output) {
        if self.account.http(id, status, body, now, out) {
            return;
        }
        if self.discover {
            let found = listing::read(status, body).unwrap_or_default();
            let is_ours = |symbol: &str| super::market_of_product(symbol) == Some(&*self.market);
            return found.iter().filter(|i| is_ours(&i.symbol)).for_each(|i| out.update(Update::Instrument(i)));
        }
        match self.listing.answered(id, status, body, now.mono) {
            None => {}
            Some(true) => {
                let streams: Vec<_> = self.streams.iter().map(|(id, stream)| (id, stream.symbol.clone())).collect();
                let mut symbols: Vec<&String> = streams.iter().map(|(_, symbol)| symbol).collect();
                symbols.sort_unstable();
                symbols.dedup();
                symbols.into_iter().for_each(|symbol| self.publish_instrument(symbol, out));
                let waits = |id: &StreamId| self.listing.held.contains(id) || self.listing.unlisted.contains(id);
                let waiting: Vec<_> = streams.iter().map(|(id, _)| *id).filter(waits).collect();
                waiting.into_iter().for_each(|id| self.confirm(id, now, out));
            }
            // Nothing to check by: the venue's word has to do until there is.
            Some(false) => {
                for id in std::mem::take(&mut self.listing.held) {
                    out.update(Update::Subscribed(id));
                }
            }
        }
    }

    /// Only one session of a feed publishes instruments.
    fn publish_instrument(&self, symbol: &str, out: &mut dyn Output) {
        if let Some(instrument) = self.listing.instrument(symbol).filter(|_| self.leads) {
            out.update(Update::Instrument(instrument));
        }
    }

    fn text(&mut self, message: &[u8], now: Stamp, out: &mut dyn Output) {
        self.account.heard(now);
        let recv = (now.wall != UnixNanos::default()).then_some(now.wall);
        if let Err(detail) = self.read(message, recv, now, out) {
            let place = wire::channel_of(message).and_then(|name| self.subscriptions.place(name));
            match place {
                Some(place) => {
                    for stream in self.subscriptions.streams(place) {
                        if self.is_own(place, *stream) {
                            out.update(Update::Broken { stream: Some(*stream), detail: &detail });
                        }
                    }
                }
                None => out.update(Update::Broken { stream: None, detail: &detail }),
            }
        }
        self.send_requests(now, out);
    }

    /// The answer to a request.
    pub(super) fn answered(&mut self, envelope: &Envelope<'_>, now: Stamp, out: &mut dyn Output) {
        out.update(Update::Ignored(Ignored::Control));
        let words = envelope.error.as_ref().map(|error| error.0.words());
        if envelope.id.is_some_and(|id| id.0 == login::ID) {
            return self.login_answered(words.as_deref(), now, out);
        }
        let Some(id) = envelope.id.as_ref().and_then(|id| id.integer()) else { return };
        let code = envelope.error.as_ref().map(|error| error.0.code);
        let answer = match &words {
            None => Answer::Done,
            Some(_) if code == Some(ALREADY) => Answer::Done,
            Some(detail) => Answer::Refused(detail),
        };
        let changes = self.subscriptions.answered(Some(id), None, answer, now.mono);
        self.changed(changes, now, out);
    }

    /// Both channels of a book begin anew, since either may have failed.
    fn resync(&mut self, id: StreamId, now: Stamp, out: &mut dyn Output) {
        let topics = self.streams.get(id).map(channels::topics).unwrap_or_default();
        for place in topics.iter().filter_map(|topic| self.subscriptions.place(topic)).collect::<Vec<_>>() {
            if self.is_own(place, id) {
                self.subscriptions.resync(place);
            }
        }
        self.send_requests(now, out);
    }
}

impl Session for FlyerSession {
    fn handle(&mut self, input: Input<'_>, now: Stamp, out: &mut dyn Output) {
        match input {
            Input::Connected => self.connected(now, out),
            Input::Text(message) => self.text(message, now, out),
            Input::Binary(_) => out.update(Update::Ignored(Ignored::UnknownKind)),
            Input::Http { id, status, body, .. } => self.http(id, status, body, now, out),
            Input::Subscribe { id, stream } => self.subscribe(id, stream, now, out),
            Input::Unsubscribe(id) => self.unsubscribe(id, now, out),
            Input::Resync(stream) => self.resync(stream, now, out),
            Input::Initialize => self.account.initialize(now, out),
            // No book needs an image, no terminal was called, and what was subscribed to ends by itself.
            Input::Image(_) | Input::Rpc { .. } | Input::Shutdown => {}
            Input::Ask { id, .. } => {
                out.answer(id, r#"{"ok":false,"error":"this venue has no such command"}"#.to_owned())
            }
            Input::Timeout => self.timeout(now, out),
            Input::Disconnected => self.disconnected(now, out),
        }
    }

    fn next_timeout(&self) -> Option<Timer> {
        let timer = |why| move |at| Timer { at, why };
        let subscriptions = self.subscriptions.next_timeout().map(timer("subscriptions"));
        let list = self.listing.next_timeout().map(timer("instruments"));
        let whole = self.products.values().filter_map(|product| product.whole_by).min().map(timer("whole book"));
        let login = self.login.as_ref().and_then(|(login, _)| login.next_timeout()).map(timer("login"));
        let images = self.account.next_timeout().into_iter().chain(self.read_again.0).map(timer("images"));
        subscriptions.into_iter().chain(list).chain(whole).chain(login).chain(images).min()
    }
}
