//! Encryption between peers.

use crate::support::{Index, MIB, Peer, assert_bytes, noise};

#[test]
fn plain_text_and_tls_do_not_mix() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(2 * MIB, 71);
    let id = alice.share_file("film", &bytes);
    let inbox = alice.path("inbox");
    let inbox = ["--inbox", inbox.to_str().unwrap()];
    std::fs::write(bob.path("gift"), b"gift").unwrap();

    let serving = alice.serve(&inbox);
    for args in [&["get", &id, "--insecure"][..], &["push", "gift", "alice", "--insecure"]] {
        let said = bob.fails(5, args);
        assert!(said.contains("TLS") || said.contains("encrypt"), "it does not say why: {said}");
    }
    bob.ok(["get", &id]);
    bob.ok(["push", "gift", "alice"]);
    serving.stop().expect_code(0);

    let serving = alice.serve(&[&inbox[..], &["--insecure"]].concat());
    for args in [&["get", &id, "-o", "plain"][..], &["push", "gift", "alice"]] {
        let said = bob.fails(5, args);
        assert!(said.contains("TLS") || said.contains("encrypt"), "it does not say why: {said}");
    }
    bob.ok(["get", &id, "-o", "plain", "--insecure"]);
    assert_bytes(&bob.path("plain"), &bytes);
    bob.ok(["push", "gift", "alice", "--insecure"]);
    drop(serving);
}

#[test]
fn another_peer_at_the_same_address_is_not_believed() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let eve = Peer::registered(&index, "eve");
    let bytes = noise(2 * MIB, 72);
    let id = alice.share_file("film", &bytes);
    let serving = alice.serve(&[]);
    let address = serving.listen();
    serving.kill();

    // Eve has the very file, and the address, but not alice's key.
    std::fs::write(eve.path("film"), &bytes).unwrap();
    let mut impostor = eve.start(["serve", "--listen", &address]);
    impostor.wait_for_event("ready");
    let said = bob.fails(5, ["get", &id]);
    assert!(said.contains("alice"), "{said}");
    assert!(!bob.path("film").exists());
}
