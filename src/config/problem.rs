//! What is wrong with a config: a list of places, each with what is wrong there and what is allowed.

use std::collections::HashSet;
use std::fmt;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The file, environment variable or flag it comes from.
    pub origin: String,
    /// Where: `feeds.bybit_linear.channels[2]`, or `line 3 column 7` of the file; empty for the origin as a whole.
    pub path: String,
    /// What is wrong, what is allowed, and the nearest allowed word where there is one.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.path.as_str() {
            "" => write!(f, "{}: {}", self.origin, self.message),
            path => write!(f, "{}: {path}: {}", self.origin, self.message),
        }
    }
}

/// Everything that is wrong with a config. Displays one problem per line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problems(pub Vec<Problem>);

impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, problem) in self.0.iter().enumerate() {
            if at > 0 {
                f.write_str("\n")?;
            }
            problem.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for Problems {}

/// Collects findings by path while checking; the origin is known only afterwards.
#[derive(Debug, Default)]
pub(super) struct Findings {
    found: Vec<(String, String)>,
    paths: HashSet<String>,
}

impl Findings {
    /// Notes that `message` holds at `path`.
    pub(super) fn add(&mut self, path: impl Into<String>, message: impl Into<String>) {
        let path = path.into();
        self.paths.insert(path.clone());
        self.found.push((path, message.into()));
    }

    /// Whether something was found at exactly this path.
    pub(super) fn has(&self, path: &str) -> bool {
        self.paths.contains(path)
    }

    /// Path and message of each finding, in the order they were found.
    pub(super) fn into_list(self) -> Vec<(String, String)> {
        self.found
    }
}

/// The path of a member: `feeds.bybit`, or `feeds["a b"]` where the key is not a plain word.
pub(super) fn member(path: &str, key: &str) -> String {
    let plain = !key.is_empty() && key.bytes().all(|b| b.is_ascii_alphanumeric() || b"_-$".contains(&b));
    match (plain, path) {
        (true, "") => key.to_owned(),
        (true, _) => format!("{path}.{key}"),
        (false, _) => format!("{path}[{}]", quoted(key)),
    }
}

/// Text from outside in quotes, escaped and cut to a length that fits in a line.
pub(super) fn quoted(text: &str) -> String {
    const LONGEST: usize = 60;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{:?}…", &text[..end]),
        None => format!("{text:?}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn problems_display_one_per_line_with_origin_and_path() {
        let problem = |path: &str| Problem { origin: "config.json".into(), path: path.into(), message: "bad".into() };
        let text = Problems(vec![problem("feeds.a"), problem("")]).to_string();
        assert_eq!(text, "config.json: feeds.a: bad\nconfig.json: bad");
    }

    #[test]
    fn odd_keys_are_quoted_and_cut() {
        assert_eq!(member("feeds", "a b"), "feeds[\"a b\"]");
        assert_eq!(member("", "bus"), "bus");
        assert_eq!(member("feeds", &"x\n".repeat(100)).chars().count(), "feeds".len() + 2 + 90 + 2 + 1);
    }
}
