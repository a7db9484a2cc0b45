//! The ticker of a symbol: `tickers`, and of contracts what mark price, index, funding, open interest and price limits say,
//! merged. Each message has all of its channel's members, so that a missing one is an unknown one.

use super::channels;
use super::session::OkxSession;
use super::wire::Envelope;
use crate::model::{Clocks, decimal_text};
use crate::venue::kit::fields::{Members, Number, bare, time_of_ms};
use crate::venue::kit::ticker::MergedTicker;
use crate::venue::{Output, TickerField, TickerUpdate, Update};

/// Members that become fields, by channel.
const FIELDS: &[(&str, &str, TickerField)] = &[
    ("tickers", "last", TickerField::Last),
    ("tickers", "bidPx", TickerField::BidPrice),
    ("tickers", "bidSz", TickerField::BidSize),
    ("tickers", "askPx", TickerField::AskPrice),
    ("tickers", "askSz", TickerField::AskSize),
    ("tickers", "high24h", TickerField::High24h),
    ("tickers", "low24h", TickerField::Low24h),
    ("tickers", "open24h", TickerField::Open24h),
    ("tickers", "vol24h", TickerField::Volume24h),
    ("mark-price", "markPx", TickerField::Mark),
    (channels::OF_INDEX, "idxPx", TickerField::Index),
    ("funding-rate", "fundingRate", TickerField::FundingRate),
    ("funding-rate", "fundingTime", TickerField::NextFundingTime),
    ("open-interest", "oi", TickerField::OpenInterest),
];

/// Members that say what the message is, not what the market does.
const NAMES: [&str; 6] = ["instType", "instId", "instFamily", "uly", "ts", "formulaType"];

impl OkxSession {
    pub(super) fn ticker_data(
        &mut self,
        place: usize,
        channel: &str,
        envelope: &Envelope<'_>,
        clocks: Clocks,
        out: &mut dyn Output,
    ) -> Result<(), String> {
        let is_spot = self.market == "spot";
        for row in &envelope.rows::<Members<'_>>()? {
            let at = row.0.iter().find(|(key, _)| key == "ts");
            let clocks = Clocks { venue: at.and_then(|(_, ts)| time_of_ms(Some(Number(bare(ts))))), ..clocks };
            for stream in self.subscriptions.streams(place) {
                let ticker = self.tickers.entry(*stream).or_default();
                set(ticker, channel, is_spot, row);
                out.update(Update::Ticker(TickerUpdate {
                    stream: *stream,
                    venue_seq: None,
                    fields: ticker.fields(),
                    params: ticker.params(),
                    clocks,
                }));
            }
        }
        Ok(())
    }
}

/// Takes the members of a channel's row into a ticker.
pub(super) fn set(ticker: &mut MergedTicker, channel: &str, is_spot: bool, row: &Members<'_>) {
    for (_, _, field) in FIELDS.iter().filter(|(of, ..)| *of == channel) {
        ticker.set(*field, "");
    }
    for (key, value) in &row.0 {
        let text = bare(value);
        let field = FIELDS.iter().find(|(of, name, _)| *of == channel && name == key).map(|(.., field)| *field);
        match field {
            // On spot it is in the quote currency, on contracts in the coin.
            None if is_spot && key == "volCcy24h" => {
                ticker.set(TickerField::Turnover24h, decimal_text(text).unwrap_or(""))
            }
            None if NAMES.contains(&key.as_ref()) => {}
            // Highs and lows of an index are not the symbol's.
            None if channel == channels::OF_INDEX => {}
            None => ticker.set_param(key, plain(value.get(), text)),
            Some(TickerField::NextFundingTime) => {
                let at = time_of_ms(Some(Number(text))).map(|at| at.0.to_string());
                ticker.set(TickerField::NextFundingTime, &at.unwrap_or_default());
            }
            Some(field) => ticker.set(field, decimal_text(text).unwrap_or("")),
        }
    }
}

/// A member's text; what is no text, number or truth value is left out.
fn plain<'a>(raw: &str, text: &'a str) -> &'a str {
    if raw == "null" || raw.starts_with(['{', '[']) { "" } else { text }
}
