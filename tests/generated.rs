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

fn assert_generated(file: &str, arguments: &[&str]) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
    let now = printed(arguments);
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::write(&path, &now).expect(file);
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == now, "{file} is out of date; run UPDATE_GENERATED=1 cargo test --test generated");
}

#[test]
fn the_config_schema_is_current() {
    assert_generated("docs/reference/config.schema.json", &["schema", "config"]);
}
