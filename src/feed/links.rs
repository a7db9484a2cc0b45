//! The connections of a feed: one for each route its streams take, and beside one that the venue will close soon, for a
//! while, its successor.

use std::collections::HashSet;
use std::time::Duration;

use super::core::Core;
use super::event::FeedOutput;
use crate::model::{AccountKind, Mono, Stamp, Stream, StreamId};
use crate::secret::Secret;
use crate::venue::kit::fills::Seen;
use crate::venue::{HttpRequest, LinkId, Output, Route, RpcRequest, Session, Transport, Update, VenueDef};

/// How long a connection and its successor run side by side at most.
const OVERLAP: Duration = Duration::from_secs(20);
/// Trades remembered while both run; beyond it they may be published twice.
const TRADES_MAX: usize = 100_000;

/// One connection and its session.
pub(super) struct Link {
    pub(super) id: LinkId,
    pub(super) route: Route,
    /// Whether its session fetches what the feed needs once.
    pub(super) leads: bool,
    pub(super) session: Box<dyn Session>,
    pub(super) connected: bool,
    /// The connection it is to take the place of.
    pub(super) replaces: Option<LinkId>,
}

/// A connection and its successor, both open: what comes twice is taken once.
#[derive(Debug)]
pub(super) struct Overlap {
    pub(super) old: LinkId,
    pub(super) new: LinkId,
    /// When the old one goes at the latest.
    pub(super) until: Mono,
    /// Streams that the new one has.
    confirmed: HashSet<StreamId>,
    /// Books that it has carried on.
    joined: HashSet<StreamId>,
    trades: HashSet<(StreamId, Box<str>)>,
}

impl Overlap {
    pub(super) fn new(old: LinkId, new: LinkId, now: Mono) -> Self {
        Self {
            old,
            new,
            until: now.after(OVERLAP),
            confirmed: HashSet::new(),
            joined: HashSet::new(),
            trades: HashSet::new(),
        }
    }

    pub(super) fn has(&self, stream: StreamId) -> bool {
        self.confirmed.contains(&stream)
    }

    /// Whether the old one is of no more use to a stream.
    pub(super) fn is_done_with(&self, stream: StreamId, core: &Core) -> bool {
        self.has(stream) && (self.joined.contains(&stream) || core.live_seq(stream).is_none())
    }

    /// Whether this update is to be taken.
    fn admits(&mut self, update: &Update<'_>, from: LinkId, core: &Core) -> bool {
        let is_new = from == self.new;
        match update {
            Update::Subscribed(stream) | Update::Rejected { stream, .. } if is_new => {
                self.confirmed.insert(*stream);
                true
            }
            Update::Trade(trade) => {
                self.trades.len() >= TRADES_MAX || self.trades.insert((trade.stream, trade.id.into()))
            }
            // The book may have gone on past it over the old connection; it then needs no snapshot.
            Update::Book(book) if is_new && book.snapshot => {
                self.confirmed.insert(book.stream);
                self.joined.insert(book.stream);
                core.live_seq(book.stream).is_none_or(|seq| seq <= book.seq)
            }
            // What lies between is on its way over the old connection, and this one after it.
            Update::Book(book) if is_new => {
                let is_next = !core.has_gap_before(book);
                if is_next {
                    self.joined.insert(book.stream);
                }
                is_next
            }
            Update::Ticker(_) | Update::Candle(_) | Update::Liquidation(_) => !is_new,
            _ => true,
        }
    }
}

/// Takes the outputs of one connection's session into the core.
pub(super) struct Intake<'a> {
    pub(super) venue: &'static VenueDef,
    pub(super) market: &'a str,
    pub(super) link: LinkId,
    pub(super) route: Route,
    pub(super) core: &'a mut Core,
    pub(super) fills: &'a mut Seen,
    pub(super) overlap: Option<&'a mut Overlap>,
    /// Connections that are to be replaced, and why.
    pub(super) replace: &'a mut Vec<(LinkId, String)>,
    pub(super) now: Stamp,
    pub(super) out: &'a mut dyn FeedOutput,
}

impl Output for Intake<'_> {
    fn send(&mut self, text: String) {
        self.out.send(self.link, text);
    }

    fn sign_in(&mut self, text: Secret) {
        self.out.sign_in(self.link, text);
    }

    fn address(&mut self, key: Secret) {
        self.out.address(self.link, key);
    }

    fn http(&mut self, request: HttpRequest) {
        self.core.calls += 1;
        self.out.http(self.link, request);
    }

    fn rpc(&mut self, request: RpcRequest) {
        self.out.rpc(request);
    }

    fn answer(&mut self, id: u64, text: String) {
        self.out.answer(id, text);
    }

    #[inline]
    fn update(&mut self, update: Update<'_>) {
        if let Some(overlap) = &mut self.overlap
            && !overlap.admits(&update, self.link, self.core)
        {
            return;
        }
        // A terminal tells a fill again to say more of it. Other rows of an account come twice to the same effect.
        if let Update::Account(row) = &update
            && row.kind == AccountKind::Fill
            && self.venue.transport == Transport::WebSocket
            && !self.fills.admits(row)
        {
            return;
        }
        self.core.on_update(update, self.route, self.now, self.out);
    }

    fn discovered(&mut self, stream: Stream) -> Option<StreamId> {
        // A session of a replay has the messages of all connections.
        let route = self.venue.route(self.market, &stream);
        self.core.add(stream, route)
    }

    fn reconnect(&mut self, reason: String) {
        self.out.reconnect(self.link, reason);
    }

    fn replace(&mut self, reason: &str) {
        if self.overlap.is_none() {
            self.replace.push((self.link, reason.to_owned()));
        }
    }
}
