//! Runs `targets::bitflyer_session` under libFuzzer: `cargo +nightly fuzz run bitflyer_session`.
#![no_main]

#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::bitflyer_session(data));
