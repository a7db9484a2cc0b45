//! What every venue must do, whatever it speaks: a new venue gets these tests with its line in the table and a few
//! lines of its own here.

use std::time::Duration;

use tickbus::model::{Mono, Stamp, Stream, StreamId, UnixNanos};
use tickbus::venue::{
    HttpRequest, Ignored, Input, Market, Output, RpcRequest, Session, SessionSpec, TerminalState, Update, VENUES,
    VenueDef,
};

/// The little that has to be known of a venue's own language.
struct Script {
    venue: &'static str,
    /// The topics a request subscribes to or leaves; nothing for any other message.
    topics: fn(sent: &str) -> Option<Vec<String>>,
    /// Whether a message is a ping.
    is_ping: fn(sent: &str) -> bool,
    /// The answer to one, where the venue would be given up without it for this long.
    pong: &'static str,
    /// The answers to a request that is accepted.
    accept: fn(sent: &str) -> Vec<String>,
    /// The answers to a request with one topic that is refused.
    refuse: fn(sent: &str, topic: &str) -> Vec<String>,
    /// Whether a refused topic leaves the others of its request alone.
    refuses_alone: bool,
    /// How a terminal's calls are answered; for a venue that is reached by messages alone, nothing is.
    call: fn(body: &str, refused: Option<&str>) -> Option<String>,
    /// A message of a topic nobody asked for.
    unknown: &'static str,
    /// Topics that belong to no stream or to one that has others.
    besides: usize,
    /// Topics a request may have, and how long a connection may go without a ping; none where the venue has no words for
    /// one, so that only the driver's own ping shows whether it lives.
    topics_max: usize,
    ping_within: Option<Duration>,
}

const SCRIPTS: &[Script] = &[BINANCE, BITFLYER, BYBIT, OKX, Script { venue: "okj", ..OKX }, QUIK];

/// It takes any stream name; that it asks what it is sent is its ping.
const BINANCE: Script = Script {
    venue: "binance",
    topics: |sent| {
        let request: serde_json::Value = serde_json::from_str(sent).ok()?;
        let params = request["params"].as_array()?;
        Some(params.iter().filter_map(|name| name.as_str().map(str::to_owned)).collect())
    },
    is_ping: |sent| sent.contains("LIST_SUBSCRIPTIONS"),
    pong: r#"{"result":["btcusdt@trade"],"id":0}"#,
    accept: |sent| {
        let request: serde_json::Value = serde_json::from_str(sent).expect("JSON");
        vec![format!(r#"{{"result":null,"id":{}}}"#, request["id"])]
    },
    refuse: |sent, topic| {
        let request: serde_json::Value = serde_json::from_str(sent).expect("JSON");
        vec![format!(r#"{{"code":2,"msg":"Invalid request: unknown stream {topic}","id":{}}}"#, request["id"])]
    },
    refuses_alone: false,
    call: |_, _| None,
    unknown: r#"{"stream":"nobody@depth@100ms","data":{"e":"depthUpdate","E":1,"s":"NOBODY","U":1,"u":2,"b":[],"a":[]}}"#,
    // The mark price of a futures ticker.
    besides: 1,
    topics_max: 200,
    ping_within: Some(Duration::from_secs(30)),
};

/// A book has two channels and the ticker besides, and a request is for one.
const BITFLYER: Script = Script {
    venue: "bitflyer",
    topics: |sent| {
        let request: serde_json::Value = serde_json::from_str(sent).ok()?;
        Some(vec![request["params"]["channel"].as_str()?.to_owned()])
    },
    is_ping: |_| false,
    pong: "",
    accept: |sent| {
        let request: serde_json::Value = serde_json::from_str(sent).expect("JSON");
        vec![format!(r#"{{"jsonrpc":"2.0","id":{},"result":true}}"#, request["id"])]
    },
    refuse: |sent, _| {
        let request: serde_json::Value = serde_json::from_str(sent).expect("JSON");
        let error = r#"{"code":-32602,"message":"Invalid params","data":"invalid channel"}"#;
        vec![format!(r#"{{"jsonrpc":"2.0","id":{},"error":{error}}}"#, request["id"])]
    },
    refuses_alone: false,
    call: |_, _| None,
    unknown: r#"{"jsonrpc":"2.0","method":"channelMessage","params":{"channel":"lightning_board_NOBODY_JPY","message":{"mid_price":1.0,"bids":[],"asks":[]}}}"#,
    besides: 80,
    topics_max: 1,
    ping_within: None,
};

const BYBIT: Script = Script {
    venue: "bybit",
    topics: |sent| {
        let request: serde_json::Value = serde_json::from_str(sent).ok()?;
        let args = request["args"].as_array()?;
        Some(args.iter().filter_map(|arg| arg.as_str().map(str::to_owned)).collect())
    },
    is_ping: |sent| sent.contains("\"op\":\"ping\""),
    pong: "",
    accept: |sent| {
        let request: serde_json::Value = serde_json::from_str(sent).expect("JSON");
        vec![format!(r#"{{"success":true,"ret_msg":"","req_id":{},"op":{}}}"#, request["req_id"], request["op"])]
    },
    refuse: |sent, topic| {
        let request: serde_json::Value = serde_json::from_str(sent).expect("JSON");
        let why = format!("error:handler not found,topic:{topic}");
        vec![format!(r#"{{"success":false,"ret_msg":"{why}","req_id":{},"op":{}}}"#, request["req_id"], request["op"])]
    },
    refuses_alone: false,
    call: |_, _| None,
    unknown: r#"{"topic":"orderbook.50.NOBODY","type":"delta","ts":1,"data":{"s":"NOBODY","b":[],"a":[],"u":2,"seq":2}}"#,
    besides: 0,
    topics_max: 10,
    ping_within: Some(Duration::from_secs(30)),
};

/// It answers for each topic by itself, and names a bad one in words.
const OKX: Script = Script {
    venue: "okx",
    topics: |sent| {
        let request: serde_json::Value = serde_json::from_str(sent).ok()?;
        let args = request["args"].as_array().filter(|_| request["op"] != "login")?;
        Some(args.iter().map(ToString::to_string).collect())
    },
    is_ping: |sent| sent == "ping",
    pong: "",
    accept: |sent| okx_answers(sent, None),
    refuse: |sent, topic| okx_answers(sent, Some(topic)),
    refuses_alone: true,
    call: |_, _| None,
    unknown: r#"{"arg":{"channel":"books","instId":"NOBODY-USDT"},"action":"update","data":[{"asks":[],"bids":[],"ts":"1","checksum":0,"prevSeqId":1,"seqId":2}]}"#,
    // What is merged into a contract's ticker, and the instruments.
    besides: 6,
    topics_max: 200,
    ping_within: Some(Duration::from_secs(30)),
};

fn okx_answers(sent: &str, refused: Option<&str>) -> Vec<String> {
    let request: serde_json::Value = serde_json::from_str(sent).expect("JSON");
    let id = &request["id"];
    let answer = |arg: &serde_json::Value| {
        if refused != Some(&arg.to_string()) {
            return format!(r#"{{"id":{id},"event":{},"arg":{arg},"connId":"a4d3ae55"}}"#, request["op"]);
        }
        let named: Vec<String> = arg.as_object().expect("an object").iter().map(|(k, v)| format!("{k}:{v}")).collect();
        let named = named.join(",").replace('"', "");
        format!(
            r#"{{"id":{id},"event":"error","code":"60018","msg":"Wrong URL or {named} doesn't exist. Please use the correct URL.","connId":"a4d3ae55"}}"#
        )
    };
    request["args"].as_array().expect("args").iter().map(answer).collect()
}

/// Its requests are calls: a subscription is one, a ping is one, and each has its answer.
const QUIK: Script = Script {
    venue: "quik",
    topics: |sent| {
        let request: serde_json::Value = serde_json::from_str(sent).ok()?;
        let is_subscription = request["method"] == "Subscribe_Level_II_Quotes";
        is_subscription.then(|| vec![request["args"]["sec_code"].as_str().unwrap_or_default().to_owned()])
    },
    is_ping: |sent| sent.contains("LASTRECORDTIME"),
    pong: "",
    accept: |_| Vec::new(),
    refuse: |_, _| Vec::new(),
    refuses_alone: true,
    call: |body, refused| {
        let request: serde_json::Value = serde_json::from_str(body).expect("JSON");
        let is_refused = refused.is_some_and(|refused| request["args"]["sec_code"] == refused);
        let result = match request["method"].as_str().expect("a method") {
            "getInfoParam" => r#"{"info_param":"12:00:00"}"#,
            "isConnected" => r#"{"is_connected":1}"#,
            "getSecurityInfo" => r#"{"security_info":{"min_price_step":"10.0"}}"#,
            "Subscribe_Level_II_Quotes" if is_refused => "{}",
            "Subscribe_Level_II_Quotes" => r#"{"result":true}"#,
            _ => "[]",
        };
        Some(format!(r#"{{"result":{result}}}"#))
    },
    unknown: r#"["OnNobody",{"class_code":"SPBFUT"}]"#,
    besides: 0,
    topics_max: 1,
    ping_within: Some(Duration::from_secs(30)),
};

#[derive(Default)]
struct Said {
    sent: Vec<String>,
    http: Vec<u64>,
    rejected: Vec<StreamId>,
    broken: usize,
    ignored: Vec<Ignored>,
    reconnects: usize,
    /// Calls that wait for an answer.
    calls: Vec<RpcRequest>,
    /// How often the terminal was given up.
    deaths: usize,
}

impl Output for Said {
    fn send(&mut self, text: String) {
        self.sent.push(text);
    }
    fn http(&mut self, request: HttpRequest) {
        self.http.push(request.id);
    }

    fn rpc(&mut self, request: RpcRequest) {
        self.calls.push(request);
    }

    fn answer(&mut self, _: u64, _: String) {}
    fn update(&mut self, update: Update<'_>) {
        match update {
            Update::Rejected { stream, .. } => self.rejected.push(stream),
            Update::Broken { .. } => self.broken += 1,
            Update::Ignored(why) => self.ignored.push(why),
            Update::Terminal(TerminalState::Down(_)) => self.deaths += 1,
            _ => {}
        }
    }
    fn discovered(&mut self, _stream: Stream) -> Option<StreamId> {
        panic!("nothing is discovered outside of a replay")
    }
    fn reconnect(&mut self, _reason: String) {
        self.reconnects += 1;
    }
    fn replace(&mut self, reason: &str) {
        panic!("no venue here said that it will close: {reason}");
    }
}

/// A session on virtual time whose requests are answered.
struct Desk {
    script: &'static Script,
    session: Box<dyn Session>,
    streams: usize,
    now: Mono,
    refused: Option<String>,
    /// Calls get no answer any more.
    is_dead: bool,
    /// Topics the venue has accepted on this connection.
    accepted: Vec<String>,
    said: Said,
    pings: Vec<Mono>,
}

impl Desk {
    /// Every channel of the market for its example, and the first one for many symbols.
    fn new(venue: &VenueDef, market: &Market, script: &'static Script) -> Self {
        let stream = |text: &String| {
            let spec = (venue.parse_channel)(market.id, text).expect("a listed channel");
            let symbol = if spec.channel.has_symbol() { market.example } else { "" };
            Stream { variant: spec.variant, ..Stream::new(symbol, spec.channel) }
        };
        let mut streams: Vec<_> = (venue.channels)(market.id).iter().map(stream).collect();
        let first = streams[0].channel;
        streams.extend((0..35).map(|n| Stream::new(format!("{n}{}", market.example), first)));
        let count = streams.len();
        let session = (venue.open)(SessionSpec::of(market.id, streams));
        let now = Mono(1_000_000_000);
        let (accepted, pings, said) = (Vec::new(), Vec::new(), Said::default());
        Self { script, session, streams: count, now, refused: None, is_dead: false, accepted, said, pings }
    }

    fn take(&mut self, input: Input<'_>) {
        self.session.handle(input, Stamp { mono: self.now, wall: UnixNanos(self.now.0) }, &mut self.said);
    }

    fn connect(&mut self) {
        self.accepted.clear();
        self.take(Input::Connected);
        self.pass(Duration::from_secs(15));
    }

    /// Lets time pass; the venue answers everything.
    fn pass(&mut self, time: Duration) {
        let end = self.now.after(time);
        loop {
            for sent in std::mem::take(&mut self.said.sent) {
                self.answer(&sent);
            }
            for id in std::mem::take(&mut self.said.http) {
                self.take(Input::Http { id, status: None, body: b"no route", url: None });
            }
            for call in std::mem::take(&mut self.said.calls) {
                self.call(&call);
            }
            if !self.said.sent.is_empty() || !self.said.calls.is_empty() {
                continue;
            }
            let timer = self.session.next_timeout().filter(|timer| timer.at <= end && self.said.reconnects == 0);
            let Some(timer) = timer else { break };
            self.now = Mono(timer.at.0.max(self.now.0 + 1));
            self.take(Input::Timeout);
        }
        self.now = end;
    }

    fn call(&mut self, call: &RpcRequest) {
        if self.is_dead {
            return self.take(Input::Rpc { id: call.id, answer: Err("no answer in time") });
        }
        let Some(answer) = (self.script.call)(&call.body, self.refused.as_deref()) else { return };
        if (self.script.is_ping)(&call.body) {
            self.pings.push(self.now);
        }
        let topics = (self.script.topics)(&call.body).unwrap_or_default();
        self.accepted.extend(topics.into_iter().filter(|topic| self.refused.as_ref() != Some(topic)));
        self.take(Input::Rpc { id: call.id, answer: Ok(answer.as_bytes()) });
    }

    fn answer(&mut self, sent: &str) {
        if (self.script.is_ping)(sent) {
            self.pings.push(self.now);
            if !self.is_dead && !self.script.pong.is_empty() {
                self.take(Input::Text(self.script.pong.as_bytes()));
            }
        }
        let Some(topics) = (self.script.topics)(sent) else { return };
        assert!((1..=self.script.topics_max).contains(&topics.len()), "{sent}");
        let refused = self.refused.clone().filter(|refused| topics.contains(refused));
        let answers = match &refused {
            Some(topic) => (self.script.refuse)(sent, topic),
            None => (self.script.accept)(sent),
        };
        if refused.is_none() || self.script.refuses_alone {
            self.accepted.extend(topics.into_iter().filter(|topic| refused.as_ref() != Some(topic)));
        }
        for answer in answers {
            self.take(Input::Text(answer.as_bytes()));
        }
    }

    fn sorted(&self) -> Vec<String> {
        let mut topics = self.accepted.clone();
        topics.sort();
        topics
    }
}

/// Runs a test for every market of every venue.
fn everywhere(test: impl Fn(&mut Desk)) {
    // A venue without markets of its own has no protocol here.
    for venue in VENUES.iter().filter(|venue| !venue.markets.is_empty()) {
        let script = SCRIPTS.iter().find(|script| script.venue == venue.id);
        let script = script.unwrap_or_else(|| panic!("no script for {}: add one to SCRIPTS", venue.id));
        for market in venue.markets {
            println!("{} {}", venue.id, market.id);
            test(&mut Desk::new(venue, market, script));
        }
    }
}

#[test]
fn c01_everything_is_subscribed_within_the_limits() {
    everywhere(|desk| {
        desk.connect();
        let topics = desk.sorted();
        assert!(topics.windows(2).all(|pair| pair[0] != pair[1]), "a topic twice");
        assert!(topics.len() > 35 && topics.len() <= desk.streams + desk.script.besides, "{} topics", topics.len());
        assert_eq!(desk.said.reconnects, 0);
    });
}

#[test]
fn c02_a_new_connection_has_the_same_set() {
    everywhere(|desk| {
        desk.connect();
        let before = desk.sorted();
        desk.take(Input::Disconnected);
        desk.pass(Duration::from_secs(1));
        desk.connect();
        assert_eq!(desk.sorted(), before);
    });
}

#[test]
fn c03_pings_are_sent_in_time() {
    everywhere(|desk| {
        desk.connect();
        let mut last = desk.now;
        for _ in 0..20 {
            desk.pass(Duration::from_secs(9));
            desk.take(Input::Text(desk.script.unknown.as_bytes()));
        }
        let pings = std::mem::take(&mut desk.pings);
        assert_eq!(pings.len() > 5, desk.script.ping_within.is_some());
        for ping in pings {
            assert!(desk.script.ping_within.is_some_and(|within| ping.since(last) <= within));
            last = ping;
        }
        assert_eq!(desk.said.reconnects, 0);
    });
}

#[test]
fn c04_silence_ends_the_connection() {
    everywhere(|desk| {
        desk.connect();
        desk.is_dead = true;
        desk.pass(Duration::from_secs(120));
        if desk.script.ping_within.is_none() {
            println!("its connections are watched by the driver");
            return assert_eq!(desk.said.reconnects, 0);
        }
        assert!(desk.said.reconnects > 0 || desk.said.deaths > 0, "a terminal is given up without leaving it");
    });
}

#[test]
fn c08_what_nobody_asked_for_is_counted_and_not_fatal() {
    everywhere(|desk| {
        desk.connect();
        desk.said.ignored.clear();
        desk.take(Input::Text(desk.script.unknown.as_bytes()));
        assert_eq!(desk.said.ignored, [Ignored::UnknownTopic]);
        assert_eq!((desk.said.broken, desk.said.reconnects), (0, 0));
    });
}

#[test]
fn c09_no_bytes_make_it_panic() {
    everywhere(|desk| {
        desk.connect();
        let mut rng = fastrand::Rng::with_seed(9);
        for round in 0..2_000_usize {
            let mut bytes = desk.script.unknown.as_bytes().to_vec();
            let at = rng.usize(0..bytes.len());
            match round % 4 {
                0 => bytes.truncate(at),
                1 => bytes[at] = rng.u8(..),
                2 => bytes = std::iter::repeat_with(|| rng.u8(..)).take(at).collect(),
                _ => bytes = vec![b"[{\"0-e.,:]}"[at % 11]; at],
            }
            desk.take(if rng.bool() { Input::Text(&bytes) } else { Input::Binary(&bytes) });
            desk.take(Input::Http { id: rng.u64(0..5), status: Some(200), body: &bytes, url: None });
            let call = desk.said.calls.pop().map_or_else(|| rng.u64(..), |call| call.id);
            desk.take(Input::Rpc { id: call, answer: Ok(&bytes) });
        }
        assert_eq!(desk.said.reconnects, 0);
    });
}

#[test]
fn c10_a_refusal_is_of_one_topic_only() {
    everywhere(|desk| {
        desk.connect();
        let all = desk.sorted();
        desk.take(Input::Disconnected);
        let refused = all[all.len() / 2].clone();
        desk.refused = Some(refused.clone());
        desk.connect();
        let expected: Vec<_> = all.into_iter().filter(|topic| *topic != refused).collect();
        assert_eq!(desk.sorted(), expected);
        assert!(!desk.said.rejected.is_empty());
        assert_eq!(desk.said.reconnects, 0);
    });
}
