//! Grants: what is signed is read back, what is forged is refused, and each permits one thing alone.
#![allow(clippy::unwrap_used, reason = "a helper of a test panics as the test does")]

use std::time::Duration;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::Ed25519KeyPair;
use data_encoding::BASE64URL_NOPAD;
use p2pshare_core::auth::{
    GrantClaims, GrantError, GrantId, GrantSigner, GrantVerifier, NotPermitted, SignerError,
};
use p2pshare_core::content::ContentId;
use p2pshare_core::identity::{Access, GroupsId, PeerConnection, PeerId, PeerKey, Reach, Username};
use p2pshare_core::time::Timestamp;
use proptest::prelude::*;
use serde_json::{Value, json};

const NOW: Timestamp = Timestamp::from_secs(1_700_000_000);
const LIFE: Duration = Duration::from_secs(600);

fn content(byte: u8) -> ContentId {
    ContentId::from_bytes([byte; 32])
}

fn peer(byte: u8) -> PeerId {
    PeerId::from_bytes([byte; 32])
}

fn claims(signer: &GrantSigner, action: Access) -> GrantClaims {
    GrantClaims {
        issuer: signer.key_id(),
        user: Username::parse("alice").unwrap(),
        action,
        content: content(1),
        holder: Some(peer(2)),
        audience: (action == Access::Push).then(|| peer(3)),
        reach: Reach::Everyone,
        issued_at: NOW,
        expires_at: NOW.saturating_add(LIFE),
        id: GrantClaims::new_id(),
    }
}

/// An index's key pair whose private key the test can sign anything with.
struct Index {
    pair: Ed25519KeyPair,
    signer: GrantSigner,
    verifier: GrantVerifier,
}

fn index() -> Index {
    let signer = GrantSigner::generate().unwrap();
    let pair = Ed25519KeyPair::from_pkcs8(&signer.to_pkcs8_der()).unwrap();
    let verifier = GrantVerifier::new(vec![signer.public_key()]);
    Index { pair, signer, verifier }
}

impl Index {
    fn header(&self) -> Value {
        json!({ "typ": "p2pshare-grant+jwt", "alg": "EdDSA", "kid": self.signer.key_id() })
    }

    fn payload(&self) -> Value {
        json!({
            "iss": self.signer.key_id(),
            "sub": "alice",
            "act": "fetch",
            "cid": content(1),
            "cnf": { "p2p": peer(2) },
            "iat": NOW.as_secs(),
            "exp": NOW.as_secs() + 600,
            "jti": GrantId::from_bytes([7; 16]),
        })
    }

    /// A token with a true signature over whatever it says.
    fn sign(&self, header: &Value, payload: &Value) -> String {
        with_signature(header, payload, |message| self.pair.sign(message).as_ref().to_vec())
    }

    fn verify(&self, token: &str) -> Result<GrantClaims, GrantError> {
        self.verifier.verify(token, NOW)
    }
}

fn with_signature(header: &Value, payload: &Value, sign: impl Fn(&[u8]) -> Vec<u8>) -> String {
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(header), part(payload));
    let signature = BASE64URL_NOPAD.encode(&sign(message.as_bytes()));
    format!("{message}.{signature}")
}

#[test]
fn what_is_signed_is_read_back() {
    let index = index();
    for action in [Access::Fetch, Access::Push] {
        let bound = claims(&index.signer, action);
        let unbound = GrantClaims { holder: None, ..bound.clone() };
        let groups = Reach::Groups(GroupsId::from_bytes([7; 16]));
        let for_groups = GrantClaims { reach: groups, ..bound.clone() };
        for claims in [bound, unbound, for_groups] {
            let token = index.signer.sign(&claims);
            assert!(token.len() < 1024, "{}", token.len());
            assert_eq!(index.verify(&token), Ok(claims));
        }
    }
}

#[test]
fn the_wire_form_stays_as_it_is_documented() {
    let index = index();
    let claims = index.verify(&index.sign(&index.header(), &index.payload())).unwrap();
    assert_eq!((claims.user.as_str(), claims.action), ("alice", Access::Fetch));
    assert_eq!((claims.content, claims.holder, claims.audience), (content(1), Some(peer(2)), None));
    assert_eq!((claims.issued_at, claims.expires_at), (NOW, NOW.saturating_add(LIFE)));

    let token = index.signer.sign(&claims);
    let parts: Vec<&str> = token.split('.').collect();
    let read = |part: &str| -> Value {
        serde_json::from_slice(&BASE64URL_NOPAD.decode(part.as_bytes()).unwrap()).unwrap()
    };
    assert_eq!(read(parts[0]), index.header());
    assert_eq!(read(parts[1]), index.payload());

    assert_eq!(claims.reach, Reach::Everyone, "what names no groups is for everyone");
    let mut payload = index.payload();
    payload["grp"] = json!("0123456789abcdef0123456789abcdef");
    let claims = index.verify(&index.sign(&index.header(), &payload)).unwrap();
    assert_eq!(claims.reach.to_string(), "0123456789abcdef0123456789abcdef");
    let token = index.signer.sign(&claims);
    assert_eq!(read(token.split('.').nth(1).unwrap()), payload);
}

#[test]
fn a_key_survives_its_file() {
    let signer = GrantSigner::generate().unwrap();
    let again = GrantSigner::from_pkcs8_der(&signer.to_pkcs8_der()).unwrap();
    assert_eq!(again.public_key(), signer.public_key());
    let token = again.sign(&claims(&again, Access::Fetch));
    GrantVerifier::new(vec![signer.public_key()]).verify(&token, NOW).unwrap();

    let other_kind = PeerKey::generate().unwrap().to_pkcs8_der().unwrap();
    assert_eq!(GrantSigner::from_pkcs8_der(&other_kind).unwrap_err(), SignerError::PrivateKey);
    assert_eq!(GrantSigner::from_pkcs8_der(b"").unwrap_err(), SignerError::PrivateKey);
    let shown = format!("{signer:?}");
    assert!(
        shown.contains("redacted") && shown.contains(&signer.public_key().to_string()),
        "{shown}"
    );
}

#[test]
fn a_signer_signs_in_its_own_name_alone() {
    let (one, two) = (index(), index());
    let token = one.signer.sign(&claims(&two.signer, Access::Fetch));
    assert!(matches!(one.verify(&token), Err(GrantError::UnknownIssuer { .. })));
    assert_eq!(two.verify(&token), Err(GrantError::Signature));
}

#[test]
fn other_algorithms_are_refused() {
    let index = index();
    let public = index.signer.public_key();
    let key = hmac::Key::new(hmac::HMAC_SHA256, public.as_bytes());
    let text_key = hmac::Key::new(hmac::HMAC_SHA256, public.to_string().as_bytes());
    for alg in ["none", "None", "", "HS256", "HS512", "RS256", "ES256", "eddsa"] {
        let mut header = index.header();
        header["alg"] = json!(alg);
        for token in [
            with_signature(&header, &index.payload(), |_| Vec::new()),
            with_signature(&header, &index.payload(), |m| hmac::sign(&key, m).as_ref().to_vec()),
            with_signature(&header, &index.payload(), |m| {
                hmac::sign(&text_key, m).as_ref().to_vec()
            }),
            index.sign(&header, &index.payload()),
        ] {
            assert_eq!(index.verify(&token), Err(GrantError::Malformed), "{alg}");
        }
    }
    let unsigned = with_signature(&index.header(), &index.payload(), |_| Vec::new());
    assert_eq!(index.verify(&unsigned), Err(GrantError::Signature));
}

#[test]
fn keys_that_are_not_trusted_are_refused() {
    let (index, other) = (index(), index());
    let stranger = other.signer.sign(&claims(&other.signer, Access::Fetch));
    let unknown = GrantError::UnknownIssuer { key: other.signer.key_id() };
    assert_eq!(index.verify(&stranger), Err(unknown));
    assert_eq!(GrantVerifier::new(Vec::new()).verify(&stranger, NOW), Err(unknown));

    // In the name of the trusted key, but signed with another.
    let forged = other.sign(&index.header(), &index.payload());
    assert_eq!(index.verify(&forged), Err(GrantError::Signature));
    // A key in the header is not used.
    let mut header = index.header();
    header["jwk"] = json!({ "kty": "OKP", "crv": "Ed25519", "x": other.signer.public_key() });
    assert_eq!(index.verify(&other.sign(&header, &index.payload())), Err(GrantError::Signature));

    // Both trusted, but the issuer is not the key that signed.
    let both = GrantVerifier::new(vec![index.signer.public_key(), other.signer.public_key()]);
    let mixed = other.sign(&other.header(), &index.payload());
    assert_eq!(both.verify(&mixed, NOW), Err(GrantError::Malformed));
    both.verify(&stranger, NOW).unwrap();
}

#[test]
fn headers_of_other_tokens_are_refused() {
    let index = index();
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", Value::Null),
        ("kid", Value::Null),
        ("kid", json!("")),
        ("kid", json!("../../key")),
        ("crit", json!(["exp"])),
    ] {
        let mut header = index.header();
        header[name] = value.clone();
        let token = index.sign(&header, &index.payload());
        assert_eq!(index.verify(&token), Err(GrantError::Malformed), "{name} {value}");
    }
}

#[test]
fn missing_or_wrong_claims_are_refused_and_unknown_ones_are_not() {
    let index = index();
    for name in ["iss", "sub", "act", "cid", "iat", "exp", "jti"] {
        let mut payload = index.payload();
        payload.as_object_mut().unwrap().remove(name);
        let token = index.sign(&index.header(), &payload);
        assert_eq!(index.verify(&token), Err(GrantError::Malformed), "{name}");
    }
    for (name, value) in [
        ("sub", json!("not a name")),
        ("act", json!("delete")),
        ("cid", json!("00")),
        ("exp", json!("tomorrow")),
        ("exp", json!(1e300)),
        ("aud", json!(["x"])),
        ("aud", json!("x")),
        // A grant bound in a way that is not understood is not an unbound one.
        ("cnf", json!({})),
        ("cnf", json!({ "jkt": "x" })),
        ("cnf", json!({ "p2p": "x" })),
        ("grp", json!("everyone")),
        ("grp", json!(["0123456789abcdef0123456789abcdef"])),
    ] {
        let mut payload = index.payload();
        payload[name] = value.clone();
        let token = index.sign(&index.header(), &payload);
        assert_eq!(index.verify(&token), Err(GrantError::Malformed), "{name} {value}");
    }
    let mut payload = index.payload();
    payload["new"] = json!({ "thing": [1, 2] });
    index.verify(&index.sign(&index.header(), &payload)).unwrap();
}

#[test]
fn time_is_what_the_caller_says() {
    let index = index();
    let grant = claims(&index.signer, Access::Fetch);
    let token = index.signer.sign(&grant);
    let verify = |now| index.verifier.verify(&token, now);
    let milli = Duration::from_millis(1);
    let last = grant.expires_at.saturating_add(GrantVerifier::LEEWAY).saturating_sub(milli);
    let first = grant.issued_at.saturating_sub(GrantVerifier::LEEWAY);
    for now in [first, NOW, grant.expires_at, last] {
        assert_eq!(verify(now).as_ref(), Ok(&grant));
    }
    let expired = GrantError::Expired { at: grant.expires_at };
    assert_eq!(verify(last.saturating_add(milli)), Err(expired));
    assert_eq!(verify(Timestamp::MAX), Err(expired));
    let not_yet = GrantError::NotYet { from: grant.issued_at };
    assert_eq!(verify(first.saturating_sub(milli)), Err(not_yet));
    assert_eq!(verify(Timestamp::from_millis(i64::MIN)), Err(not_yet));

    let mut payload = index.payload();
    payload["exp"] = json!(i64::MIN);
    let token = index.sign(&index.header(), &payload);
    assert!(matches!(index.verify(&token), Err(GrantError::Expired { .. })));
}

#[test]
fn changed_or_cut_tokens_are_refused() {
    let index = index();
    let token = index.signer.sign(&claims(&index.signer, Access::Push));
    for len in 0..token.len() {
        assert!(index.verify(&token[..len]).is_err(), "first {len} bytes");
    }
    // The last character has four bits that are not used.
    for at in 0..token.len() - 1 {
        let mut bytes = token.clone().into_bytes();
        bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
        assert!(index.verify(std::str::from_utf8(&bytes).unwrap()).is_err(), "byte {at}");
    }
    assert!(index.verify(&format!("{token}.")).is_err());
    assert!(index.verify(&format!(" {token}")).is_err());
    assert_eq!(index.verify(&"a.".repeat(2000)), Err(GrantError::TooLong { bytes: 4000 }));
}

proptest! {
    #[test]
    fn garbage_never_panics(text in any::<String>(), part in "[A-Za-z0-9_.-]{0,200}", json in "[\\[\\]{}\":,a-z0-9]{0,60}") {
        let index = index();
        let part_of = |json: &str| BASE64URL_NOPAD.encode(json.as_bytes());
        let header = part_of(&index.header().to_string());
        for token in [
            text.clone(),
            part.clone(),
            format!("{text}.{part}.{part}"),
            format!("{header}.{part}.{part}"),
            format!("{}.{part}.", part_of(&json)),
        ] {
            prop_assert!(index.verify(&token).is_err());
        }
        // Signed nonsense is nonsense.
        let message = format!("{header}.{}", part_of(&json));
        let signature = BASE64URL_NOPAD.encode(index.pair.sign(message.as_bytes()).as_ref());
        let token = format!("{message}.{signature}");
        prop_assert!(index.verify(&token).is_err());
    }
}

#[test]
fn a_grant_permits_one_thing() {
    let signer = GrantSigner::generate().unwrap();
    let (holder, me) = (PeerConnection::Tls { key: Some(peer(2)) }, peer(3));
    let fetch = claims(&signer, Access::Fetch);
    let push = claims(&signer, Access::Push);
    assert_eq!(fetch.permits(Access::Fetch, content(1), holder, me), Ok(()));
    assert_eq!(fetch.permits(Access::Fetch, content(1), holder, peer(9)), Ok(()));
    assert_eq!(push.permits(Access::Push, content(1), holder, me), Ok(()));

    let wrong_action = NotPermitted::Action { granted: Access::Fetch, asked: Access::Push };
    assert_eq!(fetch.permits(Access::Push, content(1), holder, me), Err(wrong_action));
    let wrong_content = NotPermitted::Content { granted: content(1), asked: content(2) };
    assert_eq!(fetch.permits(Access::Fetch, content(2), holder, me), Err(wrong_content));
    let wrong_audience = Err(NotPermitted::Audience { granted: me });
    assert_eq!(push.permits(Access::Push, content(1), holder, peer(9)), wrong_audience);
    let to_anybody = GrantClaims { audience: None, ..push };
    let nobody = Err(NotPermitted::NoAudience);
    assert_eq!(to_anybody.permits(Access::Push, content(1), holder, me), nobody);
    let addressed = GrantClaims { audience: Some(me), ..fetch };
    assert_eq!(addressed.permits(Access::Fetch, content(1), holder, peer(9)), wrong_audience);
}

#[test]
fn a_grant_is_useless_to_a_thief() {
    let signer = GrantSigner::generate().unwrap();
    let bound = claims(&signer, Access::Fetch);
    let unbound = GrantClaims { holder: None, ..bound.clone() };
    let stolen = Err(NotPermitted::Holder { granted: peer(2) });
    for (connection, answer) in [
        (PeerConnection::Tls { key: Some(peer(2)) }, Ok(())),
        (PeerConnection::Tls { key: Some(peer(9)) }, stolen),
        (PeerConnection::Tls { key: None }, stolen),
        (PeerConnection::Plain, Ok(())),
    ] {
        assert_eq!(bound.permits(Access::Fetch, content(1), connection, peer(3)), answer);
        assert_eq!(unbound.permits(Access::Fetch, content(1), connection, peer(3)), Ok(()));
    }
}
