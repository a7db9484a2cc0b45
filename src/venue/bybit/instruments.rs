//! Instruments from `GET /v5/market/instruments-info`
//! (`https://bybit-exchange.github.io/docs/v5/market/instrument`).

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::model::{Instrument, InstrumentKind, UnixNanos};
use crate::venue::kit::fields::Object;

/// The envelope of every REST answer. Errors keep HTTP 200 and say so in `retCode`; their result is anything.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Reply<'a> {
    ret_code: i64,
    #[serde(default)]
    ret_msg: String,
    #[serde(borrow)]
    result: Option<&'a RawValue>,
}

impl<'a> Reply<'a> {
    /// The result, or the venue's words.
    pub(super) fn into_result<T: Deserialize<'a>>(self) -> Result<T, String> {
        match self.result {
            Some(result) if self.ret_code == 0 => {
                let read = serde_json::from_str(result.get()).map(|Object(result)| result);
                read.map_err(|error| error.to_string())
            }
            _ => Err(format!("retCode {}: {}", self.ret_code, self.ret_msg)),
        }
    }
}

/// One page of instruments.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Page<'a> {
    category: Option<String>,
    #[serde(borrow, default)]
    list: Vec<&'a RawValue>,
    next_page_cursor: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Item {
    symbol: String,
    contract_type: Option<String>,
    status: Option<String>,
    base_coin: String,
    quote_coin: String,
    settle_coin: Option<String>,
    delivery_time: Option<String>,
    options_type: Option<String>,
    price_filter: Option<Object<PriceFilter>>,
    lot_size_filter: Option<Object<LotSizeFilter>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct PriceFilter {
    tick_size: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct LotSizeFilter {
    qty_step: Option<String>,
    /// Spot's word for the size step.
    base_precision: Option<String>,
    min_order_qty: Option<String>,
}

impl Page<'_> {
    /// Whether it lists another category than this one.
    pub(super) fn is_of_another(&self, category: &str) -> bool {
        self.category.as_deref().is_some_and(|own| own != category)
    }

    /// The instruments, `None` for each that cannot be read, and the cursor of the next page if there is one.
    pub(super) fn into_parts(self) -> (Vec<Option<Instrument>>, Option<String>) {
        let cursor = self.next_page_cursor.filter(|cursor| !cursor.is_empty());
        let read = |item: &RawValue| serde_json::from_str::<Object<Item>>(item.get()).ok();
        (self.list.into_iter().map(|item| read(item).map(|Object(item)| item.into_instrument())).collect(), cursor)
    }
}

impl Item {
    fn into_instrument(self) -> Instrument {
        let option_type = self.options_type.as_deref().and_then(|text| text.chars().next());
        let kind = match self.contract_type.as_deref() {
            _ if option_type.is_some() => InstrumentKind::Option,
            Some(text) if text.ends_with("Futures") => InstrumentKind::Future,
            Some(_) => InstrumentKind::Perpetual,
            None => InstrumentKind::Spot,
        };
        let expires = matches!(kind, InstrumentKind::Future | InstrumentKind::Option);
        let delivery = self.delivery_time.and_then(|text| text.parse().ok()).filter(|ms| expires && *ms > 0);
        let lot = self.lot_size_filter.map(|Object(filter)| filter);
        let strike = self.symbol.split('-').nth(2).filter(|_| kind == InstrumentKind::Option).map(str::to_owned);
        Instrument {
            base: self.base_coin,
            quote: self.quote_coin,
            settle: self.settle_coin,
            kind,
            tick_size: self.price_filter.and_then(|Object(filter)| filter.tick_size),
            lot_size: lot.as_ref().and_then(|filter| filter.qty_step.clone().or_else(|| filter.base_precision.clone())),
            min_size: lot.and_then(|filter| filter.min_order_qty),
            expiry: delivery.map(UnixNanos::from_ms),
            strike,
            option_type,
            status: self.status,
            symbol: self.symbol,
        }
    }
}
