//! The hot path against the full parser: whatever the first accepts, the second reads the same. A space behind a message makes
//! the hot path give up.

use proptest::prelude::*;

use super::super::fast;
use super::Desk;
use crate::venue::Input;
use crate::venue::bybit::tests::differential::{mutate, mutation};

const BOOK: &str = r#"{"arg":{"channel":"books","instId":"A-B"},"action":"update","data":[{"asks":[["8476.980","415","0","13"],["8477","0","0","0"]],"bids":[["8476.97","256","0"]],"ts":"1597026383085","checksum":-855196043,"prevSeqId":123456,"seqId":123457}]}"#;
const FIRST: &str = r#"{"arg":{"channel":"books","instId":"A-B"},"action":"snapshot","data":[{"asks":[],"bids":[["1","2","0","1"]],"ts":"1","checksum":0,"seqId":10,"prevSeqId":-1}]}"#;
const BBO: &str = r#"{"arg":{"channel":"bbo-tbt","instId":"A-B"},"data":[{"asks":[["111.06","55154","0","2"]],"bids":[["111.05","57745","0","2"]],"ts":"1670324386802","seqId":363996337}]}"#;
const TRADES: &str = r#"{"arg":{"channel":"trades","instId":"A-B"},"data":[{"instId":"A-B","tradeId":"130639474","px":"42219.9","sz":"0.12060306","side":"buy","ts":"1630048897897","count":"3","source":"0","seqId":1234},{"instId":"A-B","tradeId":"5","px":"1","sz":"2","side":"sell","ts":"3"}]}"#;

fn updates(message: &[u8]) -> (Vec<String>, String) {
    let mut desk = Desk::new("spot", &["book A-B", "trade A-B", "bbo A-B", "book:5 B-C"]);
    let said = desk.take(Input::Text(message), 1.0);
    (said.updates.clone(), format!("{:?}", said.clocks))
}

fn hot_path_accepts(message: &[u8]) -> bool {
    let Some((arg, rest)) = fast::split(message) else { return false };
    let known = |channels: &[&str]| {
        channels.iter().any(|channel| arg == format!(r#"{{"channel":"{channel}","instId":"A-B"}}"#))
    };
    (known(&["books", "bbo-tbt"]) && fast::book(rest, &mut Vec::new(), &mut Vec::new()).is_some())
        || (known(&["trades"]) && fast::trades(message, rest, &mut Vec::new()).is_some())
}

fn slowly(message: &[u8]) -> Vec<u8> {
    [message, b" "].concat()
}

#[test]
fn the_templates_take_the_hot_path() {
    for message in [BOOK, FIRST, BBO, TRADES] {
        assert!(hot_path_accepts(message.as_bytes()), "{message}");
        assert!(!hot_path_accepts(&slowly(message.as_bytes())));
        let fast = updates(message.as_bytes());
        assert!(!fast.0.is_empty() && !fast.0[0].starts_with("ignored"), "{fast:?}");
        assert_eq!(fast, updates(&slowly(message.as_bytes())));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4_000))]

    #[test]
    fn both_paths_read_the_same(
        template in prop_oneof![Just(BOOK), Just(FIRST), Just(BBO), Just(TRADES)],
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
