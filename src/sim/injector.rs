//! Puts faults into one connection's messages: decides, message by message, what really goes out.

use bytes::Bytes;
use fastrand::Rng;
use memchr::memmem;

use crate::model::Mono;

use super::fault::{Fault, FaultKind, FaultSpec};
use super::venue::{Kind, Published};

/// The latest message at which a fault without a place happens first.
const LATEST_FIRST: u64 = 100;

/// What stands before a checksum.
const CHECKSUM: &[u8] = br#""checksum":"#;

/// What the connection is to do.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Send a message as it is.
    Send(Bytes),
    /// Send bytes that may be no UTF-8 as a text message.
    SendRaw(Bytes),
    /// Send a message in several fragments.
    SendFragmented(Bytes),
    /// Send a book delta with a crossing bid added.
    SendCrossed(Published),
    /// Send a message of a topic that does not exist.
    Stranger,
    /// Send the topic's present state as a snapshot.
    Snapshot(String),
    /// Restart the order book service of this message's topic.
    Restart(Published),
    /// Send nothing more of this topic until it is subscribed to anew.
    Mute(String),
    /// Announce that the connection will be closed, and close it after this many ms.
    Notice(u64),
    /// Close the websocket with this code.
    Close(u16),
    /// Reset the TCP connection.
    Reset,
    /// End the TCP connection.
    Eof,
    /// Stop reading and writing.
    HalfOpen,
}

#[derive(Debug)]
struct Planned {
    fault: Fault,
    next: Option<u64>,
}

/// The faults of one connection.
#[derive(Debug)]
pub struct Injector {
    planned: Vec<Planned>,
    percent: u8,
    rng: Rng,
    messages: u64,
    held: Option<Published>,
    stalled_until: Option<Mono>,
    mutes_pongs: bool,
    lifetime: Option<u64>,
}

impl Injector {
    /// The faults of the connection with this seed.
    pub fn new(specs: &[FaultSpec], seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let mut planned = Vec::new();
        let (mut percent, mut lifetime) = (0, None);
        for spec in specs {
            match spec {
                FaultSpec::One(Fault { kind: FaultKind::Lifetime(ms), .. }) => lifetime = Some(*ms),
                FaultSpec::One(fault) if fault.kind.is_rest() => {}
                FaultSpec::Random(p) => percent = *p,
                FaultSpec::One(fault) => planned.push(plan(fault.clone(), &mut rng)),
            }
        }
        let mut injector =
            Self { planned, percent, rng, messages: 0, held: None, stalled_until: None, mutes_pongs: false, lifetime };
        injector.mutes_pongs = injector.take(|kind| *kind == FaultKind::NoPong).is_some();
        injector
    }

    /// Whether pings go unanswered.
    pub const fn mutes_pongs(&self) -> bool {
        self.mutes_pongs
    }

    /// How many ms the connection lives.
    pub const fn lifetime(&self) -> Option<u64> {
        self.lifetime
    }

    /// Whether a subscription to this topic is to be refused. Asked for every topic of a request, in order.
    pub fn refuses(&mut self, topic: &str) -> bool {
        for plan in &mut self.planned {
            let FaultKind::Reject(of) = &plan.fault.kind else { continue };
            if of.as_deref().is_some_and(|of| of != topic) {
                continue;
            }
            let Some(left) = plan.next.as_mut() else { continue };
            *left -= 1;
            if *left == 0 {
                plan.next = plan.fault.every;
                tracing::info!(fault = "reject", topic, "fault injected");
                return true;
            }
        }
        false
    }

    /// Passes one message of a subscribed topic on, with what faults make of it.
    pub fn pass(&mut self, message: Published, now: Mono, out: &mut Vec<Effect>) {
        if self.stalled_until.is_some_and(|until| now < until) {
            return;
        }
        self.stalled_until = None;
        let counted = message.kind != Kind::Other;
        self.messages += u64::from(counted);
        let kind = if counted { self.due(&message) } else { None };
        let held = self.held.take_if(|held| held.topic == message.topic);
        if let Some(kind) = kind {
            tracing::info!(fault = kind.name(), topic = %message.topic, nth = self.messages, "fault injected");
            self.inject(kind, message, now, out);
        } else {
            out.push(Effect::Send(message.text));
        }
        out.extend(held.map(|held| Effect::Send(held.text)));
    }

    /// The fault that hits this message.
    fn due(&mut self, message: &Published) -> Option<FaultKind> {
        let messages = self.messages;
        let planned = self.take_due(|kind| suits(kind, message), messages);
        if planned.is_some() || self.percent == 0 || self.rng.u8(0..100) >= self.percent {
            return planned;
        }
        let kind = random_kind(&mut self.rng);
        suits(&kind, message).then_some(kind)
    }

    fn take_due(&mut self, suits: impl Fn(&FaultKind) -> bool, messages: u64) -> Option<FaultKind> {
        let plan = self
            .planned
            .iter_mut()
            .find(|plan| plan.next.is_some_and(|next| next <= messages) && suits(&plan.fault.kind))?;
        plan.next = plan.fault.every.map(|every| messages + every);
        Some(plan.fault.kind.clone())
    }

    /// Takes a fault that holds from the start of a connection.
    fn take(&mut self, is: impl Fn(&FaultKind) -> bool) -> Option<FaultKind> {
        self.take_due(is, 1)
    }

    fn inject(&mut self, kind: FaultKind, message: Published, now: Mono, out: &mut Vec<Effect>) {
        let topic = message.topic.to_string();
        match kind {
            FaultKind::Drop => {}
            FaultKind::Dup => {
                out.push(Effect::Send(message.text.clone()));
                out.push(Effect::Send(message.text));
            }
            FaultKind::Swap => self.held = Some(message),
            FaultKind::Crossed => out.push(Effect::SendCrossed(message)),
            FaultKind::Garbage => out.push(Effect::Send(Bytes::from_static(b"}{ this is not json"))),
            FaultKind::Truncated => out.push(Effect::Send(message.text.slice(..message.text.len() / 2))),
            FaultKind::BadUtf8 => out.push(Effect::SendRaw(with_bad_byte(&message.text))),
            FaultKind::Huge(bytes) => out.push(Effect::Send(padded(&message.text, bytes))),
            FaultKind::Stall(ms) => self.stalled_until = Some(now.after(std::time::Duration::from_millis(ms))),
            FaultKind::Silence(of) => out.push(Effect::Mute(of.unwrap_or(topic))),
            FaultKind::Close(code) => out.push(Effect::Close(code)),
            FaultKind::Reset => out.push(Effect::Reset),
            FaultKind::Eof => out.push(Effect::Eof),
            FaultKind::HalfOpen => out.push(Effect::HalfOpen),
            FaultKind::Fragmented => out.push(Effect::SendFragmented(message.text)),
            FaultKind::Restart => {
                out.push(Effect::Send(message.text.clone()));
                out.push(Effect::Restart(message));
            }
            FaultKind::Snapshot => out.push(Effect::Snapshot(topic)),
            FaultKind::NewField => out.push(Effect::Send(with_new_fields(&message.text))),
            FaultKind::UnknownTopic => {
                out.push(Effect::Stranger);
                out.push(Effect::Send(message.text));
            }
            FaultKind::Checksum => out.push(Effect::Send(with_wrong_checksum(&message.text))),
            FaultKind::Notice(ms) => {
                out.push(Effect::Notice(ms));
                out.push(Effect::Send(message.text));
            }
            FaultKind::NoPong => {
                self.mutes_pongs = true;
                out.push(Effect::Send(message.text));
            }
            // Not of the message's making: they happen at subscriptions, connection attempts and REST requests.
            FaultKind::Reject(_)
            | FaultKind::Refuse(_)
            | FaultKind::Lifetime(_)
            | FaultKind::RestSlow(_)
            | FaultKind::RestStale
            | FaultKind::RestError(_)
            | FaultKind::RestBan(_) => out.push(Effect::Send(message.text)),
        }
    }
}

fn plan(fault: Fault, rng: &mut Rng) -> Planned {
    let mut fault = fault;
    let next = match fault.kind {
        FaultKind::NoPong => fault.at.unwrap_or(1),
        FaultKind::Reject(ref topic) => {
            // A topic that was named is refused every time, unless a place says when.
            if topic.is_some() && fault.at.is_none() {
                fault.every = Some(1);
            }
            fault.at.unwrap_or(1)
        }
        _ => fault.at.unwrap_or_else(|| rng.u64(5..=LATEST_FIRST)),
    };
    Planned { fault, next: Some(next) }
}

/// Whether a fault can show its effect on this message; if not, it waits for one on which it can.
fn suits(kind: &FaultKind, message: &Published) -> bool {
    let delta = matches!(message.kind, Kind::Book { snapshot: false } | Kind::FullDelta);
    match kind {
        FaultKind::Drop | FaultKind::Dup | FaultKind::Swap | FaultKind::Crossed => delta,
        FaultKind::Restart | FaultKind::Snapshot => message.kind == Kind::Book { snapshot: false },
        FaultKind::Checksum => memmem::find(&message.text, CHECKSUM).is_some(),
        FaultKind::Silence(Some(topic)) => *topic == *message.topic,
        FaultKind::Reject(_) | FaultKind::Refuse(_) => false,
        _ => true,
    }
}

/// A fault of the random kind: mostly to one message, sometimes to the connection. The ones that need half a minute
/// or 20 MB to be noticed are left to those who name them.
fn random_kind(rng: &mut Rng) -> FaultKind {
    if rng.u8(0..10) == 0 {
        return match rng.u8(0..5) {
            0 => FaultKind::Close(1_012),
            1 => FaultKind::Reset,
            2 => FaultKind::Eof,
            3 => FaultKind::Stall(2_000),
            _ => FaultKind::Silence(None),
        };
    }
    match rng.u8(0..12) {
        0 => FaultKind::Drop,
        1 => FaultKind::Dup,
        2 => FaultKind::Swap,
        3 => FaultKind::Crossed,
        4 => FaultKind::Garbage,
        5 => FaultKind::Truncated,
        6 => FaultKind::BadUtf8,
        7 => FaultKind::Fragmented,
        8 => FaultKind::Restart,
        9 => FaultKind::Snapshot,
        10 => FaultKind::NewField,
        _ => FaultKind::UnknownTopic,
    }
}

/// The message with another checksum, which is not 0: that would mean there is none.
fn with_wrong_checksum(text: &[u8]) -> Bytes {
    let Some(at) = memmem::find(text, CHECKSUM).map(|at| at + CHECKSUM.len()) else {
        return Bytes::copy_from_slice(text);
    };
    let length = text[at..].iter().take_while(|byte| **byte == b'-' || byte.is_ascii_digit()).count();
    let wrong: &[u8] = if &text[at..at + length] == b"1" { b"2" } else { b"1" };
    [&text[..at], wrong, &text[at + length..]].concat().into()
}

fn with_bad_byte(text: &[u8]) -> Bytes {
    let mut out = text.to_vec();
    let middle = out.len() / 2;
    if let Some(byte) = out.get_mut(middle) {
        *byte = 0xff;
    }
    out.into()
}

/// The message with one more field, so long that the whole is `bytes` long.
fn padded(text: &[u8], bytes: usize) -> Bytes {
    const FRAME: usize = br#","padding":""}"#.len() - 1;
    let mut out = text.strip_suffix(b"}").unwrap_or(text).to_vec();
    let fill = bytes.saturating_sub(text.len() + FRAME);
    out.reserve(fill + FRAME + 1);
    out.extend_from_slice(br#","padding":""#);
    out.resize(out.len() + fill, b'x');
    out.extend_from_slice(b"\"}");
    out.into()
}

fn with_new_fields(text: &[u8]) -> Bytes {
    let text = String::from_utf8_lossy(text);
    let mut out = text.replacen('{', r#"{"newField":{"list":[1,"2",null,true,{}]},"#, 1);
    for (start, added) in [
        (r#""data":{"#, r#""data":{"newArray":[["1","2"]],"newNull":null,"#),
        (r#""data":[{"#, r#""data":[{"newText":"\u00e9\"","#),
    ] {
        out = out.replacen(start, added, 1);
    }
    out.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    fn delta(topic: &str, u: u64) -> Published {
        Published {
            event: u,
            product: "linear",
            topic: topic.into(),
            kind: Kind::Book { snapshot: false },
            text: Bytes::from(format!(r#"{{"topic":"{topic}","data":{{"u":{u}}}}}"#)),
        }
    }

    fn injector(faults: &[&str], seed: u64) -> Injector {
        let specs: Vec<FaultSpec> = faults.iter().map(|fault| fault.parse().unwrap()).collect();
        Injector::new(&specs, seed)
    }

    fn sent(injector: &mut Injector, messages: u64) -> Vec<u64> {
        let mut out = Vec::new();
        for u in 1..=messages {
            injector.pass(delta("orderbook.50.X", u), Mono(u), &mut out);
        }
        let u_of = |effect: &Effect| match effect {
            Effect::Send(text) => serde_json::from_slice::<serde_json::Value>(text).ok()?["data"]["u"].as_u64(),
            _ => None,
        };
        out.iter().filter_map(u_of).collect()
    }

    #[test]
    fn places_and_repetitions() {
        assert_eq!(sent(&mut injector(&["drop@3"], 0), 6), [1, 2, 4, 5, 6]);
        assert_eq!(sent(&mut injector(&["drop@2+2"], 0), 7), [1, 3, 5, 7]);
        assert_eq!(sent(&mut injector(&["dup@1", "drop@3"], 0), 4), [1, 1, 2, 4]);
        assert_eq!(sent(&mut injector(&["swap@2"], 0), 4), [1, 3, 2, 4]);
        assert_eq!(sent(&mut injector(&[], 0), 3), [1, 2, 3]);
    }

    #[test]
    fn a_fault_without_a_place_has_a_seeded_one() {
        let place = |seed| {
            let sent = sent(&mut injector(&["drop"], seed), LATEST_FIRST);
            (1..=LATEST_FIRST).find(|u| !sent.contains(u))
        };
        assert!(place(1).is_some());
        assert_eq!(place(1), place(1));
        assert!((1..20).map(place).collect::<BTreeSet<_>>().len() > 5);
    }

    #[test]
    fn a_fault_waits_for_a_message_it_suits() {
        let mut injector = injector(&["drop@1", "silence:orderbook.50.B@1"], 0);
        let mut out = Vec::new();
        let snapshot = Published { kind: Kind::Book { snapshot: true }, ..delta("orderbook.50.A", 1) };
        injector.pass(snapshot, Mono(1), &mut out);
        assert!(matches!(out[..], [Effect::Send(_)]), "a snapshot is not dropped");
        out.clear();
        injector.pass(delta("orderbook.50.A", 2), Mono(2), &mut out);
        assert!(out.is_empty());
        injector.pass(delta("orderbook.50.A", 3), Mono(3), &mut out);
        injector.pass(delta("orderbook.50.B", 4), Mono(4), &mut out);
        assert!(matches!(&out[..], [Effect::Send(_), Effect::Mute(topic)] if topic == "orderbook.50.B"));
    }

    #[test]
    fn a_stall_swallows_everything_for_its_time() {
        let mut injector = injector(&["stall:5@2"], 0);
        let mut out = Vec::new();
        for ms in 1..=10 {
            injector.pass(delta("orderbook.50.X", ms), Mono(ms * 1_000_000), &mut out);
        }
        assert_eq!(out.len(), 1 + 4, "message 1, then 7..=10");
    }

    #[test]
    fn random_faults_are_many_and_seeded() {
        let run = |seed| {
            let mut injector = injector(&["random:30"], seed);
            let mut out = Vec::new();
            for u in 0..3_000 {
                injector.pass(delta("orderbook.50.X", u), Mono(u * 10_000_000), &mut out);
            }
            out.iter().map(|effect| format!("{effect:?}")).collect::<Vec<_>>()
        };
        assert_eq!(run(4), run(4));
        assert_ne!(run(4), run(5));
        let effects = run(4).join("\n");
        for word in ["SendRaw", "SendFragmented", "SendCrossed", "Snapshot", "Restart", "Mute", "Close", "Reset", "Eof"]
        {
            assert!(effects.contains(word), "{word} never happened");
        }
    }

    #[test]
    fn refusals_count_subscriptions() {
        let mut injector = injector(&["reject@2", "reject:orderbook.50.B"], 0);
        let asked = ["a", "b", "c", "orderbook.50.B", "orderbook.50.B"].map(|topic| injector.refuses(topic));
        assert_eq!(asked, [false, true, false, true, true]);
    }

    #[test]
    fn a_wrong_checksum_is_put_where_one_is() {
        let mut injector = injector(&["checksum@1"], 0);
        let text = br#"{"data":[{"checksum":-855196043,"seqId":7}]}"#;
        let mut out = Vec::new();
        injector.pass(delta("books", 1), Mono(1), &mut out);
        injector.pass(Published { text: Bytes::from_static(text), ..delta("books", 2) }, Mono(2), &mut out);
        let texts: Vec<_> = out
            .iter()
            .map(|effect| matches!(effect, Effect::Send(text) if text.ends_with(br#""checksum":1,"seqId":7}]}"#)))
            .collect();
        assert_eq!(texts, [false, true]);
        assert!(with_wrong_checksum(br#"{"checksum":1}"#).ends_with(b":2}"));
    }

    #[test]
    fn blown_up_messages_are_valid_and_as_long_as_asked() {
        let text = br#"{"topic":"t","data":{"u":1}}"#;
        let huge = padded(text, 5_000);
        assert_eq!(huge.len(), 5_000);
        assert!(serde_json::from_slice::<serde_json::Value>(&huge).is_ok());
        let new = with_new_fields(br#"{"topic":"t","data":[{"u":1}]}"#);
        let value: serde_json::Value = serde_json::from_slice(&new).unwrap();
        assert_eq!(value["data"][0]["u"], 1);
        assert!(value.get("newField").is_some() && value["data"][0].get("newText").is_some());
    }
}
