//! Endpoints in ZeroMQ's spelling: `tcp://127.0.0.1:5555`, `tcp://*:5555`, `ipc:///run/tickbus/bus`.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;
use std::str::FromStr;

/// The longest path of a Unix socket on Linux, in bytes.
const LONGEST_IPC_PATH: usize = 107;

/// Where a socket is bound.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// TCP. The host is a name, an address, or `*` for every interface; IPv6 addresses are in brackets.
    Tcp {
        /// As written.
        host: String,
        /// 0 takes any free port.
        port: u16,
    },
    /// A Unix socket.
    Ipc(PathBuf),
}

impl Endpoint {
    /// Reads `HOST:PORT`, the address of an HTTP listener.
    ///
    /// # Errors
    /// What is wrong and what is allowed, as one sentence.
    pub fn from_host_port(text: &str) -> Result<Self, String> {
        host_port(text).ok_or_else(|| format!("{text:?} is not an address; allowed: HOST:PORT, such as 127.0.0.1:5580"))
    }

    /// Whether only this machine can reach it.
    pub fn is_loopback(&self) -> bool {
        match self {
            Self::Tcp { host, .. } => address(host).is_some_and(|address| address.is_loopback()),
            Self::Ipc(_) => true,
        }
    }

    /// Whether both cannot be bound at one time.
    pub fn collides(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Tcp { host: a, port }, Self::Tcp { host: b, port: other }) => {
                let any = |host: &str| address(host).is_some_and(|address| address.is_unspecified());
                let same = a == b || address(a).is_some_and(|one| address(b) == Some(one));
                *port != 0 && port == other && (same || any(a) || any(b))
            }
            (Self::Ipc(a), Self::Ipc(b)) => a == b,
            _ => false,
        }
    }
}

/// The host's address, as far as it is known without asking DNS.
fn address(host: &str) -> Option<IpAddr> {
    match host {
        "*" => Some(Ipv4Addr::UNSPECIFIED.into()),
        "localhost" => Some(Ipv4Addr::LOCALHOST.into()),
        _ => host.trim_start_matches('[').trim_end_matches(']').parse().ok(),
    }
}

fn host_port(text: &str) -> Option<Endpoint> {
    let (host, port) = text.rsplit_once(':')?;
    let port = if port.bytes().all(|b| b.is_ascii_digit()) { port.parse().ok()? } else { return None };
    let inner = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let name = || host.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'.') && !host.is_empty();
    let valid = match inner {
        Some(inner) => inner.parse::<std::net::Ipv6Addr>().is_ok(),
        None => host == "*" || name(),
    };
    valid.then(|| Endpoint::Tcp { host: host.to_owned(), port })
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let tcp = text.strip_prefix("tcp://").and_then(host_port);
        let path = text.strip_prefix("ipc://").filter(|path| path.starts_with('/') && !path.contains('\0'));
        match (tcp, path) {
            (_, Some(path)) if path.len() > LONGEST_IPC_PATH => {
                Err(format!("the path of {text:?} has {} bytes; at most {LONGEST_IPC_PATH} are possible", path.len()))
            }
            (_, Some(path)) => Ok(Self::Ipc(path.into())),
            (Some(tcp), None) => Ok(tcp),
            (None, None) => {
                Err(format!("{text:?} is not an endpoint; allowed: tcp://HOST:PORT, tcp://*:PORT, ipc:///PATH"))
            }
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            Self::Ipc(path) => write!(f, "ipc://{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoint(text: &str) -> Endpoint {
        text.parse().expect(text)
    }

    #[test]
    fn good_endpoints_are_read_and_written_back() {
        let loopback =
            ["tcp://127.0.0.1:5555", "tcp://127.9.9.9:0", "tcp://localhost:1", "tcp://[::1]:5555", "ipc:///a/b"];
        for text in loopback {
            assert_eq!(endpoint(text).to_string(), text);
            assert!(endpoint(text).is_loopback(), "{text}");
        }
        for text in ["tcp://*:5555", "tcp://0.0.0.0:5555", "tcp://[::]:5555", "tcp://10.0.0.1:1", "tcp://host.lan:1"] {
            assert_eq!(endpoint(text).to_string(), text);
            assert!(!endpoint(text).is_loopback(), "{text}");
        }
    }

    #[test]
    fn bad_endpoints_are_refused() {
        let bad = [
            "",
            "tcp://",
            "tcp://:5",
            "tcp://a",
            "tcp://a:b",
            "tcp://a:65536",
            "tcp://a:+1",
            "tcp://::1:5",
            "udp://a:1",
            "ipc://",
            "ipc://relative",
            "tcp://a b:1",
            "tcp://[a]:1",
            "127.0.0.1:5555",
        ];
        for text in bad {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
        assert!(format!("ipc:///{}", "x".repeat(107)).parse::<Endpoint>().unwrap_err().contains("at most 107"));
        assert!(Endpoint::from_host_port("tcp://127.0.0.1:1").is_err());
    }

    #[test]
    fn collisions_are_by_port_and_reach() {
        let cases = [
            ("tcp://127.0.0.1:5", "tcp://localhost:5", true),
            ("tcp://127.0.0.1:5", "tcp://*:5", true),
            ("tcp://127.0.0.1:5", "tcp://127.0.0.2:5", false),
            ("tcp://127.0.0.1:5", "tcp://127.0.0.1:6", false),
            ("tcp://127.0.0.1:0", "tcp://127.0.0.1:0", false),
            ("tcp://a:5", "tcp://b:5", false),
            ("ipc:///a", "ipc:///a", true),
        ];
        for (a, b, collide) in cases {
            assert_eq!(endpoint(a).collides(&endpoint(b)), collide, "{a} {b}");
        }
    }
}
