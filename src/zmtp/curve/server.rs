//! The listening side of CURVE. What it knows of a client before INITIATE lives and ends with the connection, whose
//! number and time the caller bounds; so the cookie is only a random text that the client must return.

use subtle::ConstantTimeEq;

use super::{
    COOKIE, Entropy, NONCE_HELLO, NONCE_INITIATE, NONCE_READY, NONCE_VOUCH, NONCE_WELCOME, Session, VOUCH, cipher,
    long_nonce, open_box, seal_box, session, short_nonce, take,
};
use crate::zmtp::WireError;
use crate::zmtp::commands::{expect_command, put_command};
use crate::zmtp::keys::{KeyPair, PublicKey};

/// READY's short nonce; those of messages follow.
const READY_NONCE: u64 = 1;

/// A handshake on its way.
#[derive(Debug)]
pub(in crate::zmtp) struct Server {
    own: KeyPair,
    /// The keys of this connection alone.
    short: KeyPair,
    entropy: Entropy,
    /// The client's key of this connection, from HELLO.
    client_short: Option<PublicKey>,
}

/// What INITIATE proved.
pub(in crate::zmtp) struct Initiated {
    /// The client's long-term key, which may or may not be allowed.
    pub(in crate::zmtp) client: PublicKey,
    /// Its metadata.
    pub(in crate::zmtp) metadata: Vec<u8>,
    client_short: PublicKey,
    nonce: u64,
}

impl Server {
    pub(in crate::zmtp) fn new(own: KeyPair, entropy: Entropy) -> Self {
        Self { own, short: KeyPair::from_secret(entropy.secret.clone()), entropy, client_short: None }
    }

    /// Takes HELLO and appends WELCOME, or takes INITIATE and returns what it proved.
    pub(in crate::zmtp) fn take(&mut self, body: &[u8], out: &mut Vec<u8>) -> Result<Option<Initiated>, WireError> {
        match self.client_short {
            None => {
                let client_short = self.hello(expect_command(body, "HELLO")?)?;
                self.client_short = Some(client_short);
                self.welcome(&client_short, out);
                Ok(None)
            }
            Some(client_short) => self.initiate(client_short, expect_command(body, "INITIATE")?).map(Some),
        }
    }

    /// Appends READY with our metadata, and returns the session.
    pub(in crate::zmtp) fn ready(&self, initiated: &Initiated, metadata: &[u8], out: &mut Vec<u8>) -> Session {
        let cipher = cipher(&initiated.client_short, self.short.secret());
        let sealed = seal_box(&cipher, &short_nonce(NONCE_READY, READY_NONCE), &[metadata]);
        put_command(out, b"READY", &[&READY_NONCE.to_be_bytes(), &sealed]);
        session(&initiated.client_short, self.short.secret(), true, READY_NONCE + 1, initiated.nonce)
    }

    /// The client's short-term key. It proves that it knows its secret and means our key.
    fn hello(&self, mut data: &[u8]) -> Result<PublicKey, WireError> {
        let version = take::<2>(&mut data).ok_or(WireError::Command)?;
        if *version != [1, 0] {
            return Err(WireError::Curve("HELLO is not of version 1.0"));
        }
        take::<72>(&mut data).ok_or(WireError::Command)?;
        let short = PublicKey(*take::<32>(&mut data).ok_or(WireError::Command)?);
        let nonce = u64::from_be_bytes(*take::<8>(&mut data).ok_or(WireError::Command)?);
        let opened = open_box(&cipher(&short, self.own.secret()), &short_nonce(NONCE_HELLO, nonce), data);
        let proof = opened.ok_or(WireError::Curve("HELLO does not open: the client expects another server key"))?;
        if proof[..] == [0; 64] { Ok(short) } else { Err(WireError::Command) }
    }

    fn welcome(&self, client_short: &PublicKey, out: &mut Vec<u8>) {
        let nonce = long_nonce(NONCE_WELCOME, &self.entropy.nonce);
        let content: [&[u8]; 2] = [&self.short.public().0, &self.entropy.cookie];
        let sealed = seal_box(&cipher(client_short, self.own.secret()), &nonce, &content);
        put_command(out, b"WELCOME", &[&self.entropy.nonce, &sealed]);
    }

    fn initiate(&self, client_short: PublicKey, mut data: &[u8]) -> Result<Initiated, WireError> {
        let cookie = take::<COOKIE>(&mut data).ok_or(WireError::Command)?;
        if !bool::from(cookie.ct_eq(&self.entropy.cookie)) {
            return Err(WireError::Curve("INITIATE has another connection's cookie"));
        }
        let nonce = u64::from_be_bytes(*take::<8>(&mut data).ok_or(WireError::Command)?);
        let opened = open_box(&cipher(&client_short, self.short.secret()), &short_nonce(NONCE_INITIATE, nonce), data);
        let content = opened.ok_or(WireError::Curve("INITIATE does not open"))?;
        let mut content = &content[..];
        let client = PublicKey(*take::<32>(&mut content).ok_or(WireError::Command)?);
        let vouch = take::<VOUCH>(&mut content).ok_or(WireError::Command)?;
        self.check_vouch(&client, &client_short, vouch)?;
        Ok(Initiated { client, metadata: content.to_vec(), client_short, nonce })
    }

    /// The long-term key vouches for the short-term key, towards this server and no other.
    fn check_vouch(&self, client: &PublicKey, short: &PublicKey, mut vouch: &[u8]) -> Result<(), WireError> {
        let nonce = take::<16>(&mut vouch).ok_or(WireError::Command)?;
        let opened = open_box(&cipher(client, self.short.secret()), &long_nonce(NONCE_VOUCH, nonce), vouch);
        let vouched = opened.ok_or(WireError::Curve("the vouch does not open"))?;
        if vouched[..] == [short.0, self.own.public().0].concat() {
            Ok(())
        } else {
            Err(WireError::Curve("the vouch is for another connection"))
        }
    }
}
