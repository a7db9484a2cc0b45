//! Many clients at once on the control socket: what the venue has in the end is what they wish for in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tickbus::io::zmq::{Kind, ZmqConnection, ZmqLimits, connect};
use tickbus::zmtp::ClientSecurity;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::gateway::{Gateway, config, until};
use crate::set_venue::SetVenue;

const CLIENTS: usize = 1_000;
const COMMANDS_EACH: usize = 10;
const SYMBOLS: usize = 150;
/// How the config spells a channel, and how the venue does.
const CHANNELS: [(&str, &str); 4] =
    [("trade", "publicTrade"), ("ticker", "tickers"), ("candle:1m", "kline.1"), ("liquidation", "allLiquidation")];

/// A small generator, so that each client's commands are the same in every run.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        usize::try_from((self.0 >> 33) % sides as u64).unwrap()
    }
}

async fn ask(connection: &mut ZmqConnection, body: &Value) -> Value {
    connection.send(&[b"", body.to_string().as_bytes()]).await.unwrap();
    serde_json::from_slice(connection.receive().await.unwrap().last().unwrap()).unwrap()
}

/// One client's commands over one connection; what it wishes for in the end, as the venue spells it.
async fn live_a_life(number: usize, control: String, together: Arc<Barrier>) -> BTreeSet<String> {
    let limits =
        ZmqLimits { connect: Duration::from_secs(60), handshake: Duration::from_secs(60), ..ZmqLimits::default() };
    let mut connection = connect(&control, Kind::Dealer, &ClientSecurity::Null, limits).await.unwrap();
    // All are connected before the first one asks.
    together.wait().await;
    let (mut dice, mut wished) = (Dice(number as u64), BTreeSet::new());
    // One in three has no name: its wishes are its connection's.
    let name = (!number.is_multiple_of(3)).then(|| format!("client{number}"));
    for _ in 0..COMMANDS_EACH {
        // Mostly it takes back what it wished for, so that streams are really left.
        let leaves = dice.roll(10) < 8;
        let own = wished.iter().nth(dice.roll(wished.len().max(1))).cloned().filter(|_| leaves);
        let wishes = own.is_none();
        let (symbol, channel) = own.unwrap_or_else(|| (dice.roll(SYMBOLS), dice.roll(CHANNELS.len())));
        let op = if wishes { "subscribe" } else { "unsubscribe" };
        let (name_of_symbol, ours) = (format!("S{symbol}USDT"), CHANNELS[channel].0);
        let mut body =
            json!({"op": op, "feed": "a", "symbols": [name_of_symbol], "channels": [ours], "within_ms": 30_000});
        if let Some(name) = &name {
            body["client"] = json!(name);
        }
        let answer = ask(&mut connection, &body).await;
        assert_eq!(answer["ok"], true, "{body} {answer}");
        let state = answer["streams"][0]["state"].as_str().unwrap();
        let expected: &[&str] = if wishes { &["subscribed", "unsubscribed"] } else { &["unsubscribed", "kept"] };
        assert!(expected.contains(&state), "{body} {answer}");
        if wishes {
            wished.insert((symbol, channel))
        } else {
            wished.remove(&(symbol, channel))
        };
    }
    // Its wishes must stay its own until everybody is done.
    together.wait().await;
    wished.into_iter().map(|(symbol, channel)| format!("{}.S{symbol}USDT", CHANNELS[channel].1)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_clients_leave_the_venue_with_exactly_the_wished_set() {
    let venue = SetVenue::start().await;
    let feed = json!({
        "venue": "bybit", "market": "linear", "symbols": ["BTCUSDT"], "channels": ["trade"], "url": venue.url,
    });
    let gateway = Gateway::start(&config(&json!({"a": feed}))).await;
    until("the config's stream", || venue.topics().contains("publicTrade.BTCUSDT")).await;
    let together = Arc::new(Barrier::new(CLIENTS));
    let mut clients = JoinSet::new();
    for number in 0..CLIENTS {
        clients.spawn(live_a_life(number, gateway.control.clone(), Arc::clone(&together)));
    }
    let mut wished = BTreeSet::from(["publicTrade.BTCUSDT".to_owned()]);
    while let Some(life) = clients.join_next().await {
        wished.extend(life.unwrap());
    }
    let mut told = BTreeMap::new();
    until("the venue has the wished set", || {
        told.insert(venue.topics().len(), ());
        venue.topics() == wished
    })
    .await;
    let status = gateway.ask(json!({"op": "status", "feed": "a"})).await;
    assert_eq!(status["feeds"][0]["streams"], wished.len(), "{status}");
    println!("{} topics wished for; {} requests to the venue", wished.len(), venue.requests());
    // What a nameless client left behind, any other may take back; what belongs to a name, nobody else.
    let names: Vec<String> =
        (0..CLIENTS).filter(|number| !number.is_multiple_of(3)).map(|n| format!("client{n}")).collect();
    for client in std::iter::once(None).chain(names.iter().map(Some)) {
        let symbols: Vec<String> = (0..SYMBOLS).map(|n| format!("S{n}USDT")).collect();
        let channels = CHANNELS.map(|(ours, _)| ours);
        let mut body =
            json!({"op": "unsubscribe", "feed": "a", "symbols": symbols, "channels": channels, "within_ms": 0});
        if let Some(client) = client {
            body["client"] = json!(client);
        }
        assert_eq!(gateway.ask(body).await["ok"], true);
    }
    let last = BTreeSet::from(["publicTrade.BTCUSDT".to_owned()]);
    until("only what the config wishes is left", || venue.topics() == last).await;
}
