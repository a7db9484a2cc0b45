//! Runs `targets::okx_session` under libFuzzer: `cargo +nightly fuzz run okx_session`.
#![no_main]

#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::okx_session(data));
