//! Tests of the commands, against a control plane that only remembers what it was asked.

use std::sync::Mutex;

use super::super::Answer;
use super::*;

/// A control plane with feeds and a memory.
#[derive(Default)]
struct Fake {
    feeds: Mutex<Vec<(String, String)>>,
    asked: Mutex<Vec<Value>>,
}

impl Fake {
    fn answer(&self, request: &Value) -> Value {
        let text = |key: &str| request[key].as_str().unwrap_or_default().to_owned();
        let mut feeds = self.feeds.lock().unwrap();
        let refused = |error: &str, code: &str| json!({"ok": false, "error": error, "code": code});
        match request["op"].as_str() {
            Some("feeds") => {
                let list: Vec<_> = feeds.iter().map(|(name, market)| json!({"name": name, "market": market})).collect();
                json!({"ok": true, "feeds": list})
            }
            Some("open") if text("name").contains('-') => refused("not a feed name", "bad_request"),
            Some("open") => {
                feeds.push((text("name"), text("market")));
                json!({"ok": true})
            }
            Some("close") => {
                feeds.retain(|(name, _)| *name != text("name"));
                json!({"ok": true})
            }
            Some("subscribe") => {
                let symbols: Vec<_> = request["symbols"].as_array().into_iter().flatten().collect();
                let bad = |symbol: &&&Value| **symbol == "NO-SUCH";
                let stream = |symbol: &&Value| match bad(&symbol) {
                    true => json!({"symbol": symbol, "state": "rejected", "detail": "the venue has no NO-SUCH"}),
                    false => json!({"symbol": symbol, "state": "subscribed"}),
                };
                let streams: Vec<_> = symbols.iter().map(stream).collect();
                json!({"ok": !symbols.iter().any(|symbol| bad(&symbol)), "code": "rejected", "streams": streams})
            }
            _ => json!({"ok": true}),
        }
    }
}

impl Commands for Fake {
    fn execute(&self, request: Value) -> Answer<'_> {
        let answer = self.answer(&request);
        if request["op"] != "feeds" {
            self.asked.lock().unwrap().push(request);
        }
        Box::pin(async move { answer })
    }
}

struct Bench {
    desk: Desk,
    fake: Arc<Fake>,
    told: mpsc::Receiver<Told>,
}

impl Bench {
    fn new() -> Self {
        let (tell, told) = mpsc::channel(100);
        let fake = Arc::new(Fake::default());
        let okws = OkwsOptions {
            root: "okex".to_owned(),
            commands: "trade-ws".to_owned(),
            answers: "trade-ws/info".to_owned(),
            info: "okws/info".to_owned(),
            venue: "okx".to_owned(),
            url: Some("ws://127.0.0.1:1".to_owned()),
            rest_url: None,
        };
        Self { desk: Desk::new(okws, 400, Arc::clone(&fake) as Arc<dyn Commands>, tell), fake, told }
    }

    /// The code and message of the answer, and everything else that was told.
    async fn ask(&mut self, text: &str) -> (u64, Value, Vec<String>) {
        self.desk.serve(Request::read(text.as_bytes()).unwrap()).await;
        let mut rest = Vec::new();
        while let Ok(told) = self.told.try_recv() {
            match told {
                Told::Commands(batch) => rest.extend(batch.lines()),
                Told::Asked(asked) => rest.push(format!("asked {} {}", asked.name, asked.table)),
                Told::Unasked(asked) => rest.push(format!("unasked {} {}", asked.name, asked.table)),
                Told::Closed(name) => rest.push(format!("closed {name}")),
            }
        }
        let answer = rest.pop().unwrap();
        let json = answer.strip_prefix("SET trade-ws/info/7 ").and_then(|rest| rest.strip_suffix(" EX 3600")).unwrap();
        let json: Value = serde_json::from_str(json).unwrap();
        assert_eq!(json["event"] == "info", json["errorCode"] == 80000, "{json}");
        (json["errorCode"].as_u64().unwrap(), json["message"].clone(), rest)
    }

    /// What the control plane was asked since the last time.
    fn asked(&self) -> Vec<Value> {
        std::mem::take(&mut *self.fake.asked.lock().unwrap())
    }
}

#[tokio::test]
async fn a_connection_is_opened_listed_and_closed() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(r#"{"op":"servers","id":7}"#).await.1, json!([]));
    let open = r#"{"op":"open","name":"t","id":7,"args":{"apiKey":"K","secret":"S","password":"P"}}"#;
    assert_eq!(bench.ask(open).await.0, 80000);
    let credentials = json!({"key": "K", "secret": "S", "passphrase": "P"});
    let wanted = json!({
        "op": "open", "name": "t_spot", "venue": "okx", "market": "spot", "credentials": credentials,
        "publish": {"book_depth": 400}, "url": "ws://127.0.0.1:1",
    });
    assert_eq!(bench.asked(), [wanted]);
    assert_eq!(bench.ask(open).await.0, 80001);
    assert_eq!(bench.ask(r#"{"op":"servers","id":7}"#).await.1, json!(["t"]));
    let (code, _, told) = bench.ask(r#"{"op":"close","name":"t","id":7}"#).await;
    assert_eq!((code, told), (80000, vec!["closed t".to_owned()]));
    assert_eq!(bench.ask(r#"{"op":"close","name":"t","id":7}"#).await.0, 80011);
    let (code, message, _) = bench.ask(r#"{"op":"open","name":"no-name","id":7}"#).await;
    assert_eq!((code, message), (80010, json!("not a feed name")));
}

#[tokio::test]
async fn a_subscription_opens_the_markets_it_needs() {
    let mut bench = Bench::new();
    let subscribe = r#"{"op":"subscribe","name":"t","id":7,"args":["spot/ticker:ETH-USDT","spot/ticker:BTC-USDT","swap/candle60s:BTC-USD-SWAP","swap/depth:A","swap/depth5:A"]}"#;
    assert_eq!(bench.ask(subscribe).await.0, 80011);
    bench.ask(r#"{"op":"open","name":"t","id":7,"args":{}}"#).await;
    bench.asked();
    let (code, _, told) = bench.ask(subscribe).await;
    assert_eq!(code, 80000);
    let subscribe = |feed: &str, table: &str, channel: &str, symbols: Value| {
        let client = format!("okws:t:{table}");
        json!({"op": "subscribe", "feed": feed, "channels": [channel], "symbols": symbols, "client": client})
    };
    let wanted = [
        subscribe("t_spot", "spot/ticker", "ticker", json!(["BTC-USDT", "ETH-USDT"])),
        json!({
            "op": "open", "name": "t_swap", "venue": "okx", "market": "swap",
            "publish": {"book_depth": 400}, "url": "ws://127.0.0.1:1",
        }),
        subscribe("t_swap", "swap/candle60s", "candle:1m", json!(["BTC-USD-SWAP"])),
        subscribe("t_swap", "swap/depth", "book:400", json!(["A"])),
        subscribe("t_swap", "swap/depth5", "book:400", json!(["A"])),
    ];
    assert_eq!(bench.asked(), wanted);
    let wanted = [
        "asked t spot/ticker",
        "asked t spot/ticker",
        "asked t swap/candle60s",
        "asked t swap/depth",
        "asked t swap/depth5",
        r#"PUBLISH okex/t/event {"event":"subscribe","channel":"spot/ticker:ETH-USDT"}"#,
        r#"PUBLISH okex/t/event {"event":"subscribe","channel":"spot/ticker:BTC-USDT"}"#,
        r#"PUBLISH okex/t/event {"event":"subscribe","channel":"swap/candle60s:BTC-USD-SWAP"}"#,
        r#"PUBLISH okex/t/event {"event":"subscribe","channel":"swap/depth:A"}"#,
        r#"PUBLISH okex/t/event {"event":"subscribe","channel":"swap/depth5:A"}"#,
    ];
    assert_eq!(told, wanted);
    let (code, _, told) = bench.ask(r#"{"op":"unsubscribe","name":"t","id":7,"args":"spot/ticker:ETH-USDT"}"#).await;
    assert_eq!((code, &*told[0]), (80000, "unasked t spot/ticker"));
    assert_eq!(bench.asked()[0]["client"], "okws:t:spot/ticker", "and nobody else's wish");
    assert_eq!(bench.ask(r#"{"op":"close","name":"t","id":7}"#).await.0, 80000);
    assert_eq!(bench.ask(r#"{"op":"servers","id":7}"#).await.1, json!([]), "both of its feeds");
}

#[tokio::test]
async fn refusals_name_the_channel_and_the_rest_goes_on() {
    let mut bench = Bench::new();
    bench.ask(r#"{"op":"open","name":"t","id":7}"#).await;
    let some =
        r#"{"op":"subscribe","name":"t","id":7,"args":["spot/nothing:X","spot/trade:NO-SUCH","spot/trade:ETH-USDT"]}"#;
    let (code, _, told) = bench.ask(some).await;
    assert_eq!(code, 80000);
    let errors: Vec<_> = told.iter().filter(|line| line.contains("30040")).collect();
    assert_eq!(errors.len(), 2, "{told:?}");
    assert!(errors[0].contains("Channel spot/nothing:X doesn't exist"), "{errors:?}");
    assert!(errors[1].contains("spot/trade:NO-SUCH: the venue has no NO-SUCH"), "{errors:?}");
    assert_eq!(told.iter().filter(|line| *line == "unasked t spot/trade").count(), 1, "{told:?}");
    assert!(told.contains(&r#"PUBLISH okex/t/event {"event":"subscribe","channel":"spot/trade:ETH-USDT"}"#.to_owned()));
    let none = r#"{"op":"subscribe","name":"t","id":7,"args":["spot/nothing:X"]}"#;
    let (code, message, _) = bench.ask(none).await;
    assert_eq!((code, message), (80010, json!("Channel spot/nothing:X doesn't exist")));
}

#[tokio::test]
async fn the_service_is_ended_and_nonsense_answered() {
    let mut bench = Bench::new();
    assert_eq!(bench.ask(r#"{"op":"quit_server","id":7}"#).await.0, 80000);
    assert_eq!(bench.asked(), [json!({"op": "shutdown"})]);
    assert_eq!(bench.ask(r#"{"op":"login","id":7}"#).await.0, 80010);
}
