//! (being built)
use crate::venue::{ChannelSpec, Endpoints, Market, Session, SessionSpec, VenueDef};
/// Bybit.
pub const VENUE: VenueDef = VenueDef {
    id: "bybit",
    markets: &[Market {
        id: "linear",
        url: "wss://stream.bybit.com/v5/public/linear",
        rest_url: "https://api.bybit.com",
        example: "BTCUSDT",
    }],
    channels: |_| vec![],
    parse_channel: pc,
    check_symbol: |_, _| Ok(()),
    endpoints: ep,
    open: op,
    market_of: |_, _| None,
};
fn pc(_: &str, _: &str) -> Result<ChannelSpec, String> {
    Err("nothing yet".into())
}
fn ep(_: &str, _: Option<&str>, _: Option<&str>) -> Endpoints {
    Endpoints { url: String::new(), rest_url: String::new(), note: None }
}
fn op(_: SessionSpec) -> Box<dyn Session> {
    unimplemented!()
}
