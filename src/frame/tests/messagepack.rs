//! A MessagePack reader as small as what we write: maps with text keys, arrays, texts, small integers, truth.

use serde_json::{Map, Value};

/// Reads one value that takes all of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Value {
    let mut rest = bytes;
    let value = value(&mut rest);
    assert!(rest.is_empty(), "{} bytes too many", rest.len());
    value
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> &'a [u8] {
    let (taken, left) = rest.split_at(count);
    *rest = left;
    taken
}

fn unsigned(rest: &mut &[u8], bytes: usize) -> u64 {
    take(rest, bytes).iter().fold(0, |n, byte| n << 8 | u64::from(*byte))
}

fn value(rest: &mut &[u8]) -> Value {
    let mark = take(rest, 1)[0];
    match mark {
        0x00..=0x7f => u64::from(mark).into(),
        0x92 => array(rest, 2),
        0xa0..=0xbf => text(rest, u64::from(mark & 0x1f)),
        0xc2 => false.into(),
        0xc3 => true.into(),
        0xcc..=0xcf => unsigned(rest, 1 << (mark - 0xcc)).into(),
        0xd9..=0xdb => {
            let len = unsigned(rest, 1 << (mark - 0xd9));
            text(rest, len)
        }
        0xdd => {
            let len = unsigned(rest, 4);
            array(rest, len)
        }
        0xde => {
            let len = unsigned(rest, 2);
            map(rest, len)
        }
        0xdf => {
            let len = unsigned(rest, 4);
            map(rest, len)
        }
        0xe0..=0xff => i64::from(i8::from_be_bytes([mark])).into(),
        other => panic!("mark {other:#x} is never written"),
    }
}

fn text(rest: &mut &[u8], len: u64) -> Value {
    std::str::from_utf8(take(rest, len as usize)).expect("UTF-8").into()
}

fn array(rest: &mut &[u8], len: u64) -> Value {
    (0..len).map(|_| value(rest)).collect::<Vec<_>>().into()
}

fn map(rest: &mut &[u8], len: u64) -> Value {
    let mut members = Map::new();
    for _ in 0..len {
        let key = value(rest).as_str().expect("a text as key").to_owned();
        let twice = members.insert(key, value(rest));
        assert_eq!(twice, None, "a key came twice");
    }
    Value::Object(members)
}
