//! Frames as lines of text.

mod pretty;

pub(super) use pretty::{clock_time, plain, spread};

use serde_json::value::RawValue;

use super::args::Format;
use super::msgpack::push_json_string;
use super::payload::DecodeError;
use super::view::{Members, Topic, View};

/// Formats frames in one of the [`Format`]s.
#[derive(Clone, Copy, Debug)]
pub struct Printer {
    format: Format,
    color: bool,
}

impl Printer {
    /// `color` asks for ANSI colours, which only [`Format::Pretty`] has; see [`Printer::for_stdout`].
    pub const fn new(format: Format, color: bool) -> Self {
        Self { format, color }
    }

    /// Coloured when stdout is a terminal and `NO_COLOR` is unset or empty.
    pub fn for_stdout(format: Format) -> Self {
        let terminal = std::io::IsTerminal::is_terminal(&std::io::stdout());
        Self::new(format, terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()))
    }

    /// Appends one frame as one line with its line end. `json` is the payload's text (see [`super::as_json`]) and
    /// `view` its fields.
    ///
    /// # Errors
    /// [`DecodeError`], when a field cannot be read; nothing is appended then.
    pub fn line(&self, topic: &str, json: &str, view: &View<'_>, out: &mut Vec<u8>) -> Result<(), DecodeError> {
        let mut line = match self.format {
            Format::Pretty => {
                let Members(fields) = serde_json::from_str(json)?;
                pretty::line(&Topic::split(topic), view, &fields, pretty::Paint(self.color))
            }
            Format::Json => one_line(&with_topic(topic, json)),
            Format::Raw => one_line(&format!("{topic} {json}")),
        };
        line.push('\n');
        out.extend_from_slice(line.as_bytes());
        Ok(())
    }

    /// Appends one line for a venue's message that was published as it was.
    pub fn untouched(&self, topic: &str, message: &[u8], out: &mut Vec<u8>) {
        let text = String::from_utf8_lossy(message);
        let line = match self.format {
            Format::Pretty => format!("{topic} {}", plain(&text)),
            Format::Raw => one_line(&format!("{topic} {text}")),
            Format::Json => {
                let mut line = String::with_capacity(topic.len() + text.len() + 32);
                line.push_str(r#"{"topic":"#);
                push_json_string(&mut line, topic);
                line.push_str(r#","message":"#);
                match serde_json::from_str::<&RawValue>(&text) {
                    Ok(json) => line.push_str(&one_line(json.get())),
                    Err(_) => push_json_string(&mut line, &text),
                }
                line.push('}');
                line
            }
        };
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

/// The object with `topic` put before its fields.
fn with_topic(topic: &str, json: &str) -> String {
    let mut line = String::with_capacity(topic.len() + json.len() + 16);
    line.push_str(r#"{"topic":"#);
    push_json_string(&mut line, topic);
    let fields = json.strip_prefix('{').unwrap_or(json).trim_start();
    if !fields.starts_with('}') {
        line.push(',');
    }
    line.push_str(fields);
    line
}

/// In JSON a line end can only stand between values, where a space means the same.
fn one_line(json: &str) -> String {
    json.replace(['\n', '\r'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn printed(format: Format, color: bool, topic: &str, json: &str) -> String {
        let mut out = Vec::new();
        let view = View::read(json).unwrap();
        Printer::new(format, color).line(topic, json, &view, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    fn pretty(topic: &str, json: &str) -> String {
        printed(Format::Pretty, false, topic, json)
    }

    #[test]
    fn a_venues_own_messages_are_shown_as_they_are() {
        let shown = |format: Format, message: &[u8]| {
            let mut out = Vec::new();
            Printer { format, color: false }.untouched("raw.v.m.", message, &mut out);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(shown(Format::Pretty, b"{\"type\":\"delta\"}"), "raw.v.m. {\"type\":\"delta\"}\n");
        assert_eq!(shown(Format::Json, b"{\"seq\": 1}"), "{\"topic\":\"raw.v.m.\",\"message\":{\"seq\": 1}}\n");
        assert_eq!(shown(Format::Json, b"no \"JSON\""), "{\"topic\":\"raw.v.m.\",\"message\":\"no \\\"JSON\\\"\"}\n");
        assert_eq!(shown(Format::Raw, b"a\nb"), "raw.v.m. a b\n");
    }

    #[test]
    fn json_has_the_topic_first_and_one_line() {
        let line = printed(Format::Json, true, "a.\"b\".", "{\n \"v\": 1,\r\n \"x\": \"y\\n\"}");
        assert_eq!(line, "{\"topic\":\"a.\\\"b\\\".\",\"v\": 1,   \"x\": \"y\\n\"}\n");
        assert!(serde_json::from_str::<serde_json::Value>(&line).is_ok());
        assert_eq!(printed(Format::Json, false, "a.", "{ }"), "{\"topic\":\"a.\"}\n");
    }

    #[test]
    fn raw_is_topic_and_payload() {
        assert_eq!(printed(Format::Raw, true, "a.", r#"{"v":1}"#), "a. {\"v\":1}\n");
    }

    #[test]
    fn a_book_shows_its_best_levels() {
        let json = r#"{"type":"book","ts_pub":1700000000123456789,"state":"live",
            "bids":[["60000.10","1.5"],["60000.00","2"]],"asks":[["60000.2","0.25"]]}"#;
        assert_eq!(
            pretty("book.bybit.linear.BTCUSDT.", json),
            "22:13:20.123 book        bybit.linear.BTCUSDT               60000.10 x 1.5                 60000.2 x 0.25         spread 0.10  2+1 levels\n"
        );
        let one_sided = pretty("book.x.y.Z.", r#"{"type":"book","bids":[],"asks":[["1","2"]]}"#);
        assert!(one_sided.contains(" - x - "), "{one_sided}");
        assert!(one_sided.starts_with("--:--:--.--- book "), "{one_sided}");
    }

    #[test]
    fn each_type_has_its_line() {
        let cases = [
            ("trade", r#""side":"buy","price":"1.5","size":"3","id":"t9""#, "buy            1.5 x 3            t9"),
            ("liquidation", r#""side":"sell","price":"1","size":"2""#, "sell             1 x 2"),
            ("delta", r#""bids":[["1","0"],["2","1"]],"asks":[["3","0"]]"#, "2 bids 1 asks 2 removed"),
            ("delta", r#""bids":[["1","5"]],"snapshot":true"#, "snapshot 1 bids 0 asks"),
            (
                "candle_1m",
                r#""open":"1","high":"3","low":"1","close":"2","volume":"9","closed":true"#,
                "open 1 high 3 low 1 close 2 volume 9 closed",
            ),
            ("bbo", r#""bid_price":"1","bid_size":"2","ask_price":"3","ask_size":"4""#, "1 x 2"),
            ("ticker", r#""v":1,"symbol":"S","last":"5","mark":"6","n":{"a":1}"#, "last=5 mark=6 n={\"a\":1}"),
        ];
        for (channel, fields, expected) in cases {
            let kind = if channel.starts_with("candle") { "candle" } else { channel };
            let line = pretty(&format!("{channel}.v.m.S."), &format!(r#"{{"type":"{kind}",{fields}}}"#));
            assert!(line.contains(expected), "{line}");
            assert!(line.contains(&format!(" {channel} ")), "{line}");
        }
        let status = r#"{"type":"status","state":"stale","reason":"gap","since":1700000000000000000,"detail":"u 5"}"#;
        assert!(pretty("status.v.m.S.", status).ends_with("stale gap since 22:13:20.000: u 5\n"));
    }

    #[test]
    fn colour_is_only_where_asked_for() {
        let trade = r#"{"type":"trade","side":"buy","price":"1","size":"2"}"#;
        assert!(printed(Format::Pretty, true, "trade.v.m.S.", trade).contains("\u{1b}[32mbuy "));
        assert!(!pretty("trade.v.m.S.", trade).contains('\u{1b}'));
    }

    #[test]
    fn text_from_outside_cannot_steer_the_terminal() {
        let line = pretty("status.v.m.S\u{1b}.", r#"{"type":"status","state":"stale","detail":"\u001b[2J\nx"}"#);
        assert_eq!(line.matches('\n').count(), 1);
        assert!(!line.contains('\u{1b}'), "{line:?}");
        let unknown = pretty("new.v.m.S.", r#"{"type":"new","k\u001b":"a\u001b\u0007"}"#);
        assert!(!unknown.contains(['\u{1b}', '\u{7}']), "{unknown:?}");
    }
}
