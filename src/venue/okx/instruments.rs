//! Instruments from `GET /api/v5/public/instruments` and the channel `instruments`
//! (OKX API v5, "Public Data", "Get instruments").

use serde::Deserialize;
use serde_json::value::RawValue;

use super::channels;
use crate::model::{Instrument, InstrumentKind, UnixNanos};
use crate::venue::kit::fields::{Number, Object};

/// The envelope of every REST answer.
#[derive(Debug, Deserialize)]
pub(super) struct Reply<'a> {
    /// A text; a number where the path is not known.
    #[serde(borrow)]
    code: Number<'a>,
    #[serde(default)]
    msg: String,
    #[serde(borrow, default)]
    data: Option<&'a RawValue>,
}

impl<'a> Reply<'a> {
    /// The rows, or the venue's words.
    pub(super) fn into_rows(self) -> Result<Vec<&'a RawValue>, String> {
        match self.data {
            Some(data) if self.code.0 == "0" => serde_json::from_str(data.get()).map_err(|error| error.to_string()),
            _ => Err(format!("code {}: {}", self.code.0, self.msg)),
        }
    }
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
#[derive(Default)]
struct Item {
    inst_id: String,
    inst_type: String,
    base_ccy: String,
    quote_ccy: String,
    settle_ccy: String,
    tick_sz: String,
    lot_sz: String,
    min_sz: String,
    exp_time: String,
    stk: String,
    opt_type: String,
    state: String,
}

/// Reads rows; `None` for each that cannot be read.
pub(super) fn read(rows: &[&RawValue]) -> Vec<Option<Instrument>> {
    let item = |row: &&RawValue| serde_json::from_str::<Object<Item>>(row.get()).ok();
    rows.iter().map(|row| item(row).and_then(|Object(item)| item.into_instrument())).collect()
}

/// A text, unless the venue left it empty.
fn said(text: String) -> Option<String> {
    Some(text).filter(|text| !text.is_empty())
}

impl Item {
    fn into_instrument(self) -> Option<Instrument> {
        let kind = match self.inst_type.as_str() {
            "SPOT" => InstrumentKind::Spot,
            "SWAP" => InstrumentKind::Perpetual,
            "FUTURES" => InstrumentKind::Future,
            "OPTION" => InstrumentKind::Option,
            _ => return None,
        };
        // Contracts leave base and quote empty: their family says them.
        let family = channels::family(&self.inst_id);
        let (base, quote) = family.split_once('-')?;
        let quote = quote.split('_').next().unwrap_or(quote);
        let expires = matches!(kind, InstrumentKind::Future | InstrumentKind::Option);
        let expiry = self.exp_time.parse().ok().filter(|ms| expires && *ms > 0);
        Some(Instrument {
            base: said(self.base_ccy).unwrap_or_else(|| base.to_owned()),
            quote: said(self.quote_ccy).unwrap_or_else(|| quote.to_owned()),
            settle: said(self.settle_ccy),
            kind,
            tick_size: said(self.tick_sz),
            lot_size: said(self.lot_sz),
            min_size: said(self.min_sz),
            expiry: expiry.map(UnixNanos::from_ms),
            strike: said(self.stk),
            option_type: self.opt_type.chars().next(),
            status: said(self.state),
            symbol: self.inst_id,
        })
    }
}
