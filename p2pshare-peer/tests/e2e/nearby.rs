//! Two machines in one network, which know each other's addresses from nobody else.

use std::{
    process::Command,
    time::{Duration, Instant},
};

use crate::support::{Index, MIB, Namespace, Peer, Process, assert_bytes, noise};

#[test]
fn a_peer_in_the_same_network_is_found_without_a_useful_address() {
    let Some([here, there]) = Namespace::all(["a", "b"]) else { return };
    here.wire(["eth", "10.77.0.1/24"], &there, ["eth", "10.77.0.2/24"]);
    // Whatever it says of itself, peers come to it by the wire.
    let outside = Index::start();
    let (alice, bob) = (Peer::new(&outside, "alice"), Peer::new(&outside, "bob"));
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new(Index::program());
    command.args(["serve", "--listen", "10.77.0.1:0", "--insecure", "--data-dir"]).arg(data.path());
    let mut index = Process::start(here.within(&command));
    let url = index.wait_for("where the index listens", |lines| {
        lines.first()?.strip_prefix("p2pshare-index is listening on ").map(str::to_owned)
    });

    here.run(&alice, &url, &["register", "alice"]).wait().expect_code(0);
    there.run(&bob, &url, &["register", "bob"]).wait().expect_code(0);
    let bytes = noise(3 * MIB, 77);
    std::fs::write(alice.path("film"), &bytes).unwrap();
    here.run(&alice, &url, &["share", "film"]).wait().expect_code(0);
    // An address of documentation: it leads nowhere.
    let args = ["serve", "--listen", "0.0.0.0:0", "--advertise", "192.0.2.1:7401"];
    let mut serving = here.run(&alice, &url, &args);
    serving.wait_for_event("ready");

    let alone = there.run(&bob, &url, &["get", "alice:/film", "--no-lan"]).wait();
    alone.expect_code(5);
    // On a busy machine the first answers may come later than a command waits for them.
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let got = there.run(&bob, &url, &["get", "alice:/film"]).wait();
        if got.code == Some(0) {
            break;
        }
        let got = got.expect_code(5);
        assert!(Instant::now() < deadline, "{}", got.story());
    }
    assert_bytes(&bob.path("film"), &bytes);
}
