//! What a session signs in with.

use crate::secret::Secret;

/// An API key of a venue.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// The key's name at the venue. It is sent in the clear, but printed nowhere all the same.
    pub key: Secret,
    /// What requests are signed with.
    pub secret: Secret,
    /// The key's passphrase, for venues that have one (OKX).
    pub passphrase: Option<Secret>,
}
