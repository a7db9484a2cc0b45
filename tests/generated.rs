//! Files under `docs/reference/` that are generated: they must be what the program prints now.
//!
//! `UPDATE_GENERATED=1 cargo test --test generated` writes them anew.

use std::path::Path;
use std::process::Command;

fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_tickbus")).args(arguments).output().expect("tickbus runs");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("UTF-8")
}

fn assert_generated(file: &str, now: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, now).expect(file);
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "{file} is out of date; run UPDATE_GENERATED=1 cargo test --test generated");
}

#[test]
fn the_config_schema_is_current() {
    assert_generated("docs/reference/config.schema.json", &printed(&["schema", "config"]));
}

#[test]
fn the_list_of_metrics_is_current() {
    assert_generated("docs/reference/metrics.md", &tickbus::telemetry::metrics::reference());
}

#[test]
fn alert_rules_ask_for_metrics_that_exist() {
    let rules = include_str!("../scripts/package/alerts.yml");
    let expressions = rules.lines().filter_map(|line| line.trim().strip_prefix("expr: "));
    let words = |text: &'static str| text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let names: Vec<&str> = expressions.flat_map(words).filter(|word| word.starts_with("tickbus_")).collect();
    assert!(names.len() >= 5, "{names:?}");
    for name in names {
        assert!(tickbus::telemetry::metrics::METRICS.iter().any(|metric| metric.name == name), "{name}");
    }
}
