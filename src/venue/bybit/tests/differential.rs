//! The hot path against the full parser: whatever the first accepts, the second reads the same.
//!
//! A space behind a message makes the hot path give up, so one session is handed the message as it is and another
//! the same with a space.

use proptest::prelude::*;

use super::super::fast;
use super::Desk;
use crate::venue::Input;

const BOOK: &str = r#"{"topic":"orderbook.50.A","type":"delta","ts":1687940967466,"data":{"s":"A","b":[["30240.00","0"],["1","2"]],"a":[["30248.70","0.5"]],"u":177400507,"seq":66544703342},"cts":1687940967464}"#;
const TRADES: &str = r#"{"topic":"publicTrade.A","type":"snapshot","ts":1672304486868,"data":[{"T":1672304486865,"s":"A","S":"Buy","v":"0.001","p":"16578.50","L":"PlusTick","i":"20f4-3950","BT":false,"RPI":false,"seq":1783284617},{"T":1,"s":"A","S":"Sell","v":"2","p":"3","i":"4"}]}"#;

/// Pieces that are put in place of others: what JSON and venues may write, and what they may not.
const PIECES: &[&str] = &[
    "\"0\"",
    "\"0.000\"",
    "\"00\"",
    "\"007.50\"",
    "\"1e3\"",
    "1e3",
    "\"-1\"",
    "-1",
    "12",
    "\"12\"",
    "\"1.\"",
    "\".5\"",
    "\"123456789012345678\"",
    "\"1234567890123456789\"",
    "1234567890123456789012",
    "01",
    "null",
    "true",
    "\"\"",
    "[]",
    "{}",
    "[[\"1\",\"2\"]]",
    "[[\"1\",\"2\"],]",
    "\"\\u0041\"",
    "\"A\\\"\"",
    "\"é\"",
    "\"delta\"",
    "\"snapshot\"",
    "\"Buy\"",
    "\"b\"",
    "\"u\"",
    "\"seq\"",
    "\"extra\"",
    ",",
    ":",
    "{",
    "}",
    "[",
    "]",
    " ",
    "\n",
    ",\"u\":5",
    ",\"extra\":[1,{\"a\":\"}\"}]",
    "\"update\"",
    "\"buy\"",
    "\"ts\"",
    "\"checksum\"",
    "\"seqId\"",
    ",\"checksum\":-7",
    "-0",
    "\"orderbook.1.A\"",
    "\"publicTrade.B\"",
    "\"cts\"",
    "\"BT\"",
    "\"i\"",
];

/// One change of a message. Places are taken modulo what there is.
#[derive(Clone, Debug)]
pub(crate) enum Mutation {
    Flip(usize, u8),
    Truncate(usize),
    SwapTokens(usize, usize),
    Replace(usize, usize),
    Insert(usize, usize),
    Repeat(usize, usize),
}

pub(crate) fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<usize>;
    prop_oneof![
        2 => (at(), any::<u8>()).prop_map(|(a, b)| Mutation::Flip(a, b)),
        1 => at().prop_map(Mutation::Truncate),
        6 => (at(), at()).prop_map(|(a, b)| Mutation::SwapTokens(a, b)),
        6 => (at(), at()).prop_map(|(a, b)| Mutation::Replace(a, b)),
        3 => (at(), at()).prop_map(|(a, b)| Mutation::Insert(a, b)),
        3 => (at(), at()).prop_map(|(a, b)| Mutation::Repeat(a, b)),
    ]
}

/// Strings, numbers, words and single marks.
fn tokens(text: &[u8]) -> Vec<Vec<u8>> {
    let (mut out, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let rest = &text[at..];
        let len = match rest[0] {
            b'"' => rest[1..].iter().position(|b| *b == b'"').map_or(rest.len(), |len| len + 2),
            b if b.is_ascii_alphanumeric() => rest.iter().take_while(|b| b.is_ascii_alphanumeric()).count(),
            _ => 1,
        };
        out.push(rest[..len].to_vec());
        at += len;
    }
    out
}

pub(crate) fn mutate(message: &[u8], mutation: &Mutation) -> Vec<u8> {
    if message.is_empty() {
        return Vec::new();
    }
    let mut bytes = message.to_vec();
    let mut parts = tokens(message);
    let piece = |n: usize| PIECES[n % PIECES.len()].as_bytes().to_vec();
    let len = parts.len();
    match *mutation {
        Mutation::Flip(at, by) => {
            let at = at % bytes.len();
            bytes[at] ^= by;
            return bytes;
        }
        Mutation::Truncate(at) => {
            bytes.truncate(at % bytes.len());
            return bytes;
        }
        Mutation::SwapTokens(a, b) => parts.swap(a % len, b % len),
        Mutation::Replace(at, n) => parts[at % len] = piece(n),
        Mutation::Insert(at, n) => parts.insert(at % len, piece(n)),
        Mutation::Repeat(at, n) => {
            let (from, count) = (at % len, n % 12 + 1);
            let copy: Vec<_> = parts[from..(from + count).min(len)].to_vec();
            parts.splice(from..from, copy);
        }
    }
    parts.concat()
}

fn updates(message: &[u8]) -> (Vec<String>, String) {
    let mut desk = Desk::new("linear", &["book:50 A", "trade A", "book:1 A", "trade B"]);
    let said = desk.take(Input::Text(message), 1.0);
    (said.updates.clone(), format!("{:?}", said.clocks))
}

/// The topic decides which reader a message is for.
fn hot_path_accepts(message: &[u8]) -> bool {
    let book = || fast::book(message, &mut Vec::new(), &mut Vec::new()).is_some();
    let trades = || fast::trades(message, &mut Vec::new()).is_some();
    (message.starts_with(br#"{"topic":"orderbook."#) && book())
        || (message.starts_with(br#"{"topic":"publicTrade."#) && trades())
}

fn slowly(message: &[u8]) -> Vec<u8> {
    [message, b" "].concat()
}

#[test]
fn the_templates_take_the_hot_path() {
    for message in [BOOK, TRADES] {
        assert!(hot_path_accepts(message.as_bytes()));
        assert!(!hot_path_accepts(&slowly(message.as_bytes())));
        assert_eq!(updates(message.as_bytes()), updates(&slowly(message.as_bytes())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn both_paths_read_the_same(
        template in prop_oneof![Just(BOOK), Just(TRADES)],
        mutations in prop::collection::vec(mutation(), 1..4),
    ) {
        let message = mutations.iter().fold(template.as_bytes().to_vec(), |message, by| mutate(&message, by));
        if hot_path_accepts(&message) {
            let fast = updates(&message);
            prop_assert!(fast.0.iter().all(|update| !update.starts_with("broken")), "{:?}", fast.0);
            prop_assert_eq!(fast, updates(&slowly(&message)), "{}", String::from_utf8_lossy(&message));
        } else {
            let _ = updates(&message);
        }
    }
}
