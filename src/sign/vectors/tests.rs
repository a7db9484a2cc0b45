//! Files that are none, and kinds that are not known.

use super::*;

const REST: &str = r#"{"id":"a","frozen_time_ms":1700000000123,"request":{"method":"GET","url":"https://api.bitflyer.com/v1/me/getbalance","params":null,"data":null,"headers":null},"expected":EXPECTED}"#;

fn file(header: &str, sections: &str) -> String {
    let credentials = r#""credentials":{"key":"the-key","secret":"swordfish","passphrase":null}"#;
    format!(r#"{{"schema":"signing-vectors/1","api":"bitflyer",{header}{credentials},{sections}}}"#)
}

fn rest(expected: &str) -> String {
    format!(r#""rest":[{}]"#, REST.replace("EXPECTED", expected))
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
        (&file("", r#""rest":{}"#), "its rest is no list"),
        (&file("", r#""rest":[{}]"#), "it has no rest[0].id"),
        (&file("", r#""rest":[{"id":"a"}]"#), "it has no rest[0].expected"),
        (&file("", &rest("{}").replace("1700000000123", "1.5")), "it has no whole number at rest[0].frozen_time_ms"),
        (r#"{"schema":"official-vectors/1","credentials":{"key":"k"}}"#, "it has no cases"),
    ] {
        assert_eq!(check(text).unwrap_err().to_string(), wanted);
    }
}

#[test]
fn what_cannot_be_checked_is_said() {
    assert_eq!(fields(&file("", r#""mqtt":[]"#)), ["mqtt"]);
    assert_eq!(fields(&file("", &rest(r#"{"cookies":{}}"#))), ["expected.cookies"]);
    assert_eq!(fields(&file("", &rest("{}").replace("\"GET\"", "\"TRACE\""))), ["request.method"]);
    assert_eq!(fields(&file("", &rest("{}").replace("\"id\"", "\"cert\":1,\"id\""))), ["cert"]);
    assert_eq!(fields(&file("", &rest("{}")).replace("\"bitflyer\"", "\"mtgox\"")), ["api"]);
    let flow = r#""flows":[{"id":"f","frozen_time_ms":1,"server_replies":{},"expected":{"requests":[]}}]"#;
    assert_eq!(fields(&file("", flow)), ["signing"]);
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
    let spaced = post.replace("EXPECTED", r#"{"body":"{\"a\": 1}"}"#);
    assert!(fields(&file("", &format!(r#""rest":[{spaced}]"#))).is_empty());
    let other = post.replace("EXPECTED", r#"{"body":"{\"a\": 2}"}"#);
    assert_eq!(fields(&file("", &format!(r#""rest":[{other}]"#))), ["body"]);
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
    let quoted = Json::text(secret).write(crate::sign::Style::Spaced);
    findings.differ(secret, &quoted, "sword%5C%22fish+%C3%A9%2F%2B p%40ss the+key p@ss");
    let shown = format!("{:?}", findings.into_report());
    for part in ["sword", "fish", "p@ss", "p%40ss", "the key", "the+key"] {
        assert!(!shown.contains(part), "{shown}");
    }
}
