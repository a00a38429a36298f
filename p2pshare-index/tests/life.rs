//! What users and their peers do, from registration to logout, over real sockets.
#![allow(clippy::unwrap_used)]

mod common;

use common::{Login, PASSWORD, assert_problem, publish, start};
use p2pshare_core::{
    api::{
        Announced, BrowsePage, CatalogPage, ContentDetails, Grants, Heartbeat, InviteCreated,
        PeerList, PeerOverview, ProblemKind, Published, PushGrants, SearchPage, SessionsEnded,
        SourceKind,
    },
    auth::GrantVerifier,
    content::ContentId,
    identity::{Access, PeerKey},
    time::{Clock, SystemClock},
};
use reqwest::{Method, StatusCode};
use serde_json::json;

#[tokio::test]
async fn register_announce_publish_search_locate_log_out() {
    let index = start().await;
    let alice = index.user("alice").await;
    let bob = index.user("bob").await;
    let key = PeerKey::generate().unwrap();
    let peer = format!("/v1/peers/{}", key.peer_id());

    let announce = alice.announce(&key);
    let announced: Announced = index
        .call(Method::PUT, &peer)
        .bearer_auth(&alice.token)
        .json(&announce)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(announced.seen_from.as_deref(), Some("127.0.0.1"));
    assert_eq!(announced.entries, 0);

    let replayed = index.call(Method::PUT, &peer).bearer_auth(&alice.token).json(&announce);
    assert_problem(replayed.send().await.unwrap(), ProblemKind::StaleAnnounce).await;
    let stolen = index.call(Method::PUT, &peer).bearer_auth(&bob.token).json(&announce);
    assert_problem(stolen.send().await.unwrap(), ProblemKind::InvalidRequest).await;

    let content = ContentId::from_bytes([7; 32]);
    let files = format!("{peer}/files");
    let batch = publish("music/Žluťoučký kůň.flac", content, 4711);
    let send = || index.call(Method::POST, &files).bearer_auth(&alice.token).json(&batch).send();
    let published: Published = send().await.unwrap().json().await.unwrap();
    assert_eq!((published.added, published.total), (1, 1));
    let again: Published = send().await.unwrap().json().await.unwrap();
    assert_eq!((again.unchanged, again.total), (1, 1));
    let own: CatalogPage = get(&index, &alice, &format!("{files}?limit=5")).await;
    assert_eq!(own.entries.len(), 1);

    let beat = index.post(&format!("{peer}/heartbeat"), &json!({})).bearer_auth(&alice.token);
    let beat: Heartbeat = beat.send().await.unwrap().json().await.unwrap();
    assert_eq!(beat.entries, 1);

    let found: SearchPage = get(&index, &bob, "/v1/search?q=zlutoucky&ext=flac&sort=newest").await;
    assert_eq!(found.hits.len(), 1);
    assert_eq!((found.hits[0].content, found.hits[0].online), (content, 1));
    let browsed: BrowsePage = get(&index, &bob, "/v1/users/Alice/files?recursive=true").await;
    assert_eq!(browsed.items.len(), 1);
    let details: ContentDetails = get(&index, &bob, &format!("/v1/contents/{content}")).await;
    assert_eq!(details.hits[0].size, 4711);

    let ask = json!({ "contents": [content, ContentId::from_bytes([8; 32])] });
    let answer = index.post("/v1/grants", &ask).bearer_auth(&bob.token).send().await.unwrap();
    let grants: Grants = answer.json().await.unwrap();
    assert_eq!(grants.contents.len(), 1);
    assert_eq!(grants.contents[0].sources[0].peer, key.peer_id());
    assert_eq!(grants.contents[0].sources[0].kind, SourceKind::Full);
    let verifier = GrantVerifier::new(bob.index.public_keys.clone());
    let claims = verifier.verify(&grants.contents[0].grant, SystemClock.now()).unwrap();
    assert_eq!((claims.user, claims.content), (bob.user.clone(), content));
    assert_eq!(claims.action, Access::Fetch);

    let ask = json!({ "user": "alice", "content": content });
    let answer = index.post("/v1/push-grants", &ask).bearer_auth(&bob.token).send().await.unwrap();
    let pushes: PushGrants = answer.json().await.unwrap();
    assert_eq!(pushes.peers[0].peer, key.peer_id());

    let source = format!("/v1/contents/{content}/sources/{}", key.peer_id());
    let noted = index.call(Method::PUT, &source).bearer_auth(&alice.token).send().await.unwrap();
    assert_eq!(noted.json::<serde_json::Value>().await.unwrap(), json!({ "reach": "everyone" }));
    let gone = index.call(Method::DELETE, &source).bearer_auth(&alice.token).send().await.unwrap();
    assert_eq!(gone.status(), StatusCode::NO_CONTENT);
    let left = index.call(Method::DELETE, &peer).bearer_auth(&alice.token).send().await.unwrap();
    assert_eq!(left.status(), StatusCode::NO_CONTENT);
    let found: SearchPage = get(&index, &bob, "/v1/search?q=zlutoucky").await;
    assert_eq!((found.hits[0].online, found.hits[0].sources), (0, 1));

    let out = index.call(Method::DELETE, "/v1/sessions/current").bearer_auth(&bob.token);
    assert_eq!(out.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let refused = index.get("/v1/me").bearer_auth(&bob.token).send().await.unwrap();
    assert_eq!(refused.headers()["www-authenticate"], "Bearer");
    assert_problem(refused, ProblemKind::NotLoggedIn).await;
}

#[tokio::test]
async fn every_session_ends_at_once() {
    let index = start().await;
    let first = index.user("alice").await;
    let second = index.log_in("alice").await;
    let new = "another fine password";

    let change = json!({ "current": PASSWORD, "new": new });
    let change = index.call(Method::PUT, "/v1/me/password").bearer_auth(&first.token).json(&change);
    assert_eq!(change.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let other = index.get("/v1/me").bearer_auth(&second.token).send().await.unwrap();
    assert_problem(other, ProblemKind::NotLoggedIn).await;
    let own = index.get("/v1/me").bearer_auth(&first.token).send().await.unwrap();
    assert_eq!(own.status(), StatusCode::OK);

    let old = json!({ "username": "alice", "password": PASSWORD });
    let old = index.post("/v1/sessions", &old).send().await.unwrap();
    assert_problem(old, ProblemKind::WrongCredentials).await;
    let login = json!({ "username": "alice", "password": new });
    assert!(index.post("/v1/sessions", &login).send().await.unwrap().status().is_success());

    let all = index.call(Method::DELETE, "/v1/sessions").bearer_auth(&first.token);
    let ended: SessionsEnded = all.send().await.unwrap().json().await.unwrap();
    assert_eq!(ended.ended, 2);

    let again = index.post("/v1/sessions", &login).send().await.unwrap();
    let again: serde_json::Value = again.json().await.unwrap();
    let token = again["token"].as_str().unwrap();
    let delete = index.call(Method::DELETE, "/v1/me").bearer_auth(token);
    let delete = delete.json(&json!({ "password": new })).send().await.unwrap();
    assert_eq!(delete.status(), StatusCode::NO_CONTENT);
    let gone = index.post("/v1/sessions", &login).send().await.unwrap();
    assert_problem(gone, ProblemKind::WrongCredentials).await;
}

#[tokio::test]
async fn groups_and_invites() {
    let index = start().await;
    let alice = index.user("alice").await;
    let bob = index.user("bob").await;
    let eve = index.user("eve").await;

    let post =
        |who: &Login, path: &str, body| index.post(path, &body).bearer_auth(&who.token).send();
    let made = post(&alice, "/v1/groups", json!({ "name": "friends" })).await.unwrap();
    assert_eq!(made.status(), StatusCode::CREATED);
    let taken = post(&eve, "/v1/groups", json!({ "name": "friends" })).await.unwrap();
    assert_problem(taken, ProblemKind::AlreadyExists).await;
    let members = "/v1/groups/friends/members";
    let added = post(&alice, members, json!({ "username": "bob" })).await.unwrap();
    assert_eq!(added.status(), StatusCode::NO_CONTENT);
    let seen: serde_json::Value = get(&index, &bob, members).await;
    assert_eq!(seen["members"], json!(["alice", "bob"]));

    // For who is not in it, it is as if there were none.
    let hidden = index.get(members).bearer_auth(&eve.token).send().await.unwrap();
    let hidden = assert_problem(hidden, ProblemKind::NotFound).await;
    let none = index.get("/v1/groups/nothing/members").bearer_auth(&eve.token).send().await;
    let none = assert_problem(none.unwrap(), ProblemKind::NotFound).await;
    assert_eq!(hidden.detail.replace("friends", "nothing"), none.detail);

    let owner = index.call(Method::PUT, "/v1/groups/friends/owner").bearer_auth(&alice.token);
    let owner = owner.json(&json!({ "owner": "bob" })).send().await.unwrap();
    assert_eq!(owner.status(), StatusCode::NO_CONTENT);
    let leave = index.call(Method::DELETE, "/v1/groups/friends/members/alice");
    let leave = leave.bearer_auth(&alice.token).send().await.unwrap();
    assert_eq!(leave.status(), StatusCode::NO_CONTENT);

    let invite = post(&bob, "/v1/invites", json!({ "group": "friends" })).await.unwrap();
    assert_eq!(invite.status(), StatusCode::CREATED);
    let invite: InviteCreated = invite.json().await.unwrap();
    let body = json!({ "username": "carol", "password": PASSWORD, "invite": invite.code });
    let registered = index.post("/v1/users", &body).send().await.unwrap();
    assert_eq!(registered.status(), StatusCode::CREATED);
    let body = json!({ "username": "mallory", "password": PASSWORD, "invite": invite.code });
    let used_up = index.post("/v1/users", &body).send().await.unwrap();
    assert_problem(used_up, ProblemKind::RegistrationRefused).await;
    let carol = index.log_in("carol").await;
    let groups: serde_json::Value = get(&index, &carol, "/v1/groups").await;
    assert_eq!(groups["groups"][0]["name"], "friends");

    let second: InviteCreated =
        post(&bob, "/v1/invites", json!({})).await.unwrap().json().await.unwrap();
    let path = format!("/v1/invites/{}", second.invite.id);
    let stranger = index.call(Method::DELETE, &path).bearer_auth(&eve.token).send().await.unwrap();
    assert_problem(stranger, ProblemKind::NotFound).await;
    let revoked = index.call(Method::DELETE, &path).bearer_auth(&bob.token).send().await.unwrap();
    assert_eq!(revoked.status(), StatusCode::NO_CONTENT);
    let left: serde_json::Value = get(&index, &bob, "/v1/invites").await;
    assert_eq!(left["invites"], json!([]));

    let delete = index.call(Method::DELETE, "/v1/groups/friends").bearer_auth(&bob.token);
    assert_eq!(delete.send().await.unwrap().status(), StatusCode::NO_CONTENT);
}

async fn get<T: serde::de::DeserializeOwned>(
    index: &common::TestIndex,
    who: &Login,
    path: &str,
) -> T {
    let answer = index.get(path).bearer_auth(&who.token).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK, "{path}");
    answer.json().await.unwrap()
}

#[tokio::test]
async fn a_lost_peer_is_forgotten_by_its_user_with_what_it_published() {
    let index = start().await;
    let (alice, bob) = (index.user("alice").await, index.user("bob").await);
    let keys = [PeerKey::generate().unwrap(), PeerKey::generate().unwrap()];
    for (key, name) in keys.iter().zip(["lost.txt", "kept.txt"]) {
        let peer = format!("/v1/peers/{}", key.peer_id());
        let announce = index.call(Method::PUT, &peer).json(&alice.announce(key));
        announce.bearer_auth(&alice.token).send().await.unwrap().error_for_status().unwrap();
        let batch = publish(name, ContentId::of(name.as_bytes()), 7);
        let publish = index.call(Method::POST, &format!("{peer}/files")).json(&batch);
        publish.bearer_auth(&alice.token).send().await.unwrap().error_for_status().unwrap();
    }
    let mut peers: PeerList = get(&index, &alice, "/v1/me/peers").await;
    peers.peers.sort_by_key(|peer| peer.id != keys[0].peer_id());
    let told = |peer: &PeerOverview| (peer.id, peer.online, peer.entries);
    let expected = keys.each_ref().map(|key| (key.peer_id(), true, 1));
    assert_eq!(peers.peers.iter().map(told).collect::<Vec<_>>(), expected);
    assert_eq!(get::<PeerList>(&index, &bob, "/v1/me/peers").await.peers, []);

    let lost = format!("/v1/me/peers/{}", keys[0].peer_id());
    let forget = |user: &Login| index.call(Method::DELETE, &lost).bearer_auth(&user.token).send();
    assert_problem(forget(&bob).await.unwrap(), ProblemKind::NotFound).await;
    assert_eq!(forget(&alice).await.unwrap().status(), StatusCode::NO_CONTENT);
    assert_problem(forget(&alice).await.unwrap(), ProblemKind::NotFound).await;
    let left: PeerList = get(&index, &alice, "/v1/me/peers").await;
    assert_eq!(left.peers.iter().map(told).collect::<Vec<_>>(), [expected[1]]);
    let found: SearchPage = get(&index, &bob, "/v1/search?q=txt").await;
    let names: Vec<_> = found.hits.iter().map(|hit| hit.names[0].path.as_str()).collect();
    assert_eq!(names, ["kept.txt"]);
    // A machine that was found again announces itself anew.
    let peer = format!("/v1/peers/{}", keys[0].peer_id());
    let announce = index.call(Method::PUT, &peer).json(&alice.announce(&keys[0]));
    let announced: Announced =
        announce.bearer_auth(&alice.token).send().await.unwrap().json().await.unwrap();
    assert_eq!(announced.entries, 0);
}
