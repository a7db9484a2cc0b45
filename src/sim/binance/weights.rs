//! How much request weight each address has used, and who is banned: one pool for spot and one for both kinds of futures.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use serde_json::{Value, json};

use crate::model::{Mono, Stamp};

use super::catalog::Market;

/// What the venue allows in a minute: spot, futures.
const LIMITS: [u32; 2] = [6_000, 2_400];
/// Length of the window, ms. Windows begin with the minute.
const WINDOW_MS: u64 = 60_000;
/// Requests after the limit was told before the address is banned.
const PATIENCE: u32 = 10;
/// The first ban; each later one is twice as long.
const FIRST_BAN: Duration = Duration::from_secs(120);
const LONGEST_BAN: Duration = Duration::from_secs(3 * 86_400);
/// Addresses counted at most; the list begins anew when there are more.
const MOST_ADDRESSES: usize = 10_000;

/// What became of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It is answered; so much has been used in this minute.
    Served(u32),
    /// There is no weight left for so many seconds.
    TooMuch { used: u32, wait_s: u64 },
    /// The address is banned until then, which is so many seconds away.
    Banned { until_ms: u64, wait_s: u64 },
}

/// One address.
#[derive(Clone, Debug, Default)]
struct Client {
    window: u64,
    used: u32,
    /// Requests that were refused in this minute.
    refused: u32,
    banned_until: Option<Mono>,
    bans: u32,
}

/// One pool.
#[derive(Clone, Debug)]
pub(super) struct Weights {
    pub(super) limit: u32,
    clients: BTreeMap<IpAddr, Client>,
    /// The window that was counted last, and what all addresses used in it.
    window: u64,
    used: u32,
    requests: u64,
    /// The most one address used in one minute.
    most: u32,
    too_many: u64,
    banned: u64,
}

/// The pool of a market.
pub(super) const fn pool(market: Market) -> usize {
    market.is_futures() as usize
}

impl Weights {
    /// Both pools, with the venue's limits or this one.
    pub(super) fn pools(limit: Option<u32>) -> [Self; 2] {
        LIMITS.map(|usual| Self {
            limit: limit.unwrap_or(usual),
            clients: BTreeMap::new(),
            window: 0,
            used: 0,
            requests: 0,
            most: 0,
            too_many: 0,
            banned: 0,
        })
    }

    /// Counts a request.
    pub(super) fn spend(&mut self, peer: IpAddr, weight: u32, now: Stamp) -> Verdict {
        let (now_ms, limit) = (now.wall.as_ms(), self.limit);
        let window = now_ms / WINDOW_MS;
        self.requests += 1;
        if self.window != window {
            (self.window, self.used) = (window, 0);
        }
        let client = self.client(peer);
        if let Some(until) = client.banned_until.filter(|until| *until > now.mono) {
            self.banned += 1;
            return banned(until, now);
        }
        if client.window != window {
            (client.window, client.used, client.refused) = (window, 0, 0);
        }
        let used = client.used.saturating_add(weight);
        if used > limit {
            client.refused += 1;
            let (refused, used) = (client.refused, client.used);
            self.too_many += 1;
            if refused > PATIENCE {
                return self.ban(peer, None, now);
            }
            return Verdict::TooMuch { used, wait_s: (WINDOW_MS - now_ms % WINDOW_MS).div_ceil(1_000) };
        }
        client.used = used;
        self.used = self.used.saturating_add(weight);
        self.most = self.most.max(used);
        Verdict::Served(used)
    }

    /// Bans an address, for this long or for what its past deserves.
    pub(super) fn ban(&mut self, peer: IpAddr, time: Option<Duration>, now: Stamp) -> Verdict {
        self.banned += 1;
        let client = self.client(peer);
        let time = time.unwrap_or_else(|| FIRST_BAN.saturating_mul(1 << client.bans.min(16)).min(LONGEST_BAN));
        client.bans += 1;
        let until = now.mono.after(time);
        client.banned_until = Some(until);
        banned(until, now)
    }

    fn client(&mut self, peer: IpAddr) -> &mut Client {
        if self.clients.len() >= MOST_ADDRESSES && !self.clients.contains_key(&peer) {
            self.clients.clear();
        }
        self.clients.entry(peer).or_default()
    }

    /// What was counted, for those who check.
    pub(super) fn stats(&self, now: Stamp) -> Value {
        let used = if self.window == now.wall.as_ms() / WINDOW_MS { self.used } else { 0 };
        json!({
            "limit": self.limit, "used": used, "most": self.most, "requests": self.requests,
            "too_many": self.too_many, "banned": self.banned,
        })
    }
}

fn banned(until: Mono, now: Stamp) -> Verdict {
    let left = until.since(now.mono);
    let left_ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    Verdict::Banned { until_ms: now.wall.as_ms().saturating_add(left_ms), wait_s: left_ms.div_ceil(1_000) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::UnixNanos;
    use std::net::Ipv4Addr;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    fn at(ms: u64) -> Stamp {
        Stamp { mono: Mono(ms * 1_000_000), wall: UnixNanos::from_ms(ms) }
    }

    #[test]
    fn weight_is_counted_by_the_minute() {
        let [mut spot, _] = Weights::pools(Some(100));
        assert_eq!(spot.spend(HOME, 60, at(30_000)), Verdict::Served(60));
        assert_eq!(spot.spend(HOME, 60, at(31_000)), Verdict::TooMuch { used: 60, wait_s: 29 });
        assert_eq!(spot.spend(HOME, 40, at(31_000)), Verdict::Served(100));
        assert_eq!(spot.spend(HOME, 60, at(60_000)), Verdict::Served(60));
        let stats = spot.stats(at(60_000));
        assert_eq!(
            (&stats["used"], &stats["most"], &stats["too_many"], &stats["requests"]),
            (&json!(60), &json!(100), &json!(1), &json!(4))
        );
        assert_eq!(spot.stats(at(120_000))["used"], 0);
    }

    #[test]
    fn who_does_not_stop_is_banned_and_longer_each_time() {
        let [mut spot, _] = Weights::pools(Some(1));
        spot.spend(HOME, 1, at(0));
        let refused = (0..PATIENCE).filter(|_| matches!(spot.spend(HOME, 1, at(1)), Verdict::TooMuch { .. })).count();
        assert_eq!(refused, PATIENCE as usize);
        assert_eq!(spot.spend(HOME, 1, at(2)), Verdict::Banned { until_ms: 120_002, wait_s: 120 });
        assert_eq!(spot.spend(HOME, 1, at(60_002)), Verdict::Banned { until_ms: 120_002, wait_s: 60 });
        assert_eq!(spot.spend(HOME, 1, at(120_002)), Verdict::Served(1));
        assert_eq!(spot.ban(HOME, None, at(0)), Verdict::Banned { until_ms: 240_000, wait_s: 240 });
    }
}
