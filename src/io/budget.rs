//! The process's budget of REST calls: one account for all hosts that a venue counts together, and a line in front of it.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout_at;
use tracing::{info, warn};

use super::dial::host_of;
use super::limits::millis;
use super::weights::Weights;
use crate::clock;
use crate::model::Mono;
use crate::venue::{RestLimit, VenueDef};

/// More accounts than any configuration makes; beyond it all further ones are one.
const ACCOUNTS_MAX: usize = 256;
/// Calls that may wait for one account: the images of all the streams that some feeds have.
const LINE_MAX: usize = 50_000;
/// Places of patient calls are numbered from here, so that they come after all others.
const PATIENT: u64 = 1 << 63;
/// Calls of one account on their way at a time.
const UNDER_WAY_MAX: usize = 16;
/// A line is told of in the log so often at most.
const TELL_EVERY: Duration = Duration::from_secs(10);

/// All accounts.
#[derive(Debug, Default)]
pub struct RestBudget {
    accounts: Mutex<BTreeMap<String, Arc<Account>>>,
}

/// How one account stands.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AccountReport {
    /// Its name.
    pub name: String,
    /// Weight that may leave in a minute.
    pub limit: u64,
    /// Weight that left in the last minute, and what others are known to have used then.
    pub used: u64,
    /// Calls that wait.
    pub waiting: u64,
    /// Calls on their way.
    pub under_way: u64,
    /// Whether the venue told us to ask nothing for a while.
    pub held: bool,
    /// Calls that have left since the start.
    pub calls: u64,
    /// Weight of them.
    pub weight: u64,
    /// Weight that others used of the same address since the start, so far as the venue's answers showed it.
    pub others: u64,
    /// Answers since the start that told us to slow down.
    pub limited: u64,
}

impl RestBudget {
    /// The account that calls to this address belong to. A venue's own hosts share one; any other host, such as a
    /// simulator's, has its own.
    pub fn account(&self, venue: &VenueDef, market: &str, rest_url: &str) -> Arc<Account> {
        let limit = (venue.rest_limit)(market);
        let host = host_of(rest_url);
        let is_own = venue.markets.iter().any(|market| host_of(market.rest_url) == host);
        let name = if is_own { limit.name.to_owned() } else { format!("{}@{host}", limit.name) };
        self.open(name, limit)
    }

    /// The account that calls to a host belong to whose venue is not known by its address: that of the feed or job which
    /// calls it already, such as one at a simulator, else its own.
    pub fn of_host(&self, url: &str, limit: RestLimit) -> Arc<Account> {
        let host = host_of(url);
        let suffix = format!("@{host}");
        let known =
            self.lock().iter().find(|(name, _)| name.ends_with(&suffix)).map(|(_, account)| Arc::clone(account));
        known.unwrap_or_else(|| self.open(host, limit))
    }

    /// The account of this name, opened with this limit if there is none.
    pub fn open(&self, name: String, limit: RestLimit) -> Arc<Account> {
        let mut accounts = self.lock();
        let name = if accounts.contains_key(&name) || accounts.len() < ACCOUNTS_MAX { name } else { String::new() };
        let account = accounts.entry(name).or_insert_with_key(|name| Arc::new(Account::new(name.clone(), limit)));
        Arc::clone(account)
    }

    /// How all accounts stand.
    pub fn reports(&self) -> Vec<AccountReport> {
        self.lock().values().map(|account| account.report()).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Account>>> {
        self.accounts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The budget of one venue's hosts.
#[derive(Debug)]
pub struct Account {
    name: String,
    limit: RestLimit,
    desk: Mutex<Desk>,
    /// Someone left the line.
    moved: Notify,
    under_way: Arc<Semaphore>,
}

#[derive(Debug)]
struct Desk {
    weights: Weights,
    /// Weights of those who wait, in the order they asked.
    line: BTreeMap<u64, u32>,
    next: u64,
    told_at: Option<Mono>,
    counters: Counters,
}

#[derive(Clone, Copy, Debug, Default)]
struct Counters {
    calls: u64,
    weight: u64,
    others: u64,
    limited: u64,
}

impl Account {
    fn new(name: String, limit: RestLimit) -> Self {
        let weights = Weights::new(limit.per_minute, limit.burst, clock::now().mono);
        let desk = Desk { weights, line: BTreeMap::new(), next: 0, told_at: None, counters: Counters::default() };
        let under_way = Arc::new(Semaphore::new(UNDER_WAY_MAX));
        Self { name, limit, desk: Mutex::new(desk), moved: Notify::new(), under_way }
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it was opened with.
    pub const fn limit(&self) -> &RestLimit {
        &self.limit
    }

    /// The desk is whole after every statement, so a panic elsewhere while it was locked does not spoil it.
    fn desk(&self) -> MutexGuard<'_, Desk> {
        self.desk.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place in the line for a call of this weight, before all patient ones; `None` when it is too long.
    pub fn queue(self: &Arc<Self>, weight: u32) -> Option<Place> {
        self.queue_from(0, weight)
    }

    /// A place at the end of the line: whoever comes later and is not patient goes first. `None` when it is too long.
    pub fn queue_behind(self: &Arc<Self>, weight: u32) -> Option<Place> {
        self.queue_from(PATIENT, weight)
    }

    fn queue_from(self: &Arc<Self>, first: u64, weight: u32) -> Option<Place> {
        let mut desk = self.desk();
        if desk.line.len() >= LINE_MAX {
            return None;
        }
        let number = first + desk.next;
        desk.next += 1;
        desk.line.insert(number, weight);
        let ticket = Arc::new(Ticket { number, left: AtomicBool::new(false) });
        Some(Place { account: Arc::clone(self), ticket, weight })
    }

    /// How many are before this one and about how long it takes; `None` when it has left.
    pub fn forecast(&self, ticket: &Ticket) -> Option<(usize, Duration)> {
        if ticket.has_left() {
            return None;
        }
        let now = clock::now().mono;
        let mut desk = self.desk();
        let head = *desk.line.first_key_value()?.1;
        let (mut ahead, mut weight) = (0, 0);
        for own in desk.line.range(..ticket.number).map(|(_, weight)| *weight) {
            ahead += 1;
            weight += u64::from(own);
        }
        let first = desk.weights.wait(head, now);
        // What may leave at once is there for those who are within it.
        let rest = if first.is_zero() { weight.saturating_sub(u64::from(self.limit.burst)) } else { weight };
        let queued = if rest > 0 { desk.weights.time_for(rest) } else { Duration::ZERO };
        Some((ahead, first.saturating_add(queued)))
    }

    /// The venue says that so much weight is used in this minute.
    pub fn used(&self, weight: u64) {
        let mut desk = self.desk();
        let others = desk.weights.used(weight, clock::now().mono);
        desk.counters.others += others;
    }

    /// The venue refused a call that left at `left`, and named such a pause; returns the one that is made.
    pub fn refused(&self, left: Mono, named: Duration) -> Duration {
        self.desk().weights.refused(left, named, clock::mono())
    }

    /// The same where it named none: asks nothing for so long, until it is known better. Returns until when.
    pub fn guess(&self, left: Mono, pause: Duration) -> Mono {
        self.desk().weights.guess(left, pause, clock::mono())
    }

    /// What was guessed holds no more: the venue said for how long.
    pub fn forget_guess(&self, guess: Mono) {
        self.desk().weights.forget_guess(guess);
        // Whoever is first waits for it.
        self.moved.notify_waiters();
    }

    /// An answer says what the venue allows: if that is less than we would have asked, it holds from now on.
    pub fn told(&self, per_minute: u32) {
        let per_minute = per_minute.min(self.limit.per_minute);
        let mut desk = self.desk();
        if desk.weights.per_minute() == u64::from(per_minute) {
            return;
        }
        let share = u64::from(self.limit.burst) * u64::from(per_minute) / u64::from(self.limit.per_minute.max(1));
        desk.weights.limit_to(per_minute, u32::try_from(share).unwrap_or(self.limit.burst));
        info!(account = self.name, per_minute, "The venue allows another number of REST calls");
    }

    /// The venue served a call that left at `left`.
    pub fn served(&self, left: Mono) {
        self.desk().weights.served(left);
    }

    /// The venue refused a call because there were too many.
    pub fn limited(&self) {
        self.desk().counters.limited += 1;
    }

    /// How it stands.
    pub fn report(&self) -> AccountReport {
        let now = clock::now().mono;
        let mut desk = self.desk();
        let Counters { calls, weight, others, limited } = desk.counters;
        AccountReport {
            name: self.name.clone(),
            limit: desk.weights.per_minute(),
            used: desk.weights.spent(now),
            waiting: desk.line.len() as u64,
            under_way: UNDER_WAY_MAX.saturating_sub(self.under_way.available_permits()) as u64,
            held: desk.weights.held_until() > now,
            calls,
            weight,
            others,
            limited,
        }
    }
}

/// Whose turn it is, to be asked by others than the call itself.
#[derive(Debug)]
pub struct Ticket {
    number: u64,
    left: AtomicBool,
}

impl Ticket {
    /// Whether the call has left, or was given up.
    pub fn has_left(&self) -> bool {
        self.left.load(Ordering::Relaxed)
    }
}

/// A place in the line; given up when dropped.
#[derive(Debug)]
pub struct Place {
    account: Arc<Account>,
    ticket: Arc<Ticket>,
    weight: u32,
}

/// The right to make one call, until dropped.
#[derive(Debug)]
pub struct Turn {
    _under_way: Option<OwnedSemaphorePermit>,
}

impl Place {
    /// The account.
    pub const fn account(&self) -> &Arc<Account> {
        &self.account
    }

    /// What the call costs.
    pub const fn weight(&self) -> u32 {
        self.weight
    }

    /// To ask how it goes.
    pub fn ticket(&self) -> Arc<Ticket> {
        Arc::clone(&self.ticket)
    }

    /// Waits for the turn: those who asked first go first, patient ones after the others.
    pub async fn turn(self) -> Turn {
        loop {
            self.become_first().await;
            let under_way = Arc::clone(&self.account.under_way).acquire_owned().await.ok();
            let moved = self.account.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            match self.leave() {
                Ok(()) => return Turn { _under_way: under_way },
                Err(again) => {
                    // Whoever need not be patient may come in the meantime.
                    drop(under_way);
                    // And what holds it may be over earlier.
                    let _ = timeout_at(clock::instant_of(again), moved).await;
                }
            }
        }
    }

    async fn become_first(&self) {
        loop {
            let moved = self.account.moved.notified();
            tokio::pin!(moved);
            moved.as_mut().enable();
            if self.account.desk().line.first_key_value().is_none_or(|(first, _)| *first == self.ticket.number) {
                return;
            }
            moved.await;
        }
    }

    /// Spends the weight, or says when to try again.
    fn leave(&self) -> Result<(), Mono> {
        let now = clock::now().mono;
        let mut desk = self.account.desk();
        if let Err(again) = desk.weights.take(self.weight, now) {
            self.account.tell(&mut desk, again, now);
            // The line is told of as long as there is one.
            return Err(desk.told_at.map_or(again, |at| again.min(at.after(TELL_EVERY))));
        }
        desk.counters.calls += 1;
        desk.counters.weight += u64::from(self.weight);
        Ok(())
    }
}

impl Account {
    /// Says in the log that there is a line, now and then.
    fn tell(&self, desk: &mut Desk, again: Mono, now: Mono) {
        if desk.told_at.is_some_and(|at| now.since(at) < TELL_EVERY) {
            return;
        }
        desk.told_at = Some(now);
        let (waiting, next_ms, used) = (desk.line.len(), millis(again.since(now)), desk.weights.spent(now));
        let account = self.name.as_str();
        if desk.weights.held_until() > now {
            warn!(account, waiting, next_ms, "REST calls wait: the venue told us to");
        } else {
            let limit = desk.weights.per_minute();
            info!(account, waiting, next_ms, used, limit, "REST calls wait for the budget");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.ticket.left.store(true, Ordering::Relaxed);
        self.account.desk().line.remove(&self.ticket.number);
        self.account.moved.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::future::join_all;

    const NOTHING: RestLimit = RestLimit::calls("test", 1);

    fn account(per_minute: u32, burst: u32) -> Arc<Account> {
        RestBudget::default().open("test".to_owned(), RestLimit { per_minute, burst, ..NOTHING })
    }

    #[tokio::test]
    async fn those_who_ask_first_go_first() {
        let account = account(600_000, 1);
        let order = Mutex::new(Vec::new());
        let places: Vec<_> = (0..200).map(|n| (n, account.queue(1 + n % 3).expect("a place"))).collect();
        // Polled in another order than they asked.
        join_all(places.into_iter().rev().map(|(n, place)| {
            let order = &order;
            async move {
                let turn = place.turn().await;
                order.lock().expect("whole").push(n);
                drop(turn);
            }
        }))
        .await;
        assert_eq!(order.into_inner().expect("whole"), (0..200).collect::<Vec<_>>());
        assert_eq!((account.report().waiting, account.report().calls, account.report().weight), (0, 200, 399));
    }

    #[tokio::test]
    async fn the_patient_let_others_go_first_even_those_who_come_while_they_wait() {
        let account = account(60_000, 1_000);
        drop(account.queue(1_000).expect("a place").turn().await);
        let order = Mutex::new(Vec::new());
        let go = |name: &'static str, place: Place| {
            let order = &order;
            async move {
                let turn = place.turn().await;
                order.lock().expect("whole").push(name);
                drop(turn);
            }
        };
        let first = go("history", account.queue_behind(300).expect("a place"));
        let second = go("later history", account.queue_behind(1).expect("a place"));
        let late = async {
            // The patient one is at the head of the line and waits for its weight.
            tokio::time::sleep(Duration::from_millis(50)).await;
            go("image", account.queue(100).expect("a place")).await;
        };
        tokio::join!(first, second, late);
        assert_eq!(order.into_inner().expect("whole"), ["image", "history", "later history"]);
    }

    #[tokio::test]
    async fn whoever_gives_up_is_not_waited_for() {
        let account = account(60, 1);
        drop(account.queue(1).expect("a place").turn().await);
        let (first, second) = (account.queue(60).expect("a place"), account.queue(1).expect("a place"));
        let ticket = second.ticket();
        let (ahead, wait) = account.forecast(&ticket).expect("it waits");
        assert!(ahead == 1 && wait > Duration::from_secs(55), "{wait:?}");
        drop(first);
        assert_eq!(account.forecast(&ticket).expect("it waits").0, 0);
        drop(tokio::time::timeout(Duration::from_secs(5), second.turn()).await.expect("its turn comes"));
        assert_eq!(account.forecast(&ticket), None);
    }

    #[tokio::test]
    async fn a_line_is_told_of_as_long_as_there_is_one_and_goes_on_when_the_venue_names_an_earlier_time() {
        let account = account(600, 600);
        let left = clock::mono();
        let guess = account.guess(left, Duration::from_secs(120));
        let place = account.queue(1).expect("a place");
        let again = place.leave().expect_err("held");
        let wait = again.since(clock::mono());
        assert!(wait <= TELL_EVERY && wait > TELL_EVERY / 2, "{wait:?}, though nothing leaves for two minutes");
        let turn = place.turn();
        tokio::pin!(turn);
        assert!(tokio::time::timeout(Duration::from_millis(20), turn.as_mut()).await.is_err());
        account.refused(left, Duration::ZERO);
        account.forget_guess(guess);
        let waited = clock::mono();
        drop(tokio::time::timeout(Duration::from_secs(8), turn).await.expect("before the line is told of again"));
        assert!(clock::mono().since(waited) > Duration::from_millis(900), "and not at once");
        account.served(clock::mono());
    }

    #[tokio::test]
    async fn only_so_many_are_under_way() {
        let account = account(60_000, 60_000);
        let turns = join_all((0..UNDER_WAY_MAX).map(|_| account.queue(1).expect("a place").turn())).await;
        let next = account.queue(1).expect("a place").turn();
        tokio::pin!(next);
        assert!(tokio::time::timeout(Duration::from_millis(20), next.as_mut()).await.is_err());
        assert_eq!(account.report().under_way, UNDER_WAY_MAX as u64);
        drop(turns);
        drop(next.await);
    }

    #[test]
    fn hosts_that_are_counted_together_share_an_account() {
        let budget = RestBudget::default();
        let binance = &crate::venue::binance::VENUE;
        let name = |market, url| budget.account(binance, market, url).name().to_owned();
        assert_eq!(name("usdm", "https://fapi.binance.com"), "binance_futures");
        assert_eq!(name("coinm", "https://dapi.binance.com"), "binance_futures");
        assert_eq!(name("spot", "https://api.binance.com"), "binance_spot");
        assert_eq!(name("usdm", "http://127.0.0.1:9001"), "binance_futures@127.0.0.1:9001");
        assert_eq!(budget.reports().len(), 3);
        let of_host = |url: &str| budget.of_host(url, NOTHING).name().to_owned();
        assert_eq!(of_host("http://127.0.0.1:9001/x"), "binance_futures@127.0.0.1:9001");
        assert_eq!(of_host("http://127.0.0.1:9002/x"), "127.0.0.1:9002");
    }

    #[test]
    fn the_table_of_accounts_is_bounded() {
        let budget = RestBudget::default();
        (0..2 * ACCOUNTS_MAX).for_each(|n| drop(budget.open(n.to_string(), NOTHING)));
        assert_eq!(budget.reports().len(), ACCOUNTS_MAX + 1);
    }
}
