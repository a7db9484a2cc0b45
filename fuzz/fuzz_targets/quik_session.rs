//! Runs `targets::quik_session` under libFuzzer: `cargo +nightly fuzz run quik_session`.
#![no_main]

#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::quik_session(data));
