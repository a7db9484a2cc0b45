//! `tickbus sim --venue quik` as a process: where it says it listens, how it ends, and what it refuses.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use serde_json::json;
use tickbus::io::zmq::Kind;

use crate::client::{call, event, riz6, socket, subscriber};

struct Program(Child);

impl Drop for Program {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn sim(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tickbus"));
    command.args(["sim", "--venue", "quik"]).args(args).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("RUST_LOG").env_remove("TICKBUS_LOG_FORMAT");
    command
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_says_where_it_listens_and_what_was_not_given_back() {
    let free = ["--listen", "127.0.0.1:0", "--events", "127.0.0.1:0", "--data", "127.0.0.1:0"];
    let mut program = Program(sim(&[&free[..], &["--rate", "500", "--deal-ms", "50"]].concat()).spawn().unwrap());
    let mut lines = BufReader::new(program.0.stdout.take().unwrap()).lines();
    let mut endpoint = |name: &str| {
        let line = lines.next().unwrap().unwrap();
        line.strip_prefix(name).unwrap_or_else(|| panic!("{line}")).trim().to_owned()
    };
    let (rpc, events, data) = (endpoint("rpc"), endpoint("events"), endpoint("data"));
    let mut both = [socket(&rpc, Kind::Req).await, socket(&data, Kind::Req).await];
    for socket in &mut both {
        call(socket, "Subscribe_Level_II_Quotes", riz6()).await;
    }
    let mut events = subscriber(&events, "OnOrder").await;
    assert!(event(&mut events).await.1.unwrap()["order_num"].as_i64().is_some());
    let state = call(&mut both[0], "sim.state", json!({})).await;
    assert_eq!(state["result"]["level_ii"], json!(["SPBFUT RIZ6"]));
    let ended = Command::new("kill").args(["-TERM", &program.0.id().to_string()]).status().unwrap();
    assert!(ended.success());
    let mut log = String::new();
    program.0.stderr.take().unwrap().read_to_string(&mut log).unwrap();
    assert!(program.0.wait().unwrap().success());
    let last = log.lines().last().unwrap();
    assert!(
        last.contains("simulated terminal closed") && last.contains("level_ii=1") && last.contains("calls=2"),
        "{log}"
    );
}

#[test]
fn what_it_refuses() {
    let code = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_tickbus")).arg("sim").args(args).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    let (status, text) = code(&["--venue", "quik", "--fault", "half-open"]);
    assert!(status == 2 && text.contains("encode_crash"), "{status} {text}");
    let (status, text) = code(&["--venue", "bybit", "--fault", "encode_crash"]);
    assert!(status == 2 && text.contains("half-open"), "{status} {text}");
    let (status, text) = code(&["--events", "127.0.0.1:0"]);
    assert!(status == 2 && text.contains("--venue quik only"), "{status} {text}");
    let (status, text) = code(&["--venue", "quik", "--auth", "curve:here"]);
    assert!(status == 2 && text.contains("plain:USER"), "{status} {text}");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (status, text) = code(&["--venue", "quik", "--listen", &address]);
    assert!(status == 3 && text.contains(&address), "{status} {text}");
}
