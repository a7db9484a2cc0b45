//! Reads the layers, merges them and checks the result: file < environment < flags.

use std::ffi::OsString;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::overrides::{self, Override};
use super::problem::{Findings, member};
use super::schema::Settings;
use super::secret::Environment;
use super::{Accounts, Config, Problem, Problems, json, schema, shape, validate};
use crate::venue::{VENUES, VenueDef};

/// The longest config file read, in bytes.
const LONGEST_FILE: u64 = 1024 * 1024;
/// The sections that say which accounts there are.
const ACCOUNTS: [&str; 2] = ["accounts", "apis"];

/// Loads and checks the file at `path` with the process's environment and `--set KEY=VALUE` flags over it.
///
/// # Errors
/// Everything that is wrong, at once.
pub fn load(path: &Path, set: &[String]) -> Result<Config, Problems> {
    let origin = path.display().to_string();
    let text = read(path).map_err(|message| {
        let path = String::new();
        Problems(vec![Problem { origin: origin.clone(), path, message }])
    })?;
    let config = Layers { origin, text, env: std::env::vars_os().collect(), set: set.to_vec() }.check()?;
    Ok(Config { source: Some(Source { path: path.to_owned(), set: set.to_vec() }), ..config })
}

/// Loads the accounts of the file at `path`, whatever else stands in it; without a path those of the environment alone.
///
/// # Errors
/// Everything that is wrong with them, at once.
pub fn load_accounts(path: Option<&Path>) -> Result<Accounts, Problems> {
    let origin = path.map_or_else(|| "the environment".to_owned(), |path| path.display().to_string());
    let problem = |path: &str, message: String| Problem { origin: origin.clone(), path: path.to_owned(), message };
    let mut only = Map::from_iter([("feeds".to_owned(), Value::Object(Map::new()))]);
    if let Some(path) = path {
        let text = read(path).map_err(|message| Problems(vec![problem("", message)]))?;
        let mut findings = Findings::default();
        let parsed = json::parse(&text, &mut findings);
        if parsed.as_ref().is_some_and(|file| !file.is_object()) {
            findings.add("", NO_OBJECT);
        }
        let Some(Value::Object(mut file)) = parsed else {
            let found = findings.into_list().into_iter().map(|(path, message)| problem(&path, message));
            return Err(Problems(found.collect()));
        };
        only.extend(ACCOUNTS.into_iter().filter_map(|key| Some((key.to_owned(), file.remove(key)?))));
    }
    let of_accounts = |name: &str| {
        let section = name.strip_prefix("TICKBUS__").map(str::to_ascii_lowercase);
        section.is_none_or(|section| ACCOUNTS.iter().any(|key| section.starts_with(key)))
    };
    let env = std::env::vars_os().filter(|(name, _)| of_accounts(&name.to_string_lossy())).collect();
    let config = Layers { origin, text: Value::Object(only).to_string(), env, set: Vec::new() }.check()?;
    Ok(config.accounts)
}

const NO_OBJECT: &str = "is not an object; write {\"feeds\": {…}}";

/// Where a config comes from.
#[derive(Clone, Debug)]
pub struct Source {
    path: PathBuf,
    set: Vec<String>,
}

impl Source {
    /// Whether the file is still there.
    pub fn is_there(&self) -> bool {
        self.path.exists()
    }

    /// Reads it again, as [`load`] did.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn load(&self) -> Result<Config, Problems> {
        load(&self.path, &self.set)
    }
}

fn read(path: &Path) -> Result<String, String> {
    let mut text = Vec::new();
    let file = File::open(path).map_err(|error| format!("cannot be opened: {error}; name another with --config"))?;
    file.take(LONGEST_FILE + 1).read_to_end(&mut text).map_err(|error| format!("cannot be read: {error}"))?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(format!("is longer than {LONGEST_FILE} bytes"));
    }
    String::from_utf8(text).map_err(|error| format!("is not UTF-8 after byte {}", error.utf8_error().valid_up_to()))
}

/// The layers of a config, for a config that is not a file (demonstrations, tests).
#[derive(Clone, Debug, Default)]
pub struct Layers {
    /// What problems of `text` are reported under: the file's name.
    pub origin: String,
    /// The file's text.
    pub text: String,
    /// Environment variables: those that begin with `TICKBUS__` are settings, and `{"env": …}` may name any.
    pub env: Vec<(OsString, OsString)>,
    /// `KEY=VALUE` texts, later ones winning.
    pub set: Vec<String>,
}

impl Layers {
    /// Merges and checks.
    ///
    /// # Errors
    /// Everything that is wrong, at once.
    pub fn check(self) -> Result<Config, Problems> {
        self.check_with(VENUES)
    }

    pub(super) fn check_with(self, venues: &[&'static VenueDef]) -> Result<Config, Problems> {
        let schema = schema::json_schema();
        let mut findings = Findings::default();
        let mut problems = Vec::new();
        let file = json::parse(&self.text, &mut findings);
        let mut layers = overrides::from_env(&schema, self.env.clone(), &mut problems);
        layers.extend(overrides::from_flags(&schema, &self.set, &mut problems));
        let config = file.clone().and_then(|file| merge_and_check(file, &layers, &self.env, venues, &mut findings));
        let file = file.unwrap_or_default();
        let found = findings.into_list().into_iter().map(|(path, message)| {
            let origin = origin_of(&path, &layers, &file).unwrap_or(&self.origin).to_owned();
            Problem { origin, path, message }
        });
        problems.splice(0..0, found);
        match config {
            Some(config) if problems.is_empty() => Ok(config),
            _ => Err(Problems(problems)),
        }
    }
}

/// The override that a problem at `path` comes from; `None` when it comes from the file.
///
/// That is the last one of the value or of what it is in. Where a key is missing from something that the file does
/// not have (a feed whose name is misspelt in a variable), it is the last one that made it.
fn origin_of<'l>(path: &str, layers: &'l [Override], file: &Value) -> Option<&'l str> {
    let within = |inner: &str, outer: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', '[']))
    };
    let gave = layers.iter().rev().find(|layer| within(path, &layer.path));
    let parent = path.rsplit_once('.').map(|(parent, _)| parent);
    let not_in_file = parent.filter(|parent| file.pointer(&format!("/{}", parent.replace('.', "/"))).is_none());
    let made = || not_in_file.and_then(|parent| layers.iter().rev().find(|layer| within(&layer.path, parent)));
    gave.or_else(made).map(|layer| layer.origin.as_str())
}

fn merge_and_check(
    mut file: Value,
    layers: &[Override],
    environment: &Environment,
    venues: &[&'static VenueDef],
    findings: &mut Findings,
) -> Option<Config> {
    take_out_unknown_sections(&mut file, findings);
    let mut merged = match merge(&file, layers) {
        Ok(merged) => merged,
        Err(error) => {
            findings.add("", format!("the layers cannot be merged: {error}"));
            return None;
        }
    };
    shape::check(&mut merged, findings);
    let settings: Settings = match serde_path_to_error::deserialize(merged) {
        Ok(settings) => settings,
        Err(error) => {
            findings.add(error.path().to_string(), error.inner().to_string());
            return None;
        }
    };
    let mut rules = Findings::default();
    let config = validate::check(settings, environment, venues, &mut rules);
    // What had the wrong shape was taken out; a rule that misses it there would say the same again.
    for (path, message) in rules.into_list() {
        if !findings.has(&path) {
            findings.add(path, message);
        }
    }
    Some(config)
}

/// The merging crate would read a section called `bus.bind` as a path, so unknown sections go before it sees them.
fn take_out_unknown_sections(file: &mut Value, findings: &mut Findings) {
    let Some(sections) = file.as_object_mut() else {
        findings.add("", NO_OBJECT);
        *file = Value::Object(Map::new());
        return;
    };
    let schema = schema::json_schema();
    sections.retain(|key, _| {
        let known = shape::at(&schema, &[key]);
        let missing = known.as_ref().err().map(|message| findings.add(member("", key), message));
        missing.is_none()
    });
}

fn merge(file: &Value, layers: &[Override]) -> Result<Value, config::ConfigError> {
    let source = |value: &Value| config::File::from_str(&value.to_string(), config::FileFormat::Json);
    let first = config::Config::builder().add_source(source(file));
    let builder = layers.iter().fold(first, |builder, layer| builder.add_source(source(&layer.nested)));
    builder.build()?.try_deserialize()
}
