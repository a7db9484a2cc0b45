//! The fuzz targets on their committed corpus, so that what fuzzing once found stays fixed without a fuzzer.

#[path = "../fuzz/src/control.rs"]
mod control;
#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::path::Path;

/// Runs a target on every file of its corpus, and on every beginning of each.
fn replay(name: &str, target: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(name);
    let mut files = 0;
    for entry in std::fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())) {
        let path = entry.expect("an entry").path();
        let data = std::fs::read(&path).expect("readable");
        println!("{}", path.display());
        target(&data);
        for len in (0..data.len()).step_by(data.len() / 50 + 1) {
            target(&data[..len]);
        }
        files += 1;
    }
    assert!(files >= 20, "{name}: only {files} files");
}

#[test]
fn bybit_session() {
    replay("bybit_session", targets::bybit_session);
}

#[test]
fn binance_session() {
    replay("binance_session", targets::binance_session);
}

#[test]
fn bitflyer_session() {
    replay("bitflyer_session", targets::bitflyer_session);
}

#[test]
fn okx_session() {
    replay("okx_session", targets::okx_session);
}

#[test]
fn signing_vectors() {
    replay("signing_vectors", targets::signing_vectors);
}

#[test]
fn quik_session() {
    replay("quik_session", targets::quik_session);
}

#[test]
fn book_sync() {
    replay("book_sync", targets::book_sync);
}

#[test]
fn decimal() {
    replay("decimal", targets::decimal);
}

#[test]
fn zmtp() {
    replay("zmtp", targets::zmtp);
}

#[test]
fn control() {
    replay("control", control::control);
}
