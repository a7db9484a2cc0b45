//! History against a scripted terminal: loads, refreshes, errors, limits, streams.

mod questions;
mod series;
mod streams;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::model::Interval;
use crate::venue::quik::said::{Said, Told, at, read_call};

/// 2026-11-21 09:00 in Moscow, in minutes since 1970: where [`at`] begins.
const BEGIN: u64 = 29_920_680;
const MINUTE: u64 = 60_000_000_000;

/// A bar's numbers in tenths.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Row {
    minute: u64,
    numbers: [i64; 5],
}

/// One instrument's bars in the terminal.
#[derive(Clone, Debug, Default)]
struct Series {
    rows: Vec<Row>,
    /// Bars that a new datasource shows at first, and how many more with every look at its size.
    at_first: usize,
    a_look: usize,
}

impl Series {
    /// So many bars before the begin; all of them known at once.
    fn of(bars: u64) -> Self {
        let mut series = Self { at_first: usize::MAX, ..Self::default() };
        for bar in 0..bars {
            series.begin(BEGIN - bars + bar, 1000 + i64::try_from(bar % 70).expect("small"));
        }
        series
    }

    /// The next bar begins with a trade at this price.
    fn begin(&mut self, minute: u64, price: i64) {
        self.rows.push(Row { minute, numbers: [price, price, price, price, 10] });
    }

    fn next(&mut self, price: i64) {
        let minute = self.rows.last().map_or(BEGIN, |row| row.minute + 1);
        self.begin(minute, price);
    }

    /// A trade of the last bar.
    fn trade(&mut self, price: i64) {
        let [_, high, low, close, volume] = &mut self.rows.last_mut().expect("a bar").numbers;
        (*high, *low, *close, *volume) = ((*high).max(price), (*low).min(price), price, *volume + 10);
    }

    /// As an answer has it.
    fn candles(&self) -> Vec<Value> {
        self.rows.iter().map(candle).collect()
    }
}

fn decimal(tenths: i64) -> String {
    if tenths % 10 == 0 { format!("{}", tenths / 10) } else { format!("{}.{}", tenths / 10, tenths % 10) }
}

fn candle(row: &Row) -> Value {
    let open_time = row.minute * MINUTE;
    let [open, high, low, close, volume] = row.numbers.map(decimal);
    json!({
        "open_time": open_time, "close_time": open_time + MINUTE - 1_000_000,
        "open": open, "high": high, "low": low, "close": close, "volume": volume,
    })
}

#[derive(Clone, Debug)]
struct Datasource {
    key: String,
    shown: usize,
    closed: bool,
}

/// The terminal.
#[derive(Debug, Default)]
struct Terminal {
    /// By `SEC INTERVAL`.
    series: BTreeMap<String, Series>,
    sources: BTreeMap<String, Datasource>,
    made: u32,
    /// Every call answered.
    log: Vec<String>,
}

impl Terminal {
    /// The script starts anew: it knows no datasource.
    fn restart(&mut self) {
        self.sources.clear();
    }

    fn open(&self) -> usize {
        self.sources.values().filter(|source| !source.closed).count()
    }

    fn answer(&mut self, body: &str) -> Value {
        let (method, args) = read_call(body);
        self.log.push(method.clone());
        let text = |name: &str| args[name].as_str().unwrap_or_default().to_owned();
        let failed = json!({"error": {"code": 1}});
        match method.as_str() {
            "getSecurityInfo" => {
                let known = self.series.keys().any(|key| key.starts_with(&format!("{} ", text("sec_code"))));
                return if known { json!({"result": {"security_info": {"code": "x"}}}) } else { json!({"result": {}}) };
            }
            "datasource.CreateDataSource" => return self.create(&text("sec_code"), &text("interval")),
            _ => {}
        }
        let Some(source) = self.sources.get_mut(&text("datasource_uuid")) else { return failed };
        let rows = self.series.get(&source.key).map_or(&[][..], |series| &series.rows);
        let a_look = self.series.get(&source.key).map_or(0, |series| series.a_look);
        if method == "datasource.Close" {
            let first = !std::mem::replace(&mut source.closed, true);
            return if first { json!({"result": {"result": true}}) } else { json!({"result": {}}) };
        }
        let shown = if source.closed { 0 } else { source.shown.min(rows.len()) };
        if method == "datasource.Size" {
            source.shown = source.shown.saturating_add(a_look);
            return json!({"result": {"value": shown}});
        }
        let index = usize::try_from(args["candle_index"].as_u64().expect("an index")).expect("small");
        let Some(row) = index.checked_sub(1).and_then(|at| rows[..shown].get(at)) else { return failed };
        let number = match method.as_str() {
            "datasource.T" => return json!({"result": {"time": moscow(row.minute)}}),
            "datasource.O" => row.numbers[0],
            "datasource.H" => row.numbers[1],
            "datasource.L" => row.numbers[2],
            "datasource.C" => row.numbers[3],
            "datasource.V" => row.numbers[4],
            other => panic!("{other} is not for history"),
        };
        // Lua shows the decimal place of every float.
        json!({"result": {"value": format!("{}.{}", number / 10, number % 10)}})
    }

    fn create(&mut self, symbol: &str, interval: &str) -> Value {
        let key = format!("{symbol} {interval}");
        if symbol == "REFUSED" {
            return json!({"result": {"is_error": true, "error_desc": "Класс не найден"}});
        }
        self.made += 1;
        let uuid = format!("uuid-{}", self.made);
        let shown = self.series.get(&key).map_or(0, |series| series.at_first);
        self.sources.insert(uuid.clone(), Datasource { key, shown, closed: false });
        json!({"result": {"datasource_uuid": uuid, "is_error": false}})
    }
}

/// What `datasource.T` gives: Moscow's clock, three hours ahead of UTC.
fn moscow(minute: u64) -> Value {
    let stamp = jiff::Timestamp::from_second(i64::try_from(minute * 60).expect("small")).expect("a time");
    let here = jiff::tz::Offset::constant(3).to_datetime(stamp);
    json!({
        "year": here.year(), "month": here.month(), "day": here.day(), "week_day": 6, "hour": here.hour(),
        "min": here.minute(), "sec": 0, "ms": 0, "count": 1,
    })
}

struct Desk {
    history: History,
    terminal: Terminal,
    said: Said,
    ms: u64,
    asked: u64,
}

impl Desk {
    fn with(streams: &[(&str, &str)], sources: usize) -> Self {
        let stream = |(symbol, interval): &(&str, &str)| {
            Stream::new(*symbol, Channel::Candle(Interval::parse(interval).expect("an interval")))
        };
        let streams: Vec<Stream> = streams.iter().map(stream).collect();
        let history_fresh = Duration::from_millis(200);
        let terminal = TerminalSpec { history_sources: sources, history_fresh, ..TerminalSpec::default() };
        let history = History::new("SPBFUT", &streams, &terminal);
        Self { history, terminal: Terminal::default(), said: Said::default(), ms: 0, asked: 0 }
    }

    /// With a series of minutes for `RIZ6`, live.
    fn new(series: Series) -> Self {
        let mut desk = Self::with(&[], 3);
        desk.terminal.series.insert("RIZ6 INTERVAL_M1".to_owned(), series);
        desk.live();
        desk
    }

    fn series(&mut self) -> &mut Series {
        self.terminal.series.get_mut("RIZ6 INTERVAL_M1").expect("the series")
    }

    fn live(&mut self) {
        self.history.live(at(self.ms), &mut self.said);
    }

    fn down(&mut self) {
        self.history.down();
        self.history.give_up("gone", &mut self.said);
    }

    fn ask(&mut self, question: &Value) -> u64 {
        self.asked += 1;
        let now = at(self.ms);
        self.history.ask(self.asked, &question.to_string(), now, &mut self.said);
        self.asked
    }

    fn ask_for(&mut self, n: usize) -> u64 {
        self.ask(&json!({"op": "history", "feed": "quik", "symbol": "RIZ6", "interval": "1m", "n": n}))
    }

    fn answer_of(&self, id: u64) -> Option<Value> {
        let text = self.said.answers.iter().find(|(other, _)| *other == id).map(|(_, text)| text)?;
        Some(serde_json::from_str(text).expect("an answer is JSON"))
    }

    /// Asks and lets time pass until there is an answer, or asks again while it is loading.
    fn fetch(&mut self, question: &Value) -> Value {
        for _ in 0..200 {
            let id = self.ask(question);
            for _ in 0..1000 {
                if let Some(answer) = self.answer_of(id) {
                    if answer["reason"] != "loading" {
                        return answer;
                    }
                    break;
                }
                self.run(1, 100);
            }
        }
        panic!("no end of loading");
    }

    fn fetch_last(&mut self, n: usize) -> Value {
        self.fetch(&json!({"op": "history", "symbol": "RIZ6", "interval": "1m", "n": n}))
    }

    fn answer_one(&mut self) -> bool {
        let Some(call) = self.said.calls.pop_front() else { return false };
        let answer = self.terminal.answer(&call.body).to_string();
        self.answered(call.id, &Reply::read(&answer));
        true
    }

    fn answered(&mut self, id: u64, reply: &Reply<'_>) {
        let now = at(self.ms);
        self.history.answered(id, reply, now, &mut self.said);
        self.history.work(now, &mut self.said);
        assert!(self.history.calls.room() <= calls::IN_FLIGHT);
    }

    /// Lets milliseconds pass, each with at most so many answers.
    fn run(&mut self, ms: u64, answers: usize) {
        for _ in 0..ms {
            self.ms += 1;
            let now = at(self.ms);
            if self.history.next_timeout().is_some_and(|timer| timer.at <= now.mono) {
                self.history.work(now, &mut self.said);
                let next = self.history.next_timeout();
                assert!(next.is_none_or(|timer| timer.at > now.mono), "a timer stays in the past");
            }
            for _ in 0..answers {
                if !self.answer_one() {
                    break;
                }
            }
        }
    }

    /// What was called since the last time.
    fn take_log(&mut self) -> Vec<String> {
        std::mem::take(&mut self.terminal.log)
    }
}

fn candles(answer: &Value) -> &[Value] {
    assert_eq!(answer["ok"], true, "{answer}");
    answer["candles"].as_array().expect("candles")
}
