//! Rows with the field names of OKEx's v3, made of our payloads. What a payload does not say, its row does not have.

use std::borrow::Cow;

use super::super::batch::{Arguments, json_text};
use super::super::fields::{Fields, first};

/// A row's fields, in their order.
#[derive(Clone, Debug, Default)]
pub(super) struct Row(Vec<(&'static str, Value)>);

#[derive(Clone, Debug)]
enum Value {
    Text(String),
    Json(String),
}

/// Our member, and the v3 field it becomes.
type Names = &'static [(&'static str, &'static str)];

const TICKER: Names = &[
    ("last", "last"),
    ("ask_price", "best_ask"),
    ("ask_size", "best_ask_size"),
    ("bid_price", "best_bid"),
    ("bid_size", "best_bid_size"),
    ("open_24h", "open_24h"),
    ("high_24h", "high_24h"),
    ("low_24h", "low_24h"),
];
/// Volumes, where they are of a coin and of its price's currency.
const SPOT: Names = &[("volume_24h", "base_volume_24h"), ("turnover_24h", "quote_volume_24h")];
/// What the venue says beyond our ticker, by its v5 names.
const TICKER_PARAMS: Names = &[("lastSz", "last_qty"), ("sodUtc0", "open_utc0"), ("sodUtc8", "open_utc8")];
const DERIVATIVE_PARAMS: Names = &[("volCcy24h", "volume_token_24h")];
const RANGE_PARAMS: Names = &[("buyLmt", "highest"), ("sellLmt", "lowest")];
/// Volumes in contracts.
const DERIVATIVE: Names = &[("volume_24h", "volume_24h"), ("open_interest", "open_interest")];
const FUNDING: Names = &[("funding_rate", "funding_rate")];
const MARK: Names = &[("mark", "mark_price")];
const TRADE: Names = &[("price", "price"), ("side", "side"), ("size", "size"), ("id", "trade_id")];
const CANDLE: Names = &[("open", "open"), ("high", "high"), ("low", "low"), ("close", "close"), ("volume", "volume")];
/// v3 counted contracts' in the coin, which our candles do not have.
const SPOT_CANDLE: Names = &[("turnover", "currency_volume")];
const ORDER: Names = &[
    ("id", "order_id"),
    ("client_id", "client_oid"),
    ("side", "side"),
    ("order_type", "type"),
    ("price", "price"),
    ("size", "size"),
    ("filled", "filled_size"),
    ("average_price", "price_avg"),
];
const POSITION: Names = &[
    ("size", "position"),
    ("entry_price", "avg_cost"),
    ("margin", "margin"),
    ("unrealised_pnl", "unrealized_pnl"),
    ("leverage", "leverage"),
    ("liquidation_price", "liquidation_price"),
    ("kind", "margin_mode"),
];
const BALANCE: Names = &[("total", "balance"), ("available", "available"), ("locked", "hold")];
const INSTRUMENT: Names = &[
    ("base", "base_currency"),
    ("quote", "quote_currency"),
    ("settle", "settlement_currency"),
    ("tick_size", "tick_size"),
    ("lot_size", "size_increment"),
    ("min_size", "min_size"),
];

impl Row {
    /// A ticker; `channel` is the v3 channel it is for, without its market.
    pub(super) fn ticker(fields: &Fields<'_>, market: &str, channel: &str) -> Self {
        let mut row = Self::of_instrument(fields);
        let params = fields.json("params").and_then(|json| Fields::read(json).ok());
        let more = |row: &mut Self, names| params.iter().for_each(|params| row.take(params, names));
        match channel {
            "funding_rate" => {
                row.take(fields, FUNDING);
                row.time(fields, &["next_funding_time"], "funding_time");
            }
            "mark_price" => row.take(fields, MARK),
            "price_range" => more(&mut row, RANGE_PARAMS),
            _ => {
                row.take(fields, TICKER);
                row.take(fields, if market == "spot" { SPOT } else { DERIVATIVE });
                more(&mut row, TICKER_PARAMS);
                if market != "spot" {
                    more(&mut row, DERIVATIVE_PARAMS);
                }
            }
        }
        row.stamp(fields)
    }

    /// A book of `depth` levels a side: a level is its price and its size.
    pub(super) fn book(fields: &Fields<'_>, depth: usize) -> Self {
        let mut row = Self::of_instrument(fields);
        for side in ["asks", "bids"] {
            let levels = fields.json(side).map_or(Cow::Borrowed("[]"), |json| first(json, depth));
            row.0.push((side, Value::Json(levels.into_owned())));
        }
        row.stamp(fields)
    }

    pub(super) fn trade(fields: &Fields<'_>) -> Self {
        let mut row = Self::of_instrument(fields);
        row.take(fields, TRADE);
        row.stamp(fields)
    }

    /// A candle, as its hash: its time first, then prices and volumes.
    pub(super) fn candle(fields: &Fields<'_>) -> Self {
        let mut row = Self::default();
        row.time(fields, &["open_time"], "timestamp");
        row.take(fields, CANDLE);
        if fields.text("market").as_deref() == Some("spot") {
            row.take(fields, SPOT_CANDLE);
        }
        row
    }

    pub(super) fn order(fields: &Fields<'_>) -> Self {
        let mut row = Self::of_instrument(fields);
        row.take(fields, ORDER);
        let filled = fields.text("filled").is_some_and(|text| text.bytes().any(|b| (b'1'..=b'9').contains(&b)));
        let state = match fields.text("state").as_deref() {
            Some("open") if filled => Some("1"),
            Some("open") => Some("0"),
            Some("partially_filled") => Some("1"),
            Some("filled") => Some("2"),
            Some("cancelled") => Some("-1"),
            Some("rejected") => Some("-2"),
            _ => None,
        };
        if let Some(state) = state {
            row.push("state", state);
        }
        row.time(fields, &["created"], "created_at");
        row.time(fields, &["updated", "ts_event", "ts_venue", "ts_recv", "ts_pub"], "timestamp");
        row
    }

    pub(super) fn position(fields: &Fields<'_>) -> Self {
        let mut row = Self::of_instrument(fields);
        row.take(fields, POSITION);
        row.stamp(fields)
    }

    pub(super) fn balance(fields: &Fields<'_>) -> Self {
        let mut row = Self::default();
        row.push("currency", &fields.text("symbol").unwrap_or_default());
        row.take(fields, BALANCE);
        row.stamp(fields)
    }

    pub(super) fn instrument(fields: &Fields<'_>) -> Self {
        let mut row = Self::of_instrument(fields);
        row.take(fields, INSTRUMENT);
        row.time(fields, &["expiry"], "delivery");
        row
    }

    fn of_instrument(fields: &Fields<'_>) -> Self {
        let mut row = Self::default();
        row.push("instrument_id", &fields.text("symbol").unwrap_or_default());
        row
    }

    fn push(&mut self, name: &'static str, text: &str) {
        self.0.push((name, Value::Text(text.to_owned())));
    }

    fn take(&mut self, fields: &Fields<'_>, names: Names) {
        for (ours, v3) in names {
            if let Some(text) = fields.text(ours) {
                self.push(v3, &text);
            }
        }
    }

    /// The first of these times that the payload has, as v3 wrote times.
    fn time(&mut self, fields: &Fields<'_>, names: &[&str], v3: &'static str) {
        if let Some(text) = names.iter().find_map(|name| fields.integer(name)).and_then(iso) {
            self.push(v3, &text);
        }
    }

    fn stamp(mut self, fields: &Fields<'_>) -> Self {
        self.time(fields, &["ts_event", "ts_venue", "ts_recv", "ts_pub"], "timestamp");
        self
    }

    /// A field's text.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(field, _)| *field == name).map(|(_, value)| match value {
            Value::Text(text) | Value::Json(text) => text.as_str(),
        })
    }

    /// Adds field and value of each as arguments.
    pub(super) fn arguments<'b>(&self, command: Arguments<'b>) -> Arguments<'b> {
        self.0.iter().fold(command, |command, (name, value)| match value {
            Value::Text(text) | Value::Json(text) => command.arg(name).arg(text),
        })
    }

    /// As a JSON object.
    pub(super) fn json(&self) -> String {
        let mut out = String::from("{");
        for (at, (name, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            json_text(&mut out, name);
            out.push(':');
            match value {
                Value::Text(text) => json_text(&mut out, text),
                Value::Json(json) => out.push_str(json),
            }
        }
        out.push('}');
        out
    }

    /// Its values as a JSON array of texts.
    pub(super) fn array(&self) -> String {
        let mut out = String::from("[");
        for (at, (_, value)) in self.0.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            let (Value::Text(text) | Value::Json(text)) = value;
            json_text(&mut out, text);
        }
        out.push(']');
        out
    }
}

/// Nanoseconds since 1970 as `2019-05-06T07:19:39.348Z`.
fn iso(nanos: u64) -> Option<String> {
    let at = jiff::Timestamp::from_nanosecond(nanos.into()).ok()?;
    Some(at.strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_spelled_as_v3_did() {
        assert_eq!(iso(1_557_127_179_348_999_999).as_deref(), Some("2019-05-06T07:19:39.348Z"));
        assert_eq!(iso(0).as_deref(), Some("1970-01-01T00:00:00.000Z"));
    }

    #[test]
    fn a_ticker_has_the_v3_names_and_nothing_made_up() {
        let json = r#"{"symbol":"ETH-USDT","ts_event":1557127179348000000,"last":"162.0","bid_price":"161.9","bid_size":"3",
            "ask_price":"162.1","ask_size":"4","volume_24h":"5.5","turnover_24h":"900","params":{"lastSz":"0.1"}}"#;
        let row = Row::ticker(&Fields::read(json).unwrap(), "spot", "ticker").json();
        let wanted = r#"{"instrument_id":"ETH-USDT","last":"162.0","best_ask":"162.1","best_ask_size":"4","best_bid":"161.9",
            "best_bid_size":"3","base_volume_24h":"5.5","quote_volume_24h":"900","last_qty":"0.1",
            "timestamp":"2019-05-06T07:19:39.348Z"}"#;
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&row), value(wanted));
    }

    #[test]
    fn contracts_count_in_contracts_and_coins() {
        let json = r#"{"symbol":"A","volume_24h":"5","turnover_24h":"9","params":{"volCcy24h":"2","buyLmt":"7","sellLmt":"6"}}"#;
        let row = |channel| Row::ticker(&Fields::read(json).unwrap(), "swap", channel).json();
        assert_eq!(row("ticker"), r#"{"instrument_id":"A","volume_24h":"5","volume_token_24h":"2"}"#);
        assert_eq!(row("price_range"), r#"{"instrument_id":"A","highest":"7","lowest":"6"}"#);
        let candle = Fields::read(r#"{"market":"swap","open_time":0,"volume":"5","turnover":"9"}"#).unwrap();
        assert_eq!(Row::candle(&candle).json(), r#"{"timestamp":"1970-01-01T00:00:00.000Z","volume":"5"}"#);
    }

    #[test]
    fn orders_tell_their_state_in_numbers() {
        let state = |json: &str| Row::order(&Fields::read(json).unwrap()).get("state").map(str::to_owned);
        assert_eq!(state(r#"{"symbol":"A","state":"open","filled":"0.00"}"#).as_deref(), Some("0"));
        assert_eq!(state(r#"{"symbol":"A","state":"open","filled":"0.10"}"#).as_deref(), Some("1"));
        assert_eq!(state(r#"{"symbol":"A","state":"cancelled"}"#).as_deref(), Some("-1"));
        assert_eq!(state(r#"{"symbol":"A","state":"odd"}"#), None);
    }
}
