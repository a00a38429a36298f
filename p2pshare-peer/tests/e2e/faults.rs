//! The real programs over a wire on which things go wrong.

use p2pshare_core::testing::proxy::{Direction, TcpProxy, WireFault, WireFaults};
use rustix::process::Signal;

use crate::support::{Index, MIB, Peer, Serving, assert_bytes, noise, tree, until};

/// A wire to a peer, which tells others of the wire alone.
struct Wire {
    proxy: TcpProxy,
    _serving: Serving,
    _runtime: tokio::runtime::Runtime,
}

impl Wire {
    fn to(peer: &Peer, options: &[&str]) -> Self {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let proxy = runtime.block_on(TcpProxy::without_server()).unwrap();
        let advertise = proxy.addr().to_string();
        let serving = peer.serve(&[options, &["--advertise", &advertise]].concat());
        proxy.set_server(serving.listen().parse().unwrap());
        Self { proxy, _serving: serving, _runtime: runtime }
    }

    fn mend(&self) {
        self.proxy.set_faults(|_| WireFaults::none());
    }
}

/// Faults that end a connection at once: waiting for the real limits of time would take minutes.
fn quick(faults: WireFaults) -> WireFaults {
    let quick = |fault: &WireFault| !matches!(fault, WireFault::Stall(_) | WireFault::Slow(_));
    WireFaults {
        to_server: faults.to_server.filter(quick),
        to_client: faults.to_client.filter(quick),
    }
}

#[test]
fn what_comes_over_a_faulty_wire_is_right_or_is_not_there() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(6 * MIB + 77, 301);
    let id = alice.share_file("film", &bytes);
    let wire = Wire::to(&alice, &[]);
    for seed in 0..6_u64 {
        wire.proxy.set_faults(move |connection| {
            quick(WireFaults::seeded(seed, connection, 6 * MIB as u64))
        });
        let name = format!("film-{seed}");
        let get = ["get", id.as_str(), "-o", name.as_str(), "--no-serve"];
        let ended = bob.run(get);
        match ended.code {
            Some(0) => assert_bytes(&bob.path(&name), &bytes),
            Some(5 | 6) => {
                let (message, _) = ended.error();
                assert!(message.contains("alice"), "seed {seed}: it does not say who: {message}");
                assert!(!bob.path(&name).exists(), "seed {seed}");
                wire.mend();
                bob.ok(get);
                assert_bytes(&bob.path(&name), &bytes);
            }
            _ => panic!("seed {seed}\n{}", ended.story()),
        }
    }
    assert_eq!(tree(&bob.home()).len(), 6, "{:?}", tree(&bob.home()));
    assert!(wire.proxy.connections() > 12, "the bytes went elsewhere");
}

#[test]
fn a_get_that_stalls_is_stopped_at_once_and_goes_on() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(6 * MIB, 302);
    let id = alice.share_file("film", &bytes);
    let wire = Wire::to(&alice, &[]);
    let stall = WireFault::Stall(3 * MIB as u64);
    wire.proxy.set_faults(move |_| WireFaults::none().with(Direction::ToClient, stall));
    let get = ["get", id.as_str(), "--no-serve"];
    let download = bob.start(get);
    let fetched = || download.events().iter().any(|event| event["done"].as_u64() > Some(0));
    until("something is there", || fetched().then_some(()));
    assert_ne!(download.stop(Signal::INT).code, Some(0));
    assert!(!bob.path("film").exists());
    wire.mend();
    bob.ok(get);
    assert_bytes(&bob.path("film"), &bytes);
}

#[test]
fn a_push_over_a_faulty_wire_arrives_whole_or_is_told_to_have_failed() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let inbox = alice.path("inbox");
    let wire = Wire::to(&alice, &["--inbox", inbox.to_str().unwrap()]);
    for seed in 20..24_u64 {
        let bytes = noise(3 * MIB + 5, seed);
        let name = format!("gift-{seed}");
        std::fs::write(bob.path(&name), &bytes).unwrap();
        wire.proxy.set_faults(move |connection| {
            quick(WireFaults::seeded(seed, connection, 3 * MIB as u64))
        });
        let push = ["push", name.as_str(), "alice"];
        let ended = bob.run(push);
        let arrived = inbox.join("bob").join(&name);
        if ended.code != Some(0) {
            let (message, _) = ended.error();
            assert!(message.contains("alice"), "seed {seed}: it does not say who: {message}");
            wire.mend();
            bob.ok(push);
        }
        assert_bytes(&arrived, &bytes);
    }
}
