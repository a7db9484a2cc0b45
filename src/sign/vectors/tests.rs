//! Files that are none, and kinds that are not known.

use super::*;
use crate::sign::Style;

const REST: &str = r#"{"id":"a","frozen_time_ms":1700000000123,"request":{"method":"GET","url":"https://api.bitflyer.com/v1/me/getbalance","params":null,"data":null,"headers":null},"expected":EXPECTED}"#;

/// What that looks like once it is signed.
const SIGNED: &str = r#"{"method":"GET","url":"https://api.bitflyer.com/v1/me/getbalance","request_target":"/v1/me/getbalance",
    "headers":{"ACCESS-KEY":"the-key","ACCESS-TIMESTAMP":"1700000000123","ACCESS-SIGN":"e9927a2464021341453899b291d4e4788c5c54f54256652d6392dd649521ab5b"},
    "body":"","body_sha256":"e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855",
    "hmac":[{"algorithm":"HMAC-SHA256","message":"1700000000123GET/v1/me/getbalance",
             "hex":"e9927a2464021341453899b291d4e4788c5c54f54256652d6392dd649521ab5b","base64":"6ZJ6JGQCE0FFOJmykdTkeIxcVPVCVmUtY5LdZJUhq1s="}]}"#;
const SOCKET: &str = r#"{"id":"b","frozen_time_ms":1700000000123,"url":"wss://ws.lightstream.bitflyer.com/json-rpc","token_hex":"00112233445566778899aabbccddeeff",
    "send_json":null,"expected":{"upgrade_url":"wss://ws.lightstream.bitflyer.com/json-rpc","upgrade_headers":{},"frames":[FRAME],"hmac":[]}}"#;

fn file(header: &str, sections: &str) -> String {
    let credentials = r#""credentials":{"key":"the-key","secret":"swordfish","passphrase":null}"#;
    format!(r#"{{"schema":"signing-vectors/1","api":"bitflyer",{header}{credentials},{sections}}}"#)
}

/// The sections of a file with one request, of which other members than the right ones are expected.
fn rest(others: &str) -> String {
    let mut expected = Json::parse(SIGNED).unwrap();
    for (key, value) in Json::parse(others).unwrap().members() {
        expected.set(key, value.clone());
    }
    format!(r#""rest":[{}],"ws":[]"#, REST.replace("EXPECTED", &expected.write(Style::Compact)))
}

fn fields(text: &str) -> Vec<String> {
    check(text).expect("a file").mismatches.into_iter().map(|mismatch| mismatch.field).collect()
}

#[test]
fn what_is_no_file_of_vectors_says_why() {
    for (text, wanted) in [
        ("", "no JSON from line 1, column 0 on"),
        ("[]", "its schema is not signing-vectors/1 or official-vectors/1"),
        (r#"{"schema":"signing-vectors/2"}"#, "its schema is not signing-vectors/1 or official-vectors/1"),
        (r#"{"schema":"signing-vectors/1"}"#, "it has no credentials"),
        (r#"{"schema":"signing-vectors/1","credentials":{"key":7}}"#, "its credentials.key is no text"),
        (&file("", r#""rest":{},"ws":[]"#), "its rest is no list"),
        (&file("", r#""rest":[{}],"ws":[]"#), "it has no rest[0].id"),
        (&file("", r#""rest":[{"id":"a"}],"ws":[]"#), "it has no rest[0].expected"),
        (&file("", r#""rest":[],"ws":[]"#), "it has no vectors"),
        (&file("", r#""ws":[]"#), "it has no rest"),
        (&file("", r#""rest":[]"#), "it has no ws"),
        (r#"{"schema":"official-vectors/1","credentials":{"key":"k"},"cases":[]}"#, "it has no vectors"),
        (&file("", &rest("{}").replace("1700000000123", "1.5")), "it has no whole number at rest[0].frozen_time_ms"),
        (r#"{"schema":"official-vectors/1","credentials":{"key":"k"}}"#, "it has no cases"),
    ] {
        assert_eq!(check(text).unwrap_err().to_string(), wanted);
    }
}

/// The text without a member, anywhere below.
fn without(json: &Json, key: &str) -> Json {
    match json {
        Json::Map(members) => {
            let rest = members.iter().filter(|(known, _)| known != key);
            Json::Map(rest.map(|(known, value)| (known.clone(), without(value, key))).collect())
        }
        Json::List(items) => Json::List(items.iter().map(|item| without(item, key)).collect()),
        other => other.clone(),
    }
}

#[test]
fn what_a_vector_leaves_out_does_not_pass_unchecked() {
    assert_eq!(fields(&file("", &rest("{}"))), [""; 0]);
    let refused = |text: &str| check(text).unwrap_err().to_string();
    let empty = file("", &format!(r#""rest":[{}],"ws":[]"#, REST.replace("EXPECTED", "{}")));
    assert_eq!(refused(&empty), "it has no rest[0].expected.method");
    for key in ["request_target", "headers", "body", "body_sha256", "hmac", "algorithm", "message", "hex", "base64"] {
        // The request has headers too, which may be absent.
        let expected = without(&Json::parse(SIGNED).unwrap(), key).write(Style::Compact);
        let told = refused(&file("", &format!(r#""rest":[{}],"ws":[]"#, REST.replace("EXPECTED", &expected))));
        assert!(told.starts_with("it has no rest[0].expected.") && told.ends_with(&format!(".{key}")), "{told}");
    }
    let socket = Json::parse(&SOCKET.replace("FRAME", r#"{"kind":"login","opcode":"text","data":"{}"}"#)).unwrap();
    for key in ["upgrade_url", "upgrade_headers", "frames", "hmac", "kind", "opcode", "data"] {
        let told = refused(&file("", &format!(r#""rest":[],"ws":[{}]"#, without(&socket, key).write(Style::Compact))));
        assert!(told.starts_with("it has no ws[0].expected.") && told.ends_with(&format!(".{key}")), "{told}");
    }
    let flow = |expected: &str| {
        let flow = format!(r#"{{"id":"f","frozen_time_ms":1,"server_replies":{{}},"expected":{expected}}}"#);
        refused(&file("", &format!(r#""rest":[],"ws":[],"flows":[{flow}]"#)))
    };
    assert_eq!(flow("{}"), "it has no flows[0].expected.requests");
    assert_eq!(flow(r#"{"requests":[],"result":"","hmac":[]}"#), "it has no request at flows[0].expected.requests");
    assert!(flow(r#"{"requests":[{}],"result":"","hmac":[]}"#).ends_with("requests[0].method"));
}

#[test]
fn what_an_official_case_leaves_out_does_not_pass_unchecked() {
    let refused = |case: &str| {
        let credentials = r#""credentials":{"key":"k","secret":"s","passphrase":"p"}"#;
        check(&format!(r#"{{"schema":"official-vectors/1",{credentials},"cases":[{case}]}}"#)).unwrap_err().to_string()
    };
    let of = |rest: &str| format!(r#"{{"id":"a","frozen_time_ms":1700000000123,{rest}}}"#);
    assert_eq!(refused(&of(r#""kind":"pybit","message":"x""#)), "it has no cases[0].expected");
    let socket = r#""expected":{"url":"wss://ws.okx.com/ws/v5/private","frame":{}}"#;
    assert_eq!(refused(&of(socket)), "it has no cases[0].expected.frame.op");
    let request = r#""request":{"method":"GET","path":"/x"},"expected":{"url":"https://www.okx.com/x"}"#;
    assert_eq!(refused(&of(request)), "it has no cases[0].expected.headers");
}

#[test]
fn what_cannot_be_checked_is_said() {
    assert_eq!(fields(&file("", r#""rest":[],"ws":[],"mqtt":[]"#)), ["mqtt"]);
    assert_eq!(fields(&file("", &rest(r#"{"cookies":{}}"#))), ["expected.cookies"]);
    assert_eq!(fields(&file("", &rest("{}").replace("\"GET\"", "\"TRACE\""))), ["request.method"]);
    assert_eq!(fields(&file("", &rest("{}").replace("\"id\"", "\"cert\":1,\"id\""))), ["cert"]);
    assert_eq!(fields(&file("", &rest("{}")).replace("\"bitflyer\"", "\"mtgox\"")), ["api"]);
    let request = r#"{"method":"GET","url":"https://api.bitflyer.com","headers":{},"body":""}"#;
    let expected = format!(r#"{{"requests":[{request}],"result":"","hmac":[]}}"#);
    let flow = format!(r#"{{"id":"f","frozen_time_ms":1,"server_replies":{{}},"expected":{expected}}}"#);
    let flow = format!(r#""rest":[],"ws":[],"flows":[{flow}]"#);
    assert_eq!(fields(&file("", &flow)), ["signing", "signing"]);
}

#[test]
fn mismatches_name_vector_field_and_both_values() {
    let report = check(&file("", &rest(r#"{"method":"POST","body":"","hmac":[]}"#))).unwrap();
    let first = &report.mismatches[0];
    assert_eq!((first.vector.as_str(), first.field.as_str()), ("rest a", "method"));
    assert_eq!((first.expected.as_str(), first.got.as_str()), ("POST", "GET"));
    assert_eq!(report.mismatches[1].field, "hmac");
    assert_eq!((report.checked, report.mismatches.len()), (1, 2));
}

#[test]
fn the_generator_decides_whose_behaviour_holds() {
    // Only the reference client says a type of an empty body.
    let typed = rest(
        r#"{"headers":{"ACCESS-KEY":"the-key","ACCESS-TIMESTAMP":"1700000000123","ACCESS-SIGN":"8d8b1f3dbbd27b7ab1c1c4db8d9f1b9d6bb1b8e18b3f6cbbcf1fdc3d3be9bb0e","Content-Type":"application/x-www-form-urlencoded"}}"#,
    );
    let is_typed = |header: &str| !fields(&file(header, &typed)).iter().any(|field| field.ends_with("Content-Type"));
    assert!(is_typed(r#""generated_with":{"pybotters":"1.11.2"},"#));
    assert!(is_typed(r#""generated_with":"topgun at bd07d8b","#));
    assert!(!is_typed(r#""generated_with":{"ccxt":"4"},"#) && !is_typed(""));
}

#[test]
fn how_json_is_written_is_nobodys_rule_but_the_reference_clients() {
    let post = REST.replace("\"GET\"", "\"POST\"").replace("\"data\":null", r#""data":{"a":1}"#);
    let of_body = |body: &str| {
        let mut expected = Json::parse(SIGNED).unwrap();
        expected.set("body", Json::text(body));
        let vector = post.replace("EXPECTED", &expected.write(Style::Compact));
        fields(&file("", &format!(r#""rest":[{vector}],"ws":[]"#)))
    };
    assert!(!of_body(r#"{"a": 1}"#).contains(&"body".to_owned()));
    assert!(of_body(r#"{"a": 2}"#).contains(&"body".to_owned()));
}

#[test]
fn keys_are_not_shown_however_they_are_written() {
    let secret = "sword\\\"fish é/+";
    let credentials = Credentials {
        key: Secret::new("the key".to_owned()),
        secret: Secret::new(secret.to_owned()),
        passphrase: Some(Secret::new("p@ss".to_owned())),
    };
    let mut findings = Findings::new(&credentials);
    findings.begin("rest x");
    let quoted = Json::text(secret).write(Style::Spaced);
    findings.differ(secret, &quoted, "sword%5C%22fish+%C3%A9%2F%2B p%40ss the+key p@ss");
    let shown = format!("{:?}", findings.into_report());
    for part in ["sword", "fish", "p@ss", "p%40ss", "the key", "the+key"] {
        assert!(!shown.contains(part), "{shown}");
    }
}
