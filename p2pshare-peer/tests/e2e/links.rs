//! Links to contents.

use crate::support::{Index, MIB, Peer, assert_bytes, noise};

#[test]
fn a_link_leads_to_the_file_by_its_name() {
    let index = Index::start();
    let (alice, bob) = (Peer::registered(&index, "alice"), Peer::registered(&index, "bob"));
    let _serving = alice.serve(&[]);
    let bytes = noise(2 * MIB + 5, 17);
    let name = "Ünïted & 100% (live) #1.flac";
    std::fs::create_dir(alice.path("Music")).unwrap();
    std::fs::write(alice.path("Music").join(name), &bytes).unwrap();
    // Not in any search: whoever has the link may fetch it.
    alice.ok(["share", "Music", "--unlisted"]);

    let link = alice.ok(["link", &format!("alice:/Music/{name}")]).one("link");
    let link = link["link"].as_str().expect("a link");
    assert!(link.starts_with("p2pshare:http://127.0.0.1:"), "{link}");
    assert!(link.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._~:/%".contains(&byte)));
    bob.fails(4, ["search", "live"]);
    bob.ok(["get", link]);
    assert_bytes(&bob.path(name), &bytes);

    // A folder has a link for each file.
    std::fs::write(alice.path("Music/b"), b"b").unwrap();
    alice.ok(["share", "Music", "--unlisted"]);
    assert_eq!(alice.ok(["link", "alice:/Music"]).all("link").len(), 2);
}

#[test]
fn a_link_for_another_index_is_told() {
    let (here, there) = (Index::start(), Index::start());
    let (alice, bob) = (Peer::registered(&there, "alice"), Peer::registered(&here, "bob"));
    let id = alice.share_file("file", b"bytes");
    let link = alice.ok(["link", &id]).one("link");
    let link = link["link"].as_str().expect("a link");

    let said = bob.fails(3, ["get", link]);
    assert!(said.contains(&there.url()) && said.contains("login"), "{said}");
    let said = bob.fails(2, ["get", "p2pshare:nonsense"]);
    assert!(said.contains("p2pshare: link"), "{said}");
    let stranger = Peer::new(&there, "stranger");
    stranger.fails(3, ["get", link]);
    assert!(!bob.path("file").exists());
}
