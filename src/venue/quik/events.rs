//! The terminal's events: which there are, and what each says about the terminal itself.

use serde_json::value::RawValue;

use super::pulse::Health;
use super::reply::Fields;
use crate::venue::kit::fields::Text;

/// Every event the service publishes; the first of them come most often. Each is subscribed to by its whole name.
pub(super) const NAMES: [&str; 28] = [
    "OnAllTrade",
    "OnParam",
    "OnQuote",
    "OnOrder",
    "OnTrade",
    "OnTransReply",
    "OnStopOrder",
    "OnFuturesClientHolding",
    "OnFuturesLimitChange",
    "OnFuturesLimitDelete",
    "OnDepoLimit",
    "OnDepoLimitDelete",
    "OnMoneyLimit",
    "OnMoneyLimitDelete",
    "OnAccountBalance",
    "OnAccountPosition",
    "OnNegDeal",
    "OnNegTrade",
    "OnFirm",
    "OnDataSourceUpdate",
    "OnConnected",
    "OnDisconnected",
    "OnCleanUp",
    "OnClose",
    "OnStop",
    "PublisherOnline",
    EVENTS_CONNECTED,
    EVENTS_LOST,
];
/// Notes of the driver's own about the events socket; they are not the terminal's.
pub(super) const EVENTS_CONNECTED: &str = "EventsConnected";
pub(super) const EVENTS_LOST: &str = "EventsLost";

/// The names to subscribe to.
pub(super) fn topics() -> impl Iterator<Item = &'static str> {
    NAMES.into_iter().filter(|name| !is_note(name))
}

/// Whether it is a note of the driver's own.
pub(super) fn is_note(name: &str) -> bool {
    matches!(name, EVENTS_CONNECTED | EVENTS_LOST)
}

/// One event.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event<'a> {
    pub(super) name: &'static str,
    /// JSON text as it was sent, if the event has any.
    pub(super) payload: Option<&'a str>,
}

/// Why a message is no event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NoEvent {
    /// It cannot be read.
    Unreadable,
    /// It has a name no server publishes.
    Unknown,
}

impl<'a> Event<'a> {
    /// Reads `["OnAllTrade",{…}]` or `["OnClose"]`.
    pub(super) fn read(text: &'a str) -> Result<Self, NoEvent> {
        let parts: Vec<&'a RawValue> = serde_json::from_str(text).map_err(|_| NoEvent::Unreadable)?;
        let (name, payload) = match parts.as_slice() {
            [name] => (name, None),
            [name, payload] => (name, Some(payload.get())),
            _ => return Err(NoEvent::Unreadable),
        };
        let name: Text<'_> = serde_json::from_str(name.get()).map_err(|_| NoEvent::Unreadable)?;
        let name = NAMES.into_iter().find(|known| *known == name.0).ok_or(NoEvent::Unknown)?;
        Ok(Self { name, payload })
    }

    /// A member of the payload that is a truth value or a number.
    fn member(&self, name: &str) -> Option<String> {
        let raw = serde_json::from_str::<&RawValue>(self.payload?).ok()?;
        Fields::read(raw)?.text(name).map(std::borrow::Cow::into_owned)
    }

    /// Class and code of a hint that a security's book or parameters changed.
    pub(super) fn security(&self) -> Option<(String, String)> {
        let raw = serde_json::from_str::<&RawValue>(self.payload?).ok()?;
        let fields = Fields::read(raw)?;
        Some((fields.text("class_code")?.into_owned(), fields.text("sec_code")?.into_owned()))
    }

    /// What it says of the terminal as a whole. After a restart of any kind everything is asked for anew.
    pub(super) fn meaning(&self) -> Meaning {
        let anew = |why: &str| Meaning::Health(Health::Offline(format!("{why}: everything is asked for anew")));
        match self.name {
            "OnDisconnected" => {
                Meaning::Health(Health::Offline("the terminal lost the connection to its broker".to_owned()))
            }
            "OnClose" => Meaning::Health(Health::Down("the terminal is being closed".to_owned())),
            "OnStop" => Meaning::Health(Health::Down(match self.member("signal").as_deref() {
                Some("2") => "the terminal ends".to_owned(),
                _ => "the script in the terminal was stopped".to_owned(),
            })),
            "OnCleanUp" => anew("the terminal cleared its data"),
            "PublisherOnline" => anew("the script in the terminal was started"),
            "OnConnected" if self.member("flag").as_deref() == Some("false") => Meaning::NewClass,
            "OnConnected" => anew("the terminal connected to its broker"),
            _ => Meaning::Nothing,
        }
    }
}

/// What an event says of the terminal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    /// Nothing.
    Nothing,
    /// How it is.
    Health(Health),
    /// It has a class more than before.
    NewClass,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_have_a_payload_or_none() {
        let event = Event::read(r#"["OnAllTrade",{"price":"1.0", "qty":1}]"#).expect("an event");
        assert_eq!((event.name, event.payload), ("OnAllTrade", Some(r#"{"price":"1.0", "qty":1}"#)));
        let event = Event::read(r#"["OnClose"]"#).expect("an event");
        assert_eq!((event.name, event.payload), ("OnClose", None));
        for bad in ["", "{}", "[]", "[1]", r#"["OnClose",1,2]"#, r#"["OnClose""#, "[[\"OnClose\"]]"] {
            assert_eq!(Event::read(bad).err(), Some(NoEvent::Unreadable), "{bad}");
        }
        assert_eq!(Event::read(r#"["OnMoneyLimi"]"#).err(), Some(NoEvent::Unknown));
    }

    #[test]
    fn what_events_say_of_the_terminal() {
        let meaning = |text| Event::read(text).expect("an event").meaning();
        assert!(matches!(meaning(r#"["OnDisconnected"]"#), Meaning::Health(Health::Offline(_))));
        assert!(
            matches!(meaning(r#"["OnStop",{"signal":1}]"#), Meaning::Health(Health::Down(why)) if why.contains("script"))
        );
        assert!(
            matches!(meaning(r#"["OnStop",{"signal":2}]"#), Meaning::Health(Health::Down(why)) if why.contains("ends"))
        );
        assert!(matches!(meaning(r#"["OnClose"]"#), Meaning::Health(Health::Down(_))));
        for anew in
            [r#"["OnCleanUp"]"#, r#"["PublisherOnline"]"#, r#"["OnConnected",{"flag":true}]"#, r#"["OnConnected"]"#]
        {
            assert!(matches!(meaning(anew), Meaning::Health(Health::Offline(_))), "{anew}");
        }
        assert_eq!(meaning(r#"["OnConnected",{"flag":false}]"#), Meaning::NewClass);
        assert_eq!(meaning(r#"["OnQuote",{"class_code":"A","sec_code":"B"}]"#), Meaning::Nothing);
    }

    #[test]
    fn every_name_is_subscribed_to_once() {
        let names: std::collections::BTreeSet<_> = topics().collect();
        assert_eq!(names.len(), topics().count());
        assert!(!names.contains(EVENTS_LOST) && names.contains("OnDepoLimitDelete"));
    }
}
