//! Captures from the recorder to the player, through files that are whole, compressed, torn or strange.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use bytes::Bytes;
use tickbus::bus::{Frame, Outgoing, Retain};
use tickbus::io::command::Command;
use tickbus::io::tap::{Kind, Tapped, tap};
use tickbus::io::{FrameSink, Steps};
use tickbus::model::{Mono, Stamp, UnixNanos};
use tickbus::pipeline::{FeedReport, Outbox};
use tickbus::replay::capture::Line;
use tickbus::replay::pipelines::Pipelines;
use tickbus::replay::player::{Player, Speed, Totals};
use tickbus::replay::reader::{Captures, ReadReport};
use tickbus::replay::recorder::{CaptureWriter, RecordError, Recorder};
use tickbus::venue::{Input, LinkId, Timer, okx};
use tokio::sync::{mpsc, oneshot};
use tokio::time::timeout;

const PATIENCE: Duration = Duration::from_secs(20);
const S: u64 = 1_000_000_000;

fn tapped(at: u64, kind: Kind, data: &str) -> Tapped {
    let url = matches!(kind, Kind::Connect | Kind::Rest).then(|| "wss://h/p".into());
    Tapped { feed: "f".into(), at: UnixNanos(at), kind, url, data: Bytes::copy_from_slice(data.as_bytes()) }
}

fn read(paths: &[PathBuf]) -> (Vec<Line>, ReadReport) {
    let mut captures = Captures::open(paths).unwrap();
    let lines = std::iter::from_fn(|| captures.next()).collect();
    (lines, captures.report().clone())
}

fn texts(lines: &[Line]) -> Vec<&str> {
    lines.iter().map(|line| std::str::from_utf8(&line.msg).unwrap()).collect()
}

fn write_file(dir: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = dir.join(name);
    fs::write(&path, content).unwrap();
    path
}

fn ws_lines(texts: &[&str]) -> String {
    texts.iter().map(|text| format!("{{\"recv_ns\":1,\"kind\":\"ws\",\"msg\":{text}}}\n")).collect()
}

#[tokio::test]
async fn what_is_recorded_is_read_back_in_every_format() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.jsonl", "b.jsonl.gz", "c.jsonl.zst"] {
        let path = dir.path().join(name);
        let (tap, reader) = tap();
        let recorder = Recorder::start(reader, CaptureWriter::create(&path, false).unwrap());
        tap.put(tapped(1, Kind::Connect, ""));
        tap.put(tapped(2, Kind::Send, "{\"op\":\"subscribe\"}"));
        for n in 0..2000 {
            tap.put(tapped(3 + n, Kind::Ws, &format!("{{\"n\":{n}.50}}")));
        }
        tap.put(tapped(9999, Kind::Rest, "not json\n"));
        drop(tap);
        assert_eq!(recorder.join().await.unwrap(), 2003);
        let (lines, report) = read(&[path]);
        assert_eq!(report, ReadReport { lines: 2003, ..ReadReport::default() }, "{name}");
        assert_eq!(lines[0].url.as_deref(), Some("wss://h/p"));
        assert_eq!(lines[7].msg, b"{\"n\":5.50}");
        assert_eq!(lines[7].recv, Some(UnixNanos(8)));
        assert_eq!((lines[2002].kind, &lines[2002].msg[..]), (Kind::Rest, &b"not json\n"[..]));
    }
}

#[tokio::test]
async fn a_reader_finds_what_a_running_recorder_has_written() {
    let dir = tempfile::tempdir().unwrap();
    for name in ["a.jsonl", "b.gz", "c.zst"] {
        let path = dir.path().join(name);
        let (tap, reader) = tap();
        let recorder = Recorder::start(reader, CaptureWriter::create(&path, false).unwrap());
        tap.put(tapped(1, Kind::Ws, "{}"));
        let seen = async {
            while read(std::slice::from_ref(&path)).1.lines < 1 {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, seen).await.unwrap_or_else(|_| panic!("{name} was never flushed"));
        assert!(!recorder.has_ended());
        assert_eq!(recorder.lines(), 1);
    }
}

#[test]
fn a_recording_is_always_a_new_file() {
    let dir = tempfile::tempdir().unwrap();
    let path = write_file(dir.path(), "old.jsonl.gz", b"precious");
    let refused = CaptureWriter::create(&path, false).err().unwrap();
    assert!(matches!(refused, RecordError::Exists(_)) && refused.to_string().contains("--force"), "{refused}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    CaptureWriter::create(&path, true).unwrap().finish().unwrap();
    assert_eq!(read(&[path]).1, ReadReport::default());
    let named = CaptureWriter::create(&dir.path().join("x.csv"), false).err().unwrap();
    assert!(named.to_string().contains(".jsonl, .gz or .zst"), "{named}");
    let nowhere = CaptureWriter::create(&dir.path().join("no/x.gz"), false).err().unwrap();
    assert!(matches!(nowhere, RecordError::Disk { .. }), "{nowhere}");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_full_disk_ends_the_recording_and_nothing_else() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("full.jsonl");
    std::os::unix::fs::symlink("/dev/full", &path).unwrap();
    let (tap, reader) = tap();
    let recorder = Recorder::start(reader, CaptureWriter::create(&path, true).unwrap());
    tap.put(tapped(1, Kind::Ws, "{}"));
    let failed = timeout(PATIENCE, recorder.join()).await.expect("it goes on").unwrap_err();
    assert!(matches!(failed, RecordError::Disk { .. }), "{failed}");
    tap.put(tapped(2, Kind::Ws, "{}"));
    assert_eq!(tap.dropped(), 1);
}

#[test]
fn compression_is_told_by_content_not_by_name() {
    let dir = tempfile::tempdir().unwrap();
    let plain = write_file(dir.path(), "plain.gz", ws_lines(&["1"]).as_bytes());
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gz.write_all(ws_lines(&["2"]).as_bytes()).unwrap();
    // Two members, as `cat a.gz b.gz` makes them.
    let twice = gz.finish().unwrap().repeat(2);
    let gz = write_file(dir.path(), "gz.jsonl", &twice);
    let zst = write_file(dir.path(), "zst.txt", &zstd::encode_all(ws_lines(&["3"]).as_bytes(), 0).unwrap());
    let empty = write_file(dir.path(), "empty.zst", b"");
    let (lines, report) = read(&[plain, gz, empty, zst]);
    assert_eq!(texts(&lines), ["1", "2", "2", "3"]);
    assert_eq!(report.torn, [""; 0]);
}

#[test]
fn all_before_a_tear_is_used() {
    let dir = tempfile::tempdir().unwrap();
    let many: Vec<String> = (0..5000_u64).map(|n| (n * 7_919_993_u64 % 1_000_003).to_string()).collect();
    let content = ws_lines(&many.iter().map(String::as_str).collect::<Vec<_>>());
    let mut gz = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gz.write_all(content.as_bytes()).unwrap();
    let gz = gz.finish().unwrap();
    let zst = zstd::encode_all(content.as_bytes(), 0).unwrap();
    for (name, bytes, least) in [("t.jsonl", content.as_bytes(), 4000), ("t.gz", &gz[..], 1000), ("t.zst", &zst[..], 0)]
    {
        let path = write_file(dir.path(), name, &bytes[..bytes.len() * 9 / 10]);
        let (lines, report) = read(&[path]);
        assert!(lines.len() >= least && lines.len() < 5000, "{name}: {}", lines.len());
        for (line, wanted) in lines.iter().zip(&many) {
            assert_eq!(line.msg, wanted.as_bytes());
        }
        assert_eq!(report.torn.len(), 1, "{name}");
        assert_eq!(report.malformed, 0, "{name}: the torn line is not a bad one");
    }
}

#[test]
fn a_line_cut_where_it_looks_whole_is_still_torn() {
    let dir = tempfile::tempdir().unwrap();
    let cut = write_file(dir.path(), "cut.jsonl", br#"{"recv_ns":1,"kind":"ws","msg":{"a":{"b":1}"#);
    let (lines, report) = read(&[cut]);
    assert_eq!((lines.len(), report.torn.len()), (0, 1));
    let whole = write_file(dir.path(), "whole.jsonl", br#"{"recv_ns":1,"kind":"ws","msg":{"a":{"b":1}}}"#);
    let (lines, report) = read(&[whole]);
    assert_eq!((lines.len(), report.torn.len()), (1, 0));
}

#[test]
fn strange_lines_are_counted_and_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let mut content = ws_lines(&["1"]).into_bytes();
    content.extend_from_slice(b"\n{\"kind\":\"example\",\"msg\":{}}\nnonsense\n");
    content.extend_from_slice(b"{\"recv_ns\":1,\"kind\":\"ws\",\"msg\":\"");
    content.resize(content.len() + (65 << 20), b'x');
    content.extend_from_slice(b"\"}\n");
    content.extend_from_slice(ws_lines(&["2"]).as_bytes());
    let path = write_file(dir.path(), "strange.jsonl", &content);
    let (lines, report) = read(&[path]);
    assert_eq!(texts(&lines), ["1", "2"]);
    let wanted = ReadReport { lines: 2, unknown_kinds: 1, malformed: 1, too_long: 1, torn: Vec::new() };
    assert_eq!(report, wanted);
}

#[test]
fn a_missing_file_and_a_directory_are_errors_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let whole = write_file(dir.path(), "whole.jsonl", b"");
    for bad in [dir.path().join("missing.gz"), dir.path().to_owned()] {
        let error = Captures::open(&[whole.clone(), bad.clone()]).err().unwrap();
        assert!(error.to_string().contains(&bad.display().to_string()), "{error}");
    }
}

/// Remembers its inputs with their times in milliseconds, publishes texts, and wants to be woken as `timer MS` says.
#[derive(Default)]
struct Notes {
    seen: Vec<String>,
    timer: Option<Mono>,
    outbox: Outbox,
}

impl Steps for Notes {
    fn step(&mut self, input: Input<'_>, now: Stamp) {
        let what = match input {
            Input::Connected => "connected".to_owned(),
            Input::Text(text) => {
                let text = String::from_utf8(text.to_vec()).unwrap();
                if let Some(ms) = text.strip_prefix("timer ") {
                    self.timer = Some(now.mono.after(Duration::from_millis(ms.parse().unwrap())));
                }
                let (topic, payload) = (Bytes::from_static(b"t."), Bytes::from(text.clone()));
                self.outbox.frames.push(Outgoing::Frame(Frame { topic, payload, retain: Retain::Stream, seq: 0 }));
                text
            }
            Input::Http { id, status, body, .. } => format!("http {id} {status:?} {}", String::from_utf8_lossy(body)),
            Input::Timeout => {
                self.timer = None;
                "timeout".to_owned()
            }
            other => format!("{other:?}"),
        };
        self.outbox.sends.push((LinkId(0), "nobody hears this".to_owned()));
        self.seen.push(format!("{} {what}", now.mono.0 / 1_000_000));
    }

    fn outbox(&mut self) -> &mut Outbox {
        &mut self.outbox
    }

    fn next_timeout(&self) -> Option<Timer> {
        self.timer.map(|at| Timer { at, why: "test" })
    }

    fn snapshot(&mut self, _topic: &str) -> Option<Frame> {
        None
    }

    fn resync(&mut self, _symbol: &str, _now: Stamp) -> bool {
        false
    }

    fn shut_down(&mut self, _now: Stamp) {}

    fn report(&self) -> FeedReport {
        FeedReport::default()
    }
}

#[derive(Default)]
struct Collected(Mutex<Vec<String>>);

impl FrameSink for Collected {
    fn publish(&self, batch: &mut Vec<Outgoing>) {
        for work in batch.drain(..) {
            if let Outgoing::Frame(frame) = work {
                self.0.lock().unwrap().push(String::from_utf8(frame.payload.to_vec()).unwrap());
            }
        }
    }
}

async fn play(lines: &[Tapped], speed: Speed) -> (Notes, Vec<String>, Totals) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("played.jsonl");
    let mut writer = CaptureWriter::create(&path, false).unwrap();
    lines.iter().for_each(|line| writer.write(line).unwrap());
    writer.finish().unwrap();
    let (mut notes, sink) = (Notes::default(), Collected::default());
    let (_commander, mut commands) = mpsc::channel(1);
    let player = Player::new(&mut notes, &sink, &mut commands, speed);
    let totals = player.play(&mut Captures::open(&[path]).unwrap()).await;
    (notes, sink.0.into_inner().unwrap(), totals)
}

#[tokio::test]
async fn the_player_steps_with_the_times_of_the_file() {
    let lines = [
        tapped(100 * S, Kind::Rest, "[]"),
        tapped(101 * S, Kind::Send, "{}"),
        tapped(102 * S, Kind::Ws, "timer 500"),
        tapped(103 * S, Kind::Ws, "b"),
        tapped(102 * S, Kind::Ws, "back"),
        tapped(104 * S, Kind::Connect, ""),
        tapped(105 * S, Kind::Ws, "timer 200"),
    ];
    let (notes, frames, totals) = play(&lines, Speed::Max).await;
    let seen = [
        "1000 http 0 Some(200) []",
        "3000 timer 500",
        "3500 timeout",
        "4000 b",
        "4000 back",
        "5000 connected",
        "6000 timer 200",
        "6200 timeout",
    ];
    assert_eq!(notes.seen, seen);
    assert_eq!(frames, ["timer 500", "b", "back", "timer 200"]);
    assert!(notes.outbox.sends.len() <= 2, "sends are thrown away");
    let read = ReadReport { lines: 7, ..ReadReport::default() };
    assert_eq!(totals, Totals { connect: 1, send: 1, ws: 4, rest: 1, read, ..Totals::default() });
}

#[tokio::test]
async fn speed_is_kept() {
    let lines = [tapped(100 * S, Kind::Ws, "a"), tapped(101 * S, Kind::Ws, "b")];
    for (speed, least, most) in [(Speed::Times(1), 1000, 9999), (Speed::Times(10), 100, 999), (Speed::Max, 0, 999)] {
        let began = tickbus::clock::now().mono;
        let (_, frames, _) = play(&lines, speed).await;
        let took = tickbus::clock::now().mono.since(began).as_millis();
        assert_eq!(frames, ["a", "b"]);
        assert!((least..most).contains(&took), "{speed:?} took {took} ms");
    }
}

#[tokio::test]
async fn commands_are_carried_out_while_waiting_for_the_next_line() {
    let dir = tempfile::tempdir().unwrap();
    let content = ws_lines(&["1"]) + &ws_lines(&["2"]).replace(":1,", ":99000000000000,");
    let path = write_file(dir.path(), "slow.jsonl", content.as_bytes());
    let (commander, mut commands) = mpsc::channel(1);
    let playing = tokio::spawn(async move {
        let (mut notes, sink) = (Notes::default(), Collected::default());
        let player = Player::new(&mut notes, &sink, &mut commands, Speed::Times(1));
        let totals = player.play(&mut Captures::open(&[path]).unwrap()).await;
        (totals, sink.0.into_inner().unwrap())
    });
    let (reply, resynced) = oneshot::channel();
    commander.send(Command::Resync { symbol: "X".to_owned(), reply }).await.unwrap();
    assert!(!timeout(PATIENCE, resynced).await.unwrap().unwrap());
    commander.send(Command::Shutdown).await.unwrap();
    let (totals, frames) = timeout(PATIENCE, playing).await.unwrap().unwrap();
    assert!(totals.stopped);
    assert_eq!((totals.ws, frames), (1, vec!["1".to_owned()]));
}

/// A whole spot book of OKX, and one change of it.
fn okx_book(symbol: &str, seq: i64, previous: i64) -> String {
    let action = if previous < 0 { "snapshot" } else { "update" };
    let data = format!(
        r#"[{{"asks":[],"bids":[["1","{}","0","1"]],"ts":"1","seqId":{seq},"prevSeqId":{previous}}}]"#,
        seq + 1
    );
    format!(r#"{{"arg":{{"channel":"books","instId":"{symbol}"}},"action":"{action}","data":{data}}}"#)
}

fn okx_replay(lines: &[(Kind, Option<&str>, String)], forced: Option<&str>) -> Vec<(String, u64, u64)> {
    let mut pipelines = Pipelines::new(&okx::VENUE, forced.map(Into::into), forced.unwrap_or("spot").into());
    for (number, (kind, url, text)) in (1..).zip(lines) {
        pipelines.route(None, *url);
        let now = Stamp { mono: Mono(number * S), wall: UnixNanos(number * S) };
        match kind {
            Kind::Connect => pipelines.step(Input::Connected, now),
            _ => pipelines.step(Input::Text(text.as_bytes()), now),
        }
    }
    let of = |(market, book): (std::sync::Arc<str>, tickbus::feed::BookReport)| {
        let state = book.last.map_or(0, |last| last.venue_seq);
        (format!("{market} {}", book.symbol), book.stats.snapshots, state)
    };
    pipelines.book_reports().into_iter().map(of).collect()
}

#[test]
fn each_message_goes_to_the_market_it_tells() {
    let public = Some("wss://ws.okx.com/ws/v5/public");
    let lines = [
        (Kind::Connect, public, String::new()),
        (Kind::Ws, None, okx_book("BTC-USDT", 1, -1)),
        (Kind::Ws, None, okx_book("BTC-USDT-SWAP", 5, -1)),
        (Kind::Ws, None, okx_book("BTC-USDT", 2, 1)),
        (Kind::Ws, None, okx_book("BTC-USDT-SWAP", 6, 5)),
    ];
    let both = [("spot BTC-USDT".to_owned(), 1, 2), ("swap BTC-USDT-SWAP".to_owned(), 1, 6)];
    assert_eq!(okx_replay(&lines, None), both);
    assert_eq!(okx_replay(&lines, Some("swap")), both[1..], "what is of another market is left out");
    // The connection is that of both markets.
    let again = [&lines[..], &[(Kind::Connect, public, String::new())]].concat();
    let alone = [&lines[..1], &lines[2..3]].concat();
    assert_eq!(okx_replay(&alone, None).len(), 1, "no market but those that messages tell");
    assert_eq!(okx_replay(&again, None).iter().map(|(_, _, seq)| *seq).collect::<Vec<_>>(), [0, 0]);
}

#[test]
fn connections_side_by_side_come_and_go_by_themselves() {
    let [public, business, signed] =
        ["public", "business", "public#signed"].map(|path| format!("wss://ws.okx.com/ws/v5/{path}"));
    let connect = |url| (Kind::Connect, Some(url), String::new());
    let book = |seq, previous| (Kind::Ws, None, okx_book("A-B", seq, previous));
    let tick = |seq, previous| (Kind::Ws, None, okx_book("T-B", seq, previous).replace("books", "books-l2-tbt"));
    let live = |lines: &[(Kind, Option<&str>, String)]| -> Vec<u64> {
        okx_replay(lines, None).into_iter().map(|(_, _, seq)| seq).collect()
    };
    let both = [connect(business.as_str()), connect(&public), book(1, -1), connect(&signed), tick(7, -1)];
    assert_eq!(live(&both), [1, 7], "the others' first connects say nothing of a book");
    let lost = |url: &str, then: &[(Kind, Option<&str>, String)]| {
        live(&[&both[..], &[(Kind::Connect, Some(url), String::new())], then].concat())
    };
    assert_eq!(lost(&business, &[book(2, 1), tick(8, 7)]), [2, 8]);
    assert_eq!(lost(&public, &[book(2, 1), tick(8, 7)]), [0, 8]);
    assert_eq!(lost(&signed, &[book(2, 1), tick(8, 7)]), [2, 0]);
    assert_eq!(lost(&signed, &[tick(9, -1)]), [1, 9]);
}
