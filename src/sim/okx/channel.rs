//! OKX v5 channels: what the argument of a subscription means, on which path, and under which name faults know it.

use serde::Deserialize;

use super::book;
use super::catalog::InstType;
use super::figures::is_derivative;
use super::interval::{INTERVALS, find};
use super::message::fields;

/// The websocket path, behind `/ws/v5/`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Path {
    Public,
    Business,
    Private,
}

impl Path {
    pub(super) const ALL: [Self; 3] = [Self::Public, Self::Business, Self::Private];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Business => "business",
            Self::Private => "private",
        }
    }
}

/// Whose candles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Candle {
    Trades,
    Mark,
    Index,
}

impl Candle {
    /// What stands before the interval.
    const PREFIXES: [(&'static str, Self); 3] =
        [("candle", Self::Trades), ("mark-price-candle", Self::Mark), ("index-candle", Self::Index)];

    const fn prefix(self) -> &'static str {
        match self {
            Self::Trades => "candle",
            Self::Mark => "mark-price-candle",
            Self::Index => "index-candle",
        }
    }
}

/// What a channel carries about one instrument. The order is the one in which a connection gets messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Stream {
    Book(book::Channel),
    Trades,
    TradesAll,
    Ticker,
    MarkPrice,
    Index,
    Funding,
    OpenInterest,
    PriceLimit,
    /// A place in [`INTERVALS`].
    Candle(Candle, u8),
    Liquidations,
    Instruments,
}

/// What a private channel is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Private {
    pub(super) channel: PrivateChannel,
    /// `None` for ANY.
    pub(super) kind: Option<InstType>,
    pub(super) family: Option<String>,
    pub(super) symbol: Option<String>,
    pub(super) currency: Option<String>,
    /// No pushes by the clock: `updateInterval` is 0.
    pub(super) events_only: bool,
}

/// The private channels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum PrivateChannel {
    Orders,
    Account,
    Positions,
}

impl PrivateChannel {
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Orders => "orders",
            Self::Account => "account",
            Self::Positions => "positions",
        }
    }
}

/// One argument of a request, as it is asked for.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Arg {
    pub(super) channel: Option<String>,
    pub(super) inst_id: Option<String>,
    pub(super) inst_type: Option<String>,
    pub(super) inst_family: Option<String>,
    pub(super) uly: Option<String>,
    pub(super) ccy: Option<String>,
    pub(super) extra_params: Option<String>,
}

/// What an argument asks for, before it is known whether there is such an instrument.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// About one instrument.
    One(Stream, String),
    /// About all instruments of a type.
    OfType(Stream, InstType),
    /// `status`
    Status,
    /// About the account.
    Account(Private),
}

/// Why an argument asks for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unknown {
    /// No such channel.
    Channel,
    /// A field is missing or has an impossible value.
    Argument,
}

impl Wish {
    pub(super) fn read(arg: &Arg) -> Result<Self, Unknown> {
        let name = arg.channel.as_deref().ok_or(Unknown::Argument)?;
        if let Some(channel) = private(name) {
            return Ok(Self::Account(read_private(channel, arg)?));
        }
        match name {
            "status" => return Ok(Self::Status),
            "liquidation-orders" | "instruments" => {
                let stream = if name == "instruments" { Stream::Instruments } else { Stream::Liquidations };
                let kind = arg.inst_type.as_deref().and_then(InstType::parse).ok_or(Unknown::Argument)?;
                let fits = stream == Stream::Instruments || is_derivative(kind);
                return if fits { Ok(Self::OfType(stream, kind)) } else { Err(Unknown::Argument) };
            }
            _ => {}
        }
        let stream = of_instrument(name).ok_or(Unknown::Channel)?;
        let symbol = arg.inst_id.clone().filter(|symbol| !symbol.is_empty()).ok_or(Unknown::Argument)?;
        Ok(Self::One(stream, symbol))
    }

    /// Where it can be subscribed.
    pub(super) fn path(&self) -> Path {
        match self {
            Self::One(Stream::TradesAll | Stream::Candle(..), _) => Path::Business,
            Self::One(..) | Self::OfType(..) | Self::Status => Path::Public,
            Self::Account(_) => Path::Private,
        }
    }

    /// Whether only those who logged in get it.
    pub(super) fn needs_login(&self) -> bool {
        match self {
            Self::Account(_) => true,
            Self::One(Stream::Book(channel), _) => channel.is_exclusive(),
            _ => false,
        }
    }
}

fn private(name: &str) -> Option<PrivateChannel> {
    use PrivateChannel::{Account, Orders, Positions};
    [Orders, Account, Positions].into_iter().find(|channel| channel.name() == name)
}

fn read_private(channel: PrivateChannel, arg: &Arg) -> Result<Private, Unknown> {
    let kind = match (channel, arg.inst_type.as_deref()) {
        (PrivateChannel::Account, _) | (_, Some("ANY")) => None,
        (_, Some(kind)) => Some(InstType::parse(kind).ok_or(Unknown::Argument)?),
        (_, None) => return Err(Unknown::Argument),
    };
    // The parameters are JSON in a text: {"updateInterval":"0"}, the number with or without quotes.
    let extra = arg.extra_params.as_deref().unwrap_or_default();
    let interval: String =
        extra.split("updateInterval").nth(1).unwrap_or("").chars().filter(char::is_ascii_digit).collect();
    if !["", "0", "2000", "3000", "4000"].contains(&interval.as_str()) {
        return Err(Unknown::Argument);
    }
    Ok(Private {
        channel,
        kind,
        family: arg.inst_family.clone(),
        symbol: arg.inst_id.clone(),
        currency: arg.ccy.clone(),
        events_only: interval == "0",
    })
}

fn of_instrument(name: &str) -> Option<Stream> {
    if let Some(channel) = book::Channel::ALL.into_iter().find(|channel| channel.name() == name) {
        return Some(Stream::Book(channel));
    }
    for (prefix, candle) in Candle::PREFIXES {
        if let Some(interval) = name.strip_prefix(prefix) {
            return find(interval).map(|at| Stream::Candle(candle, at));
        }
    }
    Some(match name {
        "trades" => Stream::Trades,
        "trades-all" => Stream::TradesAll,
        "tickers" => Stream::Ticker,
        "mark-price" => Stream::MarkPrice,
        "index-tickers" => Stream::Index,
        "funding-rate" => Stream::Funding,
        "open-interest" => Stream::OpenInterest,
        "price-limit" => Stream::PriceLimit,
        _ => return None,
    })
}

impl Stream {
    /// The channel's name.
    pub(super) fn channel(self) -> String {
        match self {
            Self::Book(channel) => channel.name().to_owned(),
            Self::Candle(candle, at) => format!("{}{}", candle.prefix(), INTERVALS[usize::from(at)].name),
            Self::Trades => "trades".to_owned(),
            Self::TradesAll => "trades-all".to_owned(),
            Self::Ticker => "tickers".to_owned(),
            Self::MarkPrice => "mark-price".to_owned(),
            Self::Index => "index-tickers".to_owned(),
            Self::Funding => "funding-rate".to_owned(),
            Self::OpenInterest => "open-interest".to_owned(),
            Self::PriceLimit => "price-limit".to_owned(),
            Self::Liquidations => "liquidation-orders".to_owned(),
            Self::Instruments => "instruments".to_owned(),
        }
    }

    /// Whether it is about an index instead of an instrument.
    pub(super) const fn is_of_index(self) -> bool {
        matches!(self, Self::Index | Self::Candle(Candle::Index, _))
    }

    /// Whether instruments of this type have it. On OKX Japan, spot has nothing that speaks of an index.
    pub(super) fn is_of(self, kind: InstType, japan: bool) -> bool {
        match self {
            Self::Funding => kind == InstType::Swap,
            Self::OpenInterest => is_derivative(kind),
            Self::MarkPrice | Self::Index | Self::Candle(Candle::Mark | Candle::Index, _) => !japan,
            _ => true,
        }
    }

    /// Topic and argument of messages about an instrument, or about a type.
    pub(super) fn topic(self, symbol: &str, kind: InstType) -> (String, String) {
        let channel = self.channel();
        let (name, value) = match self {
            Self::Liquidations | Self::Instruments => ("instType", kind.as_str()),
            _ => ("instId", symbol),
        };
        (format!("{channel}:{value}"), fields(&[("channel", channel), (name, value.to_owned())]))
    }
}

impl Private {
    /// Its topic: the channel and whatever was asked for.
    pub(super) fn topic(&self) -> String {
        let mut topic = self.channel.name().to_owned();
        let kind = self.kind.map(InstType::as_str);
        let parts = [kind, self.family.as_deref(), self.symbol.as_deref(), self.currency.as_deref()];
        for part in parts.into_iter().flatten() {
            topic.push(':');
            topic.push_str(part);
        }
        if self.events_only {
            topic.push_str(":events");
        }
        topic
    }

    /// The argument in its messages, which also names the user.
    pub(super) fn arg(&self, uid: &str) -> String {
        let mut parts = vec![("channel", self.channel.name().to_owned())];
        if self.channel != PrivateChannel::Account {
            parts.push(("instType", self.kind.map_or("ANY", InstType::as_str).to_owned()));
        }
        let more = [("instFamily", &self.family), ("instId", &self.symbol), ("ccy", &self.currency)];
        parts.extend(more.into_iter().filter_map(|(name, value)| Some((name, value.clone()?))));
        parts.push(("uid", uid.to_owned()));
        fields(&parts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Wish, Unknown> {
        Wish::read(&serde_json::from_str(json).unwrap())
    }

    #[test]
    fn arguments_and_their_paths() {
        let one = |channel: &str| read(&format!(r#"{{"channel":"{channel}","instId":"BTC-USDT"}}"#));
        let books = one("books").unwrap();
        assert_eq!(books, Wish::One(Stream::Book(book::Channel::Books), "BTC-USDT".to_owned()));
        assert_eq!((books.path(), books.needs_login()), (Path::Public, false));
        assert!(one("books-l2-tbt").unwrap().needs_login() && one("books50-l2-tbt").unwrap().needs_login());
        for business in ["candle1s", "candle1Dutc", "mark-price-candle1m", "index-candle1H", "trades-all"] {
            assert_eq!(one(business).unwrap().path(), Path::Business, "{business}");
        }
        for unknown in ["candle7m", "candle", "book", "books-elp", ""] {
            assert_eq!(one(unknown), Err(Unknown::Channel), "{unknown}");
        }
        assert_eq!(read(r#"{"channel":"books"}"#), Err(Unknown::Argument));
        assert_eq!(read(r#"{"channel":"liquidation-orders","instType":"SPOT"}"#), Err(Unknown::Argument));
        assert_eq!(read(r#"{"channel":"status"}"#), Ok(Wish::Status));
    }

    #[test]
    fn topics_and_arguments_name_what_was_asked_for() {
        let (topic, arg) = Stream::Liquidations.topic("", InstType::Swap);
        assert_eq!(
            (topic.as_str(), arg.as_str()),
            ("liquidation-orders:SWAP", r#"{"channel":"liquidation-orders","instType":"SWAP"}"#)
        );
        let orders = read(r#"{"channel":"orders","instType":"ANY","instId":"BTC-USDT"}"#).unwrap();
        let Wish::Account(orders) = orders else { panic!("{orders:?}") };
        assert_eq!(orders.topic(), "orders:BTC-USDT");
        assert_eq!(orders.arg("77"), r#"{"channel":"orders","instType":"ANY","instId":"BTC-USDT","uid":"77"}"#);
        let quiet = read(r#"{"channel":"account","extraParams":"{\"updateInterval\":\"0\"}"}"#).unwrap();
        assert!(matches!(quiet, Wish::Account(Private { events_only: true, .. })));
        assert_eq!(read(r#"{"channel":"account","extraParams":"{\"updateInterval\":\"7\"}"}"#), Err(Unknown::Argument));
    }
}
