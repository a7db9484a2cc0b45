//! The committed JSON Schema of the frames is the one the types give. `UPDATE_GENERATED=1` rewrites it.

use std::path::Path;

use tickbus::frame::json_schema;

#[test]
fn the_frame_schema_is_up_to_date() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reference/frame.schema.json");
    let current = format!("{:#}\n", json_schema());
    if std::env::var_os("UPDATE_GENERATED").is_some() {
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        std::fs::write(&path, &current).expect("written");
    }
    let committed = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(committed == current, "{} is out of date: run with UPDATE_GENERATED=1", path.display());
}
