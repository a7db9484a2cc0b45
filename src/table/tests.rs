//! Tables against a simple model, their logs against the tables, and their bounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

const FEED: FeedId = FeedId(1);
const OTHER: FeedId = FeedId(2);
const LOG: LogLimits = LogLimits { changes: 1_000, bytes: 1 << 20 };
const LIMITS: TableLimits = TableLimits { trades: 3, candles: 3, bytes: 1 << 20, log: LOG };

fn shape(kind: TableKind) -> Shape {
    Shape::new(kind, None)
}

fn table(kind: TableKind) -> Table {
    Table::new(shape(kind), LIMITS)
}

fn topic(channel: &str, symbol: &str) -> Bytes {
    crate::frame::topic(channel, "v", "m", symbol)
}

fn frame(symbol: &str, fields: Value) -> String {
    let mut frame = json!({"v": 1, "type": "x", "venue": "v", "market": "m", "symbol": symbol, "epoch": 5});
    frame.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    frame.to_string()
}

fn told(table: &mut Table, channel: &str, symbol: &str, fields: Value) {
    table.apply(FEED, &topic(channel, symbol), &frame(symbol, fields));
}

fn asked(table: &Table, conditions: &[(&str, Value)]) -> Where {
    Where::new(table.kind, conditions.iter().map(|(name, value)| ((*name).to_owned(), value.to_string())))
}

fn found(table: &Table, conditions: &[(&str, Value)]) -> Vec<Value> {
    let found = table.find(&asked(table, conditions), usize::MAX);
    assert_eq!(found.rows.len(), found.matches);
    found.rows.iter().map(|row| serde_json::from_str(row.text()).unwrap()).collect()
}

fn changes(table: &Table, after: u64) -> Result<Vec<Value>, MustReread> {
    let write = |(seq, change): (u64, &Arc<Change>)| {
        let mut text = String::new();
        change.write(seq, &mut text);
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"))
    };
    Ok(table.changes(after)?.map(write).collect())
}

/// All rows by their keys, as a reader sees them.
fn image(table: &Table) -> BTreeMap<String, Value> {
    let all = table.find(&Where::default(), usize::MAX);
    let by_key = all.rows.iter().map(|row| (format!("[{}]", row.key()), serde_json::from_str(row.text()).unwrap()));
    by_key.collect()
}

/// What a reader of the log does with its image.
fn follow(image: &mut BTreeMap<String, Value>, change: &Value) {
    let key = change["key"].to_string();
    let row = change["row"].clone();
    match change["op"].as_str().unwrap() {
        "insert" => assert_eq!(image.insert(key, row), None, "{change}"),
        "update" => {
            let before = image.insert(key, row.clone()).unwrap_or_else(|| panic!("{change}"));
            for (name, value) in change["changed"].as_object().unwrap() {
                assert_eq!((&row[name], &before[name] == value), (value, false), "{change}");
            }
            for name in change.get("gone").and_then(Value::as_array).into_iter().flatten() {
                assert!(row.get(name.as_str().unwrap()).is_none(), "{change}");
            }
        }
        "delete" => assert!(image.remove(&key).is_some(), "{change}"),
        other => panic!("{other}"),
    }
}

#[test]
fn a_row_is_the_newest_frame_of_its_key() {
    let mut table = table(TableKind::Ticker);
    told(&mut table, "ticker", "A", json!({"seq": 1, "last": "1", "mark": "2"}));
    told(&mut table, "ticker", "B", json!({"seq": 1, "last": "1"}));
    told(&mut table, "ticker", "A", json!({"seq": 2, "last": "3"}));
    assert_eq!(found(&table, &[("last", json!("3"))]), [json!({"market": "m", "symbol": "A", "seq": 2, "last": "3"})]);
    assert_eq!(found(&table, &[("last", json!(3))]).len(), 0, "a text is no number");
    assert_eq!(found(&table, &[("mark", Value::Null)]).len(), 2, "rows without it");
    let all = changes(&table, 0).unwrap();
    assert_eq!(all[2]["op"], "update");
    assert_eq!((&all[2]["changed"], &all[2]["gone"]), (&json!({"last": "3"}), &json!(["mark"])));
    assert_eq!((&all[2]["seq"], &all[2]["key"]), (&json!(3), &json!(["m", "A"])));
    told(&mut table, "ticker", "A", json!({"seq": 3, "ts_pub": 9, "last": "3"}));
    assert_eq!(table.seq(), 3, "clocks and counts alone are no change");
    assert_eq!(found(&table, &[("symbol", json!("A"))])[0]["seq"], 2, "and the row is as the log tells it");
}

#[test]
fn a_row_is_got_by_its_key_or_by_as_much_of_it_as_tells_it() {
    let mut table = table(TableKind::Position);
    for (symbol, side) in [("A", "long"), ("A", "short"), ("B", "long")] {
        let topic = crate::frame::topic("position", "v", "main", symbol);
        let fields = json!({"account": "main", "size": "1", "params": {"position_side": side}});
        table.apply(FEED, &topic, &frame(symbol, fields));
    }
    let get = |conditions: &[(&str, Value)]| table.get(&asked(&table, conditions));
    assert_eq!(get(&[("symbol", json!("A"))]), Err(Ambiguous(2)));
    assert!(get(&[("symbol", json!("A")), ("position_side", json!("short"))]).unwrap().is_some());
    assert!(get(&[("symbol", json!("B"))]).unwrap().is_some());
    assert_eq!(get(&[("symbol", json!("C"))]), Ok(None));
    let whole = ["market", "account", "symbol", "position_side"];
    let values = [json!("m"), json!("main"), json!("A"), json!("long")];
    let whole: Vec<_> = whole.into_iter().zip(values).collect();
    assert!(get(&whole).unwrap().is_some());
}

#[test]
fn a_book_is_there_while_it_is_live_and_sorted() {
    let mut table = table(TableKind::Book);
    let book = |bids: Value, asks: Value| json!({"state": "live", "bids": bids, "asks": asks});
    told(&mut table, "book", "A", book(json!([["9", "1"], ["8.50", "2"]]), json!([["10", "1"]])));
    told(&mut table, "book", "A", book(json!([["9.5", "3"], ["9", "1"], ["8.5", "4"]]), json!([["11", "1"]])));
    let of_a = asked(&table, &[("symbol", json!("A"))]);
    let sorted = table.sorted(&of_a, 2).unwrap().unwrap();
    let prices = |rows: &[Arc<Row>]| -> Vec<String> {
        rows.iter().map(|row| row.field("price").unwrap().into_owned()).collect()
    };
    assert_eq!(
        (prices(&sorted.bids), prices(&sorted.asks)),
        (vec!["\"9.5\"".into(), "\"9\"".into()], vec!["\"11\"".into()])
    );
    let ops: Vec<_> = changes(&table, 3).unwrap().iter().map(|change| change["op"].clone()).collect();
    assert_eq!(ops, ["insert", "insert", "insert", "delete", "delete"], "8.50 is spelled 8.5 now");
    assert_eq!(found(&table, &[("price", json!("8.500"))]).len(), 1);
    told(&mut table, "book", "B", book(json!([]), json!([])));
    assert_eq!(table.sorted(&Where::default(), 1).err(), Some(Ambiguous(2)));
    let of_b = asked(&table, &[("symbol", json!("B"))]);
    assert!(table.sorted(&of_b, 1).unwrap().is_some_and(|sorted| sorted.bids.is_empty()), "empty, and live");
    table.forget(OTHER, &topic("book", "A"));
    assert!(table.sorted(&of_a, 1).unwrap().is_some(), "it is not that feed's");
    for symbol in ["A", "B"] {
        table.forget(FEED, &topic("book", symbol));
    }
    assert!(table.sorted(&of_a, 1).unwrap().is_none() && table.sorted(&of_b, 1).unwrap().is_none());
    assert_eq!(table.stats(), TableStats { seq: table.seq(), ..TableStats::default() });
}

#[test]
fn an_order_that_is_over_is_told_once_more_and_goes() {
    let mut table = table(TableKind::Order);
    let order = |id: &str, state: &str| json!({"account": "main", "id": id, "state": state});
    told(&mut table, "order", "A", order("1", "open"));
    told(&mut table, "order", "A", order("1", "partially_filled"));
    told(&mut table, "order", "A", order("1", "filled"));
    told(&mut table, "order", "A", order("2", "rejected"));
    told(&mut table, "order", "A", order("3", "a word of the venue"));
    told(&mut table, "order", "A", order("4", "triggered"));
    told(&mut table, "order", "A", order("4", "completed"));
    let told: Vec<_> =
        changes(&table, 0).unwrap().iter().map(|c| (c["op"].clone(), c["row"]["state"].clone())).collect();
    let expected = [
        ("insert", "open"),
        ("update", "partially_filled"),
        ("delete", "filled"),
        ("insert", "rejected"),
        ("delete", "rejected"),
        ("insert", "a word of the venue"),
        ("insert", "triggered"),
        ("delete", "completed"),
    ];
    assert_eq!(told, expected.map(|(op, state)| (json!(op), json!(state))), "also the one that was never open");
    assert_eq!(found(&table, &[])[0]["id"], "3");
}

#[test]
fn a_status_is_a_symbols_a_feeds_or_an_accounts_channels() {
    let mut table = table(TableKind::Status);
    let status = |channel: Value, state: &str| json!({"feed": "f", "channel": channel, "state": state});
    told(&mut table, "status", "A", status(json!("trade"), "live"));
    // Another channel speaks for the symbol now: it is the same row.
    told(&mut table, "status", "A", status(json!("book"), "stale"));
    told(&mut table, "status", "", json!({"feed": "f", "state": "live"}));
    for (channel, state) in [("order", "rejected"), ("fill", "syncing"), ("order", "live")] {
        let topic = crate::frame::topic("status", "v", "main", channel);
        let fields = json!({"account": "main", "feed": "f", "channel": channel, "state": state});
        table.apply(FEED, &topic, &frame("", fields));
    }
    let states = |conditions: &[(&str, Value)]| -> Vec<Value> {
        found(&table, conditions).iter().map(|row| row["state"].clone()).collect()
    };
    assert_eq!(states(&[("symbol", json!("A"))]), ["stale"]);
    assert_eq!(states(&[("market", json!("m")), ("symbol", json!(""))]), ["live", "live", "syncing"]);
    assert_eq!(states(&[("account", json!("main")), ("channel", json!("fill"))]), ["syncing"]);
    let got = |conditions: &[(&str, Value)]| {
        let row = table.get(&asked(&table, conditions)).unwrap().map(|row| row.text().to_owned());
        row.map(|text| serde_json::from_str::<Value>(&text).unwrap())
    };
    let whole = [("market", json!("m")), ("symbol", json!("")), ("feed", json!("f"))];
    assert_eq!(got(&whole).unwrap().get("channel"), None, "without an account it is the feed's own");
    let order = [whole.as_slice(), &[("account", json!("main")), ("channel", json!("order"))]].concat();
    assert_eq!(got(&order).unwrap()["state"], "live");
    assert_eq!(got(&[whole.as_slice(), &[("channel", json!("fill"))]].concat()).unwrap()["state"], "syncing");
    assert_eq!(got(&[("symbol", json!("A")), ("channel", json!("book"))]).unwrap()["state"], "stale");
}

#[test]
fn what_an_orders_frame_does_not_say_holds() {
    let mut table = table(TableKind::Order);
    told(&mut table, "order", "A", json!({"account": "main", "id": "1", "state": "open", "price": "5", "ts_event": 1}));
    told(&mut table, "order", "A", json!({"account": "main", "id": "1", "state": "partially_filled", "filled": "1"}));
    told(&mut table, "order", "A", json!({"account": "main", "id": "1", "state": "filled", "filled": "2"}));
    let all = changes(&table, 0).unwrap();
    assert_eq!(all[1]["changed"], json!({"state": "partially_filled", "filled": "1"}));
    let last = json!({"market": "m", "symbol": "A", "account": "main", "id": "1", "state": "filled", "filled": "2", "price": "5"});
    assert_eq!((&all[2]["op"], &all[2]["row"]), (&json!("delete"), &last), "but the clocks are the frame's own");
}

#[test]
fn a_balance_that_is_removed_goes() {
    let mut table = table(TableKind::Balance);
    let balance = |kind: &str| json!({"account": "main", "kind": kind, "total": "1"});
    told(&mut table, "balance", "USDT", balance("spot"));
    told(&mut table, "balance", "USDT", balance("margin"));
    told(&mut table, "balance", "USDT", json!({"account": "main", "kind": "spot", "removed": true}));
    told(&mut table, "balance", "USDT", json!({"account": "main", "kind": "none", "removed": true}));
    assert_eq!(found(&table, &[]).len(), 1);
    assert_eq!(changes(&table, 0).unwrap().len(), 3);
}

#[test]
fn trades_and_candles_are_bounded_by_symbol() {
    let mut table = table(TableKind::Trade);
    told(&mut table, "trade", "QUIET", json!({"seq": 1, "price": "1"}));
    for seq in 1..=1_000 {
        told(&mut table, "trade", "FLOOD", json!({"seq": seq, "price": "1"}));
    }
    let seqs = |rows: Vec<Value>| rows.iter().map(|row| row["seq"].as_u64().unwrap()).collect::<Vec<_>>();
    assert_eq!(seqs(found(&table, &[])), [1, 998, 999, 1_000]);
    assert_eq!(table.stats().evicted, 997);
    let last = changes(&table, table.seq() - 1).unwrap();
    assert_eq!(
        (&last[0]["op"], &last[0]["evicted"], &last[0]["row"]["seq"]),
        (&json!("delete"), &json!(true), &json!(997))
    );

    let mut table = Table::new(shape(TableKind::Candle), LIMITS);
    for (seq, at) in [60, 120, 60, 180, 180, 90, 30, 240].into_iter().enumerate() {
        told(
            &mut table,
            "candle_1m",
            "A",
            json!({"seq": seq, "interval": "1m", "open_time": at, "close": seq.to_string()}),
        );
        told(&mut table, "candle_5m", "A", json!({"seq": seq, "interval": "5m", "open_time": at}));
    }
    let of_minute = found(&table, &[("interval", json!("1m"))]);
    assert_eq!(seqs(of_minute), [1, 4, 7], "one a time, by their times, and the oldest went");
}

#[test]
fn beyond_the_bytes_the_largest_topic_gives_up_its_oldest() {
    let limits = TableLimits { trades: 10_000, bytes: 100_000, ..LIMITS };
    let mut table = Table::new(shape(TableKind::Trade), limits);
    for symbol in ["A", "B", "C"] {
        told(&mut table, "trade", symbol, json!({"seq": 1, "price": "1"}));
    }
    for seq in 2..5_000 {
        told(&mut table, "trade", "B", json!({"seq": seq, "price": "1"}));
        assert!(table.stats().bytes <= limits.bytes);
    }
    assert_eq!(
        [found(&table, &[("symbol", json!("A"))]).len(), found(&table, &[("symbol", json!("C"))]).len()],
        [1, 1]
    );
    let of_b = found(&table, &[("symbol", json!("B"))]);
    assert_eq!((of_b.last().unwrap()["seq"].as_u64(), of_b.len() > 50), (Some(4_999), true));
    // Half a book would be wrong.
    let mut table = Table::new(shape(TableKind::Book), TableLimits { bytes: 2_000, ..LIMITS });
    let levels: Vec<Value> = (1..10).map(|price| json!([price.to_string(), "1"])).collect();
    told(&mut table, "book", "A", json!({"bids": levels, "asks": []}));
    assert!(table.sorted(&Where::default(), 1).unwrap().is_none() && found(&table, &[]).is_empty());
}

#[test]
fn whoever_is_too_far_behind_must_read_anew() {
    let log = LogLimits { changes: 4, bytes: 1 << 20 };
    let mut table = Table::new(shape(TableKind::Ticker), TableLimits { log, ..LIMITS });
    for last in 0..10 {
        told(&mut table, "ticker", "A", json!({"last": last}));
    }
    assert_eq!(table.seq(), 10);
    assert_eq!(changes(&table, 6).unwrap().len(), 4);
    assert_eq!(changes(&table, 10).unwrap().len(), 0);
    assert_eq!([changes(&table, 5), changes(&table, 11)], [Err(MustReread), Err(MustReread)]);
    table.cut();
    assert_eq!((changes(&table, 10), changes(&table, 11)), (Err(MustReread), Ok(vec![])));
    table.clear();
    assert_eq!((table.seq(), changes(&table, 11), found(&table, &[]).len()), (12, Err(MustReread), 0));
    let mut table =
        Table::new(shape(TableKind::Ticker), TableLimits { log: LogLimits { changes: 9, bytes: 1_000 }, ..LIMITS });
    for last in 0..10 {
        told(&mut table, "ticker", "A", json!({"last": last}));
    }
    assert!(changes(&table, 0).is_err() && changes(&table, 9).is_ok(), "bounded in bytes too");
}

#[test]
fn an_image_of_a_feed_replaces_what_it_told_and_nothing_else() {
    let mut table = table(TableKind::Trade);
    for (feed, symbol) in [(FEED, "A"), (FEED, "B"), (OTHER, "C")] {
        for seq in [1, 2] {
            table.apply(feed, &topic("trade", symbol), &frame(symbol, json!({"seq": seq})));
        }
    }
    let kept = [2, 3].map(|seq| frame("A", json!({"seq": seq})));
    let a = topic("trade", "A");
    table.image(FEED, kept.iter().map(|payload| (&a, payload.as_str())));
    let rows: Vec<_> = found(&table, &[]).iter().map(|row| format!("{}{}", row["symbol"], row["seq"])).collect();
    assert_eq!(rows, ["\"A\"2", "\"A\"3", "\"C\"1", "\"C\"2"]);
    table.forget_feed(OTHER);
    assert_eq!(found(&table, &[]).len(), 2);
}

#[test]
fn what_cannot_be_read_is_counted_and_changes_nothing() {
    let mut table = table(TableKind::Book);
    for wrong in ["", "{", "[]", "7", r#"{"bids":7}"#, r#"{"bids":[["1"]]}"#] {
        table.apply(FEED, &topic("book", "A"), wrong);
    }
    assert_eq!(table.stats(), TableStats { skipped: 6, ..TableStats::default() });
}

/// What a step of the properties does.
#[derive(Clone, Debug)]
enum Deed {
    Tell { feed: u32, symbol: usize, seq: u8, last: u8, with_mark: bool },
    Levels { symbol: usize, bids: Vec<u8>, asks: Vec<u8> },
    Order { symbol: usize, id: u8, state: usize },
    Forget { feed: u32, symbol: usize },
    ForgetFeed { feed: u32 },
}

const SYMBOLS: [&str; 3] = ["A", "B\"", "C.c"];
const STATES: [&str; 4] = ["open", "partially_filled", "filled", "cancelled"];

fn deed() -> impl Strategy<Value = Deed> {
    let (symbol, feed) = (0..3_usize, 1..3_u32);
    let levels = || prop::collection::vec(0..6_u8, 0..5);
    prop_oneof![
        4 => (feed.clone(), symbol.clone(), any::<u8>(), 0..4_u8, any::<bool>())
            .prop_map(|(feed, symbol, seq, last, with_mark)| Deed::Tell { feed, symbol, seq, last, with_mark }),
        4 => (symbol.clone(), levels(), levels()).prop_map(|(symbol, bids, asks)| Deed::Levels { symbol, bids, asks }),
        4 => (symbol.clone(), 0..4_u8, 0..4_usize).prop_map(|(symbol, id, state)| Deed::Order { symbol, id, state }),
        1 => (feed.clone(), symbol).prop_map(|(feed, symbol)| Deed::Forget { feed, symbol }),
        1 => feed.prop_map(|feed| Deed::ForgetFeed { feed }),
    ]
}

/// The rows a table should have, by key, each with its feed: the whole of the semantics in a few lines.
#[derive(Default)]
struct Model(BTreeMap<String, (u32, String, Value)>);

impl Model {
    fn forget(&mut self, feed: u32, symbol: Option<&str>) {
        self.0.retain(|_, (of, known, _)| *of != feed || symbol.is_some_and(|symbol| symbol != known));
    }
}

/// Does a deed to both.
fn act(kind: TableKind, table: &mut Table, model: &mut Model, deed: &Deed) {
    match (kind, deed) {
        (TableKind::Ticker, Deed::Tell { feed, symbol, seq, last, with_mark }) => {
            let symbol = SYMBOLS[*symbol];
            let mut fields = json!({"seq": seq, "last": last.to_string()});
            if *with_mark {
                fields["mark"] = json!(last);
            }
            table.apply(FeedId(*feed), &topic("ticker", symbol), &frame(symbol, fields.clone()));
            let mut row = json!({"market": "m", "symbol": symbol});
            row.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
            let key = json!(["m", symbol]).to_string();
            let without_seq = |row: &Value| {
                let mut row = row.clone();
                row.as_object_mut().unwrap().remove("seq");
                row
            };
            match model.0.get_mut(&key) {
                Some((of, _, known)) if without_seq(known) == without_seq(&row) => *of = *feed,
                _ => drop(model.0.insert(key, (*feed, symbol.to_owned(), row))),
            }
        }
        (TableKind::Book, Deed::Levels { symbol, bids, asks }) => {
            let symbol = SYMBOLS[*symbol];
            let levels = |prices: &[u8]| -> Vec<Value> {
                let prices: std::collections::BTreeSet<_> = prices.iter().collect();
                prices.into_iter().map(|price| json!([price.to_string(), (price % 3).to_string()])).collect()
            };
            let (bids, asks) = (levels(bids), levels(asks));
            table.apply(FEED, &topic("book", symbol), &frame(symbol, json!({"bids": bids, "asks": asks})));
            model.forget(1, Some(symbol));
            for (side, levels) in [("bid", bids), ("ask", asks)] {
                for level in levels {
                    let (price, size) = (&level[0], &level[1]);
                    let row = json!({"market": "m", "symbol": symbol, "side": side, "price": price, "size": size});
                    model.0.insert(json!(["m", symbol, side, price]).to_string(), (1, symbol.to_owned(), row));
                }
            }
        }
        (TableKind::Order, Deed::Order { symbol, id, state }) => {
            let (symbol, state) = (SYMBOLS[*symbol], STATES[*state]);
            let fields = json!({"account": "a", "id": id.to_string(), "state": state});
            table.apply(FEED, &topic("order", symbol), &frame(symbol, fields));
            let key = json!(["m", "a", symbol, id.to_string()]).to_string();
            let row = json!({"market": "m", "symbol": symbol, "account": "a", "id": id.to_string(), "state": state});
            match state {
                "open" | "partially_filled" => drop(model.0.insert(key, (1, symbol.to_owned(), row))),
                _ => drop(model.0.remove(&key)),
            }
        }
        (_, Deed::Forget { feed, symbol }) => {
            table.forget(FeedId(*feed), &topic(kind.as_str(), SYMBOLS[*symbol]));
            model.forget(*feed, Some(SYMBOLS[*symbol]));
        }
        (_, Deed::ForgetFeed { feed }) => {
            table.forget_feed(FeedId(*feed));
            model.forget(*feed, None);
        }
        _ => {}
    }
}

proptest! {
    #[test]
    fn a_table_is_its_model_and_its_log_leads_from_any_image_to_the_table(
        deeds in prop::collection::vec(deed(), 1..60),
        joined in 0..60_usize,
        kind in prop::sample::select(vec![TableKind::Ticker, TableKind::Book, TableKind::Order]),
    ) {
        let (mut table, mut model) = (table(kind), Model::default());
        // A reader that begins somewhere on the way.
        let mut reader = None;
        for (at, deed) in deeds.iter().enumerate() {
            if at == joined.min(deeds.len() - 1) {
                reader = Some((table.seq(), image(&table)));
            }
            act(kind, &mut table, &mut model, deed);
            let expected: BTreeMap<_, _> = model.0.iter().map(|(key, (.., row))| (key.clone(), row.clone())).collect();
            prop_assert_eq!(image(&table), expected, "after {:?}", deed);
            let bytes: usize = table.find(&Where::default(), usize::MAX).rows.iter().map(|row| row.size() + 160).sum();
            prop_assert_eq!((table.stats().rows, table.stats().bytes), (model.0.len(), bytes));
        }
        let (seq, mut followed) = reader.unwrap();
        for (expected, change) in (seq + 1..).zip(changes(&table, seq).unwrap()) {
            prop_assert_eq!(change["seq"].as_u64(), Some(expected));
            follow(&mut followed, &change);
        }
        prop_assert_eq!(followed, image(&table));
        for symbol in SYMBOLS {
            let expected = model.0.values().filter(|(_, of, _)| of == symbol).count();
            prop_assert_eq!(found(&table, &[("symbol", json!(symbol))]).len(), expected);
        }
    }

    #[test]
    fn no_payload_panics(text in r#"[\{\}\[\]",:a-z0-9\\]{0,40}"#, kind in prop::sample::select(TableKind::ALL.to_vec())) {
        let mut table = table(kind);
        table.apply(FEED, &topic(kind.as_str(), "A"), &text);
        table.apply(FEED, &topic(kind.as_str(), "A"), &format!(r#"{{"market":"m","x":{text}}}"#));
        let _ = (image(&table), changes(&table, 0));
    }
}
