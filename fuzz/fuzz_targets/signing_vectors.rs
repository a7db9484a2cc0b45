//! Runs `targets::signing_vectors` under libFuzzer: `cargo +nightly fuzz run signing_vectors`.
#![no_main]

#[path = "../src/targets.rs"]
mod targets;

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::signing_vectors(data));
