//! Back-fills into files from the simulated Binance: whole, without holes, and gone on with after they broke off.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tickbus::backfill::{Backfill, BackfillError, Sum, Wish};
use tickbus::clock;
use tickbus::io::budget::RestBudget;
use tickbus::io::http::RestClient;
use tickbus::model::{Stream, UnixNanos};
use tickbus::sim::{Options, Running, Server};
use tickbus::venue::binance::VENUE;

const SECOND: u64 = 1_000_000_000;

async fn serve(faults: &[&str]) -> Running {
    let faults = faults.iter().map(|fault| fault.parse().unwrap()).collect();
    let options = Options { venue: "binance".to_owned(), rate: 0, seed: 3, faults, ..Options::default() };
    let sim = Server::bind(options).await.unwrap().start();
    sim.truth().step(3_000);
    sim
}

fn wish(sim: &Running, market: &str, channel: &str, seconds: u64) -> Wish {
    let spec = (VENUE.parse_channel)(market, channel).unwrap();
    let symbol = VENUE.example_symbol(market);
    let now = clock::wall();
    Wish {
        venue: &VENUE,
        market: market.into(),
        stream: Stream { variant: spec.variant, ..Stream::new(symbol, spec.channel) },
        from: UnixNanos(now.0 - seconds * SECOND),
        to: now,
        base: (VENUE.endpoints)(market, Some(&sim.url(market)), None).rest_url,
    }
}

/// Runs so many steps at most; says how many records were written.
async fn run(wish: &Wish, path: &Path, steps: usize) -> Result<u64, BackfillError> {
    let sum = summed(wish, path, steps).await?;
    assert_eq!((sum.holes, sum.missing), (0, 0));
    Ok(sum.written)
}

async fn summed(wish: &Wish, path: &Path, steps: usize) -> Result<Sum, BackfillError> {
    let account = Arc::<RestBudget>::default().account(wish.venue, &wish.market, &wish.base);
    let mut backfill = Backfill::open(wish.clone(), path, RestClient::default(), Arc::clone(&account))?;
    for _ in 0..steps {
        match backfill.step().await {
            Ok(true) => {}
            Ok(false) => break,
            Err(error) => {
                backfill.give_up();
                return Err(error);
            }
        }
        let (done, of) = backfill.progress();
        assert!(done <= of);
    }
    assert_eq!(account.report().limited, 0);
    backfill.finish()
}

fn records(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn follow(records: &[Value], number: impl Fn(&Value) -> u64, step: u64) -> bool {
    let seqs = records.iter().zip(1..).all(|(record, seq)| record["seq"] == seq && record["backfill"] == true);
    seqs && records.windows(2).all(|pair| number(&pair[1]) == number(&pair[0]) + step)
}

#[tokio::test]
async fn candles_and_trades_are_whole_and_go_on_where_they_broke_off() {
    let sim = serve(&["rest-5xx:503@2"]).await;
    let folder = tempfile::tempdir().unwrap();
    let minute = |record: &Value| record["open_time"].as_u64().unwrap() / (60 * SECOND);
    let id = |record: &Value| record["id"].as_str().unwrap().parse::<u64>().unwrap();

    let path = folder.path().join("candles.jsonl");
    let wish_of_candles = wish(&sim, "coinm", "candle:1m", 36 * 3_600);
    let written = run(&wish_of_candles, &path, 1).await.unwrap();
    assert!((1_000..=1_500).contains(&written), "one page: {written}");
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, &text[..text.len() - 100]).unwrap();
    let more = run(&wish_of_candles, &path, usize::MAX).await.unwrap();
    let found = records(&path);
    assert_eq!(found.len() as u64, written - 1 + more, "the torn one was taken again");
    assert!((36 * 60 - 1..=36 * 60).contains(&found.len()) && follow(&found, minute, 1), "{} candles", found.len());
    assert!(found.iter().all(|record| record["closed"] == true));
    assert_eq!(run(&wish_of_candles, &path, usize::MAX).await.unwrap(), 0, "nothing twice");

    for channel in ["trade:agg", "trade"] {
        let path = folder.path().join(format!("{}.jsonl", channel.replace(':', "_")));
        let wish_of_trades = wish(&sim, "spot", channel, 3_600);
        let written = run(&wish_of_trades, &path, usize::MAX).await.unwrap();
        let found = records(&path);
        assert!(written > 40 && found.len() as u64 == written && follow(&found, id, 1), "{channel}: {written}");
        let half = &std::fs::read_to_string(&path).unwrap();
        std::fs::write(&path, &half[..half.len() / 2]).unwrap();
        run(&wish_of_trades, &path, usize::MAX).await.unwrap();
        let again = records(&path);
        let ids = |records: &[Value]| records.iter().map(id).collect::<Vec<_>>();
        assert_eq!(ids(&again), ids(&found), "{channel}");
    }
}

#[tokio::test]
async fn what_does_not_fit_is_said() {
    let sim = serve(&[]).await;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.jsonl");
    run(&wish(&sim, "usdm", "candle:1m", 600), &path, 1).await.unwrap();
    let other = run(&wish(&sim, "usdm", "candle:5m", 600), &path, 1).await.unwrap_err().to_string();
    assert!(other.contains("holds binance usdm BTCUSDT candle:1m, not"), "{other}");
    let mut unknown = wish(&sim, "usdm", "candle:1m", 600);
    unknown.stream.symbol = "NOSUCH".to_owned();
    let refused = run(&unknown, &folder.path().join("b.jsonl"), 1).await.unwrap_err().to_string();
    assert!(refused.contains("-1121") && !folder.path().join("b.jsonl").exists(), "{refused}");
    let ticker = run(&wish(&sim, "usdm", "ticker", 600), &folder.path().join("c.jsonl"), 1).await.unwrap_err();
    assert!(matches!(ticker, BackfillError::NotGiven { .. }), "{ticker}");
}
