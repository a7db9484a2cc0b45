//! Vectors of websocket connections: the upgrade, and what is sent first.

use super::findings::Findings;
use super::rest::without_usual_port;
use super::{File, NotVectors, has_all, has_proofs, join, member, text, time};
use crate::sign::{Beat, Compat, Json, Method, Opening, Proof, SignError, Signed, Style};

const VECTOR: [&str; 9] =
    ["id", "note", "frozen_time_ms", "url", "send_json", "send_str", "token_hex", "uuid4", "expected"];
const EXPECTED: [&str; 5] = ["upgrade_url", "upgrade_headers", "frames", "hmac", "hyperliquid"];
/// What every vector says, and every frame of one; only frames of JSON have `json`, which says the same as `data`.
const ALWAYS: [&str; 4] = ["upgrade_url", "upgrade_headers", "frames", "hmac"];
const FRAME: [&str; 3] = ["kind", "opcode", "data"];

/// A frame as it is sent.
struct Frame {
    kind: &'static str,
    opcode: &'static str,
    data: String,
}

pub(super) fn check(file: &File, vector: &Json, place: &str, findings: &mut Findings) -> Result<(), NotVectors> {
    let expected = member(vector, "expected", place)?;
    let (url, now) = (text(vector, "url", place)?, time(vector, place)?);
    findings.only(vector, "", &VECTOR);
    findings.only(expected, "expected", &EXPECTED);
    let of_expected = join(place, "expected");
    has_all(expected, &of_expected, &ALWAYS)?;
    has_proofs(expected, &of_expected)?;
    for (at, frame) in expected.get("frames").map(Json::items).unwrap_or_default().iter().enumerate() {
        has_all(frame, &format!("{of_expected}.frames[{at}]"), &FRAME)?;
    }
    let nonce = ["token_hex", "uuid4"].into_iter().find_map(|key| vector.get(key)?.as_text()).unwrap_or_default();
    let opened = file.api.open(url, None, &file.credentials, now, nonce, file.compat);
    let made = opened.and_then(|opening| {
        let (sent, proofs) = sent(file, vector, url, now)?;
        Ok((opening, sent, proofs))
    });
    match made {
        Ok((opening, sent, proofs)) => compare(file, expected, opening, sent, proofs, findings),
        Err(error) => findings.failed(&error),
    }
    Ok(())
}

/// What the caller sends: texts as they are, JSON signed where messages are.
fn sent(file: &File, vector: &Json, url: &str, now: u64) -> Result<(Vec<Frame>, Vec<Proof>), SignError> {
    let mut frames = Vec::new();
    let mut all = Vec::new();
    let texts = match vector.get("send_str") {
        Some(Json::List(texts)) => texts.as_slice(),
        Some(Json::Null) | None => &[],
        Some(text) => std::slice::from_ref(text),
    };
    for text in texts {
        let data = text.as_text().ok_or(SignError::Body("has something in send_str that is no text"))?;
        frames.push(Frame { kind: "other", opcode: "text", data: data.to_owned() });
    }
    let messages = match vector.get("send_json") {
        Some(Json::List(messages)) => messages.clone(),
        Some(Json::Null) | None => Vec::new(),
        Some(message) => vec![message.clone()],
    };
    let style = if file.compat == Compat::Reference { Style::Spaced } else { Style::Compact };
    for mut message in messages {
        all.extend(file.api.sign_message(url, None, &mut message, &file.credentials, now, file.compat)?);
        frames.push(Frame { kind: "user_message", opcode: "text", data: message.write(style) });
    }
    Ok((frames, all))
}

fn compare(
    file: &File,
    expected: &Json,
    opening: Opening,
    sent: Vec<Frame>,
    proofs: Vec<Proof>,
    findings: &mut Findings,
) {
    let url = expected.get("upgrade_url").map(without_usual_port);
    findings.compare("upgrade_url", url.as_ref(), opening.url.reveal());
    let mut frames: Vec<Frame> = Vec::new();
    if let Some(heartbeat) = &opening.heartbeat {
        let (opcode, data) = match &heartbeat.beat {
            Beat::Text(text) => ("text", text.clone()),
            Beat::Pong => ("pong", String::new()),
        };
        frames.push(Frame { kind: "heartbeat", opcode, data });
    }
    frames.extend(opening.login.iter().map(|login| Frame {
        kind: "login",
        opcode: "text",
        data: login.reveal().to_owned(),
    }));
    frames.extend(sent);
    compare_frames(file, expected, &frames, findings);
    let upgrade = Signed {
        method: Method::Get,
        target: opening.url.clone(),
        url: opening.url,
        headers: opening.headers,
        body: String::new(),
        proofs: Vec::new(),
    };
    findings.headers("upgrade_headers", expected.get("upgrade_headers"), &upgrade);
    let all: Vec<Proof> = opening.proofs.into_iter().chain(proofs).collect();
    findings.proofs(expected, &all);
}

fn compare_frames(file: &File, expected: &Json, frames: &[Frame], findings: &mut Findings) {
    let Some(expected) = expected.get("frames") else { return };
    let kinds = |kinds: Vec<&str>| if kinds.is_empty() { "none".to_owned() } else { kinds.join(", ") };
    let expected_kinds: Vec<&str> =
        expected.items().iter().map(|frame| frame.get("kind").and_then(Json::as_text).unwrap_or("?")).collect();
    let got: Vec<&str> = frames.iter().map(|frame| frame.kind).collect();
    if expected_kinds != got {
        findings.differ("frames", &kinds(expected_kinds), &kinds(got));
        return;
    }
    for (at, (expected, frame)) in expected.items().iter().zip(frames).enumerate() {
        let place = format!("frames[{at}]");
        findings.only(expected, &place, &["kind", "opcode", "data", "json"]);
        findings.compare(&format!("{place}.opcode"), expected.get("opcode"), frame.opcode);
        let data = expected.get("data");
        if !says_the_same(file, data, &frame.data) {
            findings.compare(&format!("{place}.data"), data, &frame.data);
        }
        if let Some(json) = expected.get("json") {
            let got = Json::parse(&frame.data).map_or_else(|_| String::new(), |json| json.write(Style::Spaced));
            findings.compare(&format!("{place}.json"), Some(&Json::Text(json.write(Style::Spaced))), &got);
        }
    }
}

/// Only of the reference client it matters how JSON is written.
fn says_the_same(file: &File, expected: Option<&Json>, got: &str) -> bool {
    let parsed = |text: &str| Json::parse(text).ok().map(|json| json.write(Style::Spaced));
    let expected = expected.and_then(Json::as_text).and_then(parsed);
    file.compat == Compat::Documented && expected.is_some() && expected == parsed(got)
}
