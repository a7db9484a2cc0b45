//! Makes a job's calls over HTTP, within the venue's budget, signed by the account that the call names.

use std::sync::Arc;

use reqwest::header::{HeaderMap, LOCATION};
use url::Url;

use super::plan::CallPlan;
use super::result::{Answer, Failure};
use super::run::{Boxed, Caller};
use crate::io::budget::RestBudget;
use crate::io::http::RestClient;
use crate::sign::Request;

/// Most characters of a refusal that are handed on.
const DETAIL_MAX: usize = 500;

/// Makes calls with the process's REST client.
pub struct RestCaller {
    rest: RestClient,
    budget: Arc<RestBudget>,
}

impl RestCaller {
    /// A caller that shares the client's connections and the process's budget.
    pub const fn new(rest: RestClient, budget: Arc<RestBudget>) -> Self {
        Self { rest, budget }
    }

    async fn make(&self, call: &CallPlan) -> Result<Answer, Failure> {
        let failed = |status, detail| Failure { status, detail };
        let path = path_and_query(call);
        let url = format!("{}{path}", call.base);
        let account = self.budget.account(call.venue, &call.market, &call.base);
        let place = account.queue(call.weight).ok_or_else(|| failed(None, "too many calls wait".to_owned()))?;
        let request = Request { url, ..Request::default() };
        let sent = self.rest.send(request, call.signer.as_ref(), call.timeout, place).await;
        let mut answer = sent.map_err(|error| failed(None, error.to_string()))?;
        if let Some(hidden) = call.signer.as_ref().and_then(|signer| signer.hide(&answer.body)) {
            answer.body = hidden.into();
        }
        if !(200..300).contains(&answer.status) {
            let said = String::from_utf8_lossy(&answer.body).chars().take(DETAIL_MAX).collect::<String>();
            let said = if said.trim().is_empty() { String::new() } else { format!(": {}", said.trim()) };
            let to = redirected(&answer.headers).map(|host| format!(", to {host}, where it is not followed"));
            let to = to.filter(|_| (300..400).contains(&answer.status)).unwrap_or_default();
            return Err(failed(Some(answer.status), format!("HTTP {}{to}{said}", answer.status)));
        }
        Ok(Answer { status: answer.status, body: answer.body, path })
    }
}

impl Caller for RestCaller {
    fn call<'a>(&'a self, call: &'a CallPlan) -> Boxed<'a, Result<Answer, Failure>> {
        Box::pin(self.make(call))
    }
}

/// The host that a redirect leads to. No more of the address: it may repeat what signed the call.
fn redirected(headers: &HeaderMap) -> Option<String> {
    let to = Url::parse(headers.get(LOCATION)?.to_str().ok()?).ok()?;
    let port = to.port().map(|port| format!(":{port}")).unwrap_or_default();
    Some(format!("{}://{}{port}", to.scheme(), to.host_str()?))
}

/// Path and query, percent-encoded, in the order of the parameters.
fn path_and_query(call: &CallPlan) -> String {
    if call.params.is_empty() {
        return call.path.clone();
    }
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.extend_pairs(&call.params);
    format!("{}?{}", call.path, query.finish())
}
