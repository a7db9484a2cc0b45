//! What the venue says of itself: its time, its limits and its symbols.

use crate::sim::binance::catalog::{Market, Spec};
use crate::sim::binance::interval::DAY;
use crate::sim::binance::message::{Object, array, json_text};
use crate::sim::binance::venue::Venue;
use crate::sim::binance::weights::pool;

use super::{Call, Outcome, bad, no_symbol};

/// When every simulated contract was listed, ms.
const ONBOARD: u64 = 1_584_230_400_000;
/// When perpetual contracts are delivered: never, ms.
const NEVER: u64 = 4_133_404_800_000;

pub(super) fn time(_: &mut Venue, call: &Call) -> Outcome {
    Ok(Object::new().raw("serverTime", call.now_ms()).done())
}

pub(super) fn exchange(venue: &mut Venue, call: &Call) -> Outcome {
    let specs: Vec<&Spec> =
        venue.listed.iter().map(|listed| &listed.spec).filter(|spec| spec.market == call.market).collect();
    let wanted: Option<Vec<String>> = match (call.params.get("symbol"), call.params.get("symbols")) {
        _ if call.market != Market::Spot => None,
        (Some(symbol), _) => Some(vec![symbol.to_owned()]),
        (None, Some(list)) => Some(serde_json::from_str(list).map_err(|_| bad("symbols"))?),
        (None, None) => None,
    };
    let specs = match wanted {
        None => specs,
        Some(names) => {
            let find = |name: &String| specs.iter().copied().find(|spec| spec.symbol == *name);
            names.iter().map(find).collect::<Option<Vec<_>>>().ok_or_else(no_symbol)?
        }
    };
    let sets = call.params.get("showPermissionSets") != Some("false");
    let rows: Vec<String> = specs.into_iter().map(|spec| symbol(spec, sets)).collect();
    let limit = venue.weights[pool(call.market)].limit;
    let out = Object::new().text("timezone", "UTC").raw("serverTime", call.now_ms());
    let out = out.raw("rateLimits", limits(call.market, limit)).raw("exchangeFilters", "[]");
    Ok(out.raw("symbols", array(&rows)).done())
}

fn limits(market: Market, weight: u32) -> String {
    let row = |kind: &str, interval: &str, count: u32, limit: u32| {
        let row = Object::new().text("rateLimitType", kind).text("interval", interval).raw("intervalNum", count);
        row.raw("limit", limit).done()
    };
    let weight = row("REQUEST_WEIGHT", "MINUTE", 1, weight);
    array(&match market {
        Market::Spot => {
            vec![
                weight,
                row("ORDERS", "SECOND", 10, 100),
                row("ORDERS", "DAY", 1, 200_000),
                row("RAW_REQUESTS", "MINUTE", 5, 61_000),
            ]
        }
        _ => vec![weight, row("ORDERS", "MINUTE", 1, 1_200), row("ORDERS", "SECOND", 10, 300)],
    })
}

fn symbol(spec: &Spec, sets: bool) -> String {
    let out = Object::new().text("symbol", &spec.symbol);
    let out = match spec.market {
        Market::Spot => {
            let out = out.text("status", "TRADING").text("baseAsset", &spec.base).raw("baseAssetPrecision", 8);
            out.text("quoteAsset", &spec.quote).raw("quotePrecision", 8).raw("quoteAssetPrecision", 8)
        }
        market => {
            let kind = if spec.delivery_ms == 0 { "PERPETUAL" } else { contract_type(spec) };
            let delivery = if spec.delivery_ms == 0 { NEVER } else { spec.delivery_ms };
            let out = out.text("pair", spec.pair()).text("contractType", kind).raw("deliveryDate", delivery);
            let out = out.raw("onboardDate", ONBOARD);
            let out = match market {
                Market::Coinm => out.text("contractStatus", "TRADING").raw("contractSize", spec.contract_size),
                _ => out.text("status", "TRADING"),
            };
            let out = out.text("marginAsset", spec.margin()).text("baseAsset", &spec.base);
            let out = out.text("quoteAsset", &spec.quote);
            // Not the tick: as on the venue, there are more decimal places than prices have.
            out.raw("pricePrecision", spec.tick.scale + 1).raw("quantityPrecision", spec.lot.scale)
        }
    };
    let out = out.raw("orderTypes", r#"["LIMIT","MARKET"]"#).raw("filters", filters(spec));
    if spec.market == Market::Spot {
        let sets = if sets { r#"[["SPOT","MARGIN"]]"# } else { "[]" };
        return out.raw("isSpotTradingAllowed", true).raw("permissions", "[]").raw("permissionSets", sets).done();
    }
    out.done()
}

/// Those that end within 120 days are the current ones.
fn contract_type(spec: &Spec) -> &'static str {
    const NEXT_BEGINS: u64 = 1_806_048_000_000 + DAY;
    if spec.delivery_ms < NEXT_BEGINS { "CURRENT_QUARTER" } else { "NEXT_QUARTER" }
}

fn filters(spec: &Spec) -> String {
    let price = Object::new().text("filterType", "PRICE_FILTER").text("minPrice", spec.price(1));
    let price = price.text("maxPrice", spec.price(spec.shape.start_ticks.saturating_mul(20)));
    let most = spec.size(spec.shape.max_lots.saturating_mul(100));
    let size = |kind: &str| {
        let size = Object::new().text("filterType", kind).text("minQty", spec.size(1)).text("maxQty", most);
        size.text("stepSize", spec.size(1)).done()
    };
    let notional = match spec.market {
        Market::Spot => {
            let out = Object::new().text("filterType", "NOTIONAL").text("minNotional", "5.00000000");
            vec![out.raw("applyMinToMarket", true).text("maxNotional", "9000000.00000000").done()]
        }
        Market::Usdm => vec![format!(r#"{{"filterType":{},"notional":"5"}}"#, json_text("MIN_NOTIONAL"))],
        Market::Coinm => Vec::new(),
    };
    let first = [price.text("tickSize", spec.price(1)).done(), size("LOT_SIZE"), size("MARKET_LOT_SIZE")];
    array(&first.into_iter().chain(notional).collect::<Vec<_>>())
}
