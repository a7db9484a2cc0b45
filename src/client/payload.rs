//! A payload as JSON text, whichever of the two encodings it came in.

use std::borrow::Cow;

use thiserror::Error;

use super::msgpack::{self, MsgpackError};

/// Why a frame cannot be understood.
#[derive(Debug, Error)]
pub enum DecodeError {
    /// Not the two parts `[topic][payload]`.
    #[error("frame has {0} parts instead of topic and payload")]
    Parts(usize),
    /// The topic is not UTF-8.
    #[error("topic is not UTF-8")]
    Topic,
    /// The payload has no bytes.
    #[error("payload is empty")]
    Empty,
    /// The payload begins like JSON but is none, or a field has another type than WIRE says.
    #[error("payload is not valid: {0}")]
    Json(#[from] serde_json::Error),
    /// The payload begins like JSON but is not UTF-8.
    #[error("payload is not UTF-8")]
    Utf8,
    /// The payload does not begin with `{` and is not MessagePack either.
    #[error("payload is neither JSON nor MessagePack: {0}")]
    Msgpack(#[from] MsgpackError),
}

/// The payload as JSON text: itself when it begins with `{`, else decoded as MessagePack.
///
/// # Errors
/// [`DecodeError`]. JSON itself is not checked here but where its fields are read.
pub fn as_json(payload: &[u8]) -> Result<Cow<'_, str>, DecodeError> {
    match payload.first() {
        None => Err(DecodeError::Empty),
        Some(b'{') => std::str::from_utf8(payload).map(Cow::Borrowed).map_err(|_| DecodeError::Utf8),
        Some(_) => Ok(Cow::Owned(msgpack::to_json(payload)?)),
    }
}
