//! Another's peer: announcing it, keeping it alive, taking it offline, publishing in its name.

use data_encoding::BASE64URL_NOPAD;
use p2pshare_core::{
    api::{Announce, Announced, Heartbeat, ProblemKind},
    content::ContentId,
    identity::PeerKey,
};
use reqwest::{Method, Response, StatusCode};
use serde_json::json;

use crate::common::{Login, TestIndex, assert_problem, publish, start};

struct Scene {
    index: TestIndex,
    alice: Login,
    eve: Login,
    /// The key of alice's peer, which is announced and has published one file.
    key: PeerKey,
    announce: Announce,
}

async fn scene() -> Scene {
    let index = start().await;
    let (alice, eve) = (index.user("alice").await, index.user("eve").await);
    let key = PeerKey::generate().unwrap();
    let announce = alice.announce(&key);
    let scene = Scene { index, alice, eve, key, announce };
    let answer = scene.send(&scene.alice, &scene.key, &scene.announce).await;
    assert_eq!(answer.status(), StatusCode::OK);
    let batch = publish("music/song.flac", ContentId::from_bytes([7; 32]), 4711);
    let call = scene.index.call(Method::POST, &format!("{}/files", scene.peer()));
    let answer = call.bearer_auth(&scene.alice.token).json(&batch).send().await.unwrap();
    assert_eq!(answer.status(), StatusCode::OK);
    scene
}

impl Scene {
    fn peer(&self) -> String {
        format!("/v1/peers/{}", self.key.peer_id())
    }

    /// Announces the peer of `key` as `who`.
    async fn send(&self, who: &Login, key: &PeerKey, announce: &Announce) -> Response {
        let path = format!("/v1/peers/{}", key.peer_id());
        let call = self.index.call(Method::PUT, &path).bearer_auth(&who.token);
        call.json(announce).send().await.unwrap()
    }

    /// Alice's peer is as she announced it: hers, online, with its file.
    async fn untouched(&self) {
        let beat = self.index.post(&format!("{}/heartbeat", self.peer()), &json!({}));
        let beat = beat.bearer_auth(&self.alice.token).send().await.unwrap();
        assert_eq!(beat.json::<Heartbeat>().await.unwrap().entries, 1);
        let ask = json!({ "contents": [ContentId::from_bytes([7; 32])] });
        let grants = self.index.post("/v1/grants", &ask).bearer_auth(&self.eve.token);
        let grants: serde_json::Value = grants.send().await.unwrap().json().await.unwrap();
        let source = &grants["contents"][0]["sources"][0];
        assert_eq!(source["owner"], "alice");
        assert_eq!(source["addresses"], json!(["tcp://192.0.2.7:7411"]));
    }
}

#[tokio::test]
async fn nobody_announces_a_peer_without_its_key() {
    let scene = scene().await;
    let own = PeerKey::generate().unwrap();
    let mut forged = Vec::new();

    // What alice sent, from another's session.
    forged.push(scene.announce.clone());
    // Signed with one's own key, which does not make the peer's id.
    forged.push(scene.eve.announce(&own));
    // The peer's public key with a signature of one's own.
    let mut mixed = scene.eve.announce(&own);
    mixed.public_key = BASE64URL_NOPAD.encode(scene.key.public_key_der());
    forged.push(mixed);
    // Something that is no key, and no signature.
    for junk in ["", "!!", "AAAA", &"A".repeat(10_000)] {
        forged.push(Announce { public_key: junk.to_owned(), ..scene.announce.clone() });
        forged.push(Announce { signature: junk.to_owned(), ..scene.announce.clone() });
    }
    for announce in &forged {
        let answer = scene.send(&scene.eve, &scene.key, announce).await;
        assert_problem(answer, ProblemKind::InvalidRequest).await;
    }
    scene.untouched().await;
}

#[tokio::test]
async fn a_stolen_key_does_not_move_a_peer_to_another_user() {
    let scene = scene().await;
    let announce = scene.eve.announce(&scene.key);
    let answer = scene.send(&scene.eve, &scene.key, &announce).await;
    assert_problem(answer, ProblemKind::Forbidden).await;
    scene.untouched().await;
}

#[tokio::test]
async fn a_signed_announce_cannot_be_changed_or_used_again() {
    let scene = scene().await;
    let later = scene.alice.announce(&scene.key);

    // Other addresses, or another time, under the same signature.
    let elsewhere = vec!["tcp://203.0.113.66:7411".parse().unwrap()];
    let moved = Announce { addresses: elsewhere, ..later.clone() };
    let answer = scene.send(&scene.alice, &scene.key, &moved).await;
    assert_problem(answer, ProblemKind::InvalidRequest).await;
    let hour = std::time::Duration::from_secs(3600);
    let dated = Announce { issued_at: later.issued_at.saturating_add(hour), ..later.clone() };
    let answer = scene.send(&scene.alice, &scene.key, &dated).await;
    assert_problem(answer, ProblemKind::InvalidRequest).await;

    // An announce that was overheard brings an old address back no more, even in its owner's own session.
    for _ in 0..2 {
        let answer = scene.send(&scene.alice, &scene.key, &scene.announce).await;
        assert_problem(answer, ProblemKind::StaleAnnounce).await;
    }
    scene.untouched().await;
    let fresh = scene.alice.announce(&scene.key);
    let answer = scene.send(&scene.alice, &scene.key, &fresh).await;
    assert_eq!(answer.json::<Announced>().await.unwrap().entries, 1);
}

#[tokio::test]
async fn an_announce_for_another_index_is_not_taken() {
    let scene = scene().await;
    let other = start().await;
    let there = other.user("alice").await;
    assert_ne!(there.index.public_keys, scene.alice.index.public_keys);

    // Whoever runs another index where alice is too passes on what she sent there.
    let announce = there.announce(&scene.key);
    let answer = scene.send(&scene.alice, &scene.key, &announce).await;
    assert_problem(answer, ProblemKind::InvalidRequest).await;
    scene.untouched().await;
}

#[tokio::test]
async fn anothers_peer_does_not_exist() {
    let scene = scene().await;
    let theirs = scene.key.peer_id().to_string();
    let nobodys = PeerKey::generate().unwrap().peer_id().to_string();
    let content = ContentId::from_bytes([7; 32]);
    let batch = serde_json::to_value(publish("evil.exe", content, 1)).unwrap();
    let withdraw = json!({ "changes": [{ "withdraw": "music/song.flac" }] });
    let contents = json!({ "contents": [content], "peer": "ID" });
    let push = json!({ "user": "alice", "content": content, "peer": "ID" });
    let calls = [
        (Method::POST, "/v1/peers/ID/heartbeat".to_owned(), None),
        (Method::DELETE, "/v1/peers/ID".to_owned(), None),
        (Method::GET, "/v1/peers/ID/files".to_owned(), None),
        (Method::POST, "/v1/peers/ID/files".to_owned(), Some(batch)),
        (Method::POST, "/v1/peers/ID/files".to_owned(), Some(withdraw)),
        (Method::PUT, format!("/v1/contents/{content}/sources/ID"), None),
        (Method::DELETE, format!("/v1/contents/{content}/sources/ID"), None),
        (Method::POST, "/v1/grants".to_owned(), Some(contents)),
        (Method::POST, "/v1/push-grants".to_owned(), Some(push)),
    ];
    for (method, path, body) in calls {
        let mut told = Vec::new();
        for id in [&theirs, &nobodys] {
            let mut call = scene.index.call(method.clone(), &path.replace("ID", id));
            if let Some(body) = &body {
                let body = body.to_string().replace("\"ID\"", &format!("\"{id}\""));
                call = call.header("content-type", "application/json").body(body);
            }
            let answer = call.bearer_auth(&scene.eve.token).send().await.unwrap();
            let mut problem = assert_problem(answer, ProblemKind::NotFound).await;
            problem.request_id = None;
            told.push(serde_json::to_string(&problem).unwrap().replace(id.as_str(), "ID"));
        }
        assert_eq!(told[0], told[1], "{method} {path}");
    }
    scene.untouched().await;
}
