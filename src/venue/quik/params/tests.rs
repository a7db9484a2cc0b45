//! Parameters against a scripted terminal: requested, polled, typed, stretched, taken back.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::*;
use crate::model::{Channel, Decimal, Level};
use crate::venue::TickerField as Field;
use crate::venue::quik::said::{Said, Told, at, read_call};

/// A terminal's parameters.
#[derive(Debug, Default)]
struct Terminal {
    /// `SEC NAME` to type, value and image.
    values: BTreeMap<String, (&'static str, String, String)>,
    held: BTreeSet<String>,
    polls: BTreeMap<String, Vec<u64>>,
}

impl Terminal {
    fn set(&mut self, name: &str, kind: &'static str, value: &str, image: &str) {
        self.values.insert(name.to_owned(), (kind, value.to_owned(), image.to_owned()));
    }

    fn number(&mut self, name: &str, value: &str) {
        self.set(name, "1", &format!("{value}00000"), value);
    }

    fn answer(&mut self, body: &str, ms: u64) -> Value {
        let (method, args) = read_call(body);
        assert_eq!(args["class_code"], "SPBFUT");
        let argument = if method == "getParamEx2" { "param_name" } else { "db_name" };
        let text = |name: &str| args[name].as_str().expect("an argument").to_owned();
        let key = format!("{} {}", text("sec_code"), text(argument));
        let done = match method.as_str() {
            "ParamRequest" => self.held.insert(key),
            "CancelParamRequest" => self.held.remove(&key),
            "getParamEx2" => {
                assert!(self.held.contains(&key), "{key} is requested before it is polled");
                self.polls.entry(key.clone()).or_default().push(ms);
                let member = |kind: &str, value: &str, image: &str, result: &str| json!({"param_type": kind, "param_value": value, "param_image": image, "result": result});
                let param = match self.values.get(&key) {
                    Some((kind, value, image)) => member(kind, value, image, "1"),
                    None => member("1", "0.000000", "", "0"),
                };
                return json!({"result": {"param_ex": param}});
            }
            other => panic!("{other} is not for parameters"),
        };
        // The server writes false as an empty object.
        if done { json!({"result": {"result": true}}) } else { json!({"result": {}}) }
    }
}

struct Desk {
    params: Params,
    terminal: Terminal,
    said: Said,
    ms: u64,
}

impl Desk {
    fn new(streams: &[(&str, Channel)], wanted: &[(&str, u64)]) -> Self {
        let streams: Vec<Stream> = streams.iter().map(|(symbol, channel)| Stream::new(*symbol, *channel)).collect();
        let terminal = TerminalSpec { params: wanted_of(wanted), calls_per_second: 200, ..TerminalSpec::default() };
        let params = Params::new("SPBFUT", &streams, &terminal);
        Self { params, terminal: Terminal::default(), said: Said::default(), ms: 0 }
    }

    fn live(&mut self) {
        self.params.live(at(self.ms), &mut self.said);
    }

    /// Answers the oldest call.
    fn answer_one(&mut self) -> bool {
        let Some(call) = self.said.calls.pop_front() else { return false };
        let answer = self.terminal.answer(&call.body, self.ms);
        self.answered(call.id, &Reply::read(&answer.to_string()));
        true
    }

    /// Hands an answer over as the session does.
    fn answered(&mut self, id: u64, reply: &Reply<'_>) {
        let now = at(self.ms);
        self.params.answered(id, reply, now, &mut self.said);
        self.params.work(now, &mut self.said);
    }

    /// Lets milliseconds pass, each with at most so many answers.
    fn run(&mut self, ms: u64, answers: usize) {
        for _ in 0..ms {
            self.ms += 1;
            let now = at(self.ms);
            if self.params.next_timeout().is_some_and(|timer| timer.at <= now.mono) {
                self.params.work(now, &mut self.said);
            }
            for _ in 0..answers {
                if !self.answer_one() {
                    break;
                }
            }
        }
    }

    fn methods(&self) -> Vec<String> {
        self.said.calls.iter().map(|call| read_call(&call.body).0).collect()
    }
}

fn wanted_of(wanted: &[(&str, u64)]) -> Vec<(String, Duration)> {
    wanted.iter().map(|(name, ms)| ((*name).to_owned(), Duration::from_millis(*ms))).collect()
}

fn ticker(fields: &[(Field, &str)], params: &[(&str, &str)]) -> Told {
    let fields = fields.iter().map(|(field, text)| (*field, (*text).to_owned())).collect();
    Told::Ticker(0, fields, params.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned())).collect())
}

#[test]
fn the_first_ticker_is_whole_and_typed_and_only_changes_follow() {
    let wanted = [("LAST", 500), ("bid", 500), ("STATUS", 500), ("TIME", 500), ("MAT_DATE", 60_000), ("LONGNAME", 500)];
    let mut desk = Desk::new(&[("RIZ6", Channel::Ticker)], &wanted);
    desk.terminal.number("RIZ6 LAST", "112480.0");
    desk.terminal.number("RIZ6 bid", "112470.0");
    desk.terminal.set("RIZ6 STATUS", "4", "1.000000", "торгуется");
    desk.terminal.set("RIZ6 TIME", "5", "185959.000000", "18:59:59");
    desk.terminal.set("RIZ6 MAT_DATE", "6", "20261217.000000", "17.12.2026");
    desk.terminal.set("RIZ6 LONGNAME", "3", "0.000000", "");
    desk.live();
    assert_eq!(desk.said.calls.len(), 6);
    assert!(desk.said.calls.iter().all(|call| call.host == Host::Data && call.urgency == Urgency::Background));
    desk.run(1, 100);
    let first = ticker(
        &[(Field::Last, "112480"), (Field::BidPrice, "112470")],
        &[("MAT_DATE", "2026-12-17"), ("STATUS", "торгуется"), ("STATUS.ordinal", "1"), ("TIME", "18:59:59")],
    );
    assert_eq!(desk.said.take_news(), [first]);
    desk.run(3000, 100);
    assert!(desk.said.take().iter().all(|told| *told == Told::Unchanged(0)), "nothing changed");
    desk.terminal.number("RIZ6 LAST", "112490.0");
    desk.run(600, 100);
    let news = desk.said.take_news();
    assert_eq!(news.len(), 1, "{news:?}");
    assert!(matches!(&news[0], Told::Ticker(0, fields, _) if fields[0] == (Field::Last, "112490".to_owned())));
    let polls = |name: &str| desk.terminal.polls[name].len();
    assert!(polls("RIZ6 LAST").abs_diff(8) <= 1 && polls("RIZ6 MAT_DATE") == 1, "each at its own period");
}

#[test]
fn a_doubted_ticker_is_published_again() {
    let mut desk = Desk::new(&[("RIZ6", Channel::Ticker)], &[("LAST", 100)]);
    desk.terminal.number("RIZ6 LAST", "1.0");
    desk.live();
    desk.run(300, 10);
    assert_eq!(desk.said.take_news().len(), 1);
    desk.params.resync(StreamId(7), at(0), &mut desk.said);
    desk.run(300, 10);
    assert_eq!(desk.said.take_news().len(), 0);
    desk.params.resync(StreamId(0), at(0), &mut desk.said);
    desk.run(300, 10);
    assert_eq!(desk.said.take_news(), [ticker(&[(Field::Last, "1")], &[])]);
}

#[test]
fn an_unknown_parameter_is_told_once_and_stops_nothing() {
    let mut desk = Desk::new(&[("RIZ6", Channel::Ticker)], &[("LAST", 100), ("LAZT", 100)]);
    desk.terminal.number("RIZ6 LAST", "1.0");
    desk.live();
    desk.run(30_000, 10);
    let told = desk.said.take_news();
    let notice = Told::Notice(Some(0), "parameters not known here: LAZT".to_owned());
    assert_eq!(told, [notice, ticker(&[(Field::Last, "1")], &[])]);
    assert_eq!(desk.terminal.polls["RIZ6 LAZT"].len(), 1, "asked again only after a minute");
    assert!(desk.terminal.polls["RIZ6 LAST"].len() >= 299);
    desk.terminal.number("RIZ6 LAZT", "2.0");
    desk.run(31_000, 10);
    let cleared = Told::Notice(Some(0), String::new());
    assert_eq!(desk.said.take_news(), [cleared, ticker(&[(Field::Last, "1")], &[("LAZT", "2")])]);
}

#[test]
fn an_instrument_without_any_known_parameter_is_refused_until_it_has_one() {
    let streams = [("NOPE", Channel::Ticker), ("NOPE", Channel::Bbo), ("RIZ6", Channel::Ticker)];
    let mut desk = Desk::new(&streams, &[("LAST", 100)]);
    desk.terminal.number("RIZ6 LAST", "1.0");
    desk.live();
    desk.run(70_000, 10);
    let told = desk.said.take_news();
    let refused = |told: &&Told| matches!(told, Told::Rejected(..));
    let Some(Told::Rejected(0, detail)) = told.iter().find(refused) else { panic!("{told:?}") };
    assert!(detail.contains("LAST"), "{detail}");
    assert_eq!(told.iter().filter(refused).count(), 2, "the ticker and the quote, once each: {told:?}");
    assert_eq!(told.len(), 3);
    desk.terminal.number("NOPE LAST", "5.0");
    desk.terminal.number("NOPE BID", "4.0");
    desk.terminal.number("NOPE BIDDEPTH", "1.0");
    desk.run(60_000, 10);
    let told = desk.said.take_news();
    assert!(told.contains(&ticker(&[(Field::Last, "5")], &[])), "{told:?}");
    assert!(told.iter().any(|told| matches!(told, Told::Book { stream: 1, bids, .. } if bids.len() == 1)), "{told:?}");
}

#[test]
fn a_parameter_has_one_call_on_its_way() {
    let mut desk = Desk::new(&[("RIZ6", Channel::Ticker)], &[("LAST", 100)]);
    desk.live();
    desk.run(2000, 0);
    assert_eq!(desk.methods(), ["ParamRequest"], "whatever its period");
    desk.answer_one();
    desk.run(2000, 0);
    assert_eq!(desk.methods(), ["getParamEx2"]);
    desk.run(1100, 0);
    assert!(desk.said.take().iter().any(|told| matches!(told, Told::Late(polls) if *polls >= 40)));
}

#[test]
fn no_answer_and_refusals_are_tried_again() {
    let mut desk = Desk::new(&[("RIZ6", Channel::Ticker)], &[("LAST", 100)]);
    desk.terminal.number("RIZ6 LAST", "1.0");
    desk.live();
    let call = desk.said.calls.pop_front().expect("a request");
    desk.answered(call.id, &Reply::Lost("no answer"));
    desk.run(300, 0);
    assert_eq!(desk.methods(), ["ParamRequest"], "requested again, at its next turn");
    desk.answer_one();
    let call = desk.said.calls.pop_front().expect("a poll");
    desk.answered(call.id, &Reply::read(r#"{"error":{"code":1}}"#));
    assert!(matches!(desk.said.take_news()[..], [Told::Rejected(0, _)]));
    desk.run(61_000, 10);
    assert_eq!(desk.said.take_news().last(), Some(&ticker(&[(Field::Last, "1")], &[])));
}

#[test]
fn fewer_and_more_parameters() {
    let mut desk = Desk::new(&[("RIZ6", Channel::Ticker)], &[("LAST", 100), ("BID", 100), ("OFFER", 100)]);
    for (name, value) in [("LAST", "1.0"), ("BID", "2.0"), ("OFFER", "3.0"), ("HIGH", "4.0")] {
        desk.terminal.number(&format!("RIZ6 {name}"), value);
    }
    desk.live();
    desk.run(500, 10);
    desk.said.take();
    desk.params.set_params(&wanted_of(&[("LAST", 200)]), at(desk.ms), &mut desk.said);
    assert_eq!(desk.methods(), ["CancelParamRequest", "CancelParamRequest"]);
    desk.run(1000, 10);
    assert_eq!(desk.terminal.held, BTreeSet::from(["RIZ6 LAST".to_owned()]));
    assert_eq!(
        desk.said.take_news(),
        [ticker(&[(Field::Last, "1")], &[])],
        "what is no longer polled is not published"
    );
    desk.params.set_params(&wanted_of(&[("LAST", 200), ("HIGH", 50), ("high", 10)]), at(desk.ms), &mut desk.said);
    desk.run(1000, 10);
    assert_eq!(desk.said.take_news(), [ticker(&[(Field::Last, "1"), (Field::High24h, "4")], &[])]);
    desk.params.set_params(&[], at(desk.ms), &mut desk.said);
    desk.run(1000, 10);
    assert!(desk.terminal.held.is_empty() && desk.said.take_news().is_empty());
    desk.params.set_params(&wanted_of(&[("LAST", 100)]), at(desk.ms), &mut desk.said);
    desk.run(300, 10);
    assert_eq!(desk.said.take_news(), [ticker(&[(Field::Last, "1")], &[])]);
}

#[test]
fn the_end_takes_everything_back_even_what_is_on_its_way() {
    let mut desk = Desk::new(&[("RIZ6", Channel::Ticker)], &[("LAST", 100), ("BID", 100), ("OFFER", 100)]);
    desk.live();
    desk.answer_one();
    desk.answer_one();
    let late = desk.said.calls.pop_front().expect("the third request");
    desk.params.shut_down(&mut desk.said);
    assert!(desk.said.calls.iter().skip(2).all(|call| call.urgency == Urgency::Control));
    desk.run(100, 10);
    // The last request reaches the terminal behind its cancellation.
    desk.said.calls.push_front(late);
    desk.run(100, 10);
    assert!(desk.terminal.held.is_empty(), "{:?}", desk.terminal.held);
    assert!(desk.said.calls.is_empty() && desk.params.next_timeout().is_none());
    desk.live();
    assert!(desk.said.calls.is_empty(), "nothing begins again after the end");
}

#[test]
fn after_the_terminal_was_away_all_is_requested_and_told_anew() {
    let mut desk = Desk::new(&[("RIZ6", Channel::Ticker)], &[("LAST", 100), ("FOO", 100)]);
    desk.terminal.number("RIZ6 LAST", "1.0");
    desk.live();
    desk.run(250, 10);
    let first = desk.said.take_news();
    assert_eq!(first.len(), 2);
    desk.run(60, 0);
    let old: Vec<_> = desk.said.calls.drain(..).collect();
    desk.params.down();
    assert!(desk.params.next_timeout().is_none());
    desk.terminal.held.clear();
    desk.live();
    let answer =
        json!({"result": {"param_ex": {"param_type": "1", "param_value": "9", "param_image": "9", "result": "1"}}});
    for call in old {
        desk.answered(call.id, &Reply::read(&answer.to_string()));
    }
    assert_eq!(desk.said.take(), [], "an answer from before is of no use");
    desk.run(250, 10);
    assert_eq!(desk.said.take_news(), first);
}

fn level(price: &str, size: &str) -> Level {
    let number = |text: &str| Decimal::parse(text.as_bytes()).expect("a number");
    Level { price: number(price), size: number(size) }
}

#[test]
fn the_quote_is_made_of_four_parameters_that_need_not_be_configured() {
    let mut desk = Desk::new(&[("RIZ6", Channel::Bbo)], &[("LAST", 100)]);
    for (name, value) in [("BID", "10.5"), ("BIDDEPTH", "3.0"), ("OFFER", "11.0"), ("OFFERDEPTH", "0.0")] {
        desk.terminal.number(&format!("RIZ6 {name}"), value);
    }
    desk.live();
    desk.run(1400, 10);
    let quote =
        |seq, asks: &[Level]| Told::Book { stream: 0, seq, bids: vec![level("10.5", "3")], asks: asks.to_vec() };
    let told = desk.said.take();
    assert!(told.len() > 4 && told.iter().all(|told| *told == quote(1, &[])), "repeated to confirm it: {told:?}");
    assert!(!desk.terminal.polls.contains_key("RIZ6 LAST"), "there is no ticker to show it");
    desk.terminal.number("RIZ6 OFFERDEPTH", "7.0");
    desk.run(600, 10);
    assert_eq!(desk.said.take().last(), Some(&quote(2, &[level("11", "7")])));
}

#[test]
fn a_quote_that_looks_crossed_is_held_back_while_it_may_be_a_matter_of_timing() {
    let mut desk = Desk::new(&[("RIZ6", Channel::Bbo)], &[("BID", 100)]);
    for (name, value) in [("BID", "10.0"), ("BIDDEPTH", "1.0"), ("OFFER", "11.0"), ("OFFERDEPTH", "1.0")] {
        desk.terminal.number(&format!("RIZ6 {name}"), value);
    }
    desk.live();
    desk.run(20, 10);
    desk.said.take();
    // The market jumps up: the bid is read before the offer is.
    desk.terminal.number("RIZ6 BID", "11.5");
    while desk.said.calls.is_empty() {
        desk.run(1, 0);
    }
    desk.run(1, 10);
    desk.terminal.number("RIZ6 OFFER", "12.0");
    desk.run(200, 10);
    let crossed = |told: &Told| {
        let Told::Book { bids, asks, .. } = told else { return false };
        bids[0].price.rescaled(3) >= asks[0].price.rescaled(3)
    };
    let told = desk.said.take();
    assert!(!told.is_empty() && !told.iter().any(crossed), "{told:?}");
    desk.terminal.number("RIZ6 BID", "13.0");
    desk.run(500, 10);
    assert!(desk.said.take().iter().any(crossed), "what stays crossed is what the terminal says");
}

#[test]
fn three_hundred_futures_are_polled_smoothly() {
    let names: Vec<String> = (0..300).map(|n| format!("F{n}")).collect();
    let streams: Vec<_> = names.iter().map(|name| (name.as_str(), Channel::Ticker)).collect();
    let mut desk = Desk::new(&streams, &[("BID", 500), ("OFFER", 500), ("LAST", 500)]);
    names.iter().for_each(|name| {
        ["BID", "OFFER", "LAST"].iter().for_each(|p| desk.terminal.number(&format!("{name} {p}"), "1.0"))
    });
    desk.live();
    assert_eq!(desk.said.calls.len(), IN_FLIGHT, "the first round is bounded too");
    desk.run(1000, 100);
    assert_eq!(desk.said.take_news().len(), 300);
    desk.terminal.polls.clear();
    desk.run(5000, 100);
    let mut by_slot = [0_u32; 501];
    desk.terminal.polls.values().flatten().for_each(|ms| by_slot[(*ms as usize - 1000) / 10] += 1);
    assert!(by_slot[1..499].iter().all(|calls| (17..=19).contains(calls)), "1,800 a second: {by_slot:?}");
    assert!(desk.terminal.polls.values().all(|polls| polls.len().abs_diff(10) <= 1));
    assert_eq!(desk.said.take_news(), []);
}

#[test]
fn a_short_budget_is_told_once_and_stretches_all_alike() {
    let names: Vec<String> = (0..300).map(|n| format!("F{n}")).collect();
    let streams: Vec<_> = names.iter().map(|name| (name.as_str(), Channel::Ticker)).collect();
    let mut desk = Desk::new(&streams, &[("LAST", 500)]);
    names.iter().for_each(|name| desk.terminal.number(&format!("{name} LAST"), "1.0"));
    desk.live();
    desk.run(5000, 1);
    desk.said.take();
    desk.terminal.polls.clear();
    // 600 calls a second are wanted; every fifth millisecond has one.
    for _ in 0..6000 {
        desk.run(4, 0);
        desk.run(1, 1);
    }
    let told = desk.said.take_news();
    let late: u64 = told.iter().map(|told| if let Told::Late(polls) = told { *polls } else { 0 }).sum();
    assert!(late.abs_diff(30 * 400) <= 2200, "{late} of 12,000, told each five seconds");
    let notices: Vec<_> = told.iter().filter(|told| matches!(told, Told::Notice(..))).collect();
    let [Told::Notice(None, detail)] = notices[..] else { panic!("{notices:?}") };
    assert!(detail.contains("they need 600 calls a second of the 200"), "{detail}");
    assert!(desk.terminal.polls.values().all(|polls| polls.len().abs_diff(20) <= 1), "all alike");
    desk.run(15_000, 10);
    assert_eq!(desk.said.take_news().last(), Some(&Told::Notice(None, String::new())), "and that it is over");
}
