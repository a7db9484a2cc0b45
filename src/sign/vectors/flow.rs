//! Vectors of several requests that follow one another: the tokens that open private streams.

use super::findings::Findings;
use super::{File, NotVectors, has_all, has_proofs, join, member, text, time};
use crate::sign::{Body, Json, Method, Request, SignError, Style, bitbank, encode, gmocoin, kucoin, url::Url};

const VECTOR: [&str; 6] = ["id", "note", "frozen_time_ms", "server_replies", "uuid4", "expected"];
const EXPECTED: [&str; 3] = ["requests", "result", "hmac"];
/// What each request says, all of it.
const REQUEST: [&str; 4] = ["method", "url", "headers", "body"];
/// The most requests of a flow that are followed.
const REQUESTS: usize = 100;

pub(super) fn check(file: &File, vector: &Json, place: &str, findings: &mut Findings) -> Result<(), NotVectors> {
    let expected = member(vector, "expected", place)?;
    let replies = member(vector, "server_replies", place)?;
    let now = time(vector, place)?;
    findings.only(vector, "", &VECTOR);
    findings.only(expected, "expected", &EXPECTED);
    let of_expected = join(place, "expected");
    has_all(expected, &of_expected, &EXPECTED)?;
    has_proofs(expected, &of_expected)?;
    let wanted = expected.get("requests").map(Json::items).unwrap_or_default();
    if wanted.is_empty() {
        return Err(NotVectors::lacks(format!("request at {of_expected}.requests")));
    }
    if wanted.len() > REQUESTS {
        return Err(NotVectors::Shape(format!("{place} has more than {REQUESTS} requests")));
    }
    let mut flow = Flow { file, replies, uuid: vector.get("uuid4").and_then(Json::as_text).unwrap_or_default() };
    let mut proofs = Vec::new();
    for (at, wanted) in wanted.iter().enumerate() {
        let here = join(place, &format!("expected.requests[{at}]"));
        let shown = format!("requests[{at}]");
        findings.only(wanted, &shown, &REQUEST);
        has_all(wanted, &here, &REQUEST)?;
        let made = flow.request(at, text(wanted, "method", &here)?, text(wanted, "url", &here)?);
        match made.and_then(|request| super::rest::sign(file, &request, now)) {
            Ok(signed) => {
                findings.compare(&format!("{shown}.method"), wanted.get("method"), signed.method.as_str());
                findings.compare(&format!("{shown}.url"), wanted.get("url"), signed.url.reveal());
                findings.headers(&format!("{shown}.headers"), wanted.get("headers"), &signed);
                findings.compare(&format!("{shown}.body"), wanted.get("body"), &signed.body);
                proofs.extend(signed.proofs);
            }
            Err(error) => findings.failed(&error),
        }
    }
    match flow.result() {
        Ok(result) => {
            let result = result.write(Style::Spaced);
            let expected = expected.get("result").map(|result| Json::Text(result.write(Style::Spaced)));
            findings.compare("result", expected.as_ref(), &result);
        }
        Err(error) => findings.failed(&error),
    }
    findings.proofs(expected, &proofs);
    Ok(())
}

struct Flow<'a> {
    file: &'a File,
    /// What the venue answers, by path.
    replies: &'a Json,
    uuid: &'a str,
}

impl Flow<'_> {
    /// The request at this place. Of the file's it takes over what the caller chooses: which call, and which of the
    /// venue's hosts.
    fn request(&mut self, at: usize, method: &str, url: &str) -> Result<Request, SignError> {
        let method = Method::parse(method).ok_or(SignError::Answer("is to an unknown method"))?;
        let of = |url: &str, body: Body| Request { method, url: url.to_owned(), body, ..Request::default() };
        match self.file.api.venue {
            "bitbank" if at == 0 => Ok(of(bitbank::SUBSCRIBE, Body::Empty)),
            "bitbank" => {
                let (channel, token) = self.channel()?;
                let cursor = self.last_poll(&channel)?.get("t").filter(|_| at > 1);
                Ok(bitbank::poll(&channel, &token, cursor))
            }
            "gmocoin" if method == Method::Post => Ok(of(gmocoin::TOKENS, Body::Empty)),
            "gmocoin" => {
                let token = Json::map([("token", Json::text(self.token()?))]);
                Ok(of(gmocoin::TOKENS, Body::Data(token)))
            }
            "kucoin" => Ok(of(url, Body::Empty)),
            _ => Err(SignError::Answer("belongs to a flow of an API that has none")),
        }
    }

    fn reply(&self, path: &str) -> Result<&Json, SignError> {
        self.replies.get(path).ok_or(SignError::Answer("to one of the requests is missing from server_replies"))
    }

    fn channel(&self) -> Result<(String, String), SignError> {
        let data = self.reply("/v1/user/subscribe")?.get("data");
        let part = |name: &str| data.and_then(|data| data.get(name)).and_then(Json::as_text).map(str::to_owned);
        part("pubnub_channel").zip(part("pubnub_token")).ok_or(SignError::Answer("names no channel and token"))
    }

    fn last_poll(&self, channel: &str) -> Result<&Json, SignError> {
        let url = Url::new(&bitbank::poll(channel, "", None).url, &[], self.file.compat)?;
        self.reply(&encode::decoded_path(&url.path))
    }

    fn token(&self) -> Result<&str, SignError> {
        let token = self.reply("/private/v1/ws-auth")?.get("data").and_then(Json::as_text);
        token.ok_or(SignError::Answer("names no token"))
    }

    /// What the flow is for: where the socket is, or the last answer.
    fn result(&self) -> Result<Json, SignError> {
        match self.file.api.venue {
            "bitbank" => self.channel().and_then(|(channel, _)| self.last_poll(&channel).cloned()),
            "gmocoin" => Ok(Json::Text(gmocoin::socket_url(self.token()?))),
            "kucoin" => {
                let reply = self.replies.members().first().map(|(_, reply)| reply);
                let reply = reply.ok_or(SignError::Answer("to the request is missing from server_replies"))?;
                kucoin::socket_url(reply, self.uuid).map(Json::Text)
            }
            _ => Err(SignError::Answer("belongs to a flow of an API that has none")),
        }
    }
}
