//! What the index tells of sources: of a member who downloads in a group, and to sources of the groups of who asks.

use p2pshare_core::{
    api::{Grants, GroupList, GroupReach, Located, ProblemKind, PublishAnswer, PublishRequest},
    auth::GrantVerifier,
    identity::Reach,
    time::{Clock, SystemClock},
};
use reqwest::Method;
use serde_json::{Value, json};

use crate::common::assert_problem;
use crate::groups::{KNOWN, SECRET, World, alike, entry, looking, peers};

/// Whatever eve shares herself, with whomever, she is not told of a member of another group who downloads it there.
#[tokio::test]
async fn who_downloads_in_a_group_is_told_to_its_members_alone() {
    let peers = peers();
    let with = World::new(&peers, true).await;
    let without = World::new(&peers, false).await;
    let source = format!("/v1/contents/{SECRET}/sources/{}", peers.bob.peer_id());
    for when in ["before", "after"] {
        for world in [&with, &without] {
            let claim = vec![
                entry(&format!("{when}.pdf"), SECRET, 99, "public"),
                entry(&format!("{when}, hidden.pdf"), SECRET, 99, "unlisted"),
            ];
            world.publish(&world.eve, &peers.eve, claim).await;
        }
        let noted = with.ask(&with.bob, Method::PUT, &source, None).await;
        let noted: Value = noted.json().await.unwrap();
        assert_ne!(noted["reach"], "everyone");
        for call in looking(peers.eve.peer_id()) {
            alike(&call, (&with, &with.eve), (&without, &without.eve)).await;
        }
    }
    // Not in a group of her own either, into which she takes him.
    let trap = Some(json!({ "name": "trap" }));
    with.done(&with.eve, Method::POST, "/v1/groups", trap).await;
    let bob = Some(json!({ "username": "bob" }));
    with.done(&with.eve, Method::POST, "/v1/groups/trap/members", bob).await;
    with.publish(&with.eve, &peers.eve, vec![entry("bait.pdf", SECRET, 99, "group:trap")]).await;
    with.done(&with.bob, Method::PUT, &source, None).await;
    let sources = |located: Value| -> Vec<String> {
        let sources = located["contents"][0]["sources"].as_array().unwrap().clone();
        sources.iter().map(|source| source["owner"].as_str().unwrap().to_owned()).collect()
    };
    let ask = Some(json!({ "contents": [SECRET] }));
    let told = with.ask(&with.eve, Method::POST, "/v1/grants", ask.clone()).await;
    assert_eq!(sources(told.json().await.unwrap()), ["eve"]);
    // Who is in both groups is told of him, whoever that is.
    let alice = Some(json!({ "username": "alice" }));
    with.done(&with.eve, Method::POST, "/v1/groups/trap/members", alice).await;
    let told = with.ask(&with.alice, Method::POST, "/v1/grants", ask).await;
    assert!(sources(told.json().await.unwrap()).contains(&"bob".to_owned()));
}

/// What a source is shown says why the user was told of it, and nothing of groups that it has nothing to do with.
#[tokio::test]
async fn a_grant_tells_a_source_nothing_of_other_groups() {
    let peers = peers();
    let with = World::new(&peers, true).await;
    let claim = vec![entry("mine.pdf", SECRET, 99, "public")];
    with.publish(&with.eve, &peers.eve, claim).await;
    let ask = Some(json!({ "contents": [SECRET, KNOWN], "max_sources": 100 }));
    let grants = with.ask(&with.bob, Method::POST, "/v1/grants", ask).await;
    let grants: Grants = grants.json().await.unwrap();
    let verifier = GrantVerifier::new(with.bob.index.public_keys.clone());
    let reach = |grant: &str| verifier.verify(grant, SystemClock.now()).unwrap().reach;
    let shown = |located: &Located, owner: &str| {
        let source = located.sources.iter().find(|source| source.owner.as_str() == owner);
        reach(source.unwrap().grant.as_ref().unwrap_or(&located.grant))
    };
    let [secret, known] = &grants.contents[..] else { panic!("{grants:?}") };
    assert_eq!(shown(secret, "eve"), Reach::Everyone);
    assert_eq!(shown(known, "alice"), Reach::Everyone);
    let group = shown(secret, "alice");
    assert_ne!(group, Reach::Everyone);
    assert_eq!((shown(secret, "bob"), shown(known, "bob")), (group, group));
    // Alice's peer, which shares with the group, compares with what she was told when she published.
    let shared = vec![entry("plans/takeover.pdf", SECRET, 99, "group:secret")];
    let path = format!("/v1/peers/{}/files", peers.alice.peer_id());
    let body = Some(json!(PublishRequest::new(shared)));
    let answer = with.ask(&with.alice, Method::POST, &path, body).await;
    let answer: PublishAnswer = answer.json().await.unwrap();
    let told = GroupReach { group: "secret".parse().unwrap(), reach: group };
    assert_eq!((answer.published.unchanged, answer.reaches), (1, vec![told]));
}

/// What a peer shared with a group is not published to another one that got its name, whoever takes the user into that.
#[tokio::test]
async fn what_is_for_a_group_is_not_published_to_a_later_one_of_its_name() {
    let peers = peers();
    let world = World::new(&peers, true).await;
    let path = format!("/v1/peers/{}/files", peers.alice.peer_id());
    let shared = || vec![entry("plans/takeover.pdf", SECRET, 99, "group:secret")];
    let publish = async |groups: Vec<GroupReach>| {
        let body = Some(json!(PublishRequest { changes: shared(), groups }));
        world.ask(&world.alice, Method::POST, &path, body).await
    };
    let first: PublishAnswer = publish(Vec::new()).await.json().await.unwrap();
    assert!(publish(first.reaches.clone()).await.status().is_success());

    world.done(&world.alice, Method::DELETE, "/v1/groups/secret", None).await;
    let gone = publish(first.reaches.clone()).await;
    assert_problem(gone, ProblemKind::NotFound).await;
    let name = Some(json!({ "name": "secret" }));
    world.done(&world.eve, Method::POST, "/v1/groups", name).await;
    let foreign = publish(first.reaches.clone()).await;
    assert_problem(foreign, ProblemKind::NotFound).await;
    let alice = Some(json!({ "username": "alice" }));
    world.done(&world.eve, Method::POST, "/v1/groups/secret/members", alice).await;
    let refused = assert_problem(publish(first.reaches).await, ProblemKind::Conflict).await;
    assert!(refused.detail.contains("not the group"), "{refused:?}");
    let query = "/v1/search?q=takeover";
    let found: Value = world.ask(&world.eve, Method::GET, query, None).await.json().await.unwrap();
    assert_eq!(found["hits"], json!([]));

    // Who means the new one says so, by what the list of their groups tells.
    let list: GroupList =
        world.ask(&world.alice, Method::GET, "/v1/groups", None).await.json().await.unwrap();
    let meant = list.groups.iter().find(|group| group.name.as_str() == "secret").unwrap();
    let meant = GroupReach { group: meant.name.clone(), reach: meant.reach };
    let again: PublishAnswer = publish(vec![meant.clone()]).await.json().await.unwrap();
    assert_eq!((again.published.added, again.reaches), (1, vec![meant]));
}
