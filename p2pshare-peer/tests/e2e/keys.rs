//! The index changes the keys that it signs grants with.

use serde_json::Value;

use crate::support::{Index, MIB, Peer, assert_bytes, noise, until};

/// The public key that signs now.
fn signing_key(index: &Index) -> String {
    let (_, answer) = index.http_get("/v1/index", None);
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    let info: Value =
        serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {answer}"));
    info["public_keys"][0].as_str().expect("a key").to_owned()
}

#[test]
fn a_change_of_keys_breaks_no_transfer() {
    let index = Index::start_with(&["--heartbeat-every", "1s", "--grant-lifetime", "10s"]);
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let bytes = noise(30 * MIB, 7);
    let (large, small) = (alice.share_file("large", &bytes), alice.share_file("small", b"small"));
    let mut serving = alice.serve(&["--upload-limit", "2MiB"]);

    let old = signing_key(&index);
    let mut running = bob.start(["get", &large]);
    running.wait_for_event("progress");
    index.tool(&["keys", "rotate", "--after", "3s"]);
    until("the new key signs", || (signing_key(&index) != old).then_some(()));
    assert!(running.is_running(), "the transfer goes over the change of keys");

    // Grants of the new key, at the peer that has served all the time.
    let carol = Peer::registered(&index, "carol");
    carol.ok(["get", &small]);
    running.wait().expect_code(0);
    assert_bytes(&bob.path("large"), &bytes);
    assert!(serving.process.is_running());

    // Who was away all the time follows too.
    bob.ok(["get", &small]);
    bob.ok(["login", "bob"]);
    assert!(carol.serve(&[]).stop().all("warning").is_empty());
}

#[test]
fn a_key_that_follows_no_known_one_is_refused() {
    let index = Index::start_with(&["--heartbeat-every", "1s"]);
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let id = alice.share_file("file", b"bytes");
    // Known to the index before, so that it asks for nothing that tells of the keys.
    bob.share_file("other", b"other");
    let mut serving = alice.serve(&[]);
    index.tool(&["keys", "rotate", "--distrust-old"]);
    let warning = serving.process.wait_for_event("warning");
    assert!(warning.to_string().contains("another key"), "{warning}");
    let said = bob.fails(1, ["get", &id]);
    assert!(said.contains("--accept-new-key"), "{said}");
    serving.stop().expect_code(0);
    let said = alice.fails(1, ["serve", "--listen", "127.0.0.1:0"]);
    assert!(said.contains("another key") && said.contains("--accept-new-key"), "{said}");
    let said = alice.fails(1, ["login", "alice"]);
    assert!(said.contains("another key") && said.contains("--accept-new-key"), "{said}");

    alice.ok(["login", "alice", "--accept-new-key"]);
    let _serving = alice.serve(&[]);
    bob.ok(["login", "bob", "--accept-new-key"]);
    bob.ok(["get", &id]);
    assert_bytes(&bob.path("file"), b"bytes");
}
