//! The words for channels and ticker fields in topics and payloads.

use crate::model::Channel;
use crate::venue::TickerField;

/// A channel's name in topics and status frames.
pub(super) fn channel_name(channel: Channel) -> String {
    match channel {
        Channel::Book(_) => "book".to_owned(),
        Channel::Bbo => "bbo".to_owned(),
        Channel::Trade => "trade".to_owned(),
        Channel::Ticker => "ticker".to_owned(),
        Channel::Candle(interval) => format!("candle_{interval}"),
        Channel::Liquidation => "liquidation".to_owned(),
        Channel::Account(kind) => kind.as_str().to_owned(),
        Channel::Raw => "raw".to_owned(),
    }
}

impl TickerField {
    /// The field's name on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Last => "last",
            Self::Mark => "mark",
            Self::Index => "index",
            Self::FundingRate => "funding_rate",
            Self::NextFundingTime => "next_funding_time",
            Self::OpenInterest => "open_interest",
            Self::OpenInterestValue => "open_interest_value",
            Self::BidPrice => "bid_price",
            Self::BidSize => "bid_size",
            Self::AskPrice => "ask_price",
            Self::AskSize => "ask_size",
            Self::High24h => "high_24h",
            Self::Low24h => "low_24h",
            Self::Open24h => "open_24h",
            Self::Volume24h => "volume_24h",
            Self::Turnover24h => "turnover_24h",
            Self::MarkIv => "mark_iv",
            Self::BidIv => "bid_iv",
            Self::AskIv => "ask_iv",
            Self::Underlying => "underlying",
            Self::Delta => "delta",
            Self::Gamma => "gamma",
            Self::Vega => "vega",
            Self::Theta => "theta",
        }
    }
}
