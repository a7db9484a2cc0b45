//! `tickbus ctl`: asks or tells a running gateway, over its control socket.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::time::sleep;

use super::ctl_fields::{self, Fields};
use super::progress::Progress;
use super::{Usage, ctl_tables};
use crate::client::{AccessArgs, request_secured};
use crate::clock;
use crate::zmtp::ClientSecurity;

/// How long a load may tell of no progress before it is given up, if `--timeout` is not longer.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// The gateway answers at once when it cannot wait: then it is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Arguments that are numbers, where they look like one; and those that are JSON.
const NUMBERS: [&str; 6] = ["n", "from", "to", "wait_ms", "within_ms", "timeout_ms"];
const JSON: [&str; 9] = ["args", "params", "data", "headers", "form", "signed", "job", "task", "tasks"];
/// Operations whose first argument may be the name of what is opened or started.
const OF_NAMES: [&str; 7] = ["open", "close", "job_start", "job_add", "job_next", "job_run", "job_stop"];
/// Operations that have to do with a list of streams, and what of it is given in turn: one, or several.
const OF_STREAMS: [&str; 3] = ["open", "subscribe", "unsubscribe"];
const LISTS: [(&str, &str); 2] = [("symbol", "symbols"), ("channel", "channels")];
/// Settings of a feed that are texts, whatever they look like.
const TEXTS: [&str; 9] = ["name", "venue", "market", "url", "rest_url", "rpc", "data", "events", "credentials"];

/// Arguments of `tickbus ctl`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "The answer is one JSON object on stdout. docs/CONTROL.md has every request with its answers and errors.

Feeds and streams:
  open NAME venue=VENUE market=MARKET [KEY=VALUE…]
                                     open a feed; the keys are those of a feed in the config
  close NAME                         close a feed and forget what is kept of it
  subscribe FEED channel=C symbol=S  wish for streams; answered when the venue has answered
  unsubscribe FEED channel=C symbol=S
                                     take that wish back; a stream is left when nobody wishes it any more
  feeds                              the feeds and their states
  status [feed=NAME]                 every symbol's state, who wishes what, counters, the bus
  resync feed=NAME symbol=SYMBOL     ask the venue for one book anew

Data:
  get channel=C venue=V market=M symbol=S [n=N]
                                     the latest value, or the latest n; feed=NAME for venue and market, or topic=TOPIC
  snapshot topic=TOPIC               the current book frame, full depth
  clear [feed=NAME] [symbol=SYMBOL]  forget the latest values
  topics                             topics whose current frame a joiner gets
  stats                              the bus's counters and subscribers

Tables (ticker, book, bbo, trade, liquidation, candle, order, fill, position, balance, instrument, status):
  get VENUE.TABLE FIELD=VALUE…       the row of this key, or of as much of it as tells it
  find VENUE.TABLE [FIELD=VALUE…] [limit=N]
                                     the rows that have these values
  sorted VENUE.book symbol=SYMBOL [limit=N]
                                     a live book, best first
  wait VENUE.TABLE [FIELD=VALUE…] [after=SEQ epoch=EPOCH]
                                     whether it changes within the timeout, or has since SEQ
  watch VENUE.TABLE [FIELD=VALUE…] [after=SEQ epoch=EPOCH] [n=N]
                                     each change as a line, until stopped or for N lines
  tables                             which there are, their keys and how many rows they have
  initialize FEED                    read orders, positions and balances of its account anew
REST calls (docs/JOBS.md):
  fetch URL [method=POST] [params=JSON] [data=JSON] [account=NAME]
                                     one call, signed by the account that fits its host
  jobs                               the jobs, with their states, counters and next turns
  job_start NAME job=JSON [results=pull]
                                     start a job, as the config has it; @FILE reads the JSON from a file
  job_add NAME task=JSON             give a queue, stack or ring one task more
  job_next NAME [n=N]                the next result of a job with results=pull, or the next n
  job_run NAME job=JSON              run a job, and print all its results in one answer
  job_stop NAME                      stop a job and forget it

The gateway:
  reload                             read the config and the lists of client keys again
  shutdown                           end the gateway

Of feeds from a QUIK terminal:
  history feed=NAME symbol=SYMBOL interval=1m [n=N] [from=TIME] [to=TIME]
                                     candles; a long load shows its progress on stderr
  params feed=NAME [params=JSON]     which parameters are polled, each with its milliseconds; sets them
  rpc feed=NAME method=NAME [args=JSON]
                                     call one of the terminal's functions

Several symbols or channels: symbols=A,B and channels=C,D with commas or as a JSON list, or the key again. What symbol=
and channel= have is one, and so is what follows raw:. JSON reaches the gateway as it was written: numbers and the order
of keys stay. TIME is nanoseconds since 1970 or as 2026-11-21T10:00:00+03:00.

Examples:
  tickbus ctl status
  tickbus ctl open extra venue=bybit market=spot publish.book_depth=10
  tickbus ctl subscribe extra channels=book:50,trade symbol=BTCUSDT symbol=ETHUSDT
  tickbus ctl get feed=extra channel=trade symbol=BTCUSDT n=10
  tickbus ctl find bybit.ticker market=linear
  tickbus ctl sorted bybit.book market=linear symbol=BTCUSDT limit=5
  tickbus ctl watch okx.order account=main
  tickbus ctl unsubscribe extra channel=trade symbol=ETHUSDT
  tickbus ctl close extra
  tickbus ctl open mine venue=okx market=spot credentials.key.env=KEY credentials.secret.file=/run/secret
  tickbus ctl job_start clock job=@clock.json
  tickbus ctl resync feed=bybit_linear symbol=BTCUSDT
  tickbus ctl history feed=quik symbol=RIZ6 interval=1m n=1000
  tickbus ctl params feed=quik params='{\"BID\": 500, \"LAST\": 1000}'
  tickbus ctl rpc feed=quik method=getClassInfo args='{\"class_code\": \"SPBFUT\"}'"
)]
pub struct Args {
    /// The gateway's control socket.
    #[arg(long, value_name = "ENDPOINT", default_value = "tcp://127.0.0.1:5557", env = "TICKBUS_CONTROL")]
    pub endpoint: String,
    /// Seconds to wait for the answer.
    #[arg(long, value_name = "SECS", default_value_t = 5, value_parser = clap::value_parser!(u64).range(1..=3_600))]
    pub timeout: u64,
    #[allow(missing_docs, reason = "described there")]
    #[command(flatten)]
    pub access: AccessArgs,
    /// Whose wishes these are: a wish is taken back under the name it was made under.
    #[arg(long, value_name = "NAME", default_value = "ctl")]
    pub client: String,
    /// File with the token of a gateway that demands one (`control.token`). `TICKBUS_TOKEN` may hold it instead.
    #[arg(long, value_name = "FILE")]
    pub token_file: Option<PathBuf>,
    /// What to do.
    #[arg(value_name = "OP")]
    pub op: String,
    /// The operation's arguments; the first may be the name of the feed alone.
    #[arg(value_name = "KEY=VALUE")]
    pub args: Vec<String>,
}

/// Sends the operation and prints the answer.
///
/// # Errors
/// No gateway there, no answer in time, or a refusal.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let security = args.access.security().map_err(|error| Usage(error.to_string()))?;
    let fields = request(&args)?;
    if args.op == "watch" {
        return watch(&args, &security, fields).await;
    }
    let json = ask(&args, &security, &fields.to_string()).await?;
    super::print(&format!("{json}\n"))?;
    let parsed: Value = serde_json::from_str(&json).unwrap_or_default();
    if parsed["ok"] == Value::Bool(false) {
        bail!("{}", parsed["error"].as_str().unwrap_or("refused"));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints changes as they come, a line each.
async fn watch(args: &Args, security: &ClientSecurity, mut request: Fields) -> anyhow::Result<ExitCode> {
    let mut left = request.take_number("n");
    while left != Some(0) {
        let answer = ask(args, security, &request.to_string()).await?;
        let mut step = ctl_tables::step(&answer)?;
        if step.lost {
            tracing::warn!("Changes were lost; those that follow are from now on");
        }
        if let Some(left) = &mut left {
            step.lines.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
            *left -= step.lines.len() as u64;
        }
        if !ctl_tables::print(&step.lines)? {
            break;
        }
        request.set_number("epoch", step.epoch);
        request.set_number("after", step.after);
    }
    Ok(ExitCode::SUCCESS)
}

/// The whole request, with who asks.
fn request(args: &Args) -> anyhow::Result<Fields> {
    let mut fields = match ctl_tables::is_about_a_table(&args.op, &args.args) {
        true => ctl_tables::fields(&args.op, &args.args)?,
        false => fields(&args.op, &args.args)?,
    };
    if OF_STREAMS.contains(&args.op.as_str()) && !fields.has("client") {
        fields.set_text("client", &args.client);
    }
    let may_wait = matches!(args.op.as_str(), "subscribe" | "unsubscribe" | "wait" | "watch" | "job_next" | "job_run");
    if may_wait && !fields.has("within_ms") {
        // So that the gateway's answer, even that there is none of the venue, comes before we stop waiting for it.
        fields.set_number("within_ms", (args.timeout * 800).min(30_000));
    }
    if let Some(token) = token(args)? {
        fields.set_text("token", &token);
    }
    Ok(fields)
}

fn token(args: &Args) -> anyhow::Result<Option<String>> {
    let Some(path) = &args.token_file else { return Ok(std::env::var("TICKBUS_TOKEN").ok()) };
    let read = std::fs::read_to_string(path).map_err(|error| Usage(format!("{}: {error}", path.display())))?;
    Ok(Some(read.trim_end_matches(['\r', '\n']).to_owned()))
}

/// The request's fields, from `KEY=VALUE` texts and a name.
fn fields(op: &str, args: &[String]) -> anyhow::Result<Fields> {
    let mut fields = Fields::of(op);
    for (at, text) in args.iter().enumerate() {
        match text.split_once('=') {
            _ if at == 0 && op == "fetch" && is_address(text) => fields.set_text("url", text),
            None if at == 0 && op != "get" => {
                fields.set_text(if OF_NAMES.contains(&op) { "name" } else { "feed" }, text);
            }
            None => bail!(Usage(format!("{text:?}: write KEY=VALUE"))),
            Some((key, value)) => put(&mut fields, op, key, value)?,
        }
    }
    Ok(fields)
}

/// Whether an argument is an address itself, not one with a key before it.
fn is_address(text: &str) -> bool {
    text.split_once("://").is_some_and(|(scheme, _)| !scheme.contains('='))
}

fn put(fields: &mut Fields, op: &str, key: &str, value: &str) -> anyhow::Result<()> {
    let list = LISTS.iter().find(|(one, several)| OF_STREAMS.contains(&op) && (*one == key || *several == key));
    if let Some((one, several)) = list {
        fields.add_items(several, ctl_fields::items(key, *one == key, value)?);
        return Ok(());
    }
    if op != "open" {
        fields.set_json(key, typed(key, value)?);
        return Ok(());
    }
    let (mut place, mut last) = (fields, key);
    while let Some((section, rest)) = last.split_once('.') {
        place = place.inner(section).with_context(|| format!("{key}: {section} is no object"))?;
        last = rest;
    }
    place.set_json(last, setting(key, value));
    Ok(())
}

/// A setting of a feed, as JSON text: JSON if it looks like it, unless it is a text.
fn setting(key: &str, text: &str) -> String {
    let section = key.split('.').next().unwrap_or(key);
    let is_text = TEXTS.contains(&section) && !text.starts_with('{');
    let json = (!is_text).then(|| serde_json::from_str::<&RawValue>(text).ok()).flatten();
    json.map_or_else(|| Value::from(text).to_string(), |json| json.get().to_owned())
}

/// An argument as JSON text.
fn typed(key: &str, text: &str) -> anyhow::Result<String> {
    if JSON.contains(&key) {
        return ctl_fields::json(key, text);
    }
    let number = text.parse::<u64>().ok().filter(|_| NUMBERS.contains(&key));
    Ok(number.map_or_else(|| Value::from(text).to_string(), |number| number.to_string()))
}

/// Asks until there is an answer: what is still being loaded is asked for again, as long as it gets on.
async fn ask(args: &Args, security: &ClientSecurity, body: &str) -> anyhow::Result<String> {
    let within = Duration::from_secs(args.timeout);
    let stuck_after = within.max(STUCK_AFTER);
    let mut progress = Progress::new("bars", clock::now().mono);
    loop {
        let frames = request_secured(&args.endpoint, security, body, within).await?;
        let answer = frames.last().context("the gateway's answer is empty")?;
        let json = crate::client::as_json(answer)?;
        let Some((bars, of)) = loading(&json) else {
            progress.clear();
            return Ok(json.into_owned());
        };
        let now = clock::now().mono;
        if progress.advance(bars, of, now) > stuck_after {
            progress.clear();
            return Ok(json.into_owned());
        }
        sleep(ASK_AGAIN).await;
    }
}

/// How far a load is, if that is the answer.
fn loading(json: &str) -> Option<(u64, u64)> {
    // Answers with data are long and need not be read for this.
    if !json.starts_with('{') || json.len() > 4_096 {
        return None;
    }
    let answer: Value = serde_json::from_str(json).ok()?;
    if answer["ok"] != Value::Bool(false) || answer["reason"] != "loading" {
        return None;
    }
    Some((answer["bars"].as_u64()?, answer["of"].as_u64()?))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;
    use zeromq::{RouterSocket, Socket as _, SocketRecv as _, SocketSend as _, ZmqMessage};

    use super::*;

    fn read(op: &str, args: &[&str]) -> anyhow::Result<Value> {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        Ok(serde_json::from_str(&fields(op, &args)?.to_string())?)
    }

    #[test]
    fn arguments_have_the_types_their_operation_takes() {
        let asked = ["feed=quik", "symbol=100", "interval=1m", "n=100", "from=2026-11-21T10:00:00Z", "to=5"];
        let expected = serde_json::json!({
            "op": "history", "feed": "quik", "symbol": "100", "interval": "1m", "n": 100,
            "from": "2026-11-21T10:00:00Z", "to": 5,
        });
        assert_eq!(read("history", &asked).expect("a request"), expected);
        let called = read("rpc", &["feed=quik", "method=getItem", r#"args={"index":1,"a":"=x"}"#]).expect("a request");
        assert_eq!(called["args"], serde_json::json!({"index": 1, "a": "=x"}));
        assert_eq!(read("status", &["feed=1"]).expect("a request")["feed"], "1");
        assert!(read("rpc", &["args=nonsense"]).is_err_and(|error| error.to_string().contains("no JSON")));
        assert!(read("rpc", &["feed=a", "args"]).is_err_and(|error| error.to_string().contains("KEY=VALUE")));
    }

    #[test]
    fn feeds_and_streams_are_written_short() {
        let asked = ["x", "channels=book:50,trade", "symbol=A", "symbols=B, C", "within_ms=0"];
        let expected = serde_json::json!({
            "op": "subscribe", "feed": "x", "channels": ["book:50", "trade"], "symbols": ["A", "B", "C"], "within_ms": 0,
        });
        assert_eq!(read("subscribe", &asked).expect("a request"), expected);
        let asked = [
            "x",
            "venue=okx",
            "market=spot",
            "publish.book_depth=10",
            "publish.book_interval_ms=5",
            "credentials.key.env=1",
            "credentials.secret=12345",
            "silence_ms=1000",
            "url=ws://127.0.0.1:1",
        ];
        let expected = serde_json::json!({
            "op": "open", "name": "x", "venue": "okx", "market": "spot", "url": "ws://127.0.0.1:1", "silence_ms": 1000,
            "publish": {"book_depth": 10, "book_interval_ms": 5},
            "credentials": {"key": {"env": "1"}, "secret": "12345"},
        });
        assert_eq!(read("open", &asked).expect("a request"), expected);
        assert_eq!(read("close", &["x"]).expect("a request"), serde_json::json!({"op": "close", "name": "x"}));
        let got = read("get", &["topic=trade.v.m.A.B.", "n=2"]).expect("a request");
        assert_eq!(got, serde_json::json!({"op": "get", "topic": "trade.v.m.A.B.", "n": 2}));
        assert!(read("open", &["x", "venue=okx", "venue.a=1"]).is_err());
    }

    #[test]
    fn json_reaches_the_gateway_as_it_was_written() {
        let written = |op: &str, args: &[&str]| {
            let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
            fields(op, &args).expect("a request").to_string()
        };
        let data = r#"{"qty":123456789012345678901234567890,"p":0.12345678901234567890123,"e":1E2}"#;
        let params = r#"{"z":1.10,"a":2}"#;
        assert_eq!(
            written(
                "fetch",
                &["https://a.com/?b=c://", "method=POST", &format!("data={data}"), &format!("params={params}")]
            ),
            format!(
                r#"{{"op":"fetch","url":"https://a.com/?b=c://","method":"POST","data":{data},"params":{params}}}"#
            )
        );
        assert_eq!(
            written("fetch", &["base_url=http://127.0.0.1:1", "path=/echo"]),
            r#"{"op":"fetch","base_url":"http://127.0.0.1:1","path":"/echo"}"#
        );
        assert_eq!(
            written("job_add", &["j", &format!("task={data}")]),
            format!(r#"{{"op":"job_add","name":"j","task":{data}}}"#)
        );
        let publish = r#"{"z":1.10,"a":123456789012345678901234567890}"#;
        assert_eq!(
            written("open", &["x", &format!("publish={publish}"), "silence_ms=1E3", "publish.b=2.0"]),
            r#"{"op":"open","name":"x","publish":{"z":1.10,"a":123456789012345678901234567890,"b":2.0},"silence_ms":1E3}"#
        );
        let raw = r#"raw:{"op":"subscribe","args":[{"a":1,"b":2}]}"#;
        let quoted = Value::from(raw).to_string();
        for arg in [format!("channel={raw}"), format!("channels=[{quoted}]"), format!("channels={raw}")] {
            let wanted = format!(r#"{{"op":"subscribe","feed":"b","channels":[{quoted}]}}"#);
            assert_eq!(written("subscribe", &["b", &arg]), wanted);
        }
    }

    #[tokio::test]
    async fn a_load_is_waited_for() {
        let mut gateway = RouterSocket::new();
        let endpoint = gateway.bind("tcp://127.0.0.1:0").await.unwrap().to_string();
        let serve = async {
            for answer in [
                r#"{"ok":false,"reason":"loading","bars":0,"of":0,"error":"…"}"#,
                r#"{"ok":false,"reason":"loading","bars":5,"of":9,"error":"…"}"#,
                r#"{"ok":true,"candles":[]}"#,
            ] {
                let mut frames = gateway.recv().await.unwrap().into_vec();
                assert_eq!(frames.pop().unwrap(), r#"{"op":"history","n":9}"#);
                frames.push(answer.into());
                gateway.send(ZmqMessage::try_from(frames).unwrap()).await.unwrap();
            }
        };
        let command = crate::cli::Cli::try_parse_from(["tickbus", "ctl", "--endpoint", &endpoint, "history", "n=9"]);
        let Ok(crate::cli::Cli { command: crate::cli::Command::Ctl(args), .. }) = command else { panic!("a command") };
        let body = request(&args).unwrap().to_string();
        let (answer, ()) = tokio::join!(ask(&args, &ClientSecurity::Null, &body), serve);
        assert_eq!(answer.unwrap(), r#"{"ok":true,"candles":[]}"#);
    }

    #[test]
    fn only_a_load_is_asked_for_again() {
        let answer = r#"{"bars":7,"error":"…","of":9,"ok":false,"reason":"loading"}"#;
        assert_eq!(loading(answer), Some((7, 9)));
        for other in
            [r#"{"ok":true}"#, r#"{"ok":false,"reason":"down"}"#, "[]", "", r#"{"ok":false,"reason":"loading"}"#]
        {
            assert_eq!(loading(other), None, "{other}");
        }
    }
}
