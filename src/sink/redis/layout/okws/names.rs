//! OKEx's v3 names for channels, which okws users have in their programs, and ours for the same.

use crate::model::Interval;

/// A v3 channel and what it is asked for: `spot/candle60s:ETH-USDT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V3Name<'a> {
    /// The market: `spot`, `swap`, `futures`, `option`.
    pub market: &'a str,
    /// The channel as the venue spelled it, market included: `spot/candle60s`.
    pub table: &'a str,
    /// The instrument or currency; empty if there is none.
    pub argument: &'a str,
}

/// What to ask a feed for, so that a v3 channel can be served.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// The channel in a feed's words (`candle:1m`); `None` if it comes with any other.
    pub channel: Option<String>,
    /// The channel in topics: `candle_1m`.
    pub topic: String,
}

impl<'a> V3Name<'a> {
    /// Reads a name; `None` for what is no v3 name at all.
    pub fn read(text: &'a str) -> Option<Self> {
        let (table, argument) = text.split_once(':').unwrap_or((text, ""));
        let (market, channel) = table.split_once('/')?;
        let word = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        (word(market) && word(channel)).then_some(Self { market, table, argument })
    }

    /// Whether it is about an account, whatever its argument says.
    pub fn is_of_account(&self) -> bool {
        matches!(self.table.split_once('/'), Some((_, "account" | "order" | "position")))
    }

    /// What it stands for; `None` for a channel that tickbus has not.
    pub fn wanted(&self) -> Option<Wanted> {
        let channel = self.table.split_once('/')?.1;
        let wanted =
            |channel: &str, topic: &str| Some(Wanted { channel: Some(channel.to_owned()), topic: topic.to_owned() });
        match channel {
            "ticker" | "funding_rate" | "mark_price" | "price_range" => wanted("ticker", "ticker"),
            "trade" => wanted("trade", "trade"),
            // A symbol has one book: the others are cut from it.
            "depth" | "depth_l2_tbt" | "depth5" => wanted("book:400", "book"),
            "account" => wanted("balance", "balance"),
            "order" | "position" => wanted(channel, channel),
            "instruments" => Some(Wanted { channel: None, topic: "instrument".to_owned() }),
            candle => {
                let seconds = candle.strip_prefix("candle")?.strip_suffix('s')?;
                let at = INTERVALS.iter().position(|(length, _)| *length == seconds)?;
                let interval = INTERVALS.get(at)?.1;
                let variant = if at >= BY_DAY { ":utc8" } else { "" };
                wanted(&format!("candle:{interval}{variant}"), &format!("candle_{interval}"))
            }
        }
    }
}

/// The first of [`INTERVALS`] that v3 counted from midnight in Hong Kong.
const BY_DAY: usize = 8;

/// Lengths of candles in seconds, as v3 spells them, and our names.
const INTERVALS: [(&str, &str); 13] = [
    ("60", "1m"),
    ("180", "3m"),
    ("300", "5m"),
    ("900", "15m"),
    ("1800", "30m"),
    ("3600", "1h"),
    ("7200", "2h"),
    ("14400", "4h"),
    ("21600", "6h"),
    ("43200", "12h"),
    ("86400", "1d"),
    ("604800", "1w"),
    ("2678400", "1M"),
];

/// The v3 channel, without its market, under which a topic's channel is served if nobody asked for another: `ticker`,
/// `candle60s`. `None` for what v3 did not have.
pub fn default_channel(topic: &str) -> Option<String> {
    Some(match topic {
        "ticker" | "trade" | "order" | "position" => topic.to_owned(),
        "book" => "depth".to_owned(),
        "balance" => "account".to_owned(),
        "instrument" => "instruments".to_owned(),
        candle => {
            let name = candle.strip_prefix("candle_")?;
            let listed = INTERVALS.iter().find(|(_, interval)| *interval == name).map(|(seconds, _)| *seconds);
            let seconds = match listed {
                Some(seconds) => seconds.to_owned(),
                None => seconds_of(name)?.to_string(),
            };
            format!("candle{seconds}s")
        }
    })
}

fn seconds_of(interval: &str) -> Option<u64> {
    let Interval { count, unit } = Interval::parse(interval)?;
    let one = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        'w' => 604_800,
        _ => return None,
    };
    Some(u64::from(count) * one)
}

/// The feed that carries one market of a connection, as okws had them: `test_spot` of `test`.
pub fn feed_of(name: &str, market: &str) -> String {
    format!("{name}_{market}")
}

/// The name under which a feed's data is served: without its market at the end, if it has it there.
pub fn name_of<'f>(feed: &'f str, market: &str) -> &'f str {
    let name = feed.strip_suffix(market).and_then(|rest| rest.strip_suffix('_'));
    name.filter(|name| !name.is_empty()).unwrap_or(feed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v3_names_are_read_and_translated() {
        let wanted = |text: &str| {
            let name = V3Name::read(text).unwrap();
            name.wanted().map(|wanted| (wanted.channel.unwrap_or_default(), wanted.topic))
        };
        let pair = |channel: &str, topic: &str| Some((channel.to_owned(), topic.to_owned()));
        assert_eq!(wanted("spot/ticker:ETH-USDT"), pair("ticker", "ticker"));
        assert_eq!(wanted("spot/candle60s:ETH-USDT"), pair("candle:1m", "candle_1m"));
        assert_eq!(wanted("swap/candle14400s:BTC-USD-SWAP"), pair("candle:4h", "candle_4h"));
        assert_eq!(wanted("spot/depth:ETH-USDT"), pair("book:400", "book"));
        assert_eq!(wanted("swap/candle21600s:BTC-USD-SWAP"), pair("candle:6h:utc8", "candle_6h"));
        assert_eq!(wanted("spot/candle86400s:ETH-USDT"), pair("candle:1d:utc8", "candle_1d"));
        assert_eq!(wanted("futures/depth5:BTC-USD-210326"), pair("book:400", "book"));
        assert_eq!(wanted("swap/funding_rate:BTC-USD-SWAP"), pair("ticker", "ticker"));
        assert_eq!(wanted("spot/account:ETH"), pair("balance", "balance"));
        assert_eq!(wanted("futures/instruments"), pair("", "instrument"));
        assert_eq!(wanted("spot/candle61s:ETH-USDT"), None);
        assert_eq!(wanted("spot/nothing:X"), None);
        for odd in ["", "spot", "/x:y", "spot/:y", "spot/a b:y", "spot/a/b:y"] {
            assert_eq!(V3Name::read(odd), None, "{odd}");
        }
        let name = V3Name::read("swap/ticker:BTC-USD-SWAP").unwrap();
        assert_eq!((name.market, name.table, name.argument), ("swap", "swap/ticker", "BTC-USD-SWAP"));
    }

    #[test]
    fn every_topic_has_its_v3_channel() {
        for (topic, channel) in [
            ("ticker", "ticker"),
            ("book", "depth"),
            ("candle_1m", "candle60s"),
            ("candle_1M", "candle2678400s"),
            ("candle_3d", "candle259200s"),
            ("balance", "account"),
        ] {
            assert_eq!(default_channel(topic).as_deref(), Some(channel));
        }
        for none in ["delta", "bbo", "status", "candle_2M", "candle_x"] {
            assert_eq!(default_channel(none), None, "{none}");
        }
    }

    #[test]
    fn a_name_has_a_feed_a_market() {
        assert_eq!(feed_of("test", "spot"), "test_spot");
        assert_eq!(name_of("test_spot", "spot"), "test");
        assert_eq!(name_of("test_spot", "swap"), "test_spot");
        assert_eq!(name_of("okx", "spot"), "okx");
        assert_eq!(name_of("_spot", "spot"), "_spot");
        assert_eq!(name_of("hotspot", "spot"), "hotspot");
    }
}
