//! Arbitrary bytes through every handshake and the decoder, as a connection would meet them. For fuzzing: nothing may
//! panic, nor hold more than it was fed.

use std::collections::BTreeMap;

use super::{
    AllowList, ClientSecurity, Clients, Decoder, Entropy, Handshake, KeyPair, Role, SecretKey, ServerSecurity, Users,
    parse_command, parse_subscription,
};
use crate::secret::Secret;

const LIMIT: usize = 4096;

/// The first byte chooses how the others are split.
pub fn fuzz_decode(data: &[u8]) {
    let Some((&split, data)) = data.split_first() else { return };
    let chunk = usize::from(split).max(1);
    for handshake in handshakes() {
        fuzz_handshake(handshake, data.chunks(chunk));
    }
    fuzz_frames(Decoder::new(LIMIT), data.chunks(chunk));
}

/// Both sides with every mechanism; keys and randomness are always the same, so that a corpus stays worth something.
fn handshakes() -> Vec<Handshake> {
    let pair = |byte| KeyPair::from_secret(SecretKey::from_bytes([byte; 32]));
    let entropy = |byte: u8| Entropy::from_bytes(&[byte; 144]);
    let users = Users::new(BTreeMap::from([("alice".to_owned(), Secret::new("secret".to_owned()))]));
    let servers = [
        ServerSecurity::Null,
        ServerSecurity::Plain(users),
        ServerSecurity::Curve { own: pair(1), allowed: AllowList::new(Clients::Any) },
    ];
    let clients = [
        ClientSecurity::Null,
        ClientSecurity::Plain { username: "alice".to_owned(), password: Secret::new("secret".to_owned()) },
        ClientSecurity::Curve { server: pair(1).public(), own: pair(2) },
    ];
    let listening = servers.iter().flat_map(|security| {
        [Role::PUBLISHER, Role::REPLIER].map(|role| Handshake::server(role, LIMIT, security, entropy(3)))
    });
    let connecting = clients.iter().flat_map(|security| {
        [Role::SUBSCRIBER, Role::DEALER].map(|role| Handshake::client(role, LIMIT, security, entropy(4)))
    });
    listening.chain(connecting).collect()
}

fn fuzz_handshake<'a>(mut handshake: Handshake, mut chunks: impl Iterator<Item = &'a [u8]>) {
    let mut out = Vec::new();
    let met = chunks.by_ref().find_map(|bytes| handshake.step(bytes, &mut out).transpose());
    if matches!(met, Some(Ok(_))) {
        let (decoder, mut encoder) = handshake.into_codec();
        encoder.put_frame(&mut out, false, b"frame");
        fuzz_frames(decoder, chunks);
    }
}

fn fuzz_frames<'a>(mut decoder: Decoder, chunks: impl Iterator<Item = &'a [u8]>) {
    // The empty chunk first: frames that came together with the handshake's end.
    for bytes in std::iter::once(&[][..]).chain(chunks) {
        decoder.feed(bytes);
        loop {
            match decoder.next_frame() {
                Ok(Some(frame)) if frame.command => drop(parse_command(frame.body)),
                Ok(Some(frame)) => drop(parse_subscription(frame.body)),
                Ok(None) => break,
                Err(_) => return,
            }
        }
    }
}
