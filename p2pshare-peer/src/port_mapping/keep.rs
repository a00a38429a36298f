//! Keeps a port of the router for as long as it is wanted.

use std::{
    convert::Infallible,
    future::pending,
    mem,
    net::{Ipv4Addr, SocketAddrV4},
    time::Duration,
};

use async_trait::async_trait;
use tokio::{
    sync::{Notify, watch},
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

/// How often a mapping is asked for again: far oftener than it would end, since a router that starts anew has forgotten
/// it.
const RENEW_EVERY: Duration = Duration::from_secs(600);

/// A router that gave nothing is asked again so soon, and each time after twice as long.
const TRY_AGAIN: Duration = Duration::from_secs(60);

/// But no later than this. One whose ports are of no use is asked so rarely.
const ASK_AGAIN: Duration = Duration::from_secs(1800);

/// How long a router has to answer.
const PATIENCE: Duration = Duration::from_secs(15);

/// And at the end to take a mapping back.
const GOODBYE: Duration = Duration::from_secs(2);

/// What a router is to let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WayIn {
    /// Where the peer listens, as the router sees it.
    pub(crate) inside: SocketAddrV4,
    /// From where the index sees the peer come.
    pub(crate) seen: Ipv4Addr,
}

/// A port of a router that leads to the peer.
#[derive(Debug)]
pub(crate) struct Mapped<L> {
    /// The router's own address on its far side, and the port there.
    pub(crate) outside: SocketAddrV4,
    /// How long the router keeps it.
    pub(crate) lasts: Duration,
    /// What it takes to renew it or to give it back.
    pub(crate) lease: L,
}

/// Why a router maps no port.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct MapError(pub(crate) String);

/// A router that can be asked for a port.
#[async_trait]
pub(crate) trait Router: Sync {
    /// What it takes to renew a mapping or to give it back.
    type Lease: Send + Sync;

    /// Asks for a port that leads to `inside`, the one of `before` if there is one.
    async fn map(
        &self,
        inside: SocketAddrV4,
        before: Option<&Mapped<Self::Lease>>,
    ) -> Result<Mapped<Self::Lease>, MapError>;

    /// Gives a port back. One that the router does not take back ends by itself.
    async fn release(&self, mapped: Mapped<Self::Lease>);
}

/// Where a port is wanted, and where there is one.
#[derive(Debug, Default)]
pub(crate) struct PortMapper {
    wanted: watch::Sender<Option<WayIn>>,
    outside: watch::Sender<Option<SocketAddrV4>>,
    /// The router is asked now, not when it is time.
    again: Notify,
}

/// A mapping, and since when the router has kept it.
type Held<L> = Option<(Mapped<L>, Instant)>;

impl PortMapper {
    /// From now on this is wanted; `None`: nothing.
    pub(crate) fn want(&self, way: Option<WayIn>) {
        self.wanted.send_if_modified(|now| mem::replace(now, way) != way);
    }

    /// The router may have forgotten what it gave: the machine may have slept.
    pub(crate) fn look_again(&self) {
        self.again.notify_one();
    }

    /// The address from outside that leads to the peer, while there is one.
    pub(crate) fn outside(&self) -> watch::Receiver<Option<SocketAddrV4>> {
        self.outside.subscribe()
    }

    /// Has the router map what is wanted until `stop` is cancelled, and gives back what is wanted no more.
    pub(crate) async fn run<R: Router>(&self, router: &R, stop: &CancellationToken) {
        let mut wanted = self.wanted.subscribe();
        loop {
            let way = *wanted.borrow_and_update();
            let mut held = None;
            let hold = async {
                match way {
                    Some(way) => self.hold(router, way, &mut held).await,
                    None => pending().await,
                }
            };
            // The sender lives as long as `self`.
            let is_stopped = tokio::select! {
                () = stop.cancelled() => true,
                _ = wanted.changed() => false,
                never = hold => match never {},
            };
            self.tell(None);
            if let Some((mapped, _)) = held {
                give_back(router, mapped).await;
            }
            if is_stopped {
                return;
            }
        }
    }

    async fn hold<R: Router>(
        &self,
        router: &R,
        way: WayIn,
        held: &mut Held<R::Lease>,
    ) -> Infallible {
        let mut failures = 0_u32;
        loop {
            let before = held.as_ref().map(|(mapped, _)| mapped);
            let (why, is_useless) = match timeout(PATIENCE, router.map(way.inside, before)).await {
                Ok(Ok(mapped)) if *mapped.outside.ip() == way.seen => {
                    self.tell(Some(mapped.outside));
                    let pause = RENEW_EVERY.min(mapped.lasts / 2);
                    *held = Some((mapped, Instant::now()));
                    failures = 0;
                    self.rest(pause).await;
                    continue;
                }
                // It has another way out: another router is in front of it, or the index is reached by a private network
                // (VPN), which must not be told where its user is.
                Ok(Ok(mapped)) => {
                    let why = format!("the index is not reached from {}", mapped.outside.ip());
                    // While its line comes back a router may tell any address: what is held is the same port.
                    let is_held =
                        before.is_some_and(|held| held.outside.port() == mapped.outside.port());
                    if !is_held {
                        give_back(router, mapped).await;
                    }
                    (why, before.is_none())
                }
                Ok(Err(error)) => (error.to_string(), false),
                Err(_) => ("it does not answer".to_owned(), false),
            };
            if failures == 0 {
                tracing::info!(why, "the router gives no port of use");
            }
            let pause = match is_useless {
                true => ASK_AGAIN,
                false => TRY_AGAIN.saturating_mul(1 << failures.min(8)).min(ASK_AGAIN),
            };
            failures += 1;
            // What was given before holds until its end.
            let left =
                held.as_ref().map(|(mapped, since)| mapped.lasts.saturating_sub(since.elapsed()));
            let pause = match left {
                Some(left) if !left.is_zero() => pause.min(left),
                // Another router may be there by now.
                Some(_) => {
                    self.tell(None);
                    *held = None;
                    failures = 0;
                    Duration::ZERO
                }
                None => pause,
            };
            self.rest(pause).await;
        }
    }

    /// Waits so long, or until it is to look again.
    async fn rest(&self, pause: Duration) {
        let again = self.again.notified();
        let _ = timeout(pause.max(Duration::from_secs(1)), again).await;
    }

    fn tell(&self, outside: Option<SocketAddrV4>) {
        self.outside.send_if_modified(|now| mem::replace(now, outside) != outside);
    }
}

async fn give_back<R: Router>(router: &R, mapped: Mapped<R::Lease>) {
    if timeout(GOODBYE, router.release(mapped)).await.is_err() {
        tracing::debug!("the router did not take its port back in time");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use tokio::{sync::watch::Receiver, time::advance};

    use super::*;

    /// A router in front of `ip` that gives one port after the other, unless it is `down`.
    struct Fake {
        ip: Mutex<&'static str>,
        down: Mutex<bool>,
        asked: Mutex<Vec<Option<u16>>>,
        given_back: Mutex<Vec<u16>>,
    }

    impl Fake {
        fn new(ip: &'static str) -> Self {
            Self {
                ip: Mutex::new(ip),
                down: Mutex::default(),
                asked: Mutex::default(),
                given_back: Mutex::default(),
            }
        }

        fn asked(&self) -> Vec<Option<u16>> {
            self.asked.lock().unwrap().clone()
        }

        fn given_back(&self) -> Vec<u16> {
            self.given_back.lock().unwrap().clone()
        }
    }

    #[async_trait]
    impl Router for Fake {
        type Lease = ();

        async fn map(
            &self,
            inside: SocketAddrV4,
            before: Option<&Mapped<()>>,
        ) -> Result<Mapped<()>, MapError> {
            let before = before.map(|before| before.outside.port());
            self.asked.lock().unwrap().push(before);
            if *self.down.lock().unwrap() {
                return Err(MapError("down".into()));
            }
            let ip = self.ip.lock().unwrap().parse().unwrap();
            let outside = SocketAddrV4::new(ip, before.unwrap_or(inside.port() + 1));
            Ok(Mapped { outside, lasts: Duration::from_secs(1800), lease: () })
        }

        async fn release(&self, mapped: Mapped<()>) {
            self.given_back.lock().unwrap().push(mapped.outside.port());
        }
    }

    fn way(inside: &str, seen: &str) -> Option<WayIn> {
        Some(WayIn { inside: inside.parse().unwrap(), seen: seen.parse().unwrap() })
    }

    async fn next(outside: &mut Receiver<Option<SocketAddrV4>>) -> Option<String> {
        outside.changed().await.unwrap();
        outside.borrow_and_update().map(|address| address.to_string())
    }

    /// Wants a port, and gives what tells of it once it is there.
    async fn mapped(mapper: &PortMapper) -> Receiver<Option<SocketAddrV4>> {
        let mut outside = mapper.outside();
        mapper.want(way("10.0.0.2:7401", "192.0.2.7"));
        assert_eq!(next(&mut outside).await.unwrap(), "192.0.2.7:7402");
        outside
    }

    /// Lets everything happen that is due.
    async fn settle() {
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }

    /// Runs `test` beside a mapper that asks `router`, and ends the mapper then.
    async fn beside<F: Future<Output = ()>>(
        router: &Fake,
        test: impl FnOnce(std::sync::Arc<PortMapper>) -> F,
    ) {
        let (mapper, stop) = (std::sync::Arc::new(PortMapper::default()), CancellationToken::new());
        let tested = async {
            test(mapper.clone()).await;
            stop.cancel();
        };
        tokio::join!(mapper.run(router, &stop), tested);
    }

    #[tokio::test(start_paused = true)]
    async fn a_port_is_renewed_as_long_as_it_is_wanted_and_given_back_then() {
        let router = Fake::new("192.0.2.7");
        beside(&router, |mapper| async move {
            let mut outside = mapped(&mapper).await;
            advance(RENEW_EVERY * 3 + Duration::from_secs(1)).await;
            settle().await;
            mapper.want(way("10.0.0.2:9000", "192.0.2.7"));
            // That the old one is gone may be seen or not.
            while next(&mut outside).await.as_deref() != Some("192.0.2.7:9001") {}
        })
        .await;
        let asked = router.asked();
        assert_eq!(asked[..2], [None, Some(7402)]);
        assert_eq!(asked.last(), Some(&None));
        assert_eq!(router.given_back(), [7402, 9001]);
    }

    #[tokio::test(start_paused = true)]
    async fn what_a_router_gave_holds_until_its_end_when_it_answers_no_more() {
        let router = Fake::new("192.0.2.7");
        beside(&router, |mapper| {
            let router = &router;
            async move {
                let mut outside = mapped(&mapper).await;
                *router.down.lock().unwrap() = true;
                let begun = Instant::now();
                assert_eq!(next(&mut outside).await, None);
                let held = begun.elapsed().as_secs();
                assert!((1795..=1860).contains(&held), "{held} s");
                *router.down.lock().unwrap() = false;
                let ended = Instant::now();
                assert_eq!(next(&mut outside).await.unwrap(), "192.0.2.7:7402");
                assert!(ended.elapsed() < TRY_AGAIN, "another router is looked for at once");
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn another_router_that_answers_takes_nothing_away() {
        let router = Fake::new("192.0.2.7");
        beside(&router, |mapper| {
            let router = &router;
            async move {
                let mut outside = mapped(&mapper).await;
                *router.ip.lock().unwrap() = "198.51.100.9";
                mapper.look_again();
                settle().await;
                assert_eq!(router.asked(), [None, Some(7402)], "it was not asked at once");
                assert!(outside.borrow().is_some());
                assert!(router.given_back().is_empty(), "it is the very port that is held");
                let begun = Instant::now();
                assert_eq!(next(&mut outside).await, None);
                assert_eq!(begun.elapsed().as_secs() / 10, 180);
            }
        })
        .await;
    }

    #[tokio::test(start_paused = true)]
    async fn the_address_of_another_way_out_is_not_told() {
        // A router behind another one, and one that the index is not reached by.
        for ip in ["192.168.0.4", "198.51.100.9"] {
            let router = Fake::new(ip);
            beside(&router, |mapper| {
                let router = &router;
                async move {
                    let mut outside = mapper.outside();
                    mapper.want(way("10.0.0.2:7401", "192.0.2.7"));
                    advance(Duration::from_secs(1)).await;
                    settle().await;
                    assert_eq!(router.given_back(), [7402]);
                    assert!(outside.borrow().is_none());
                    // It has become the way out since.
                    *router.ip.lock().unwrap() = "192.0.2.7";
                    assert_eq!(next(&mut outside).await.unwrap(), "192.0.2.7:7402");
                }
            })
            .await;
        }
    }
}
