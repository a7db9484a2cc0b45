//! Topics: `channel.venue.market.symbol.`, each part encoded so that dots only separate.

use bytes::Bytes;

use crate::model::AccountKind;

/// Builds a topic. A dot, space, `*`, `>` or `%` inside a part is percent-encoded, so that the topic without its
/// last dot is also a valid NATS subject.
pub fn topic(channel: &str, venue: &str, market: &str, symbol: &str) -> Bytes {
    topic_of(&[channel, venue, market, symbol])
}

/// A topic of these parts, general to specific.
pub fn topic_of(parts: &[&str]) -> Bytes {
    let mut text = String::with_capacity(parts.iter().map(|part| part.len() + 1).sum());
    for part in parts {
        push_part(&mut text, part);
        text.push('.');
    }
    Bytes::from(text)
}

/// The topic that says how a channel of an account stands, beside those of its rows (`order.bybit.main.` and
/// `status.bybit.main.order.`). Where the venue names accounts by itself, the market stands for them.
pub fn account_status_topic(venue: &str, account: Option<&str>, market: &str, kind: AccountKind) -> Bytes {
    topic("status", venue, account.unwrap_or(market), kind.as_str())
}

fn push_part(text: &mut String, part: &str) {
    for c in part.chars() {
        match c {
            '.' => text.push_str("%2E"),
            ' ' => text.push_str("%20"),
            '*' => text.push_str("%2A"),
            '>' => text.push_str("%3E"),
            '%' => text.push_str("%25"),
            c => text.push(c),
        }
    }
}

/// The parts of a topic, decoded: channel, venue, market, symbol. `None` if it is not such a topic.
pub fn parse_topic(topic: &str) -> Option<[String; 4]> {
    let mut parts = topic.strip_suffix('.')?.split('.').map(decode_part);
    let four = [parts.next()?, parts.next()?, parts.next()?, parts.next()?];
    parts.next().is_none().then_some(four)
}

fn decode_part(part: &str) -> String {
    [("%2E", "."), ("%20", " "), ("%2A", "*"), ("%3E", ">"), ("%25", "%")]
        .iter()
        .fold(part.to_owned(), |text, (code, plain)| text.replace(code, plain))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn dots_only_separate() {
        assert_eq!(topic("book", "bybit", "linear", "BTCUSDT"), "book.bybit.linear.BTCUSDT.");
        assert_eq!(topic("book", "quik", "SPBFUT", "a.b *>%"), "book.quik.SPBFUT.a%2Eb%20%2A%3E%25.");
        assert_eq!(topic("status", "bybit", "spot", ""), "status.bybit.spot..");
    }

    proptest! {
        #[test]
        fn topics_are_read_back(symbol in "[ -~]{0,20}") {
            let text = topic("trade", "v", "m", &symbol);
            let parts = parse_topic(std::str::from_utf8(&text).expect("text")).expect("a topic");
            prop_assert_eq!(&parts[3], &symbol);
        }
    }
}
