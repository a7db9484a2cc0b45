//! Files under `docs/reference/` that are generated: they must be what the program prints now.
//!
//! `UPDATE_GENERATED=1 cargo test --test generated` writes them anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;

use clap::CommandFactory as _;
use tickbus::cli::Cli;
use tickbus::frame::TypedPayload;

const TICKBUS: &str = env!("CARGO_BIN_EXE_tickbus");
const SUBSCRIBER: &str = env!("CARGO_BIN_EXE_tickbus-sub");

/// What a program prints on stdout, whatever the terminal and the variables of whoever runs the test.
fn printed(program: &str, arguments: &[&str]) -> String {
    let mut command = Command::new(program);
    command.env_remove("COLUMNS");
    for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("TICKBUS_")) {
        command.env_remove(variable);
    }
    let output = command.args(arguments).output().expect("the program runs");
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

/// The help of both programs and of every subcommand, as one page.
fn command_line() -> String {
    let mut page = "# Command line\n\nGenerated from the programs' own help.\n".to_owned();
    let mut add = |title: &str, help: &str| {
        let lines: Vec<&str> = help.lines().map(str::trim_end).collect();
        // Writing to a String cannot fail.
        let _ = write!(page, "\n## {title}\n\n```text\n{}\n```\n", lines.join("\n").trim_end());
    };
    add("tickbus", &printed(TICKBUS, &["--help"]));
    for subcommand in Cli::command().get_subcommands().filter(|subcommand| !subcommand.is_hide_set()) {
        let name = subcommand.get_name();
        add(&format!("tickbus {name}"), &printed(TICKBUS, &[name, "--help"]));
    }
    add("tickbus-sub", &printed(SUBSCRIBER, &["--help"]));
    page
}

#[test]
fn the_config_schema_is_current() {
    assert_generated("docs/reference/config.schema.json", &printed(TICKBUS, &["schema", "config"]));
}

#[test]
fn the_frame_schema_is_current() {
    assert_generated("docs/reference/frame.schema.json", &printed(TICKBUS, &["schema", "frame"]));
}

#[test]
fn the_command_line_reference_is_current() {
    assert_generated("docs/reference/cli.md", &command_line());
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

/// Every example of a frame in the documentation of the wire is one, with all of its fields known.
#[test]
fn the_examples_of_the_wire_format_are_frames() {
    let page = include_str!("../docs/WIRE.md");
    let examples = page.split("```json\n").skip(1).filter_map(|rest| rest.split("```").next());
    let mut kinds = BTreeSet::new();
    for example in examples {
        let payload: TypedPayload = serde_json::from_str(example).unwrap_or_else(|error| panic!("{error}: {example}"));
        let told = serde_json::to_value(&payload).expect("JSON");
        kinds.insert(told["type"].as_str().expect("a type").to_owned());
    }
    assert!(kinds.len() >= 15, "{kinds:?}");
}
