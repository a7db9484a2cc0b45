//! README's promises about commands: every `sh` block that needs no network is run as it stands, and `scripts/run.sh`
//! with a program that is already built.

// Clippy allows it in test functions only, and not in what they call.
#![allow(clippy::unwrap_used)]

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::channel;
use std::thread::spawn;
use std::time::Duration;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const TICKBUS: &str = env!("CARGO_BIN_EXE_tickbus");
/// A block is a demonstration: it ends by itself well before this.
const LIMIT: Duration = Duration::from_secs(60);

/// Words of commands that need a network, a compiler or another machine; blocks with one of them are only read.
const NOT_HERE: [&str; 9] =
    ["cargo ", "git ", "apt", "pip", "npm", "docker", "systemctl", "scripts/test.sh", "scripts/bench.sh"];

/// The `sh` blocks of a Markdown text.
fn blocks(text: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut open: Option<String> = None;
    for line in text.lines() {
        match &mut open {
            None if line.trim() == "```sh" => open = Some(String::new()),
            None => {}
            Some(_) if line.trim() == "```" => blocks.extend(open.take()),
            Some(block) => {
                block.push_str(line);
                block.push('\n');
            }
        }
    }
    assert!(open.is_none(), "a block is not closed");
    blocks
}

/// A shell that finds our programs first, and knows nothing of the caller's settings.
fn shell(script: &str) -> Command {
    let mut command = Command::new("bash");
    command.args(["-euo", "pipefail", "-c", script]).current_dir(ROOT);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("TICKBUS") || name == "RUST_LOG" {
            command.env_remove(name);
        }
    }
    let programs = Path::new(TICKBUS).parent().unwrap().display();
    let path = std::env::var("PATH").unwrap_or_default();
    command.env("PATH", format!("{programs}:{path}")).env("TICKBUS_BIN", TICKBUS);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Reads a stream to its end beside us.
fn reader(stream: impl Read + Send + 'static) -> std::thread::JoinHandle<Vec<u8>> {
    let mut stream = stream;
    spawn(move || {
        let mut bytes = Vec::new();
        drop(stream.read_to_end(&mut bytes));
        bytes
    })
}

/// The output of a process that must end within [`LIMIT`]; a shell that does not is ended.
fn output(mut child: Child) -> Output {
    let (stdout, stderr) = (reader(child.stdout.take().unwrap()), reader(child.stderr.take().unwrap()));
    let pid = child.id().to_string();
    let (ended, watched) = channel();
    let watchdog = spawn(move || {
        let late = watched.recv_timeout(LIMIT).is_err();
        if late {
            drop(Command::new("kill").args(["-s", "TERM", &pid]).status());
        }
        late
    });
    let status = child.wait().unwrap();
    // The watchdog is gone already if the process was late.
    let _ = ended.send(());
    assert!(!watchdog.join().unwrap(), "did not end within {LIMIT:?}");
    Output { status, stdout: stdout.join().unwrap(), stderr: stderr.join().unwrap() }
}

fn run(script: &str) -> Output {
    output(shell(script).spawn().unwrap())
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[test]
fn every_sh_block_of_the_readme_works() {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let mut ran = 0;
    for block in blocks(&readme) {
        assert!(run(&format!("bash -n <<'END'\n{block}END\n")).status.success(), "not shell:\n{block}");
        if NOT_HERE.iter().any(|word| block.contains(word)) {
            println!("only read:\n{block}");
            continue;
        }
        let output = run(&block);
        let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
        assert!(output.status.success(), "{block}\n{}\n{stdout}\n{stderr}", output.status);
        ran += 1;
    }
    assert!(ran > 0, "README shows nothing that can be run");
}

/// The texts between backticks, in order.
fn code_words(line: &str) -> Vec<&str> {
    line.split('`').skip(1).step_by(2).collect()
}

#[test]
fn every_promise_names_tests_that_exist() {
    let readme = std::fs::read_to_string(Path::new(ROOT).join("README.md")).unwrap();
    let mut found = 0;
    for line in readme.lines().filter(|line| line.starts_with('|') && line.contains(".rs`:")) {
        let mut source = String::new();
        for word in code_words(line) {
            if word.ends_with(".rs") {
                source = std::fs::read_to_string(Path::new(ROOT).join(word)).unwrap_or_else(|e| panic!("{word}: {e}"));
            } else if !source.is_empty() {
                assert!(source.contains(&format!("fn {word}(")), "there is no test {word}: {line}");
                found += 1;
            }
        }
    }
    assert!(found >= 7, "only {found} tests are named");
}

#[test]
fn blocks_are_found_by_their_language() {
    let text = "a\n```sh\nx\ny\n```\n```console\n$ z\n```\n  ```sh\n  w\n  ```\n";
    assert_eq!(blocks(text), ["x\ny\n", "  w\n"]);
}

#[test]
fn the_demo_prints_books_trades_and_states() {
    let output = run("tickbus demo --duration 3");
    let (stdout, stderr) = (text(&output.stdout), text(&output.stderr));
    assert!(output.status.success(), "{stderr}");
    for word in ["book", "trade", "status", "bybit.linear.BTCUSDT", "bybit.spot.SOLUSDT"] {
        assert!(stdout.contains(word), "{word} is missing from {stdout}");
    }
}

#[test]
fn run_sh_passes_words_on_and_without_any_runs_the_gateway() {
    let demo = run("scripts/run.sh demo --duration 1 --bind tcp://127.0.0.1:0");
    assert!(demo.status.success() && !demo.stdout.is_empty(), "{}", text(&demo.stderr));
    // Also from another folder: the config is the project's.
    let check = run("run=$PWD/scripts/run.sh; cd /; \"$run\" check");
    assert!(text(&check.stdout).contains("/config.json: ok\n"), "{}{}", text(&check.stdout), text(&check.stderr));
    let service = run("TICKBUS_BIN=/bin/echo scripts/run.sh");
    assert_eq!(text(&service.stdout), "run\n");
    let service = run("TICKBUS_BIN=/bin/echo scripts/run.sh --set bus.encoding=msgpack");
    assert_eq!(text(&service.stdout), "run --set bus.encoding=msgpack\n");
    let refused = run("scripts/run.sh --config /nonexistent.json");
    assert_eq!(refused.status.code(), Some(2), "{}", text(&refused.stderr));
}

#[test]
fn every_script_is_valid_shell_and_can_be_run() {
    let check = "for script in .ci/run scripts/*.sh; do bash -n \"$script\"; test -x \"$script\"; done";
    let output = run(check);
    assert!(output.status.success(), "{}", text(&output.stderr));
}
