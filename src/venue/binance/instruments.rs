//! Instruments from `exchangeInfo` (`GET /api/v3/exchangeInfo`, `/fapi/v1/…`, `/dapi/v1/…`).

use serde::Deserialize;
use serde_json::value::RawValue;

use super::market::Segment;
use crate::model::{Instrument, InstrumentKind, UnixNanos};
use crate::venue::kit::fields::Object;

/// The answer.
#[derive(Debug, Deserialize)]
pub(super) struct ExchangeInfo<'a> {
    #[serde(borrow)]
    symbols: Vec<&'a RawValue>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    symbol: String,
    base_asset: String,
    quote_asset: String,
    margin_asset: Option<String>,
    /// Futures only.
    contract_type: Option<String>,
    /// Spot and USD-M.
    status: Option<String>,
    /// COIN-M.
    contract_status: Option<String>,
    /// Milliseconds; a perpetual's is in the year 2100.
    delivery_date: Option<u64>,
    #[serde(default)]
    filters: Vec<Object<Filter>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Filter {
    filter_type: String,
    tick_size: Option<String>,
    step_size: Option<String>,
    min_qty: Option<String>,
}

impl ExchangeInfo<'_> {
    /// The instruments, `None` for each that cannot be read.
    pub(super) fn instruments(&self, segment: Segment) -> impl Iterator<Item = Option<Instrument>> {
        self.symbols.iter().map(move |item| {
            let read = serde_json::from_str::<Object<Item>>(item.get()).ok();
            read.map(|Object(item)| item.into_instrument(segment))
        })
    }
}

impl Item {
    fn filter(&self, kind: &str) -> Option<&Filter> {
        self.filters.iter().map(|Object(filter)| filter).find(|filter| filter.filter_type == kind)
    }

    fn into_instrument(self, segment: Segment) -> Instrument {
        let kind = match self.contract_type.as_deref() {
            _ if segment.is_spot() => InstrumentKind::Spot,
            // Contracts on shares and the like are `TRADIFI_PERPETUAL`; one that is being delivered says so.
            Some(text) if text.contains("QUARTER") || text.contains("MONTH") => InstrumentKind::Future,
            _ if self.symbol.rsplit_once('_').is_some_and(|(_, end)| is_date(end)) => InstrumentKind::Future,
            _ => InstrumentKind::Perpetual,
        };
        let expires = kind == InstrumentKind::Future;
        let (price, lot) = (self.filter("PRICE_FILTER"), self.filter("LOT_SIZE"));
        let (tick_size, lot_size) = (price.and_then(|f| f.tick_size.clone()), lot.and_then(|f| f.step_size.clone()));
        let min_size = lot.and_then(|filter| filter.min_qty.clone());
        Instrument {
            base: self.base_asset,
            quote: self.quote_asset,
            settle: self.margin_asset,
            kind,
            tick_size,
            lot_size,
            min_size,
            expiry: self.delivery_date.filter(|ms| expires && *ms > 0).map(UnixNanos::from_ms),
            strike: None,
            option_type: None,
            status: self.status.or(self.contract_status),
            symbol: self.symbol,
        }
    }
}

/// `260925`.
fn is_date(text: &str) -> bool {
    text.len() == 6 && text.bytes().all(|byte| byte.is_ascii_digit())
}
