//! The connecting side of CURVE: HELLO, WELCOME, INITIATE, READY.

use super::{
    COOKIE, Entropy, NONCE_HELLO, NONCE_INITIATE, NONCE_READY, NONCE_VOUCH, NONCE_WELCOME, Session, cipher, long_nonce,
    open_box, seal_box, session, short_nonce, take,
};
use crate::zmtp::WireError;
use crate::zmtp::commands::{expect_command, put_command};
use crate::zmtp::keys::{KeyPair, PublicKey};

/// Short nonces: each is used once in the connection.
const HELLO_NONCE: u64 = 1;
const INITIATE_NONCE: u64 = 2;

/// A handshake on its way.
#[derive(Debug)]
pub(in crate::zmtp) struct Client {
    server: PublicKey,
    own: KeyPair,
    /// The keys of this connection alone.
    short: KeyPair,
    entropy: Entropy,
    /// The server's key of this connection, from WELCOME.
    server_short: Option<PublicKey>,
}

impl Client {
    pub(in crate::zmtp) fn new(server: PublicKey, own: KeyPair, entropy: Entropy) -> Self {
        Self { server, own, short: KeyPair::from_secret(entropy.secret.clone()), entropy, server_short: None }
    }

    /// Whether the server has our long-term key by now.
    pub(in crate::zmtp) const fn has_introduced_itself(&self) -> bool {
        self.server_short.is_some()
    }

    /// Appends HELLO: version 1.0, padding against amplification, our short-term key, and a proof that we have its
    /// secret, which only the server that we mean can check.
    pub(in crate::zmtp) fn hello(&self, out: &mut Vec<u8>) {
        let nonce = short_nonce(NONCE_HELLO, HELLO_NONCE);
        let proof = seal_box(&cipher(&self.server, self.short.secret()), &nonce, &[&[0; 64]]);
        let public = self.short.public().0;
        put_command(out, b"HELLO", &[&[1, 0], &[0; 72], &public, &HELLO_NONCE.to_be_bytes(), &proof]);
    }

    /// Takes WELCOME and appends INITIATE, or takes READY and returns the server's metadata and the session.
    pub(in crate::zmtp) fn take(
        &mut self,
        body: &[u8],
        metadata: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<Option<(Vec<u8>, Session)>, WireError> {
        let Some(server_short) = self.server_short else {
            let data = expect_command(body, "WELCOME")?;
            let cookie = self.welcome(data)?;
            self.initiate(&cookie, metadata, out);
            return Ok(None);
        };
        let mut data = expect_command(body, "READY")?;
        let nonce = take::<8>(&mut data).ok_or(WireError::Command)?;
        let last = u64::from_be_bytes(*nonce);
        let opened = open_box(&cipher(&server_short, self.short.secret()), &short_nonce(NONCE_READY, last), data);
        let metadata = opened.ok_or(WireError::Curve("READY does not open"))?;
        let session = session(&server_short, self.short.secret(), false, INITIATE_NONCE + 1, last);
        Ok(Some((metadata.to_vec(), session)))
    }

    /// Opens WELCOME: its cookie. Only the server with the key that we expect can have sealed it.
    fn welcome(&mut self, mut data: &[u8]) -> Result<[u8; COOKIE], WireError> {
        let nonce = take::<16>(&mut data).ok_or(WireError::Command)?;
        let nonce = long_nonce(NONCE_WELCOME, nonce);
        let content = open_box(&cipher(&self.server, self.short.secret()), &nonce, data).ok_or(WireError::ServerKey)?;
        let mut content = &content[..];
        let short = take::<32>(&mut content).ok_or(WireError::Command)?;
        let cookie = take::<COOKIE>(&mut content).filter(|_| content.is_empty()).ok_or(WireError::Command)?;
        self.server_short = Some(PublicKey(*short));
        Ok(*cookie)
    }

    /// Appends INITIATE: the cookie, our long-term key, its vouch for the short-term key, and our metadata.
    fn initiate(&self, cookie: &[u8; COOKIE], metadata: &[u8], out: &mut Vec<u8>) {
        let Some(server_short) = self.server_short else { return };
        let vouch_nonce = long_nonce(NONCE_VOUCH, &self.entropy.nonce);
        let vouched: [&[u8]; 2] = [&self.short.public().0, &self.server.0];
        let vouch = seal_box(&cipher(&server_short, self.own.secret()), &vouch_nonce, &vouched);
        let content: [&[u8]; 4] = [&self.own.public().0, &self.entropy.nonce, &vouch, metadata];
        let nonce = short_nonce(NONCE_INITIATE, INITIATE_NONCE);
        let sealed = seal_box(&cipher(&server_short, self.short.secret()), &nonce, &content);
        put_command(out, b"INITIATE", &[cookie, &INITIATE_NONCE.to_be_bytes(), &sealed]);
    }
}
