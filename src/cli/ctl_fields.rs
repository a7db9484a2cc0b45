//! The request that arguments of `tickbus ctl` make: an object whose members stay in order, and whose values stay as
//! they were written.

use std::fmt;

use anyhow::Context as _;
use serde_json::Value;
use serde_json::value::RawValue;

use super::Usage;
use crate::sign;

/// An object in the making. A member that is given again takes the place of the first.
#[derive(Clone, Debug, Default)]
pub(super) struct Fields(Vec<(String, Member)>);

#[derive(Clone, Debug)]
enum Member {
    /// JSON text.
    Json(String),
    List(Vec<String>),
    Object(Fields),
}

impl Fields {
    /// A request of this operation, without arguments.
    pub(super) fn of(op: &str) -> Self {
        let mut fields = Self::default();
        fields.set_text("op", op);
        fields
    }

    pub(super) fn has(&self, key: &str) -> bool {
        self.0.iter().any(|(known, _)| known == key)
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Sets a member to JSON text.
    pub(super) fn set_json(&mut self, key: &str, json: String) {
        self.set(key, Member::Json(json));
    }

    pub(super) fn set_text(&mut self, key: &str, text: &str) {
        self.set_json(key, Value::from(text).to_string());
    }

    pub(super) fn set_number(&mut self, key: &str, number: u64) {
        self.set_json(key, number.to_string());
    }

    pub(super) fn set_object(&mut self, key: &str, object: Self) {
        self.set(key, Member::Object(object));
    }

    /// Takes a whole number out.
    pub(super) fn take_number(&mut self, key: &str) -> Option<u64> {
        let at = self.0.iter().position(|(known, _)| known == key)?;
        match self.0.remove(at).1 {
            Member::Json(json) => json.parse().ok(),
            _ => None,
        }
    }

    /// Adds items, each of them JSON text, to a list.
    pub(super) fn add_items(&mut self, key: &str, items: Vec<String>) {
        match self.member(key) {
            Some(Member::List(all)) => all.extend(items),
            _ => self.set(key, Member::List(items)),
        }
    }

    /// Takes over the members of an object.
    ///
    /// # Errors
    /// The text is no JSON object.
    pub(super) fn add_members(&mut self, object: &str) -> serde_json::Result<()> {
        for (key, value) in sign::raw_members(object)? {
            self.set_json(&key, value.get().to_owned());
        }
        Ok(())
    }

    /// The object that a member is, made where there is none; `None` where it is something else.
    pub(super) fn inner(&mut self, key: &str) -> Option<&mut Self> {
        let inner = match self.member(key) {
            None => Some(Self::default()),
            Some(Member::Json(json)) => {
                let mut read = Self::default();
                read.add_members(json).ok()?;
                Some(read)
            }
            Some(Member::Object(_)) => None,
            Some(Member::List(_)) => return None,
        };
        if let Some(inner) = inner {
            self.set_object(key, inner);
        }
        match self.member(key) {
            Some(Member::Object(inner)) => Some(inner),
            _ => None,
        }
    }

    fn member(&mut self, key: &str) -> Option<&mut Member> {
        self.0.iter_mut().find(|(known, _)| known == key).map(|(_, member)| member)
    }

    fn set(&mut self, key: &str, member: Member) {
        match self.member(key) {
            Some(place) => *place = member,
            None => self.0.push((key.to_owned(), member)),
        }
    }
}

/// As JSON text.
impl fmt::Display for Fields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("{")?;
        for (at, (key, member)) in self.0.iter().enumerate() {
            let comma = if at > 0 { "," } else { "" };
            write!(f, "{comma}{}:", Value::from(key.as_str()))?;
            match member {
                Member::Json(json) => f.write_str(json)?,
                Member::List(items) => write!(f, "[{}]", items.join(","))?,
                Member::Object(fields) => fields.fmt(f)?,
            }
        }
        f.write_str("}")
    }
}

/// JSON text of an argument, as it was written; `@PATH` stands for what is in a file.
///
/// # Errors
/// It is no JSON, or the file cannot be read.
pub(super) fn json(key: &str, text: &str) -> anyhow::Result<String> {
    let read;
    let text = match text.strip_prefix('@') {
        Some(path) => {
            read = std::fs::read_to_string(path).with_context(|| format!("{key}: cannot read {path}"))?;
            read.as_str()
        }
        None => text,
    };
    let example = "for example '{\"class_code\": \"SPBFUT\"}'";
    let raw: &RawValue =
        serde_json::from_str(text).with_context(|| format!("{key}: {text:?} is no JSON; {example}"))?;
    Ok(raw.get().to_owned())
}

/// Symbols or channels of an argument, each as JSON text: those of a JSON list, one JSON text, or what stands there:
/// one where the key names one, else with commas between. What a raw channel sends is its own affair, commas included.
///
/// # Errors
/// It begins like JSON and is none.
pub(super) fn items(key: &str, is_one: bool, value: &str) -> anyhow::Result<Vec<String>> {
    let value = value.trim();
    let no_json = |_| Usage(format!("{key}: {value:?} begins like JSON and is none"));
    let owned = |raw: &RawValue| raw.get().to_owned();
    if value.starts_with('[') {
        let items: Vec<&RawValue> = serde_json::from_str(value).map_err(no_json)?;
        return Ok(items.into_iter().map(owned).collect());
    }
    if value.starts_with('"') {
        return Ok(vec![owned(serde_json::from_str(value).map_err(no_json)?)]);
    }
    let (mut items, mut rest) = (Vec::new(), value);
    while !rest.is_empty() {
        let is_whole = is_one || rest.starts_with("raw:");
        let (item, after) = if is_whole { (rest, "") } else { rest.split_once(',').unwrap_or((rest, "")) };
        if !item.trim().is_empty() {
            items.push(Value::from(item.trim()).to_string());
        }
        rest = after.trim_start();
    }
    Ok(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_stay_as_they_were_written_and_members_in_order() {
        let data = r#"{ "qty":123456789012345678901234567890,"p":0.12345678901234567890123,"e":1E2,"b":1.10,"a":[-0]}"#;
        let mut fields = Fields::of("fetch");
        fields.set_json("data", json("data", data).unwrap());
        fields.set_number("n", 7);
        fields.set_text("z", "\"\n");
        fields.set_text("a", "x");
        fields.set_text("z", "y");
        assert_eq!(fields.to_string(), format!(r#"{{"op":"fetch","data":{data},"n":7,"z":"y","a":"x"}}"#));
        assert_eq!((fields.take_number("n"), fields.take_number("n"), fields.has("n")), (Some(7), None, false));
        let path = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(path.path(), format!("\n{data}\n")).unwrap();
        assert_eq!(json("task", &format!("@{}", path.path().display())).unwrap(), data);
        assert!(json("task", "{nonsense").is_err() && json("task", "@/nowhere").is_err());
    }

    #[test]
    fn objects_are_filled_whether_they_were_given_whole_or_in_parts() {
        let mut fields = Fields::default();
        fields.set_json("publish", r#"{"b":1.0,"a":2}"#.to_owned());
        fields.inner("publish").unwrap().set_json("c", "3".to_owned());
        fields.inner("credentials").unwrap().inner("key").unwrap().set_text("env", "K");
        let wanted = r#"{"publish":{"b":1.0,"a":2,"c":3},"credentials":{"key":{"env":"K"}}}"#;
        assert_eq!(fields.to_string(), wanted);
        fields.set_text("venue", "okx");
        fields.add_items("symbols", vec!["\"A\"".to_owned()]);
        fields.add_items("symbols", vec!["\"B\"".to_owned()]);
        assert!(fields.inner("venue").is_none() && fields.inner("symbols").is_none());
        assert!(fields.to_string().ends_with(r#""symbols":["A","B"]}"#));
    }

    #[test]
    fn lists_are_split_where_that_is_meant() {
        let raw = r#"raw:{"op":"subscribe","args":[{"a":1, "b":2}]}"#;
        let quoted = Value::from(raw).to_string();
        let text = |text: &str| Value::from(text).to_string();
        let read = |is_one, value: &str| items("channel", is_one, value).unwrap();
        let whole = vec![quoted.clone()];
        assert_eq!(read(true, raw), whole);
        assert_eq!(read(true, "book:50,trade"), [text("book:50,trade")], "one is never split");
        assert_eq!(read(false, "book:50, trade,,"), [text("book:50"), text("trade")]);
        assert_eq!(read(false, &format!("trade, {raw}")), [text("trade"), quoted.clone()]);
        assert_eq!(read(false, &format!("[\"trade\", {quoted}]")), [text("trade"), quoted.clone()]);
        assert_eq!(read(true, &format!("[{quoted}]")), whole);
        assert_eq!((read(true, &quoted), read(true, "")), (whole, vec![]));
        for wrong in ["[\"trade\"", "\"trade", "[trade]"] {
            let told = items("channels", false, wrong).unwrap_err().to_string();
            assert!(told.starts_with("channels: ") && told.ends_with("begins like JSON and is none"), "{told}");
        }
    }
}
