//! The rules of the house that a program can check: layers, sizes, docs, leftovers.

use std::path::{Path, PathBuf};

/// The pure layers, each of which may use only the ones before it.
const LAYERS: [&str; 7] = ["sign", "model", "book", "venue", "feed", "frame", "pipeline"];
/// Parts of the rim that are pure too.
const PURE_PARTS: [&str; 2] = ["src/sink/redis/layout", "src/table"];
/// What pure code does not name: sockets, files, clocks, the runtime.
const IMPURE: [&str; 9] =
    ["tokio", "std::net", "std::fs", "std::thread", "zeromq", "reqwest", "Instant::now", "SystemTime", "crate::clock"];
/// Most lines of a file, tests not counted, and of a function.
const FILE_LINES: usize = 500;
const FUNCTION_LINES: usize = 70;
/// Folders of venues without a line in the table, and why.
const UNLISTED_VENUES: [(&str, &str); 2] =
    [("bybit_v2", "the retired wire of bybit, read from recordings only"), ("kit", "parts that venues share")];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let mut out = Vec::new();
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() && !path.ends_with("target") && !path.ends_with(".git") {
            out.extend(files(&path, suffix));
        } else if path.is_file() && path.to_string_lossy().ends_with(suffix) {
            out.push(path);
        }
    }
    out.sort();
    out
}

fn name(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).to_string_lossy().into_owned()
}

fn text(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", name(path)))
}

fn is_test(path: &Path) -> bool {
    let name = name(path);
    name.starts_with("tests/") || name.contains("/tests/") || name.ends_with("tests.rs")
}

/// A file without its tests at the end and without comments.
fn code(path: &Path) -> String {
    let text = text(path);
    let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
    body.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n")
}

fn layer_files() -> Vec<(usize, PathBuf)> {
    let mut out = Vec::new();
    for (at, layer) in LAYERS.iter().enumerate() {
        let file = root().join(format!("src/{layer}.rs"));
        let of_layer = if file.exists() { vec![file] } else { files(&root().join("src").join(layer), ".rs") };
        assert!(!of_layer.is_empty(), "no files of {layer}");
        out.extend(of_layer.into_iter().filter(|path| !is_test(path)).map(|path| (at, path)));
    }
    out
}

/// Fails with every finding, so that one run shows them all.
fn none(findings: &[String]) {
    assert!(findings.is_empty(), "\n{}", findings.join("\n"));
}

#[test]
fn pure_layers_name_nothing_impure() {
    let mut findings = Vec::new();
    let parts = PURE_PARTS.iter().flat_map(|part| files(&root().join(part), ".rs")).filter(|path| !is_test(path));
    for path in layer_files().into_iter().map(|(_, path)| path).chain(parts) {
        let code = code(&path);
        findings
            .extend(IMPURE.iter().filter(|word| code.contains(*word)).map(|word| format!("{}: {word}", name(&path))));
    }
    none(&findings);
}

#[test]
fn no_layer_uses_a_later_one() {
    let mut findings = Vec::new();
    for (at, path) in layer_files() {
        let code = code(&path);
        for used in code.split("crate::").skip(1) {
            let used: String = used.chars().take_while(|c| c.is_ascii_lowercase() || *c == '_').collect();
            // A secret is a leaf: it uses nothing, and everyone may hold one.
            let allowed = LAYERS[..=at].contains(&used.as_str()) || used.is_empty() || used == "secret";
            if !allowed {
                findings.push(format!("{} uses crate::{used}", name(&path)));
            }
        }
    }
    none(&findings);
}

#[test]
fn every_module_says_what_it_is() {
    let rust = ["src", "tests", "fuzz"].iter().flat_map(|folder| files(&root().join(folder), ".rs"));
    let silent = rust.filter(|path| !text(path).starts_with("//! ")).map(|path| format!("{} has no //!", name(&path)));
    none(&silent.collect::<Vec<_>>());
}

#[test]
fn files_and_functions_are_short() {
    let mut findings = Vec::new();
    for path in files(&root().join("src"), ".rs") {
        let text = text(&path);
        let body = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or(&text);
        let lines = body.lines().count();
        if lines > FILE_LINES {
            findings.push(format!("{}: {lines} lines", name(&path)));
        }
        findings.extend(long_functions(&text).into_iter().map(|found| format!("{}: {found}", name(&path))));
    }
    for path in files(&root().join("tests"), ".rs") {
        let lines = text(&path).lines().count();
        if lines > FILE_LINES {
            findings.push(format!("{}: {lines} lines", name(&path)));
        }
    }
    none(&findings);
}

/// Functions that are too long: from a line with `fn` to the closing brace of the same indentation, as rustfmt puts
/// it. Tables in tests may be longer.
fn long_functions(text: &str) -> Vec<String> {
    let mut found = Vec::new();
    let body = text.split("#[cfg(test)]").next().unwrap_or(text);
    let lines: Vec<&str> = body.lines().collect();
    for (at, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let indent = line.len() - trimmed.len();
        let starts = ["fn ", "pub fn ", "pub(super) fn ", "pub(crate) fn ", "async fn ", "pub async fn ", "const fn "];
        if !starts.iter().any(|start| trimmed.starts_with(start)) || trimmed.ends_with(';') {
            continue;
        }
        let end = format!("{}}}", " ".repeat(indent));
        let length = lines[at..].iter().position(|line| **line == end).unwrap_or(0) + 1;
        if length > FUNCTION_LINES {
            found.push(format!("{length} lines: {trimmed}"));
        }
    }
    found
}

#[test]
fn nothing_is_left_over() {
    // Written apart, so that this file does not find itself.
    let words = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"]].map(|halves| halves.concat());
    let mut findings = Vec::new();
    for folder in ["src", "tests", "fuzz", "docs", "scripts", "examples", "benches"] {
        for path in files(&root().join(folder), "") {
            let bytes = std::fs::read(&path).expect("readable");
            if bytes.len() > 200_000 {
                findings.push(format!("{}: {} bytes", name(&path), bytes.len()));
            }
            let Ok(text) = String::from_utf8(bytes) else { continue };
            for (number, line) in (1..).zip(text.lines()) {
                let standalone =
                    |word: &String| line.split(|c: char| !c.is_ascii_alphanumeric()).any(|part| part == word);
                findings
                    .extend(words.iter().filter(|w| standalone(w)).map(|w| format!("{}:{number}: {w}", name(&path))));
            }
        }
    }
    none(&findings);
}

#[test]
fn every_venue_folder_is_in_the_table() {
    let mut findings = Vec::new();
    for entry in std::fs::read_dir(root().join("src/venue")).expect("venues").flatten() {
        if !entry.path().is_dir() {
            continue;
        }
        let folder = entry.file_name().to_string_lossy().into_owned();
        let unlisted = UNLISTED_VENUES.iter().any(|(known, _)| *known == folder);
        if unlisted == tickbus::venue::find(&folder).is_some() {
            findings.push(format!("src/venue/{folder}: in the table and excepted, or neither"));
        }
    }
    none(&findings);
}

#[test]
fn there_is_no_drawer_for_everything() {
    let drawers = ["utils", "util", "common", "helpers", "helper", "misc"];
    let stems = files(&root().join("src"), ".rs").into_iter().filter(|path| {
        let stem = path.file_stem().and_then(|stem| stem.to_str()).unwrap_or_default();
        let folder = path.parent().and_then(Path::file_name).and_then(|name| name.to_str()).unwrap_or_default();
        drawers.contains(&stem) || drawers.contains(&folder)
    });
    none(&stems.map(|path| name(&path)).collect::<Vec<_>>());
}
