//! What channels carry: books and their chains, trades, candles, figures, the account.

use std::collections::BTreeMap;

use super::*;
use crate::sim::venue::Depth;

/// A book kept the way the venue's documentation says.
#[derive(Default)]
struct Book {
    seq_id: i64,
    sides: [BTreeMap<i64, (String, String)>; 2],
}

impl Book {
    /// Applies a message.
    fn apply(&mut self, message: &Value) {
        let data = &message["data"][0];
        let (previous, seq_id) = (data["prevSeqId"].as_i64().unwrap(), data["seqId"].as_i64().unwrap());
        match message["action"].as_str().unwrap() {
            "snapshot" => {
                assert_eq!(previous, -1);
                self.sides = Default::default();
            }
            _ => assert_eq!(previous, self.seq_id, "a gap"),
        }
        self.seq_id = seq_id;
        for (side, name) in self.sides.iter_mut().zip(["bids", "asks"]) {
            for level in data[name].as_array().unwrap() {
                let [price, size, dead, orders] = [0, 1, 2, 3].map(|at| level[at].as_str().unwrap());
                assert_eq!((dead, size == "0"), ("0", orders == "0"));
                let key = (price.parse::<f64>().unwrap() * 10_000.0).round() as i64;
                if size == "0" {
                    assert!(side.remove(&key).is_some(), "removes a level that is not there");
                } else {
                    side.insert(key, (price.to_owned(), size.to_owned()));
                }
            }
        }
    }

    fn best(&self) -> [Vec<&(String, String)>; 2] {
        [self.sides[0].values().rev().take(25).collect(), self.sides[1].values().take(25).collect()]
    }

    fn digest(&self) -> u32 {
        let side = |levels: Vec<&(String, String)>| {
            levels.iter().map(|(price, size)| format!("{price}:{size}")).collect::<Vec<_>>().join("|")
        };
        let [bids, asks] = self.best();
        crc32fast::hash(format!("{}#{}", side(bids), side(asks)).as_bytes())
    }

    /// The checksum as the documentation words it.
    fn checksum(&self) -> i64 {
        let [bids, asks] = self.best();
        let mut parts = Vec::new();
        for at in 0..25 {
            for side in [&bids, &asks] {
                parts.extend(side.get(at).map(|(price, size)| format!("{price}:{size}")));
            }
        }
        i64::from(crc32fast::hash(parts.join(":").as_bytes()).cast_signed())
    }
}

#[test]
fn chained_books_rebuild_the_truth_of_every_market() {
    for (market, symbol) in [
        ("spot", "BTC-USDT"),
        ("swap", "BTC-USD-SWAP"),
        ("futures", "ETH-USDT-270326"),
        ("option", "BTC-USD-270326-60000-C"),
    ] {
        for (channel, levels) in [("books", 400), ("books-l2-tbt", 400), ("books50-l2-tbt", 50)] {
            let mut bench = Bench::new("public");
            bench.log_in();
            let mut book = Book::default();
            book.apply(&bench.join(channel, symbol)[1]);
            let mut steps = std::collections::BTreeSet::new();
            for message in bench.run(2_000) {
                let before = book.seq_id;
                book.apply(&message);
                steps.insert(book.seq_id - before);
                let id = u64::try_from(book.seq_id).unwrap();
                let truth = bench.venue.digest(market, symbol, Depth::Levels(levels), id);
                assert_eq!(truth, Some(book.digest()), "{channel} {symbol}");
                assert!(book.sides.iter().all(|side| side.len() <= usize::from(levels)));
            }
            assert!(steps.len() > 3 && steps.iter().all(|step| *step > 0), "{channel} {symbol}: steps {steps:?}");
        }
    }
}

#[test]
fn whole_books_have_no_chain() {
    let mut bench = Bench::new("public");
    for (channel, levels) in [("books5", 5_u16), ("bbo-tbt", 1)] {
        bench.join(channel, "BTC-USDT");
        for message in of(&bench.run(1_000), channel) {
            let data = &message["data"][0];
            assert_eq!(message.get("action"), None);
            assert_eq!((data.get("prevSeqId"), data.get("checksum")), (None, None));
            assert_eq!(data.get("instId").is_some(), channel == "books5");
            assert_eq!(data["bids"].as_array().unwrap().len(), usize::from(levels));
            let id = data["seqId"].as_u64().unwrap();
            assert!(bench.venue.digest("spot", "BTC-USDT", Depth::Levels(levels), id).is_some());
        }
    }
}

#[test]
fn a_connection_gets_books_in_the_order_of_the_documentation() {
    let mut bench = Bench::new("public");
    bench.log_in();
    for channel in ["books5", "books", "books50-l2-tbt", "bbo-tbt"] {
        bench.join(channel, "BTC-USDT");
    }
    let messages = bench.run(3_000);
    let order = ["bbo-tbt", "books50-l2-tbt", "books", "books5"];
    let place = |message: &Value| order.iter().position(|channel| message["arg"]["channel"] == *channel).unwrap();
    let mut together = 0;
    for pair in messages.windows(2) {
        if pair[0]["data"][0]["seqId"] == pair[1]["data"][0]["seqId"] {
            assert!(place(&pair[0]) < place(&pair[1]));
            together += 1;
        }
    }
    assert!(together > 50, "{together}");
}

#[test]
fn checksums_are_zero_missing_or_live() {
    let messages = |checksum| {
        let mut bench = Bench::with("public", Settings { checksum, ..Settings::default() });
        let mut messages = vec![bench.join("books", "BTC-USDT").remove(1)];
        messages.extend(bench.run(1_000));
        messages
    };
    assert!(messages(None).iter().all(|message| message["data"][0]["checksum"] == 0));
    assert!(messages(Some(Checksum::None)).iter().all(|message| message["data"][0].get("checksum").is_none()));
    let mut book = Book::default();
    for message in messages(Some(Checksum::Live)) {
        book.apply(&message);
        assert_eq!(message["data"][0]["checksum"].as_i64(), Some(book.checksum()));
    }
}

#[test]
fn japan_has_live_checksums_and_fewer_channels() {
    let mut bench = Bench::of(JAPAN, "public", Settings::default());
    let mut book = Book::default();
    let mut messages = vec![bench.join("books", "XRP-JPY").remove(1)];
    messages.extend(bench.run(500));
    for message in messages {
        book.apply(&message);
        assert_eq!(message["data"][0]["checksum"].as_i64(), Some(book.checksum()));
    }
    for missing in ["mark-price", "funding-rate", "index-tickers", "open-interest"] {
        assert_eq!(bench.refusal(arg(missing, "BTC-JPY")), "60018", "{missing}");
    }
}

#[test]
fn a_quiet_book_is_kept_alive_once_a_minute() {
    let options = Options { venue: "okx".to_owned(), rate: 0, ..Options::default() };
    let mut bench = Bench::new("public");
    bench.venue = Venue::open(&options, at(0));
    bench.join("books5", "BTC-USDT");
    let last = bench.join("books", "BTC-USDT")[1]["data"][0]["seqId"].clone();
    let messages = bench.run(150_000);
    assert_eq!(messages.len(), 2, "{messages:?}");
    for message in messages {
        let data = &message["data"][0];
        assert_eq!((&data["prevSeqId"], &data["seqId"]), (&last, &last));
        assert_eq!((&message["action"], &data["bids"], &data["asks"]), (&json!("update"), &json!([]), &json!([])));
    }
}

#[test]
fn maintenance_begins_ids_anew_without_a_gap() {
    let mut bench = Bench::new("public");
    let mut book = Book::default();
    book.apply(&bench.join("books", "BTC-USDT")[1]);
    bench.request("subscribe", &[json!({"channel": "status"})]);
    for round in 0..3 {
        bench.run(500).iter().for_each(|message| book.apply(message));
        let before = book.seq_id;
        let mut published = Vec::new();
        bench.venue.restart("", "books:BTC-USDT", bench.now(), &mut published);
        let messages: Vec<Value> = published.iter().map(|m| serde_json::from_slice(&m.text).unwrap()).collect();
        book.apply(&messages[0]);
        assert!(book.seq_id < before, "round {round}");
        assert_eq!(of(&messages, "status").len(), 2);
        bench.run(500).iter().for_each(|message| book.apply(message));
        let id = u64::try_from(book.seq_id).unwrap();
        let truth = bench.venue.digest("spot", "BTC-USDT", Depth::Levels(400), id);
        assert_eq!(truth, Some(book.digest()));
    }
    assert_eq!(bench.rows("/system/status", "state=completed").len(), 1);
}

#[test]
fn trades_are_merged_and_trades_all_are_not() {
    let mut public = Bench::new("public");
    public.join("trades", "BTC-USDT");
    let merged: Vec<Value> = public.run(30_000).iter().map(|message| message["data"][0].clone()).collect();
    let counts: Vec<u64> = merged.iter().map(|trade| trade["count"].as_str().unwrap().parse().unwrap()).collect();
    assert!(counts.iter().any(|count| *count > 1), "none was merged");
    let id = |trade: &Value| trade["tradeId"].as_str().unwrap().parse::<u64>().unwrap();
    for (pair, count) in merged.windows(2).zip(&counts[1..]) {
        assert_eq!(id(&pair[1]), id(&pair[0]) + count, "the id is the last one's");
        assert!(pair[1]["seqId"].as_u64() > pair[0]["seqId"].as_u64());
    }
    let mut business = Bench::new("business");
    business.join("trades-all", "BTC-USDT");
    let all: Vec<Value> = business.run(5_000).iter().map(|message| message["data"][0].clone()).collect();
    assert!(all.windows(2).all(|pair| id(&pair[1]) == id(&pair[0]) + 1));
    assert!(all.iter().all(|trade| trade.get("count").is_none() && trade.get("seqId").is_none()));
    let recent = business.rows("/market/trades", "instId=BTC-USDT&limit=1");
    assert_eq!(id(&recent[0]), id(all.last().unwrap()));
}

#[test]
fn every_candle_is_closed_exactly_once() {
    let mut bench = Bench::new("business");
    for interval in interval::INTERVALS {
        for prefix in ["candle", "mark-price-candle"] {
            let answers = bench.join(&format!("{prefix}{}", interval.name), "BTC-USDT-SWAP");
            assert_eq!(answers.len(), 2, "{prefix}{}", interval.name);
        }
    }
    assert_eq!(bench.join("index-candle1m", "BTC-USDT").len(), 2);
    let messages = bench.run(90_000);
    for (channel, length, closes, columns) in [
        ("candle1m", 60_000, 2, 9),
        ("candle1s", 1_000, 90, 9),
        ("mark-price-candle1m", 60_000, 2, 6),
        ("index-candle1m", 60_000, 2, 6),
    ] {
        let rows: Vec<&Vec<Value>> = of(&messages, channel).iter().map(|m| m["data"][0].as_array().unwrap()).collect();
        assert!(rows.iter().all(|row| row.len() == columns), "{channel}");
        let closed: Vec<u64> = rows
            .iter()
            .filter(|row| row[columns - 1] == "1")
            .map(|row| row[0].as_str().unwrap().parse().unwrap())
            .collect();
        assert_eq!(closed.len(), closes, "{channel}");
        assert!(closed.windows(2).all(|pair| pair[1] == pair[0] + length), "{channel}: {closed:?}");
    }
    let last = of(&messages, "candle1m").into_iter().rfind(|m| m["data"][0][8] == "1").unwrap()["data"][0].clone();
    let rest = bench.rows("/market/candles", "instId=BTC-USDT-SWAP&limit=2");
    assert_eq!((&rest[1], &rest[0][8]), (&last, &json!("0")), "newest first, the last one unfinished");
}

#[test]
fn figures_come_on_subscribing_and_at_their_pace() {
    let mut bench = Bench::new("public");
    let symbol = "BTC-USDT-SWAP";
    for (channel, field) in [
        ("tickers", "last"),
        ("mark-price", "markPx"),
        ("funding-rate", "fundingRate"),
        ("open-interest", "oi"),
        ("price-limit", "buyLmt"),
    ] {
        let first = &bench.join(channel, symbol)[1];
        assert!(!first["data"][0][field].as_str().unwrap().is_empty(), "{channel}");
        assert_eq!((&first["data"][0]["instId"], &first["arg"]), (&json!(symbol), &arg(channel, symbol)));
    }
    assert_eq!(bench.join("index-tickers", "BTC-USDT")[1]["data"][0]["instId"], "BTC-USDT");
    let messages = bench.run(120_000);
    let count = |channel| of(&messages, channel).len();
    assert_eq!(count("open-interest"), 40);
    assert_eq!(count("funding-rate"), 2);
    assert!((500..=1_200).contains(&count("tickers")), "{}", count("tickers"));
    assert!((100..=600).contains(&count("mark-price")), "{}", count("mark-price"));
    assert!(count("index-tickers") >= 2 && count("price-limit") > 50);
    let ticker = &of(&messages, "tickers").last().unwrap()["data"][0];
    let ask = |ticker: &Value| ticker["askPx"].as_str().unwrap().parse::<f64>().unwrap();
    assert!(ask(ticker) > ticker["bidPx"].as_str().unwrap().parse::<f64>().unwrap());
}

#[test]
fn liquidations_and_instruments_are_asked_for_by_type() {
    let mut bench = Bench::new("public");
    let by_type = |channel: &str| json!({"channel": channel, "instType": "SWAP"});
    let answers = bench.request("subscribe", &[by_type("liquidation-orders"), by_type("instruments")]);
    assert_eq!(answers.len(), 2, "both begin with nothing");
    let messages = bench.run(120_000);
    let liquidations = of(&messages, "liquidation-orders");
    let symbols: std::collections::BTreeSet<_> =
        liquidations.iter().map(|message| message["data"][0]["instId"].as_str().unwrap()).collect();
    assert!(symbols.len() > 2 && symbols.iter().all(|symbol| symbol.ends_with("-SWAP")), "{symbols:?}");
    assert_eq!(liquidations[0]["arg"], by_type("liquidation-orders"));
    assert!(!liquidations[0]["data"][0]["details"][0]["bkPx"].as_str().unwrap().is_empty());
    let instruments = of(&messages, "instruments");
    assert_eq!((instruments.len(), &instruments[0]["data"][0]["instType"]), (4, &json!("SWAP")));
    assert_eq!(instruments[0]["data"][0]["upcChg"][0]["param"], "tickSz");
}

#[test]
fn the_account_trades_while_it_is_watched() {
    let mut bench = Bench::new("private");
    bench.log_in();
    let any = |channel: &str| json!({"channel": channel, "instType": "ANY"});
    let answers = bench.request("subscribe", &[json!({"channel": "account"}), any("positions"), any("orders")]);
    let counts: Vec<_> = answers.iter().filter(|answer| answer["event"] == "channel-conn-count").collect();
    assert_eq!((counts.len(), &counts[0]["connCount"]), (3, &json!("1")));
    let [account, positions] = ["account", "positions"].map(|channel| of(&answers, channel)[0].clone());
    assert_eq!(
        (&account["eventType"], &account["curPage"], &account["lastPage"]),
        (&json!("snapshot"), &json!(1), &json!(true))
    );
    assert!(account["data"][0]["details"].as_array().unwrap().len() >= 2);
    assert!(account["arg"]["uid"].is_string(), "messages name the user, acknowledgements do not");
    assert_eq!(positions["data"][0]["instId"], "BTC-USDT-SWAP");
    assert!(of(&answers, "orders").is_empty(), "orders begin with nothing");
    let messages = bench.run(61_000);
    let states: Vec<_> =
        of(&messages, "orders").iter().map(|m| m["data"][0]["state"].as_str().unwrap().to_owned()).collect();
    let filled = states.iter().filter(|state| *state == "filled").count();
    for state in ["live", "partially_filled", "filled", "canceled"] {
        assert!(states.iter().any(|seen| seen == state), "{state}: {states:?}");
    }
    let events = |channel: &str, kind: &str| of(&messages, channel).iter().filter(|m| m["eventType"] == kind).count();
    assert!(events("account", "event_update") >= filled && filled > 5, "{states:?}");
    assert_eq!((events("account", "interval_update"), events("positions", "interval_update")), (12, 12));
    for order in of(&messages, "orders") {
        let order = &order["data"][0];
        assert_eq!(order["fillPx"] == "", order["fillSz"] == "0", "{order}");
    }
}

#[test]
fn a_quiet_account_tells_events_only_and_a_filter_is_kept() {
    let mut bench = Bench::with("private", Settings { deal_every: Duration::ZERO, ..Settings::default() });
    bench.log_in();
    let quiet = json!({"channel": "account", "ccy": "BTC", "extraParams": "{\"updateInterval\":\"0\"}"});
    let answers = bench.request("subscribe", &[quiet, json!({"channel": "positions", "instType": "FUTURES"})]);
    assert_eq!(of(&answers, "account")[0]["data"][0]["details"].as_array().unwrap().len(), 1);
    assert_eq!(of(&answers, "positions")[0]["data"], json!([]));
    assert!(of(&bench.run(60_000), "account").is_empty());
}

#[test]
fn thirty_connections_a_private_channel() {
    let mut bench = Bench::new("private");
    bench.venue.settings.connect_limit = false;
    let mut sessions = Vec::new();
    for number in 2..=31 {
        let path = Venue::path("private");
        let asked = Asked::get(&path, "", IpAddr::V4(Ipv4Addr::LOCALHOST));
        let session = bench.venue.connect(&asked, number, at(0)).unwrap();
        sessions.push(std::mem::replace(&mut bench.session, session));
        bench.log_in();
        let answers = bench.request("subscribe", &[json!({"channel": "account"})]);
        assert_eq!(answers[1]["connCount"], (number - 1).to_string());
    }
    std::mem::swap(&mut bench.session, &mut sessions[0]);
    bench.log_in();
    let answers = bench.request("subscribe", &[json!({"channel": "account"})]);
    assert_eq!((answers.len(), &answers[1]["event"]), (2, &json!("channel-conn-count-error")));
    assert!(of(&bench.run(10_000), "account").is_empty());
    sessions[0].close(&mut bench.venue);
    assert_eq!(bench.request("subscribe", &[json!({"channel": "account"})])[1]["event"], "channel-conn-count");
}
