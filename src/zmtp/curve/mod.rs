//! CURVE (RFC 26): each side proves its long-term key, and frames are sealed with keys of this connection alone.
//! The boxes themselves (X25519, XSalsa20, Poly1305) are the crate `crypto_box`'s.

mod client;
mod server;

use std::fmt;
use std::sync::Arc;

use crypto_box::aead::AeadInPlace;
use crypto_box::aead::generic_array::GenericArray;
use crypto_box::{SalsaBox, Tag};
use zeroize::Zeroizing;

pub(super) use client::Client;
pub(super) use server::Server;

use super::codec::{MORE, put_flags_and_length};
use super::keys::{PublicKey, SecretKey};
use super::{WireError, WireFrame};

/// Bytes of a box's proof, before what it seals.
const TAG: usize = 16;
/// What a sealed frame begins with; the short nonce follows.
const MESSAGE: &[u8; 8] = b"\x07MESSAGE";
const SHORT_NONCE: usize = 8;
/// Bytes that a sealed frame is longer than what is in it: the name, the nonce, the proof and the flags.
pub(super) const SEALED_EXTRA: usize = MESSAGE.len() + SHORT_NONCE + TAG + 1;
/// Flags within the box. Unlike those of a plain frame, 2 means a command.
const INNER_COMMAND: u8 = 0x02;

const NONCE_CLIENT: &[u8; 16] = b"CurveZMQMESSAGEC";
const NONCE_SERVER: &[u8; 16] = b"CurveZMQMESSAGES";
const NONCE_HELLO: &[u8; 16] = b"CurveZMQHELLO---";
const NONCE_INITIATE: &[u8; 16] = b"CurveZMQINITIATE";
const NONCE_READY: &[u8; 16] = b"CurveZMQREADY---";
const NONCE_WELCOME: &[u8; 8] = b"WELCOME-";
const NONCE_VOUCH: &[u8; 8] = b"VOUCH---";

/// Bytes of the cookie, which only the server that made it understands.
const COOKIE: usize = 96;
/// Bytes of a vouch: a long nonce, and a sealed short-term key and server key.
const VOUCH: usize = 16 + TAG + 64;

/// The random bytes of one handshake: an input, so that tests and fuzzing repeat themselves.
#[derive(Clone)]
pub struct Entropy {
    /// The secret key of this connection.
    secret: SecretKey,
    /// The long nonce: WELCOME's, or the vouch's.
    nonce: [u8; 16],
    cookie: [u8; COOKIE],
}

impl Entropy {
    /// From the system.
    ///
    /// # Errors
    /// [`super::KeyError::Random`].
    pub fn from_system() -> Result<Self, super::KeyError> {
        let mut bytes = Zeroizing::new([0; 32 + 16 + COOKIE]);
        getrandom::fill(&mut *bytes).map_err(|_| super::KeyError::Random)?;
        Ok(Self::from_bytes(&bytes))
    }

    /// From these bytes, which must never be used twice.
    pub fn from_bytes(bytes: &[u8; 32 + 16 + COOKIE]) -> Self {
        let (mut secret, mut nonce, mut cookie) = ([0; 32], [0; 16], [0; COOKIE]);
        secret.copy_from_slice(&bytes[..32]);
        nonce.copy_from_slice(&bytes[32..48]);
        cookie.copy_from_slice(&bytes[48..]);
        Self { secret: SecretKey::from_bytes(secret), nonce, cookie }
    }
}

impl fmt::Debug for Entropy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Entropy(…)")
    }
}

/// Seals the frames that this side sends.
pub(super) struct Sealer {
    cipher: Arc<SalsaBox>,
    prefix: &'static [u8; 16],
    next: u64,
}

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sealer(next {})", self.next)
    }
}

impl Sealer {
    /// Appends a sealed message frame.
    pub(super) fn seal_message(&mut self, out: &mut Vec<u8>, more: bool, body: &[u8]) {
        self.seal(out, if more { MORE } else { 0 }, body);
    }

    /// Appends a sealed command. As in libzmq it travels as a message: only the flags in the box say what it is.
    pub(super) fn seal_command(&mut self, out: &mut Vec<u8>, body: &[u8]) {
        self.seal(out, INNER_COMMAND, body);
    }

    fn seal(&mut self, out: &mut Vec<u8>, flags: u8, body: &[u8]) {
        put_flags_and_length(out, 0, SEALED_EXTRA + body.len());
        out.extend_from_slice(MESSAGE);
        out.extend_from_slice(&self.next.to_be_bytes());
        let tag_at = out.len();
        out.extend_from_slice(&[0; TAG]);
        out.push(flags);
        out.extend_from_slice(body);
        let nonce = short_nonce(self.prefix, self.next);
        // 2^64 frames are never sent: the counter cannot come round.
        self.next += 1;
        let (head, sealed) = out.split_at_mut(tag_at + TAG);
        seal_in_place(&self.cipher, &nonce, sealed, &mut head[tag_at..]);
    }
}

/// Opens the frames that the other side sends.
pub(super) struct Opener {
    cipher: Arc<SalsaBox>,
    prefix: &'static [u8; 16],
    last: u64,
}

impl fmt::Debug for Opener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Opener(last {})", self.last)
    }
}

impl Opener {
    /// Opens a frame in its place. The outer flags mean nothing: those in the box are proven.
    pub(super) fn open<'a>(&mut self, body: &'a mut [u8]) -> Result<WireFrame<'a>, WireError> {
        if !body.starts_with(MESSAGE) {
            return Err(WireError::Curve("a frame is not sealed"));
        }
        let (nonce, sealed) = body[MESSAGE.len()..].split_first_chunk_mut::<SHORT_NONCE>().ok_or(WireError::Command)?;
        let nonce = u64::from_be_bytes(*nonce);
        if nonce <= self.last {
            return Err(WireError::Curve("a frame is out of order, or was sent twice"));
        }
        let (tag, content) = sealed.split_first_chunk_mut::<TAG>().ok_or(WireError::Command)?;
        let full = short_nonce(self.prefix, nonce);
        open_in_place(&self.cipher, &full, content, tag).ok_or(WireError::Curve("a frame does not open"))?;
        self.last = nonce;
        let (flags, body) = content.split_first().ok_or(WireError::Command)?;
        Ok(WireFrame { more: flags & MORE != 0, command: flags & INNER_COMMAND != 0, body })
    }
}

/// Both directions of an established connection.
pub(super) type Session = (Box<Sealer>, Box<Opener>);

/// How both directions of a connection are sealed, once its keys are known. The short nonces go on from those of the
/// handshake.
fn session(theirs: &PublicKey, own: &SecretKey, as_server: bool, next: u64, last: u64) -> Session {
    let cipher = Arc::new(cipher(theirs, own));
    let (ours, peers) = if as_server { (NONCE_SERVER, NONCE_CLIENT) } else { (NONCE_CLIENT, NONCE_SERVER) };
    let sealer = Sealer { cipher: Arc::clone(&cipher), prefix: ours, next };
    (Box::new(sealer), Box::new(Opener { cipher, prefix: peers, last }))
}

fn cipher(theirs: &PublicKey, own: &SecretKey) -> SalsaBox {
    SalsaBox::new(&crypto_box::PublicKey::from(theirs.0), &own.for_box())
}

fn short_nonce(prefix: &[u8; 16], number: u64) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[..16].copy_from_slice(prefix);
    nonce[16..].copy_from_slice(&number.to_be_bytes());
    nonce
}

fn long_nonce(prefix: &[u8; 8], random: &[u8; 16]) -> [u8; 24] {
    let mut nonce = [0; 24];
    nonce[..8].copy_from_slice(prefix);
    nonce[8..].copy_from_slice(random);
    nonce
}

fn seal_in_place(cipher: &SalsaBox, nonce: &[u8; 24], content: &mut [u8], tag: &mut [u8]) {
    // It fails only for more bytes than a machine has.
    if let Ok(made) = cipher.encrypt_in_place_detached(GenericArray::from_slice(nonce), b"", content) {
        tag.copy_from_slice(&made);
    }
}

fn open_in_place(cipher: &SalsaBox, nonce: &[u8; 24], content: &mut [u8], tag: &[u8; TAG]) -> Option<()> {
    cipher.decrypt_in_place_detached(GenericArray::from_slice(nonce), b"", content, Tag::from_slice(tag)).ok()
}

/// A whole box: the proof, and then the sealed content.
fn seal_box(cipher: &SalsaBox, nonce: &[u8; 24], parts: &[&[u8]]) -> Vec<u8> {
    let mut sealed = vec![0; TAG];
    parts.iter().for_each(|part| sealed.extend_from_slice(part));
    let (tag, content) = sealed.split_at_mut(TAG);
    seal_in_place(cipher, nonce, content, tag);
    sealed
}

/// What is in a whole box, if it opens.
fn open_box(cipher: &SalsaBox, nonce: &[u8; 24], sealed: &[u8]) -> Option<Zeroizing<Vec<u8>>> {
    let (tag, content) = sealed.split_first_chunk::<TAG>()?;
    let mut content = Zeroizing::new(content.to_vec());
    open_in_place(cipher, nonce, &mut content, tag)?;
    Some(content)
}

/// Takes `N` bytes off the front.
fn take<'a, const N: usize>(rest: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(head)
}
