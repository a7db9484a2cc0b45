//! REST endpoints that have a name: what jobs, back-fill and `tickbus call` may ask a venue for, and how answers are read.

use super::{Output, VenueDef};
use crate::model::{Stream, UnixNanos};

/// Parameters of a call, in the order they are sent.
pub type Params = Vec<(String, String)>;

/// An answer to a call of an endpoint.
#[derive(Clone, Copy, Debug)]
pub struct Told<'a> {
    /// The market that was asked.
    pub market: &'a str,
    /// The call's parameters.
    pub params: &'a [(String, String)],
    /// The answer's body.
    pub body: &'a [u8],
    /// When it was read; a candle that is over by then is taken for closed where the venue does not say.
    pub at: UnixNanos,
}

impl<'a> Told<'a> {
    /// A parameter of the call.
    pub fn param(&self, name: &str) -> Option<&'a str> {
        self.params.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

/// Hands on what an answer says as updates, the oldest first, of streams that it asks [`Output::discovered`] for. The error
/// says why it cannot be read.
pub type Reader = fn(told: &Told<'_>, out: &mut dyn Output) -> Result<(), String>;

/// A part of a stream's past: what one call asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// Candles that begin in this span, both ends included, in milliseconds since 1970.
    Span {
        /// Its begin.
        from: u64,
        /// Its end.
        to: u64,
    },
    /// Trades from this id on.
    From(u64),
    /// Trades since this time, in milliseconds since 1970.
    Since(u64),
    /// The last trades.
    Last,
}

/// How the past of some streams is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Past {
    /// Most rows of an answer.
    pub rows: u32,
    /// How many rows back from now it reaches, where that is not all.
    pub reach: Option<u32>,
    /// The parameters of a call for so many rows; `None` where it is not to be asked for in this way, or for this stream.
    pub params: fn(stream: &Stream, page: Page, rows: u32) -> Option<Params>,
}

/// A REST endpoint of one market.
#[derive(Clone, Copy, Debug)]
pub struct Endpoint {
    /// Its name in jobs and on the command line.
    pub name: &'static str,
    /// What it gives, in a few words.
    pub about: &'static str,
    /// Path without the query.
    pub path: &'static str,
    /// Parameters that must be given.
    pub required: &'static [&'static str],
    /// Parameters that may be given.
    pub optional: &'static [&'static str],
    /// Whether it is signed by an account.
    pub signed: bool,
    /// What a call with these parameters costs of the venue's budget.
    pub weight: fn(params: &[(String, String)]) -> u32,
    /// Parameters that the market decides, sent before those that are given.
    pub fixed: &'static [(&'static str, &'static str)],
    /// Reads its answers, if they are of a kind that is published.
    pub read: Option<Reader>,
    /// How it gives the past of streams, if it does.
    pub past: Option<Past>,
}

impl Endpoint {
    /// An endpoint of weight 1 without parameters, open to everybody, whose answers are not read.
    pub const fn open(name: &'static str, path: &'static str, about: &'static str) -> Self {
        let (required, optional, fixed) = (&[], &[], &[]);
        let weight = |_: &[(String, String)]| 1;
        Self { name, about, path, required, optional, signed: false, weight, fixed, read: None, past: None }
    }

    /// With these parameters.
    pub const fn takes(self, required: &'static [&'static str], optional: &'static [&'static str]) -> Self {
        Self { required, optional, ..self }
    }

    /// With this weight.
    pub const fn costs(self, weight: fn(params: &[(String, String)]) -> u32) -> Self {
        Self { weight, ..self }
    }

    /// With this reader of its answers.
    pub const fn says(self, read: Reader) -> Self {
        Self { read: Some(read), ..self }
    }

    /// All parameters of a call: those that the market decides, then those given.
    pub fn all_params(&self, given: Params) -> Params {
        let fixed = self.fixed.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        fixed.chain(given).collect()
    }

    /// Path and query of a call with these parameters, percent-encoded.
    pub fn target(&self, params: &[(String, String)]) -> String {
        if params.is_empty() {
            return self.path.to_owned();
        }
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(params);
        format!("{}?{}", self.path, query.finish())
    }

    /// Checks the parameters of a call.
    ///
    /// # Errors
    /// Which one is missing or unknown, and what is allowed.
    pub fn check(&self, params: &[(String, String)]) -> Result<(), String> {
        let known = || self.required.iter().chain(self.optional);
        let missing = self.required.iter().find(|name| params.iter().all(|(given, _)| given != *name));
        if let Some(name) = missing {
            return Err(format!("{} needs the parameter {name}", self.name));
        }
        match params.iter().find(|(given, _)| known().all(|name| given != name)) {
            Some((given, _)) if known().next().is_none() => {
                Err(format!("{} takes no parameters, and {given:?} is given", self.name))
            }
            Some((given, _)) => {
                let allowed: Vec<&str> = known().copied().collect();
                Err(format!("{} has no parameter {given:?}; allowed: {}", self.name, allowed.join(", ")))
            }
            None => Ok(()),
        }
    }
}

impl VenueDef {
    /// The call that gives a part of a stream's past, with all its parameters; `None` where REST does not give it. `back`
    /// is how many rows from now it begins, as far as that is known.
    pub fn past(
        &self,
        market: &str,
        stream: &Stream,
        page: Page,
        rows: u32,
        back: u64,
    ) -> Option<(&'static Endpoint, Params)> {
        (self.rest)(market).iter().find_map(|endpoint| {
            let past = endpoint.past.filter(|past| past.reach.is_none_or(|reach| back < u64::from(reach)))?;
            let params = (past.params)(stream, page, rows.min(past.rows))?;
            Some((endpoint, endpoint.all_params(params)))
        })
    }
}
