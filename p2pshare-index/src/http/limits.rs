//! How often somebody may try.

use std::{
    hash::{BuildHasher, Hash, RandomState},
    net::IpAddr,
    num::NonZeroU32,
    sync::Mutex,
    time::{Duration, Instant},
};

use governor::{
    DefaultKeyedRateLimiter, Quota, RateLimiter,
    clock::{Clock, DefaultClock},
};
use p2pshare_core::{api::ProblemKind, identity::Username};

use super::{client::ClientAddr, failure::Failure};

/// How many attempts a minute are allowed in the long run; so many at once are a burst. Zero: no limit.
///
/// An *address* is an IPv4 address or the /64 network of an IPv6 address. Logins are limited by address, and by account
/// and address together; never by account alone, or anybody could lock anybody out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimits {
    /// Passwords tried from one address.
    pub logins_per_address: u32,
    /// Passwords tried for one account from one address.
    pub logins_per_account_and_address: u32,
    /// Registrations from one address, with or without an invite.
    pub registrations_per_address: u32,
    /// Contents for which one user asks a grant.
    pub grants_per_user: u32,
    /// How often one user has the index try whether a peer can be reached.
    pub reachability_per_user: u32,
    /// Addresses, accounts and users that are told apart. When more come within a minute or so, the many share limits.
    pub tracked: usize,
}

impl Default for RateLimits {
    fn default() -> Self {
        Self {
            logins_per_address: 60,
            logins_per_account_and_address: 20,
            registrations_per_address: 30,
            grants_per_user: 120_000,
            reachability_per_user: 10,
            tracked: 100_000,
        }
    }
}

/// The counters behind [`RateLimits`].
pub(super) struct Limits {
    login: Keyed,
    account: Keyed,
    registration: Keyed,
    grants: Keyed,
    reachability: Keyed,
}

impl Limits {
    pub(super) fn new(rates: &RateLimits) -> Self {
        let keyed = |per_minute| Keyed::new(per_minute, rates.tracked);
        Self {
            login: keyed(rates.logins_per_address),
            account: keyed(rates.logins_per_account_and_address),
            registration: keyed(rates.registrations_per_address),
            grants: keyed(rates.grants_per_user),
            reachability: keyed(rates.reachability_per_user),
        }
    }

    /// Before a password is checked.
    pub(super) fn password(&self, account: &Username, client: ClientAddr) -> Result<(), Failure> {
        let network: IpAddr = client.network();
        self.login
            .take(&network, 1)
            .and_then(|()| self.account.take(&(account, network), 1))
            .map_err(|wait| too_many("too many passwords were tried from this address", wait))
    }

    /// Before an account is made.
    pub(super) fn registration(&self, client: ClientAddr) -> Result<(), Failure> {
        self.registration
            .take(&client.network(), 1)
            .map_err(|wait| too_many("too many registrations came from this address", wait))
    }

    /// Before grants are signed.
    pub(super) fn grants(&self, user: &Username, contents: usize) -> Result<(), Failure> {
        let contents = u32::try_from(contents).unwrap_or(u32::MAX);
        self.grants
            .take(user, contents)
            .map_err(|wait| too_many("too many grants were asked for in a short time", wait))
    }

    /// Before a peer is called.
    pub(super) fn reachability(&self, user: &Username) -> Result<(), Failure> {
        self.reachability
            .take(user, 1)
            .map_err(|wait| too_many("it was tried too often whether a peer can be reached", wait))
    }
}

fn too_many(what: &str, wait: Duration) -> Failure {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    Failure::new(ProblemKind::TooManyRequests, what)
        .hint(format!("wait {seconds} s, then try again"))
        .retry_after_secs(seconds)
}

/// When too many keys are told apart, they share so many limits.
const SHARED: u64 = 1024;

/// The least time between two sweeps of a full table.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// One limit for each key, in bounded memory. `None` inside: no limit.
struct Keyed(Option<Table>);

struct Table {
    limiter: DefaultKeyedRateLimiter<u64>,
    burst: NonZeroU32,
    hasher: RandomState,
    tracked: usize,
    swept: Mutex<Option<Instant>>,
}

impl Keyed {
    fn new(per_minute: u32, tracked: usize) -> Self {
        Self(NonZeroU32::new(per_minute).map(|burst| Table {
            limiter: RateLimiter::keyed(Quota::per_minute(burst)),
            burst,
            hasher: RandomState::new(),
            tracked,
            swept: Mutex::new(None),
        }))
    }

    /// Takes `cost` from what the key has left, or says how long to wait. A cost above the whole burst takes all of it.
    fn take(&self, key: &impl Hash, cost: u32) -> Result<(), Duration> {
        let Some(table) = &self.0 else {
            return Ok(());
        };
        let Some(cost) = NonZeroU32::new(cost.min(table.burst.get())) else {
            return Ok(());
        };
        let key = table.slot(key);
        match table.limiter.check_key_n(&key, cost) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(until)) => Err(until.wait_time_from(DefaultClock::default().now())),
            // The cost is at most the burst.
            Err(_) => Ok(()),
        }
    }
}

impl Table {
    /// The key's own slot; in a full table, one that it shares with others.
    fn slot(&self, key: &impl Hash) -> u64 {
        let hash = self.hasher.hash_one(key);
        if self.limiter.len() < self.tracked || self.sweep() {
            // Above the shared slots.
            return hash.max(SHARED);
        }
        hash % SHARED
    }

    /// Forgets the keys that have their whole burst again. True if there is room.
    fn sweep(&self) -> bool {
        // A panic elsewhere leaves a time: as good as before.
        let mut swept = self.swept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if swept.is_some_and(|at| at.elapsed() < SWEEP_EVERY) {
            return false;
        }
        *swept = Some(Instant::now());
        self.limiter.retain_recent();
        self.limiter.len() < self.tracked
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(text: &str) -> ClientAddr {
        ClientAddr(Some(text.parse().unwrap()))
    }

    #[test]
    fn a_stranger_cannot_lock_an_account_out() {
        let limits =
            Limits::new(&RateLimits { logins_per_account_and_address: 3, ..RateLimits::default() });
        let alice: Username = "alice".parse().unwrap();
        let stranger = client("203.0.113.5");
        for _ in 0..3 {
            limits.password(&alice, stranger).unwrap();
        }
        let refused = limits.password(&alice, stranger).unwrap_err();
        assert_eq!(refused.problem().status, 429);
        assert!(limits.password(&alice, client("198.51.100.7")).is_ok());
        let bob = "bob".parse().unwrap();
        assert!(limits.password(&bob, stranger).is_ok());
    }

    #[test]
    fn memory_is_bounded_whatever_comes() {
        let keyed = Keyed::new(1, 100);
        let refused = (0..10_000).filter(|n: &u32| keyed.take(n, 1).is_err()).count();
        let table = keyed.0.as_ref().unwrap();
        assert!(table.limiter.len() <= 100 + SHARED as usize);
        assert!(refused > 8_000, "the many share the limits: {refused}");
    }

    #[test]
    fn zero_is_no_limit_and_a_large_batch_is_not_refused_for_ever() {
        let unlimited = Keyed::new(0, 100);
        assert!((0..1000).all(|_| unlimited.take(&"key", 1000).is_ok()));
        let keyed = Keyed::new(10, 100);
        assert!(keyed.take(&"key", 1000).is_ok());
        let wait = keyed.take(&"key", 5).unwrap_err();
        assert!(wait > Duration::from_secs(20) && wait <= Duration::from_secs(31));
    }
}
