//! Runs `targets::bybit_session` under libFuzzer: `cargo +nightly fuzz run bybit_session`.
#![no_main]

#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::bybit_session(data));
