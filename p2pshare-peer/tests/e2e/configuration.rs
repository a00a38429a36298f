//! The configuration file, and words instead of a target.

use std::fs;

use serde_json::Value;

use crate::support::{Ended, Index, Peer, Process};

fn with_file(peer: &Peer, args: &[&str]) -> Ended {
    let mut command = peer.command(args);
    command.arg("--json").env("P2PSHARE_CONFIG", peer.path("conf/peer.toml"));
    Process::start(command).wait()
}

fn setting(shown: &Ended, section: &str, key: &str) -> (Value, Value) {
    let all = shown.all("setting");
    let found = all.iter().find(|it| it["section"] == section && it["key"] == key);
    let found = found.unwrap_or_else(|| panic!("no {section} {key} in {all:?}"));
    (found["value"].clone(), found["origin"].clone())
}

#[test]
fn a_file_is_made_shown_and_used() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let file = alice.path("conf/peer.toml");

    with_file(&alice, &["config", "init"]).expect_code(0);
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.contains("[serve]") && text.contains("#listen = \"0.0.0.0:7401\""), "{text}");
    let (said, hint) = with_file(&alice, &["config", "init"]).expect_code(1).error();
    assert!(said.contains("is there already") && hint.contains("--force"), "{said} {hint}");

    let metrics = text.replace("#metrics = \"ADDR\"", "metrics = \"0\"");
    let changed = metrics.replace("#listen = \"0.0.0.0:7401\"", "listen = \"127.0.0.1:0\"");
    fs::write(&file, &changed).unwrap();
    let shown = with_file(&alice, &["config", "show"]).expect_code(0);
    assert_eq!(setting(&shown, "serve", "listen"), ("\"127.0.0.1:0\"".into(), "file".into()));
    assert_eq!(setting(&shown, "serve", "insecure"), ("false".into(), "default".into()));
    assert_eq!(setting(&shown, "peer", "data-dir").1, "argument");

    let mut command = alice.command(["serve"]);
    command.arg("--json").env("P2PSHARE_CONFIG", &file);
    let mut serving = Process::start(command);
    let ready = serving.wait_for_event("ready");
    let listen = ready["listen"].as_str().unwrap();
    assert!(listen.starts_with("127.0.0.1:") && !listen.ends_with(":7401"), "{listen}");
    assert!(
        serving.wait_for_event("metrics")["address"].as_str().unwrap().starts_with("127.0.0.1:")
    );
    drop(serving);

    fs::write(&file, "[serve]\n\nlisten = \"here\"\n").unwrap();
    let (said, hint) = with_file(&alice, &["whoami"]).expect_code(2).error();
    assert!(said.contains("peer.toml, line 3") && said.contains("here"), "{said}");
    assert!(hint.contains("config init"), "{hint}");
    with_file(&alice, &["config", "init", "--force"]).expect_code(0);
    with_file(&alice, &["whoami"]).expect_code(0);
}

#[test]
fn words_are_searched_for_only_where_somebody_can_choose() {
    let index = Index::start();
    let bob = Peer::registered(&index, "bob");
    let said = bob.fails(2, ["get", "blue", "train"]);
    assert!(said.contains("\"blue\" is neither a content id"), "{said}");
    assert!(said.contains("p2pshare-peer search blue train"), "{said}");
}

#[test]
fn a_port_that_is_taken_is_told_before_anything_else() {
    let index = Index::start();
    let alice = Peer::registered(&index, "alice");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let ended = alice.run(["serve", "--listen", &address, "--ui", "127.0.0.1:0"]).expect_code(1);
    assert!(ended.error().1.contains("--listen"), "{}", ended.story());
    assert!(ended.all("ui").is_empty(), "{}", ended.story());
}
