//! Tests of the handshakes: both sides against each other for any split of the bytes, commands in any order, replays,
//! and boxes that were tampered with.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::commands::put_command;
use super::greeting::GREETING_LEN;
use super::*;
use crate::secret::Secret;

const LIMIT: usize = 1000;

fn pair(byte: u8) -> KeyPair {
    KeyPair::from_secret(SecretKey::from_bytes([byte; 32]))
}

fn entropy(byte: u8) -> Entropy {
    Entropy::from_bytes(&[byte; 144])
}

fn users() -> Users {
    Users::new(BTreeMap::from([("alice".to_owned(), Secret::new("right".to_owned()))]))
}

fn plain(password: &str) -> ClientSecurity {
    ClientSecurity::Plain { username: "alice".to_owned(), password: Secret::new(password.to_owned()) }
}

fn curve_server(allowed: &[PublicKey]) -> ServerSecurity {
    let allowed = AllowList::new(Clients::Listed(allowed.iter().copied().collect()));
    ServerSecurity::Curve { own: pair(1), allowed }
}

fn curve_client(server: u8, own: u8) -> ClientSecurity {
    ClientSecurity::Curve { server: pair(server).public(), own: pair(own) }
}

/// Both sides of each mechanism, fitting each other.
fn mechanisms() -> [(ServerSecurity, ClientSecurity); 3] {
    [
        (ServerSecurity::Null, ClientSecurity::Null),
        (ServerSecurity::Plain(users()), plain("right")),
        (curve_server(&[pair(2).public()]), curve_client(1, 2)),
    ]
}

fn serving(security: &ServerSecurity, random: u8) -> Handshake {
    Handshake::server(Role::PUBLISHER, LIMIT, security, entropy(random))
}

fn asking(security: &ClientSecurity, random: u8) -> Handshake {
    Handshake::client(Role::SUBSCRIBER, LIMIT, security, entropy(random))
}

/// What one side said: its greeting, then each of its commands.
#[derive(Debug, Default)]
struct Said {
    whole: Vec<u8>,
    commands: Vec<Vec<u8>>,
}

/// Lets both sides talk until nothing is left to say. The results are those of the server and of the client.
struct Talk {
    server: (Handshake, Said, Result<Option<Peer>, WireError>),
    client: (Handshake, Said, Result<Option<Peer>, WireError>),
}

fn talk(security: &ServerSecurity, client: &ClientSecurity) -> Talk {
    let side = |handshake: Handshake| {
        let whole = handshake.greeting().to_vec();
        (handshake, Said { whole, commands: Vec::new() }, Ok(None))
    };
    let (mut server, mut client) = (side(serving(security, 3)), side(asking(client, 4)));
    let (mut server_read, mut client_read) = (0, 0);
    loop {
        let before = server.1.whole.len() + client.1.whole.len();
        turn(&mut server, &client.1.whole, &mut server_read);
        turn(&mut client, &server.1.whole, &mut client_read);
        if server.1.whole.len() + client.1.whole.len() == before {
            return Talk { server, client };
        }
    }
}

fn turn(side: &mut (Handshake, Said, Result<Option<Peer>, WireError>), heard: &[u8], read: &mut usize) {
    if *read == heard.len() || !matches!(side.2, Ok(None)) {
        return;
    }
    let mut out = Vec::new();
    side.2 = side.0.step(&heard[*read..], &mut out);
    *read = heard.len();
    if !out.is_empty() {
        side.1.commands.push(out.clone());
        side.1.whole.extend(out);
    }
}

#[test]
fn both_sides_of_each_mechanism_understand_each_other() {
    for (server, client) in mechanisms() {
        let talk = talk(&server, &client);
        let key = matches!(server, ServerSecurity::Curve { .. }).then(|| pair(2).public());
        assert_eq!(talk.server.2, Ok(Some(Peer { minor: 1, key })), "{server:?}");
        assert_eq!(talk.client.2, Ok(Some(Peer { minor: 1, key: None })), "{server:?}");
    }
}

#[test]
fn wrong_credentials_end_both_sides_with_the_status_that_libzmq_knows() {
    let key = format!("client key {}", pair(2).public());
    for (server, client, denied, told) in [
        // The first byte of its own, as libzmq's PLAIN has it.
        (
            ServerSecurity::Plain(users()),
            plain("wrong"),
            "user `alice` or its password".to_owned(),
            b"\x04\x09^RROR\x03400",
        ),
        (curve_server(&[]), curve_client(1, 2), key, b"\x0a\x05ERROR\x03400"),
    ] {
        let talk = talk(&server, &client);
        assert_eq!(talk.server.2, Err(WireError::Denied(denied)));
        assert_eq!(talk.client.2, Err(WireError::Refused("400".to_owned())));
        assert!(talk.server.1.whole.ends_with(told));
    }
}

#[test]
fn a_wrong_server_key_is_told_from_a_refusal() {
    let talk = talk(&curve_server(&[pair(2).public()]), &curve_client(9, 2));
    assert!(matches!(talk.server.2, Err(WireError::Curve(text)) if text.contains("another server key")));
    assert_eq!((talk.client.2, talk.client.0.if_closed()), (Ok(None), WireError::ServerKey));
    // A server that closes only after INITIATE knew who we are.
    let mut client = asking(&curve_client(1, 2), 4);
    let said = self::talk(&curve_server(&[pair(2).public()]), &curve_client(1, 2)).server.1;
    let mut out = Vec::new();
    assert_eq!(client.if_closed(), WireError::Left);
    client.step(&said.whole[..GREETING_LEN], &mut out).unwrap();
    assert_eq!(client.if_closed(), WireError::ServerKey);
    client.step(&said.commands[0], &mut out).unwrap();
    assert_eq!(client.if_closed(), WireError::Refused(String::new()));
}

#[test]
fn handshakes_cannot_be_replayed() {
    let security = curve_server(&[pair(2).public()]);
    let said = talk(&security, &curve_client(1, 2)).client.1;
    // To a server with the same random bytes it is the same connection; to any other it is a replay.
    for (random, completes) in [(3, true), (5, false)] {
        let met = serving(&security, random).step(&said.whole, &mut Vec::new());
        let replayed = Err(WireError::Curve("INITIATE has another connection's cookie"));
        assert!(if completes { matches!(met, Ok(Some(_))) } else { met == replayed }, "{met:?}");
    }
}

#[test]
fn metadata_without_end_is_refused_before_it_is_held() {
    for (server, _) in mechanisms() {
        let mut handshake = serving(&server, 3);
        let mut bytes = handshake.greeting().to_vec();
        bytes.extend_from_slice(&[6, 0, 0, 0, 0, 0, 0, 0x10, 1]);
        assert!(matches!(handshake.step(&bytes, &mut Vec::new()), Err(WireError::TooLarge { length: 4097, .. })));
    }
}

/// An established CURVE connection: the client's encoder, and the server's decoder.
fn sealed() -> (Encoder, Decoder) {
    let talk = talk(&curve_server(&[pair(2).public()]), &curve_client(1, 2));
    (talk.client.0.into_codec().1, talk.server.0.into_codec().0)
}

fn seal(encoder: &mut Encoder, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.put_frame(&mut out, false, body);
    out
}

#[test]
fn sealed_frames_open_once_and_in_order() {
    let (mut encoder, mut decoder) = sealed();
    let [first, second, third] = [&b"one"[..], b"two", b"three"].map(|body| seal(&mut encoder, body));
    decoder.feed(&first);
    assert_eq!(decoder.next_frame(), Ok(Some(WireFrame { more: false, command: false, body: b"one" })));
    // A frame may be missing: TCP loses none, but a sender may think better of one.
    decoder.feed(&third);
    assert_eq!(decoder.next_frame().unwrap().unwrap().body, b"three");
    for replayed in [&third, &second, &first] {
        decoder.feed(replayed);
        assert_eq!(decoder.next_frame(), Err(WireError::Curve("a frame is out of order, or was sent twice")));
    }
}

#[test]
fn commands_are_sealed_too_and_nothing_else_passes() {
    let (mut encoder, mut decoder) = sealed();
    let mut out = Vec::new();
    encoder.put_ping(&mut out, 7);
    encoder.put_subscribe(&mut out, 1, b"trade.");
    encoder.put_subscribe(&mut out, 0, b"trade.");
    decoder.feed(&out);
    let ping = decoder.next_frame().unwrap().unwrap();
    assert!(ping.command);
    assert_eq!(parse_command(ping.body), Ok(Command::Ping { ttl_deciseconds: 7, context: b"" }));
    assert_eq!(parse_command(decoder.next_frame().unwrap().unwrap().body), Ok(Command::Subscribe(b"trade.")));
    let old = decoder.next_frame().unwrap().unwrap();
    assert_eq!((old.command, parse_subscription(old.body)), (false, Command::Subscribe(b"trade.")));
    let mut unsealed = Vec::new();
    put_ping(&mut unsealed, 0);
    decoder.feed(&unsealed);
    assert_eq!(decoder.next_frame(), Err(WireError::Curve("a frame is not sealed")));
}

#[test]
fn the_limit_is_that_of_the_frame_in_the_box() {
    let (mut encoder, mut decoder) = sealed();
    decoder.feed(&seal(&mut encoder, &[0; LIMIT]));
    assert_eq!(decoder.next_frame().unwrap().unwrap().body.len(), LIMIT);
    decoder.feed(&seal(&mut encoder, &[0; LIMIT + 1]));
    assert!(matches!(decoder.next_frame(), Err(WireError::TooLarge { .. })));
}

/// Feeds `bytes` in pieces of these sizes; the first result that is not "more, please".
fn in_pieces(handshake: &mut Handshake, bytes: &[u8], cuts: &[usize]) -> Result<Option<Peer>, WireError> {
    let mut rest = bytes;
    let mut cuts = cuts.iter().cycle();
    while !rest.is_empty() {
        let (head, tail) = rest.split_at(cuts.next().map_or(1, |cut| (*cut).min(rest.len())));
        let met = handshake.step(head, &mut Vec::new());
        if !matches!(met, Ok(None)) {
            return met;
        }
        rest = tail;
    }
    Ok(None)
}

proptest! {
    #[test]
    fn any_split_of_any_handshake_completes_it(cuts in proptest::collection::vec(1..200_usize, 1..20), which in 0..3_usize) {
        let (server, client) = &mechanisms()[which];
        let said = talk(server, client);
        let met = in_pieces(&mut serving(server, 3), &said.client.1.whole, &cuts);
        prop_assert_eq!(met, said.server.2);
        let met = in_pieces(&mut asking(client, 4), &said.server.1.whole, &cuts);
        prop_assert_eq!(met, said.client.2);
    }

    #[test]
    fn only_the_right_order_of_commands_completes_a_handshake(
        order in proptest::collection::vec(0..8_usize, 0..5),
        which in 0..3_usize,
    ) {
        let (server, client) = &mechanisms()[which];
        let said = talk(server, client);
        for (mut handshake, own, other) in
            [(serving(server, 3), &said.server.1, &said.client.1), (asking(client, 4), &said.client.1, &said.server.1)]
        {
            let mut commands = other.commands.clone();
            let right = commands.len();
            commands.extend(own.commands.iter().cloned());
            for (name, data) in [(&b"ERROR"[..], &b"\x03400"[..]), (b"PING", b"\0\0"), (b"MESSAGE", &[0; 40]), (b"HELLO", b"")] {
                let mut out = Vec::new();
                put_command(&mut out, name, &[data]);
                commands.push(out);
            }
            let mut bytes = other.whole[..GREETING_LEN].to_vec();
            order.iter().for_each(|at| bytes.extend_from_slice(&commands[at % commands.len()]));
            let met = handshake.step(&bytes, &mut Vec::new());
            // In NULL both say the same but for the type, and the own READY is of a type that does not fit.
            let in_order = order.iter().map(|at| at % commands.len()).take(right).eq(0..right);
            prop_assert_eq!(matches!(met, Ok(Some(_))), in_order, "{:?} {:?}", order, met);
        }
    }

    #[test]
    fn no_changed_byte_passes(at in 0..2000_usize, flip in 1..=255_u8) {
        let (server, client) = &mechanisms()[2];
        let said = talk(server, client).client.1;
        let mut bytes = said.whole.clone();
        let at = GREETING_LEN + at % (bytes.len() - GREETING_LEN);
        bytes[at] ^= flip;
        let met = serving(server, 3).step(&bytes, &mut Vec::new());
        // HELLO's padding means nothing: 72 bytes after the header, the name and the version.
        let padding = GREETING_LEN + 2 + 6 + 2..GREETING_LEN + 2 + 6 + 2 + 72;
        prop_assert_eq!(matches!(met, Ok(Some(_))), padding.contains(&at), "byte {}: {:?}", at, met);
    }

    #[test]
    fn sealed_frames_survive_any_split_and_no_change(
        bodies in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..600)), 1..6),
        cut in 1..300_usize,
        flip in proptest::option::of((any::<proptest::sample::Index>(), 1..=255_u8)),
    ) {
        let (mut encoder, mut decoder) = sealed();
        let mut bytes = Vec::new();
        bodies.iter().for_each(|(more, body)| encoder.put_frame(&mut bytes, *more, body));
        if let Some((at, flip)) = flip {
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
        }
        let mut seen = Vec::new();
        let ended = bytes.chunks(cut).find_map(|chunk| {
            decoder.feed(chunk);
            loop {
                match decoder.next_frame() {
                    Ok(Some(frame)) => seen.push((frame.more, frame.body.to_vec())),
                    Ok(None) => return None,
                    Err(error) => return Some(error),
                }
            }
        });
        if flip.is_none() {
            prop_assert_eq!(ended, None);
            prop_assert_eq!(&seen, &bodies);
        }
        // What opens is what was sealed, up to the change.
        prop_assert_eq!(&seen[..], &bodies[..seen.len()]);
    }

    #[test]
    fn garbage_never_completes_a_handshake(
        greeted in any::<bool>(),
        cut in 1..90_usize,
        data in proptest::collection::vec(any::<u8>(), 0..600),
    ) {
        for (server, client) in mechanisms() {
            for (mut handshake, other) in [
                (serving(&server, 3), asking(&client, 4)),
                (asking(&client, 4), serving(&server, 3)),
            ] {
                let mut bytes = if greeted { other.greeting().to_vec() } else { Vec::new() };
                bytes.extend_from_slice(&data);
                let met = in_pieces(&mut handshake, &bytes, &[cut]);
                prop_assert!(!matches!(met, Ok(Some(_))));
            }
        }
    }
}
