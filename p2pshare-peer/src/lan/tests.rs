//! Several daemons on the loopback interface, on a port of their own each time.

use std::net::UdpSocket;

use futures::FutureExt;

use super::*;
use crate::lan::table::{MAX_ADDRESSES, MAX_PEERS};

const LONG: Duration = Duration::from_secs(60);

/// A port that nothing else uses: multicast DNS of one test does not hear that of another.
fn options() -> LanOptions {
    let socket = UdpSocket::bind("0.0.0.0:0").unwrap();
    LanOptions { port: Some(socket.local_addr().unwrap().port()), only_loopback: true }
}

fn peer(number: u8) -> PeerId {
    PeerId::from_bytes([number; 32])
}

fn at(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

async fn until(lan: &Lan, what: &str, condition: impl Fn(&Lan) -> bool) {
    let mut changed = lan.inner.changed.subscribe();
    let waited = tokio::time::timeout(LONG, async {
        while !condition(lan) {
            changed.changed().await.unwrap();
        }
    });
    waited.await.unwrap_or_else(|_| panic!("waited in vain: {what}"));
}

/// Says whatever it likes.
struct Liar(ServiceDaemon);

impl Liar {
    fn new(options: LanOptions) -> Self {
        let daemon = ServiceDaemon::new_with_port(options.port.unwrap()).unwrap();
        daemon.disable_interface(IfKind::All).unwrap();
        daemon.enable_interface(IfKind::LoopbackV4).unwrap();
        Self(daemon)
    }

    fn say(&self, name: &str, id: &str, addresses: &str, port: u16) {
        let host = format!("{name}.local.");
        let texts = [(ID, id)];
        let service = ServiceInfo::new(SERVICE, name, &host, addresses, port, &texts[..]).unwrap();
        self.0.register(service).unwrap();
    }
}

impl Drop for Liar {
    fn drop(&mut self) {
        let _ = self.0.shutdown();
    }
}

#[tokio::test]
async fn peers_find_each_other_and_notice_who_goes() {
    let options = options();
    let (alice, bob) = (Lan::start(options).unwrap(), Lan::start(options).unwrap());
    let announcement = alice.announce(peer(1), at(7001)).unwrap().unwrap();
    until(&bob, "alice is there", |bob| bob.addresses(&peer(1)) == [at(7001)]).await;
    assert_eq!(bob.look(&peer(1)).await, [at(7001)]);
    assert_eq!(alice.addresses(&peer(1)), [], "nobody calls themselves");

    // Who comes later hears of her too.
    let carol = Lan::start(options).unwrap();
    until(&carol, "alice is there", |carol| carol.addresses(&peer(1)) == [at(7001)]).await;

    drop(announcement);
    until(&bob, "alice has gone", |bob| bob.addresses(&peer(1)).is_empty()).await;
}

#[tokio::test]
async fn turned_off_it_is_silent_and_deaf_at_once() {
    let options = options();
    let (bob, switch) = (Lan::start(options).unwrap(), LanSwitch::default());
    let _bob_is_there = bob.announce(peer(2), at(7002)).unwrap().unwrap();
    let announced = switch.clone();
    let task = tokio::spawn(async move { announced.announce(peer(1), at(7001)).await });
    for _ in 0..2 {
        assert_eq!(switch.look(&peer(2)).now_or_never(), Some(Vec::new()), "it is off");
        let lan = Lan::start(options).unwrap();
        switch.turn(|| Some(lan.clone()));
        until(&bob, "alice is there", |bob| bob.addresses(&peer(1)) == [at(7001)]).await;
        until(&lan, "bob is there", |lan| lan.addresses(&peer(2)) == [at(7002)]).await;
        assert_eq!(switch.addresses(&peer(2)), [at(7002)]);
        drop(lan);
        switch.turn(|| None);
        until(&bob, "alice has gone", |bob| bob.addresses(&peer(1)).is_empty()).await;
    }
    task.abort();
}

#[tokio::test]
async fn who_is_not_there_is_waited_for_a_moment_only() {
    let lan = Lan::start(options()).unwrap();
    assert_eq!(lan.look(&peer(1)).await, []);
    assert!(lan.inner.began.elapsed() >= FIRST_ANSWERS);
    let again = lan.look(&peer(1)).now_or_never();
    assert_eq!(again, Some(Vec::new()), "later it is known who is there");
}

#[tokio::test]
async fn what_liars_say_is_not_believed() {
    let options = options();
    let (lan, liar) = (Lan::start(options).unwrap(), Liar::new(options));
    let id = |number| peer(number).to_string();
    liar.say("public", &id(1), "8.8.8.8,203.0.113.1", 80);
    liar.say("other-network", &id(2), "10.254.253.252", 80);
    liar.say("no-id", "not an id", "127.0.0.1", 80);
    liar.say("long-id", &"a".repeat(200), "127.0.0.1", 80);
    liar.say("no-port", &id(3), "127.0.0.1", 0);
    let many: Vec<_> = (1..60).map(|last| format!("127.0.0.{last}")).collect();
    liar.say("many", &id(4), &many.join(","), 81);
    // It comes last, so that all before it have come.
    liar.say("true", &id(5), "127.0.0.1", 82);
    until(&lan, "the true one", |lan| lan.addresses(&peer(5)) == [at(82)]).await;
    until(&lan, "the one of many", |lan| !lan.addresses(&peer(4)).is_empty()).await;
    for number in 1..4 {
        assert_eq!(lan.addresses(&peer(number)), [], "{number}");
    }
    assert!(lan.addresses(&peer(4)).len() <= MAX_ADDRESSES);
    assert!(lan.peers() <= 2 && lan.peers() < MAX_PEERS);

    // What has failed is not tried again.
    lan.failed(&peer(5), &[at(82)]);
    assert_eq!(lan.addresses(&peer(5)), []);
}

#[tokio::test]
async fn a_peer_on_loopback_alone_says_nothing() {
    let lan = Lan::start(LanOptions { only_loopback: false, ..options() }).unwrap();
    assert!(lan.announce(peer(1), at(7001)).unwrap().is_none());
    assert!(lan.inner.state().own.is_empty());
}
