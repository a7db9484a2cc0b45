//! Control messages of stream connections: what a text asks for, and the venue's words for what is wrong with it.

use serde::Deserialize;
use serde_json::Value;

use super::message::json_text;

/// Methods in the order in which the venue names them.
const METHODS: [&str; 5] = ["SUBSCRIBE", "UNSUBSCRIBE", "LIST_SUBSCRIPTIONS", "SET_PROPERTY", "GET_PROPERTY"];
/// Characters of an id that is a text.
const MOST_ID: usize = 36;

/// What a client asks for.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Request {
    Subscribe(Vec<String>),
    Unsubscribe(Vec<String>),
    List,
    SetCombined(bool),
    GetCombined,
}

/// The venue's code and words.
pub(super) type Refusal = (u8, String);

#[derive(Deserialize)]
struct Raw {
    method: Option<Value>,
    params: Option<Value>,
    id: Option<Value>,
}

/// Reads a text: its id as JSON, and what it asks for. `futures` take whole numbers as ids only.
pub(super) fn read(text: &str, futures: bool) -> (String, Result<Request, Refusal>) {
    let null = || "null".to_owned();
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => {
            let place = format!("line {} column {}", error.line(), error.column());
            return (null(), Err((3, format!("Invalid JSON: expected value at {place}"))));
        }
    };
    let Ok(raw) = Raw::deserialize(value) else {
        return (null(), Err(invalid("expected an object")));
    };
    match id(raw.id.as_ref(), futures) {
        Ok(id) => (id, request(raw)),
        Err(refusal) => (null(), Err(refusal)),
    }
}

fn invalid(what: &str) -> Refusal {
    (2, format!("Invalid request: {what}"))
}

fn id(id: Option<&Value>, futures: bool) -> Result<String, Refusal> {
    match id {
        None | Some(Value::Null) if !futures => Ok("null".to_owned()),
        Some(Value::Number(id)) if id.is_u64() || (!futures && id.is_i64()) => Ok(id.to_string()),
        Some(Value::String(id)) if !futures && id.len() <= MOST_ID && id.bytes().all(|b| b.is_ascii_alphanumeric()) => {
            Ok(json_text(id))
        }
        _ if futures => Err(invalid("request ID must be an unsigned integer")),
        _ => Err(invalid("request ID must be an integer, an alphanumeric string of up to 36 characters, or null")),
    }
}

fn request(raw: Raw) -> Result<Request, Refusal> {
    let method = raw.method.ok_or_else(|| invalid("missing field `method`"))?;
    let method = method.as_str().ok_or_else(|| invalid("method must be a string"))?;
    if !METHODS.contains(&method) {
        let known = METHODS.map(|method| format!("`{method}`")).join(", ");
        return Err(invalid(&format!("unknown variant `{method}`, expected one of {known}")));
    }
    let params = match raw.params {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(params)) => params,
        Some(_) => return Err(invalid("params must be an array")),
    };
    match method {
        "SUBSCRIBE" => names(params).map(Request::Subscribe),
        "UNSUBSCRIBE" => names(params).map(Request::Unsubscribe),
        "LIST_SUBSCRIPTIONS" if params.is_empty() => Ok(Request::List),
        "LIST_SUBSCRIPTIONS" => Err(invalid("too many parameters")),
        "SET_PROPERTY" => match &params[..] {
            [name, value] => {
                property(name)?;
                let value = value.as_bool().ok_or_else(|| (1, "Invalid value type: expected Boolean".to_owned()))?;
                Ok(Request::SetCombined(value))
            }
            [_, _, ..] => Err(invalid("too many parameters")),
            _ => Err(invalid("missing parameters: property name and value")),
        },
        _ => match &params[..] {
            [name] => property(name).map(|()| Request::GetCombined),
            [] => Err(invalid("property name must be a string")),
            _ => Err(invalid("too many parameters")),
        },
    }
}

fn names(params: Vec<Value>) -> Result<Vec<String>, Refusal> {
    if params.is_empty() {
        return Err(invalid("missing parameters: streams"));
    }
    let name = |value| match value {
        Value::String(name) => Ok(name),
        _ => Err(invalid("stream names must be strings")),
    };
    params.into_iter().map(name).collect()
}

fn property(name: &Value) -> Result<(), Refusal> {
    match name.as_str() {
        Some("combined") => Ok(()),
        Some(_) => Err((0, "Unknown property".to_owned())),
        None => Err(invalid("property name must be a string")),
    }
}

/// The answer that accepts a request; `result` is JSON.
pub(super) fn accepted(id: &str, result: &str) -> String {
    format!(r#"{{"result":{result},"id":{id}}}"#)
}

/// The answer that refuses a request; futures wrap the error.
pub(super) fn refused(id: &str, (code, words): &Refusal, futures: bool) -> String {
    let error = format!(r#""code":{code},"msg":{}"#, json_text(words));
    if futures { format!(r#"{{"error":{{{error}}},"id":{id}}}"#) } else { format!(r#"{{{error},"id":{id}}}"#) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_read_with_their_ids() {
        let subscribe = Ok(Request::Subscribe(vec!["btcusdt@trade".to_owned()]));
        let text = |id: &str| format!(r#"{{"method":"SUBSCRIBE","params":["btcusdt@trade"],"id":{id}}}"#);
        assert_eq!(read(&text("7"), true), ("7".to_owned(), subscribe.clone()));
        assert_eq!(read(&text(r#""abc7""#), false), (r#""abc7""#.to_owned(), subscribe.clone()));
        assert_eq!(read(&text("null"), false), ("null".to_owned(), subscribe.clone()));
        assert_eq!(read(&text("-3"), false), ("-3".to_owned(), subscribe));
        assert_eq!(read(r#"{"method":"LIST_SUBSCRIPTIONS","id":1}"#, true).1, Ok(Request::List));
        let set = r#"{"method":"SET_PROPERTY","params":["combined",true],"id":5}"#;
        assert_eq!(read(set, true).1, Ok(Request::SetCombined(true)));
    }

    #[test]
    fn each_mistake_has_its_code() {
        let code = |text: &str, futures| read(text, futures).1.unwrap_err();
        assert_eq!(code("hello", false), (3, "Invalid JSON: expected value at line 1 column 1".to_owned()));
        assert!(code(r#"{"method":"SUBSCRIB","id":1}"#, false).1.contains("unknown variant `SUBSCRIB`"));
        let cases = [
            (r#"{"method":"SUBSCRIBE","params":["a"],"id":"x"}"#, 2),
            (r#"{"method":"SUBSCRIBE","params":["a"]}"#, 2),
            (r#"{"method":"SUBSCRIBE","params":[1],"id":1}"#, 2),
            (r#"{"method":"SUBSCRIBE","params":[],"id":1}"#, 2),
            (r#"{"params":[],"id":1}"#, 2),
            (r#"{"method":"SET_PROPERTY","params":["combined","yes"],"id":1}"#, 1),
            (r#"{"method":"GET_PROPERTY","params":["color"],"id":1}"#, 0),
            ("[1]", 2),
        ];
        for (text, expected) in cases {
            assert_eq!(code(text, true).0, expected, "{text}");
        }
    }

    #[test]
    fn errors_are_wrapped_on_futures() {
        let refusal = (2, "Invalid request: x".to_owned());
        assert_eq!(refused("1", &refusal, false), r#"{"code":2,"msg":"Invalid request: x","id":1}"#);
        assert_eq!(refused("1", &refusal, true), r#"{"error":{"code":2,"msg":"Invalid request: x"},"id":1}"#);
    }
}
