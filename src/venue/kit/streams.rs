//! The streams of one connection, by the feed's ids.

use crate::model::{Stream, StreamId};

/// The streams. Ids are small numbers that the feed gives out, so that a list is their table.
#[derive(Clone, Debug, Default)]
pub struct Streams(Vec<Option<Stream>>);

impl Streams {
    /// The stream with this id.
    #[inline]
    pub fn get(&self, id: StreamId) -> Option<&Stream> {
        self.0.get(id.0 as usize)?.as_ref()
    }

    /// Adds a stream, in the place of what had this id before.
    pub fn insert(&mut self, id: StreamId, stream: Stream) {
        let at = id.0 as usize;
        if at >= self.0.len() {
            self.0.resize(at + 1, None);
        }
        if let Some(place) = self.0.get_mut(at) {
            *place = Some(stream);
        }
    }

    /// Takes a stream away.
    pub fn remove(&mut self, id: StreamId) -> Option<Stream> {
        self.0.get_mut(id.0 as usize)?.take()
    }

    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = (StreamId, &Stream)> {
        (0..).map(StreamId).zip(&self.0).filter_map(|(id, stream)| Some((id, stream.as_ref()?)))
    }
}
