//! Log lines on stderr: text or JSON, stamped in RFC 3339 UTC, filtered by `RUST_LOG` or a level.

use std::ffi::OsStr;
use std::io::{IsTerminal, stderr};

use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::config::schema::{LogFormat, LogLevel};

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The variable is set to something that is no filter.
    #[error(
        "RUST_LOG={text:?} is not a filter: {source}; write a level or target=level, such as info,tickbus::io=debug"
    )]
    Filter {
        /// Its value.
        text: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// Something else in this process logs already.
    #[error("logging is already set up")]
    AlreadySet,
}

/// Sets up logging for the process. `RUST_LOG`, where set, wins over `level`.
///
/// # Errors
/// A filter that cannot be read, or a second call.
pub fn init(level: LogLevel, format: LogFormat) -> Result<(), LogError> {
    let filter = filter(level, std::env::var("RUST_LOG").ok().as_deref())?;
    let colours = colours(stderr().is_terminal(), std::env::var_os("NO_COLOR").as_deref());
    tracing::subscriber::set_global_default(subscriber(filter, format, colours, stderr))
        .map_err(|_already| LogError::AlreadySet)
}

/// Our own lines at `level`; those of libraries one level quieter, because theirs are about bytes.
fn filter(level: LogLevel, rust_log: Option<&str>) -> Result<EnvFilter, LogError> {
    let ours = match level {
        LogLevel::Error => "error",
        LogLevel::Warn => "warn",
        LogLevel::Info => "warn,tickbus=info",
        LogLevel::Debug => "info,tickbus=debug",
        LogLevel::Trace => "debug,tickbus=trace",
    };
    let text = rust_log.filter(|text| !text.trim().is_empty()).unwrap_or(ours);
    EnvFilter::try_new(text).map_err(|source| LogError::Filter { text: text.to_owned(), source })
}

fn colours(terminal: bool, no_color: Option<&OsStr>) -> bool {
    terminal && no_color.is_none_or(OsStr::is_empty)
}

fn subscriber<W>(filter: EnvFilter, format: LogFormat, colours: bool, writer: W) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(colours).with_writer(writer);
    match format {
        LogFormat::Text => Box::new(builder.finish()),
        LogFormat::Json => Box::new(builder.json().flatten_event(true).with_ansi(false).finish()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::{self, Write};
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().expect("one thread").extend_from_slice(bytes);
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// What a debug and an info line come out as.
    fn logged(level: LogLevel, rust_log: Option<&str>, format: LogFormat) -> String {
        let lines = Lines::default();
        let out = lines.clone();
        let subscriber = subscriber(filter(level, rust_log).unwrap(), format, false, move || out.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::debug!(symbol = "X", "Detail");
            tracing::info!(symbol = "X", "Feed live");
        });
        String::from_utf8(lines.0.lock().expect("one thread").clone()).unwrap()
    }

    #[test]
    fn text_lines_have_an_rfc3339_utc_stamp_and_no_colours() {
        let text = logged(LogLevel::Info, None, LogFormat::Text);
        assert_eq!(text.lines().count(), 1, "{text}");
        let stamp = text.split_whitespace().next().unwrap();
        stamp.parse::<jiff::Timestamp>().unwrap();
        assert!(stamp.ends_with('Z') && text.ends_with("Feed live symbol=\"X\"\n"), "{text}");
        assert!(!text.contains('\u{1b}'));
    }

    #[test]
    fn json_lines_are_objects_with_the_fields() {
        let text = logged(LogLevel::Debug, None, LogFormat::Json);
        let line: serde_json::Value = serde_json::from_str(text.lines().nth(1).unwrap()).unwrap();
        assert_eq!(
            (&line["level"], &line["message"], &line["symbol"]),
            (&"INFO".into(), &"Feed live".into(), &"X".into())
        );
        line["timestamp"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    }

    #[test]
    fn rust_log_wins_over_the_level() {
        assert_eq!(logged(LogLevel::Error, Some("debug"), LogFormat::Text).lines().count(), 2);
        assert_eq!(logged(LogLevel::Trace, Some("off"), LogFormat::Text), "");
        assert_eq!(logged(LogLevel::Info, Some(" "), LogFormat::Text).lines().count(), 1);
        assert!(filter(LogLevel::Info, Some("tickbus=loud")).unwrap_err().to_string().contains("tickbus=loud"));
    }

    #[test]
    fn colours_need_a_terminal_and_no_wish_against_them() {
        assert!(colours(true, None));
        assert!(colours(true, Some(OsStr::new(""))));
        assert!(!colours(true, Some(OsStr::new("1"))));
        assert!(!colours(false, None));
    }
}
