//! `tickbus sign --check`: whether requests are signed as files of signing vectors say.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use super::{FAILED, Usage};
use crate::sign::vectors::{self, Report};

/// The longest file read, in bytes.
const LONGEST: u64 = 64 * 1024 * 1024;
/// The most files of one run, and how deep folders are searched.
const FILES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 16;

/// Arguments of `tickbus sign`.
#[derive(Debug, clap::Args)]
#[command(
    after_help = "A file says what requests and sockets look like once they are signed (schema signing-vectors/1 or
official-vectors/1). Each difference is one line: vector, field, what the file says, what was made; never a key.
Files generated with pybotters or topgun are checked against these clients' behaviour, all others against the venues'
documentation.

Exit code 0 when everything matches, 1 when something does not, 2 when a file is no such file.

Examples:
  tickbus sign --check vectors/bybit.json
  tickbus sign --check vectors/"
)]
pub struct Args {
    /// Files of signing vectors, and folders of them (*.json).
    #[arg(long, value_name = "FILE", num_args = 1.., required = true)]
    pub check: Vec<PathBuf>,
}

/// Checks, and prints each mismatch.
///
/// # Errors
/// A file cannot be read, or is none of signing vectors; all others are checked before that is said.
pub fn run(args: &Args) -> anyhow::Result<ExitCode> {
    let mut files = Vec::new();
    for path in &args.check {
        gather(path, 0, &mut files)?;
    }
    let (mut checked, mut mismatches, mut bad) = (0, 0, Vec::new());
    for file in &files {
        match read(file).and_then(|text| vectors::check(&text).map_err(|error| error.to_string())) {
            Ok(report) => {
                checked += report.checked;
                mismatches += report.mismatches.len();
                super::print(&lines(file, &report))?;
            }
            Err(what) => bad.push(format!("{}: no file of signing vectors: {what}", file.display())),
        }
    }
    super::print(&format!("{} files, {checked} vectors, {mismatches} mismatches\n", files.len() - bad.len()))?;
    match (bad.is_empty(), mismatches) {
        (false, _) => Err(Usage(bad.join("\n")).into()),
        (true, 0) => Ok(ExitCode::SUCCESS),
        (true, _) => Ok(ExitCode::from(FAILED)),
    }
}

/// The files that a path stands for: itself, or all `*.json` below it, in order.
fn gather(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    let fail = |what: &str| Usage(format!("{}: {what}", path.display()));
    if !path.is_dir() {
        files.push(path.to_owned());
    } else if depth > DEPTH_MAX {
        return Err(fail("lies too deep").into());
    } else {
        let entries = std::fs::read_dir(path).map_err(|error| fail(&error.to_string()))?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| entry.map(|entry| entry.path()))
            .collect::<Result<_, _>>()
            .map_err(|e| fail(&e.to_string()))?;
        paths.sort();
        let before = files.len();
        for inner in paths.iter().filter(|inner| inner.is_dir() || inner.extension().is_some_and(|kind| kind == "json"))
        {
            gather(inner, depth + 1, files)?;
        }
        if depth == 0 && files.len() == before {
            return Err(fail("has no *.json files").into());
        }
    }
    if files.len() > FILES_MAX {
        return Err(fail("makes it too many files").into());
    }
    Ok(())
}

fn read(path: &Path) -> Result<String, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    file.take(LONGEST + 1).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if bytes.len() as u64 > LONGEST {
        return Err(format!("it is longer than {LONGEST} bytes"));
    }
    String::from_utf8(bytes).map_err(|_| "it is not UTF-8".to_owned())
}

fn lines(file: &Path, report: &Report) -> String {
    let line = |mismatch: &vectors::Mismatch| {
        let vectors::Mismatch { vector, field, expected, got } = mismatch;
        format!("{}: {vector}: {field}: expected {expected:?}, got {got:?}\n", file.display())
    };
    report.mismatches.iter().map(line).collect()
}
