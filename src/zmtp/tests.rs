//! Tests of the ZMTP codec: real greetings, limits before allocation, any split of the bytes, any garbage.

use proptest::prelude::*;

use super::codec::{COMMAND, LONG};
use super::commands::{put_command, type_and_identity};
use super::greeting::greeting;
use super::*;

fn ready(kind: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut metadata = b"\x08Identity\x00\x00\x00\x00\x0bsocket-type\x00\x00\x00".to_vec();
    metadata.push(u8::try_from(kind.len()).unwrap());
    metadata.extend_from_slice(kind.as_bytes());
    put_command(&mut bytes, b"READY", &[&metadata]);
    bytes
}

fn hello(minor: u8, kind: &str) -> Vec<u8> {
    let mut bytes = greeting("NULL", false).to_vec();
    bytes[11] = minor;
    bytes.extend(ready(kind));
    bytes
}

fn entropy(byte: u8) -> Entropy {
    Entropy::from_bytes(&[byte; 144])
}

fn null(role: Role) -> Handshake {
    Handshake::server(role, 1000, &ServerSecurity::Null, entropy(1))
}

fn meet(role: Role, bytes: &[u8]) -> (Result<Option<Peer>, WireError>, Vec<u8>) {
    let mut out = Vec::new();
    (null(role).step(bytes, &mut out), out)
}

#[test]
fn handshakes_of_both_minor_versions_are_accepted_bytewise() {
    for (minor, kind, role) in [
        (0, "SUB", Role::PUBLISHER),
        (1, "XSUB", Role::PUBLISHER),
        (1, "REQ", Role::REPLIER),
        (1, "DEALER", Role::REPLIER),
    ] {
        let mut handshake = null(role);
        let mut out = Vec::new();
        let bytes = hello(minor, kind);
        for (at, byte) in bytes.iter().enumerate() {
            let met = handshake.step(&[*byte], &mut out).unwrap();
            assert_eq!(met, (at + 1 == bytes.len()).then_some(Peer { minor, key: None }), "{kind} at byte {at}");
        }
        let mut decoder = Decoder::new(100);
        decoder.feed(&out);
        let frame = decoder.next_frame().unwrap().unwrap();
        let Command::Ready(properties) = parse_command(frame.body).unwrap() else { panic!("no READY: {frame:?}") };
        assert_eq!(type_and_identity(properties), Ok((role.name().as_bytes(), &b""[..])));
    }
}

#[test]
fn frames_sent_with_the_handshake_are_not_lost() {
    let mut bytes = hello(0, "SUB");
    put_frame(&mut bytes, false, b"\x01trade.");
    let mut handshake = null(Role::PUBLISHER);
    assert!(handshake.step(&bytes, &mut Vec::new()).unwrap().is_some());
    let mut decoder = handshake.into_codec().0;
    assert_eq!(parse_subscription(decoder.next_frame().unwrap().unwrap().body), Command::Subscribe(b"trade."));
}

#[test]
fn strangers_are_refused_at_the_first_wrong_byte() {
    assert_eq!(meet(Role::PUBLISHER, b"G").0, Err(WireError::NotZmtp));
    assert_eq!(meet(Role::PUBLISHER, b"\x16\x03\x01\x02").0, Err(WireError::NotZmtp));
    assert_eq!(meet(Role::PUBLISHER, &[0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0]).0, Err(WireError::NotZmtp));
    assert_eq!(meet(Role::PUBLISHER, &[0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 1]).0, Err(WireError::OldVersion(1)));
    let theirs = "CURVE".to_owned();
    let curve = greeting("CURVE", false);
    assert_eq!(meet(Role::PUBLISHER, &curve).0, Err(WireError::Mechanism { ours: "NULL", theirs }));
    let mut message = greeting("NULL", false).to_vec();
    put_frame(&mut message, false, b"\x01");
    assert_eq!(meet(Role::PUBLISHER, &message).0, Err(WireError::Expected("a command")));
}

#[test]
fn a_socket_of_the_wrong_type_is_told_why() {
    let (met, out) = meet(Role::PUBLISHER, &hello(1, "PULL"));
    assert_eq!(met, Err(WireError::SocketType("PULL".into())));
    assert!(out.windows(6).any(|bytes| bytes == b"\x05ERROR"), "{out:?}");
    assert_eq!(meet(Role::REPLIER, &hello(1, "SUB")).0, Err(WireError::SocketType("SUB".into())));
}

#[test]
fn lengths_are_checked_before_anything_is_held() {
    for length in [1001, 1 << 40, u64::MAX] {
        let mut decoder = Decoder::new(1000);
        decoder.feed(&[LONG]);
        decoder.feed(&length.to_be_bytes());
        assert_eq!(decoder.next_frame(), Err(WireError::TooLarge { length, limit: 1000 }));
        assert!(decoder.unread().len() < 100);
    }
    let mut decoder = Decoder::new(1000);
    decoder.feed(&[LONG, 0, 0, 0, 0, 0, 0, 0x03, 0xe8]);
    assert_eq!(decoder.next_frame(), Ok(None));
}

#[test]
fn undefined_flags_are_refused() {
    for flags in [0x08, 0x80, COMMAND | MORE] {
        let mut decoder = Decoder::new(10);
        decoder.feed(&[flags]);
        assert_eq!(decoder.next_frame(), Err(WireError::Flags(flags)));
    }
}

#[test]
fn commands_are_read() {
    assert_eq!(parse_command(b"\x09SUBSCRIBEtrade."), Ok(Command::Subscribe(b"trade.")));
    assert_eq!(parse_command(b"\x06CANCEL"), Ok(Command::Cancel(b"")));
    assert_eq!(parse_command(b"\x04PING\x00\x0aabc"), Ok(Command::Ping { ttl_deciseconds: 10, context: b"abc" }));
    assert_eq!(parse_command(b"\x04PING\x000123456789abcdefXYZ").map(|_| ()), Ok(()));
    assert_eq!(parse_command(b"\x04PING\x00"), Err(WireError::Command));
    assert_eq!(parse_command(b"\x04PONGx"), Ok(Command::Pong));
    assert_eq!(parse_command(b"\x05HELLO"), Ok(Command::Other));
    assert_eq!(parse_command(b"\x09SUB"), Err(WireError::Command));
    assert_eq!(parse_command(b""), Err(WireError::Command));
    assert_eq!(parse_subscription(b"\x00t."), Command::Cancel(b"t."));
    assert_eq!(parse_subscription(b"hello"), Command::Other);
}

proptest! {
    #[test]
    fn any_split_gives_the_same_frames(
        bodies in proptest::collection::vec((any::<bool>(), proptest::collection::vec(any::<u8>(), 0..700)), 0..8),
        cuts in proptest::collection::vec(1..300_usize, 1..60),
    ) {
        let mut bytes = Vec::new();
        for (more, body) in &bodies {
            put_frame(&mut bytes, *more, body);
        }
        let mut decoder = Decoder::new(700);
        let mut seen = Vec::new();
        let mut rest = &bytes[..];
        for cut in cuts.iter().cycle() {
            if rest.is_empty() {
                break;
            }
            let (head, tail) = rest.split_at((*cut).min(rest.len()));
            decoder.feed(head);
            while let Some(frame) = decoder.next_frame().unwrap() {
                seen.push((frame.more, frame.body.to_vec()));
            }
            rest = tail;
        }
        prop_assert_eq!(seen, bodies);
    }
}
