//! What clients of the control socket may fetch (`control.fetch`).

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Accounts;
use super::problem::{Findings, quoted};
use crate::fetch::Allowed;
use crate::sign::Method;

/// What clients of the control socket may fetch beside public data of venues, and what their jobs may call. The command line
/// is not bound by it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ControlFetch {
    /// Accounts that may sign calls, to `hosts` only. If empty, no call is signed.
    #[schemars(length(max = 100))]
    pub accounts: Vec<String>,
    /// Hosts that may be called beside those of venues, and that signed calls may go to: `HOST`, or `HOST:PORT` where the
    /// port is not the scheme's own.
    #[schemars(length(max = 100))]
    pub hosts: Vec<String>,
    /// Methods beside `GET`, for `hosts` only.
    #[schemars(length(max = 3))]
    pub methods: Vec<WritingMethod>,
}

/// A method that changes something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "UPPERCASE")]
pub enum WritingMethod {
    /// Makes something.
    Post,
    /// Changes something.
    Put,
    /// Takes something away.
    Delete,
}

impl From<WritingMethod> for Method {
    fn from(method: WritingMethod) -> Self {
        match method {
            WritingMethod::Post => Self::Post,
            WritingMethod::Put => Self::Put,
            WritingMethod::Delete => Self::Delete,
        }
    }
}

impl ControlFetch {
    /// Checks hosts and accounts.
    pub(super) fn resolve(&self, accounts: &Accounts, findings: &mut Findings) -> Allowed {
        let mut hosts = Vec::with_capacity(self.hosts.len());
        for (at, host) in self.hosts.iter().enumerate() {
            match host.parse() {
                Ok(listed) => hosts.push(listed),
                Err(what) => findings.add(format!("control.fetch.hosts[{at}]"), format!("{} {what}", quoted(host))),
            }
        }
        for (at, name) in self.accounts.iter().enumerate() {
            let usable = accounts.known(name).and_then(|account| match &account.credentials {
                Ok(_) => Ok(()),
                Err(why) => Err(format!("the account {name} cannot be used: {why}")),
            });
            if let Err(what) = usable {
                findings.add(format!("control.fetch.accounts[{at}]"), what);
            }
        }
        if !self.accounts.is_empty() && self.hosts.is_empty() {
            findings.add("control.fetch.hosts", "is empty, so that the accounts would have nothing to sign");
        }
        if !self.methods.is_empty() && self.hosts.is_empty() {
            findings.add("control.fetch.hosts", "is empty, so that the methods would have nowhere to go");
        }
        let methods = self.methods.iter().copied().map(Method::from).collect();
        Allowed { accounts: self.accounts.clone(), hosts, methods }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::config::{Config, Layers, Problems};
    use crate::sign::Method;

    fn check(fetch: Value) -> Result<Config, Problems> {
        let account = |name: &str| json!({"api": "bybit", "key": {"env": name}, "secret": {"env": name}});
        let accounts = json!({"mine": account("K"), "broken": account("NOWHERE")});
        let text = json!({"feeds": {}, "accounts": accounts, "control": {"fetch": fetch}}).to_string();
        Layers { text, env: vec![("K".into(), "k".into())], ..Layers::default() }.check()
    }

    #[test]
    fn what_clients_may_fetch_is_read_from_the_config() {
        let hosts = ["api.bybit.com", "127.0.0.1:9001", "[::1]:9001"];
        let config = check(json!({"accounts": ["mine"], "hosts": hosts, "methods": ["POST", "DELETE"]})).unwrap();
        assert_eq!((config.fetch.accounts.len(), config.fetch.hosts.len()), (1, 3));
        assert_eq!(config.fetch.methods, [Method::Post, Method::Delete]);
        assert!(check(json!({})).unwrap().fetch.hosts.is_empty(), "nothing by default");
    }

    #[test]
    fn what_would_not_do_what_it_seems_to_is_a_problem() {
        for (fetch, wanted) in [
            (
                json!({"hosts": ["https://api.bybit.com"]}),
                "control.fetch.hosts[0]: \"https://api.bybit.com\" is no host",
            ),
            (json!({"hosts": ["a", "*"]}), "control.fetch.hosts[1]: \"*\" is no host"),
            (json!({"accounts": ["me"], "hosts": ["a"]}), "control.fetch.accounts[0]: there is no account \"me\""),
            (
                json!({"accounts": ["broken"], "hosts": ["a"]}),
                "control.fetch.accounts[0]: the account broken cannot be used",
            ),
            (json!({"accounts": ["mine"]}), "control.fetch.hosts: is empty, so that the accounts"),
            (json!({"methods": ["PUT"]}), "control.fetch.hosts: is empty, so that the methods"),
            (json!({"methods": ["GET"], "hosts": ["a"]}), "control.fetch.methods[0]: unknown value \"GET\""),
            (json!({"host": ["a"]}), "control.fetch.host: unknown key"),
        ] {
            let told = check(fetch).unwrap_err().to_string();
            assert!(told.contains(wanted), "{told}");
        }
    }
}
