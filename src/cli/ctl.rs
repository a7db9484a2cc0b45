//! `tickbus ctl`: asks or tells a running gateway, over its control socket.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use serde_json::{Map, Value};
use tokio::time::sleep;

use super::Usage;
use super::progress::Progress;
use crate::client::{AccessArgs, request_secured};
use crate::clock;
use crate::zmtp::ClientSecurity;

/// How long a load may tell of no progress before it is given up, if `--timeout` is not longer.
const STUCK_AFTER: Duration = Duration::from_secs(60);
/// The gateway answers at once when it cannot wait: then it is asked again after this.
const ASK_AGAIN: Duration = Duration::from_millis(100);
/// Arguments that are numbers, where they look like one; and those that are JSON.
const NUMBERS: [&str; 4] = ["n", "from", "to", "wait_ms"];
const JSON: [&str; 2] = ["args", "params"];

/// Arguments of `tickbus ctl`.
#[derive(Debug, clap::Args)]
#[command(after_help = "The answer is one JSON object on stdout.

Operations:
  feeds                              the feeds and their states
  status [feed=NAME]                 every symbol's state, counters, the bus
  snapshot topic=TOPIC               the current book frame, full depth
  topics                             topics whose current frame a joiner gets
  stats                              the bus's counters
  resync feed=NAME symbol=SYMBOL     ask the venue for one book anew
  reload                             read the lists of client keys again
  shutdown                           end the gateway

Of feeds from a QUIK terminal:
  history feed=NAME symbol=SYMBOL interval=1m [n=N] [from=TIME] [to=TIME]
                                     candles; a long load shows its progress on stderr
  params feed=NAME [params=JSON]     which parameters are polled, each with its milliseconds; sets them
  rpc feed=NAME method=NAME [args=JSON]
                                     call one of the terminal's functions

TIME is nanoseconds since 1970 or as 2026-11-21T10:00:00+03:00.

Examples:
  tickbus ctl status
  tickbus ctl resync feed=bybit_linear symbol=BTCUSDT
  tickbus ctl history feed=quik symbol=RIZ6 interval=1m n=1000
  tickbus ctl params feed=quik params='{\"BID\": 500, \"LAST\": 1000}'
  tickbus ctl rpc feed=quik method=getClassInfo args='{\"class_code\": \"SPBFUT\"}'")]
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
    /// What to do.
    #[arg(value_name = "OP")]
    pub op: String,
    /// The operation's arguments.
    #[arg(value_name = "KEY=VALUE")]
    pub args: Vec<String>,
}

/// Sends the operation and prints the answer.
///
/// # Errors
/// No gateway there, no answer in time, or a refusal.
pub async fn run(args: Args) -> anyhow::Result<ExitCode> {
    let security = args.access.security().map_err(|error| Usage(error.to_string()))?;
    let body = body(&args.op, &args.args)?;
    let json = ask(&args, &security, &body).await?;
    super::print(&format!("{json}\n"))?;
    let parsed: Value = serde_json::from_str(&json).unwrap_or_default();
    if parsed["ok"] == Value::Bool(false) {
        bail!("{}", parsed["error"].as_str().unwrap_or("refused"));
    }
    Ok(ExitCode::SUCCESS)
}

/// The request's text.
fn body(op: &str, args: &[String]) -> anyhow::Result<String> {
    let mut fields = Map::from_iter([("op".to_owned(), Value::String(op.to_owned()))]);
    for text in args {
        let (key, value) = text.split_once('=').with_context(|| format!("{text:?}: write KEY=VALUE"))?;
        fields.insert(key.to_owned(), typed(key, value)?);
    }
    Ok(Value::Object(fields).to_string())
}

fn typed(key: &str, text: &str) -> anyhow::Result<Value> {
    if JSON.contains(&key) {
        let example = "for example '{\"class_code\": \"SPBFUT\"}'";
        return serde_json::from_str(text).with_context(|| format!("{key}: {text:?} is no JSON; {example}"));
    }
    let number = text.parse::<u64>().ok().filter(|_| NUMBERS.contains(&key));
    Ok(number.map_or_else(|| Value::String(text.to_owned()), Value::from))
}

/// Asks until there is an answer: what is still being loaded is asked for again, as long as it gets on.
async fn ask(args: &Args, security: &ClientSecurity, body: &str) -> anyhow::Result<String> {
    let within = Duration::from_secs(args.timeout);
    let stuck_after = within.max(STUCK_AFTER);
    let mut progress = Progress::new(clock::now().mono);
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
        Ok(serde_json::from_str(&body(op, &args)?)?)
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
        assert!(read("rpc", &["args"]).is_err_and(|error| error.to_string().contains("KEY=VALUE")));
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
                assert_eq!(frames.pop().unwrap(), r#"{"n":9,"op":"history"}"#);
                frames.push(answer.into());
                gateway.send(ZmqMessage::try_from(frames).unwrap()).await.unwrap();
            }
        };
        let command = crate::cli::Cli::try_parse_from(["tickbus", "ctl", "--endpoint", &endpoint, "history", "n=9"]);
        let Ok(crate::cli::Cli { command: crate::cli::Command::Ctl(args), .. }) = command else { panic!("a command") };
        let body = body(&args.op, &args.args).unwrap();
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
