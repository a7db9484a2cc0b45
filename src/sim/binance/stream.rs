//! The streams of Binance: which name means what, on which market, in which class, and how often it sends.

use super::catalog::Market;
use super::interval::Interval;

/// What a stream carries about one symbol. Speeds are in ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    /// `<symbol>@depth`, `<symbol>@depth@100ms` …
    Diff(u64),
    /// `<symbol>@depth20`, `<symbol>@depth5@100ms` …
    Partial(u16, u64),
    /// `<symbol>@bookTicker`
    BookTicker,
    /// `<symbol>@trade`
    Trade,
    /// `<symbol>@aggTrade`
    AggTrade,
    /// `<symbol>@kline_1m`, `<symbol>@kline_1d@+08:00` …
    Kline(Interval),
    /// `<symbol>@ticker`
    Ticker,
    /// `<symbol>@miniTicker`
    MiniTicker,
    /// `<symbol>@avgPrice`
    AvgPrice,
    /// `<symbol>@markPrice`, `<symbol>@markPrice@1s`
    MarkPrice(u64),
    /// `<symbol>@forceOrder`
    ForceOrder,
}

/// What a stream carries about all symbols.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum All {
    /// `!ticker@arr`
    Ticker,
    /// `!miniTicker@arr`
    MiniTicker,
    /// `!bookTicker`
    BookTicker,
    /// `!markPrice@arr`, `!markPrice@arr@1s`
    MarkPrice(u64),
    /// `!forceOrder@arr`
    ForceOrder,
}

/// What a name asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish<'a> {
    /// A stream of one symbol, in lower case.
    One(&'a str, Stream),
    /// A stream of all symbols.
    All(All),
}

/// The classes USD-M divides its streams by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Class {
    /// Books.
    Public,
    /// Everything else about markets.
    Market,
}

impl Wish<'_> {
    pub(super) const fn class(&self) -> Class {
        match self {
            Self::One(_, Stream::Diff(_) | Stream::Partial(..) | Stream::BookTicker) | Self::All(All::BookTicker) => {
                Class::Public
            }
            _ => Class::Market,
        }
    }
}

impl Stream {
    /// How often it sends in ms, where that does not depend on what happens.
    pub(super) const fn pace(self, market: Market) -> Option<u64> {
        Some(match (self, market) {
            (Self::Diff(ms) | Self::Partial(_, ms) | Self::MarkPrice(ms), _) => ms,
            (Self::Kline(interval), Market::Spot) => {
                if interval.is_second() {
                    1_000
                } else {
                    2_000
                }
            }
            (Self::Kline(_), _) => 250,
            (Self::Ticker | Self::MiniTicker, Market::Usdm) => 2_000,
            (Self::Ticker | Self::MiniTicker, Market::Coinm) => 500,
            (Self::Ticker | Self::MiniTicker | Self::AvgPrice | Self::ForceOrder, _) => 1_000,
            (Self::BookTicker | Self::Trade | Self::AggTrade, _) => return None,
        })
    }

    /// Its name for a symbol in lower case.
    pub(super) fn name(self, lower: &str, market: Market) -> String {
        let speed = |ms: u64, usual: u64| if ms == usual { String::new() } else { format!("@{ms}ms") };
        let usual = usual_speed(market);
        match self {
            Self::Diff(ms) => format!("{lower}@depth{}", speed(ms, usual)),
            Self::Partial(levels, ms) => format!("{lower}@depth{levels}{}", speed(ms, usual)),
            Self::BookTicker => format!("{lower}@bookTicker"),
            Self::Trade => format!("{lower}@trade"),
            Self::AggTrade => format!("{lower}@aggTrade"),
            Self::Kline(interval) => {
                format!("{lower}@kline_{}{}", interval.name(), if interval.is_ahead() { "@+08:00" } else { "" })
            }
            Self::Ticker => format!("{lower}@ticker"),
            Self::MiniTicker => format!("{lower}@miniTicker"),
            Self::AvgPrice => format!("{lower}@avgPrice"),
            Self::MarkPrice(1_000) => format!("{lower}@markPrice@1s"),
            Self::MarkPrice(_) => format!("{lower}@markPrice"),
            Self::ForceOrder => format!("{lower}@forceOrder"),
        }
    }
}

impl All {
    /// How often it sends in ms.
    pub(super) const fn pace(self, market: Market) -> u64 {
        match (self, market) {
            (Self::MarkPrice(ms), _) => ms,
            (Self::BookTicker, _) => 5_000,
            (Self::Ticker | Self::MiniTicker, Market::Usdm) => 2_000,
            (Self::Ticker | Self::MiniTicker, Market::Coinm) => 500,
            _ => 1_000,
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Ticker => "!ticker@arr",
            Self::MiniTicker => "!miniTicker@arr",
            Self::BookTicker => "!bookTicker",
            Self::MarkPrice(1_000) => "!markPrice@arr@1s",
            Self::MarkPrice(_) => "!markPrice@arr",
            Self::ForceOrder => "!forceOrder@arr",
        }
    }
}

/// The speed of depth that is not named, ms.
const fn usual_speed(market: Market) -> u64 {
    if market.is_futures() { 250 } else { 1_000 }
}

/// Reads a stream's name; `None` when the market has no such stream.
pub(super) fn parse(market: Market, name: &str) -> Option<Wish<'_>> {
    if name.starts_with('!') {
        return all(market, name).map(Wish::All);
    }
    let (symbol, what) = name.split_once('@')?;
    let (what, more) = what.split_once('@').map_or((what, None), |(what, more)| (what, Some(more)));
    let futures = market.is_futures();
    let stream = match (what, more) {
        ("bookTicker", None) => Stream::BookTicker,
        ("trade", None) => Stream::Trade,
        ("aggTrade", None) => Stream::AggTrade,
        ("ticker", None) => Stream::Ticker,
        ("miniTicker", None) => Stream::MiniTicker,
        ("avgPrice", None) if !futures => Stream::AvgPrice,
        ("forceOrder", None) if futures => Stream::ForceOrder,
        ("markPrice", None) if futures => Stream::MarkPrice(3_000),
        ("markPrice", Some("1s")) if futures => Stream::MarkPrice(1_000),
        ("depth", speed) => Stream::Diff(depth_speed(market, speed, true)?),
        ("depth5", speed) => Stream::Partial(5, depth_speed(market, speed, false)?),
        ("depth10", speed) => Stream::Partial(10, depth_speed(market, speed, false)?),
        ("depth20", speed) => Stream::Partial(20, depth_speed(market, speed, false)?),
        _ => {
            let interval = Interval::parse(what.strip_prefix("kline_")?)?;
            match more {
                None if futures && interval.is_second() => return None,
                None => Stream::Kline(interval),
                Some("+08:00") if !futures => Stream::Kline(interval.ahead()),
                Some(_) => return None,
            }
        }
    };
    Some(Wish::One(symbol, stream))
}

fn all(market: Market, name: &str) -> Option<All> {
    const FUTURES: [All; 6] =
        [All::Ticker, All::MiniTicker, All::BookTicker, All::MarkPrice(3_000), All::MarkPrice(1_000), All::ForceOrder];
    // Spot gave `!ticker@arr` and `!bookTicker` up.
    let known: &[All] = if market.is_futures() { &FUTURES } else { &[All::MiniTicker] };
    known.iter().copied().find(|all| all.name() == name)
}

fn depth_speed(market: Market, text: Option<&str>, diff: bool) -> Option<u64> {
    match (text, market.is_futures()) {
        (None, _) => Some(usual_speed(market)),
        (Some("100ms"), _) => Some(100),
        (Some("500ms"), true) => Some(500),
        (Some("0ms"), true) if diff => Some(0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written_alike() {
        let names = [
            (Market::Spot, "btcusdt@depth"),
            (Market::Spot, "btcusdt@depth@100ms"),
            (Market::Spot, "btcusdt@depth20@100ms"),
            (Market::Spot, "btcusdt@kline_1s"),
            (Market::Spot, "btcusdt@kline_1d@+08:00"),
            (Market::Spot, "币安人生usdt@avgPrice"),
            (Market::Usdm, "btcusdt@depth@0ms"),
            (Market::Usdm, "btcusdt@depth5@500ms"),
            (Market::Usdm, "btcusdt@markPrice@1s"),
            (Market::Coinm, "btcusd_perp@forceOrder"),
        ];
        for (market, name) in names {
            let Some(Wish::One(symbol, stream)) = parse(market, name) else { panic!("{name}") };
            assert_eq!(stream.name(symbol, market), name);
        }
        for name in ["!ticker@arr", "!miniTicker@arr", "!bookTicker", "!markPrice@arr@1s", "!forceOrder@arr"] {
            assert!(matches!(parse(Market::Usdm, name), Some(Wish::All(all)) if all.name() == name), "{name}");
        }
    }

    #[test]
    fn what_a_market_does_not_have_is_nothing() {
        let missing = [
            (Market::Spot, "btcusdt@depth@0ms"),
            (Market::Spot, "btcusdt@markPrice"),
            (Market::Spot, "!ticker@arr"),
            (Market::Usdm, "btcusdt@kline_1s"),
            (Market::Usdm, "btcusdt@kline_1d@+08:00"),
            (Market::Usdm, "btcusdt@depth7"),
            (Market::Usdm, "btcusdt"),
        ];
        for (market, name) in missing {
            assert_eq!(parse(market, name), None, "{name}");
        }
    }
}
