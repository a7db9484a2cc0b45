//! Who wishes which streams of a feed: a stream is left only when nobody wishes it any more. Pure.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::model::{BookDepth, Channel, Stream};

/// Wishes of one feed, over all its streams and owners.
const WISHES_MAX: usize = 200_000;

/// To whom a wish belongs.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owner {
    /// The config.
    Config,
    /// A client that has a name.
    Client(Arc<str>),
    /// A client without a name, by its connection.
    Connection(u64),
    /// A client without a name that is gone: any other without a name may take the wish back.
    Nobody,
}

/// What wishing for a stream met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wish {
    /// The owner had that wish already.
    Known,
    /// It is a new wish, with this number.
    New(u64),
}

/// What taking a wish back left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Left {
    /// Nobody wishes the stream, and nobody did.
    Nothing,
    /// So many others wish it.
    Others(usize),
    /// It was the last wish: the stream is to be left.
    Last,
}

/// Why a stream cannot be wished for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The same topics come of this stream of the feed.
    Instead(Stream),
    /// There are as many wishes as there may be.
    Full,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct OneWish {
    owner: Owner,
    number: u64,
}

/// The wishes of one feed.
#[derive(Clone, Debug, Default)]
pub struct Wished {
    streams: BTreeMap<Stream, Vec<OneWish>>,
    /// By what a stream publishes: books of every depth are one.
    places: HashMap<Stream, Stream>,
    wishes: usize,
    next: u64,
}

/// The same for all streams that would publish the same topics.
fn place(stream: &Stream) -> Stream {
    let channel = match stream.channel {
        Channel::Book(_) => Channel::Book(BookDepth::Full),
        other => other,
    };
    Stream::new(stream.symbol.clone(), channel)
}

impl Wished {
    /// Whether the stream may be wished for.
    ///
    /// # Errors
    /// What speaks against it.
    pub fn check(&self, stream: &Stream) -> Result<(), Refusal> {
        match self.places.get(&place(stream)) {
            Some(other) if other != stream => Err(Refusal::Instead(other.clone())),
            _ if self.wishes >= WISHES_MAX => Err(Refusal::Full),
            _ => Ok(()),
        }
    }

    /// Wishes for a stream.
    ///
    /// # Errors
    /// As [`Self::check`].
    pub fn wish(&mut self, stream: &Stream, owner: &Owner) -> Result<Wish, Refusal> {
        let known = self.streams.get(stream);
        if known.is_some_and(|wishes| wishes.iter().any(|wish| wish.owner == *owner)) {
            return Ok(Wish::Known);
        }
        self.check(stream)?;
        let wishes = self.streams.entry(stream.clone()).or_default();
        if wishes.is_empty() {
            self.places.insert(place(stream), stream.clone());
        }
        self.next += 1;
        wishes.push(OneWish { owner: owner.clone(), number: self.next });
        self.wishes += 1;
        Ok(Wish::New(self.next))
    }

    /// Takes an owner's wish back. Whoever has no name also takes back what belongs to nobody.
    pub fn unwish(&mut self, stream: &Stream, owner: &Owner) -> Left {
        let nameless = matches!(owner, Owner::Connection(_) | Owner::Nobody);
        self.remove(stream, |wish| wish.owner == *owner || (nameless && wish.owner == Owner::Nobody))
    }

    /// Takes back the wish with this number, if it is still there.
    pub fn drop_wish(&mut self, stream: &Stream, number: u64) -> Left {
        self.remove(stream, |wish| wish.number == number)
    }

    fn remove(&mut self, stream: &Stream, mut which: impl FnMut(&OneWish) -> bool) -> Left {
        let Some(wishes) = self.streams.get_mut(stream) else { return Left::Nothing };
        let before = wishes.len();
        wishes.retain(|wish| !which(wish));
        self.wishes -= before - wishes.len();
        if !wishes.is_empty() {
            return Left::Others(wishes.len());
        }
        self.streams.remove(stream);
        self.places.remove(&place(stream));
        Left::Last
    }

    /// A connection is gone: what it wished for belongs to nobody from now on.
    pub fn connection_ended(&mut self, connection: u64) {
        let ended = Owner::Connection(connection);
        for wishes in self.streams.values_mut() {
            let has_nobody = wishes.iter().any(|wish| wish.owner == Owner::Nobody);
            let before = wishes.len();
            if has_nobody {
                wishes.retain(|wish| wish.owner != ended);
            } else if let Some(wish) = wishes.iter_mut().find(|wish| wish.owner == ended) {
                wish.owner = Owner::Nobody;
            }
            self.wishes -= before - wishes.len();
        }
    }

    /// The streams that are wished for.
    pub fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.streams.keys()
    }

    /// The same in the order in which they were first wished for: raw texts may depend on it.
    pub fn streams_in_order(&self) -> Vec<Stream> {
        let first = |wishes: &[OneWish]| wishes.iter().map(|wish| wish.number).min();
        let mut streams: Vec<_> = self.streams.iter().map(|(stream, wishes)| (first(wishes), stream)).collect();
        streams.sort_unstable();
        streams.into_iter().map(|(_, stream)| stream.clone()).collect()
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.streams.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.streams.is_empty()
    }

    /// Whether somebody wishes for it.
    pub fn has(&self, stream: &Stream) -> bool {
        self.streams.contains_key(stream)
    }

    /// Whether a stream of the symbol is wished for.
    pub fn has_symbol(&self, symbol: &str) -> bool {
        self.of_symbol(symbol).next().is_some()
    }

    /// The streams of a symbol.
    pub fn of_symbol<'a>(&'a self, symbol: &'a str) -> impl Iterator<Item = (&'a Stream, Vec<&'a Owner>)> {
        let first = Stream { symbol: symbol.to_owned(), channel: Channel::Book(BookDepth::Levels(0)), variant: "" };
        let of_symbol = self.streams.range(first..).take_while(move |(stream, _)| stream.symbol == symbol);
        of_symbol.map(|(stream, wishes)| (stream, wishes.iter().map(|wish| &wish.owner).collect()))
    }

    /// Every stream with those who wish for it.
    pub fn all(&self) -> impl Iterator<Item = (&Stream, Vec<&Owner>)> {
        self.streams.iter().map(|(stream, wishes)| (stream, wishes.iter().map(|wish| &wish.owner).collect()))
    }
}

#[cfg(test)]
#[path = "wished_tests.rs"]
mod tests;
