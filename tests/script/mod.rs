//! Clients in other languages, as processes. Python tests need a Python that has pyzmq, named by `TICKBUS_TEST_PYTHON`;
//! Node tests a folder in which the package `zeromq` is installed, named by `TICKBUS_TEST_NODE`. `scripts/test.sh` makes
//! both. Without them the tests say so and pass.

#![allow(dead_code, reason = "each test program uses a part")]

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;
use tokio::sync::mpsc::{Receiver, channel};
use tokio::time::timeout;

/// Long enough for a loaded machine; nothing that works takes nearly as long.
const DEADLINE: Duration = Duration::from_secs(60);
/// Lines waiting to be read; a script that prints more waits.
const LINES: usize = 10_000;

/// A language.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Language {
    Python,
    Node,
}

/// A running script; killed on drop.
pub(crate) struct Script {
    child: Child,
    lines: Receiver<String>,
    complaints: Receiver<String>,
    /// Where Node looks for packages, with a copy of the script.
    _folder: Option<TempDir>,
}

impl Script {
    /// Starts a script of the project, or says why not.
    pub(crate) fn start(language: Language, path: &str, args: &[&str], settings: &[(&str, &str)]) -> Option<Self> {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
        let (mut command, folder) = match language {
            Language::Python => (python(&path)?, None),
            Language::Node => {
                let (command, folder) = node(&path)?;
                (command, Some(folder))
            }
        };
        command.args(args).envs(settings.iter().copied());
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the interpreter can be started");
        let lines = lines_of(child.stdout.take().unwrap());
        let complaints = lines_of(child.stderr.take().unwrap());
        Some(Self { child, lines, complaints, _folder: folder })
    }

    /// The next line it prints.
    pub(crate) async fn line(&mut self) -> String {
        match timeout(DEADLINE, self.lines.recv()).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("the script ended: {:#?}", self.complaints()),
            Err(_) => panic!("no line of the script within {DEADLINE:?}: {:#?}", self.complaints()),
        }
    }

    /// The next line it writes on stderr.
    pub(crate) async fn complaint(&mut self) -> String {
        let line = timeout(DEADLINE, self.complaints.recv()).await;
        line.ok().flatten().unwrap_or_else(|| panic!("no line on stderr within {DEADLINE:?}"))
    }

    fn complaints(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.complaints.try_recv().ok()).collect()
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        if std::thread::panicking() {
            println!("stderr of the script: {:#?}", self.complaints());
        }
    }
}

fn python(path: &Path) -> Option<Command> {
    let Some(python) = std::env::var_os("TICKBUS_TEST_PYTHON") else {
        println!("skipped: no python with pyzmq (set TICKBUS_TEST_PYTHON)");
        return None;
    };
    let mut command = Command::new(python);
    command.arg(path);
    Some(command)
}

/// Node finds a module's packages from the folder of the file that imports it, so the script is copied to where they are.
fn node(path: &Path) -> Option<(Command, TempDir)> {
    let Some(packages) = std::env::var_os("TICKBUS_TEST_NODE") else {
        println!("skipped: no folder with the npm package zeromq (set TICKBUS_TEST_NODE)");
        return None;
    };
    let folder = TempDir::with_prefix_in("script-", packages).expect("TICKBUS_TEST_NODE names a folder");
    let copy = folder.path().join(path.file_name().unwrap());
    std::fs::copy(path, &copy).unwrap();
    let mut command = Command::new("node");
    command.arg(copy);
    Some((command, folder))
}

/// The lines of a stream as they come.
pub(crate) fn lines_of(stream: impl Read + Send + 'static) -> Receiver<String> {
    let (send, lines) = channel(LINES);
    let stream = BufReader::new(stream);
    std::thread::spawn(move || stream.lines().map_while(Result::ok).try_for_each(|line| send.blocking_send(line)));
    lines
}
