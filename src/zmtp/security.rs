//! What each side of a connection demands and shows: nothing, a user name and password, or keys.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

use subtle::ConstantTimeEq;

use super::keys::{KeyPair, PublicKey};
use crate::secret::Secret;

/// What a connecting side shows, and expects of the server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum ClientSecurity {
    /// Nothing.
    #[default]
    Null,
    /// A user name and a password, readable by whoever listens on the way.
    Plain {
        /// At most 255 bytes.
        username: String,
        /// At most 255 bytes.
        password: Secret,
    },
    /// Keys; everything after the handshake is sealed.
    Curve {
        /// The server's key, which it must prove to have.
        server: PublicKey,
        /// Our keys.
        own: KeyPair,
    },
}

impl ClientSecurity {
    /// The mechanism's name in the greeting.
    pub const fn mechanism(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Plain { .. } => "PLAIN",
            Self::Curve { .. } => "CURVE",
        }
    }
}

/// What a listening side demands.
#[derive(Clone, Debug, Default)]
pub enum ServerSecurity {
    /// Nothing.
    #[default]
    Null,
    /// A user name with its password.
    Plain(Users),
    /// A key that is on the list; everything after the handshake is sealed.
    Curve {
        /// Our keys.
        own: KeyPair,
        /// Who may connect.
        allowed: AllowList,
    },
}

impl ServerSecurity {
    /// The mechanism's name in the greeting.
    pub const fn mechanism(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Plain(_) => "PLAIN",
            Self::Curve { .. } => "CURVE",
        }
    }

    /// Whether a peer with this key may stay. Keys that were taken off the list may not.
    pub fn still_allows(&self, key: Option<&PublicKey>) -> bool {
        match (self, key) {
            (Self::Curve { allowed, .. }, Some(key)) => allowed.allows(key),
            (Self::Curve { .. }, None) => false,
            _ => true,
        }
    }
}

/// User names and their passwords; clones share them.
#[derive(Clone)]
pub struct Users(Arc<BTreeMap<String, Secret>>);

impl Users {
    /// These users. Names and passwords of more than 255 bytes can never be shown by a client.
    pub fn new(users: BTreeMap<String, Secret>) -> Self {
        Self(Arc::new(users))
    }

    /// Whether it is this user's password. How long it takes does not tell whether there is such a user, nor how much of
    /// the password is right.
    pub(super) fn accept(&self, name: &[u8], password: &[u8]) -> bool {
        let known = std::str::from_utf8(name).ok().and_then(|name| self.0.get(name));
        let expected = known.map_or(&b""[..], |secret| secret.reveal().as_bytes());
        bool::from(expected.ct_eq(password)) && known.is_some()
    }
}

impl fmt::Debug for Users {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

/// Who may connect with CURVE.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Clients {
    /// Whoever knows the server's public key.
    Any,
    /// Those with one of these keys.
    Listed(BTreeSet<PublicKey>),
}

/// What a change of the list did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListChange {
    /// Keys that may connect now and could not before.
    pub added: Vec<PublicKey>,
    /// Keys that could connect before and may not any more.
    pub removed: Vec<PublicKey>,
}

/// Who may connect with CURVE: shared, and to be changed while connections are open.
#[derive(Clone, Debug)]
pub struct AllowList(Arc<RwLock<Clients>>);

impl AllowList {
    /// A list of these.
    pub fn new(clients: Clients) -> Self {
        Self(Arc::new(RwLock::new(clients)))
    }

    /// Whether a client with this key may connect.
    pub fn allows(&self, key: &PublicKey) -> bool {
        match &*self.0.read().unwrap_or_else(PoisonError::into_inner) {
            Clients::Any => true,
            Clients::Listed(keys) => keys.contains(key),
        }
    }

    /// Allows these from now on, and tells what changed between two lists of keys.
    pub fn replace(&self, clients: Clients) -> ListChange {
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        let none = BTreeSet::new();
        let keys = |of: &Clients| match of {
            Clients::Any => none.clone(),
            Clients::Listed(keys) => keys.clone(),
        };
        let (old, new) = (keys(&current), keys(&clients));
        *current = clients;
        ListChange { added: new.difference(&old).copied().collect(), removed: old.difference(&new).copied().collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_checked_whole() {
        let users = Users::new(BTreeMap::from([("alice".to_owned(), Secret::new("right".to_owned()))]));
        assert!(users.accept(b"alice", b"right"));
        for (name, password) in
            [("alice", "righ"), ("alice", "right "), ("alice", ""), ("bob", "right"), ("bob", ""), ("", "")]
        {
            assert!(!users.accept(name.as_bytes(), password.as_bytes()), "{name} {password}");
        }
        assert!(!users.accept(b"\xff", b""));
        assert_eq!(format!("{users:?}"), "{\"alice\"}");
    }

    #[test]
    fn a_list_is_shared_and_tells_what_changed() {
        let [a, b, c] = [1, 2, 3].map(|byte| PublicKey([byte; 32]));
        let list = AllowList::new(Clients::Listed([a, b].into()));
        let security = ServerSecurity::Curve { own: KeyPair::generate().unwrap(), allowed: list.clone() };
        assert!(security.still_allows(Some(&a)) && !security.still_allows(Some(&c)) && !security.still_allows(None));
        let change = list.replace(Clients::Listed([b, c].into()));
        assert_eq!(change, ListChange { added: vec![c], removed: vec![a] });
        assert!(!security.still_allows(Some(&a)) && security.still_allows(Some(&c)));
        list.replace(Clients::Any);
        assert!(security.still_allows(Some(&a)));
        assert!(ServerSecurity::Null.still_allows(None));
    }
}
