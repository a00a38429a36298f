//! Parsers of text.

use std::{
    collections::BTreeSet,
    fmt::Display,
    path::{Component, Path},
    str::FromStr,
    sync::LazyLock,
    time::Duration,
};

use aws_lc_rs::signature::Ed25519KeyPair;
use data_encoding::BASE64URL_NOPAD;
use serde_json::{Value, json};

use crate::{
    auth::{GrantSigner, GrantVerifier},
    content::ContentId,
    identity::{GroupName, PeerAddr, PeerId, Reach, Username},
    index::search::{Cursor, Query, words},
    path::SharePath,
    time::Timestamp,
};

/// What was read is read again from its text.
fn survives<T: FromStr + Display + PartialEq>(text: &str) -> Option<T> {
    let parsed: T = text.parse().ok()?;
    assert!(parsed.to_string().parse().is_ok_and(|again: T| again == parsed), "{text:?}");
    Some(parsed)
}

/// A share path stays in its folder, has one spelling, and its parts are share paths.
pub fn share_path(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Some(path) = survives::<SharePath>(text) {
        assert_eq!(path.as_str(), text, "a path is what was given");
        stays_inside(&path);
    }
    if let Ok(sanitized) = SharePath::sanitize(Path::new(text)) {
        stays_inside(&sanitized.path);
        assert_eq!(SharePath::parse(sanitized.path.as_str()).as_ref(), Ok(&sanitized.path));
    }
}

fn stays_inside(path: &SharePath) {
    let folder = Path::new("/folder");
    let place = path.under(folder);
    let below = place.strip_prefix(folder).expect("it is in the folder");
    assert!(below.components().all(|part| matches!(part, Component::Normal(_))), "{path:?}");
    assert_eq!(below.components().count(), path.parts().count(), "{path:?}");
    let text = path.as_str();
    assert!(!text.contains(['\\', '\0', ':', '\n']) && text.len() <= SharePath::MAX_BYTES);
    let again = path.parent().map_or(Ok(path.last()), |parent| parent.join(&path.last()));
    assert_eq!(again.as_ref(), Ok(path));
    for part in path.parts() {
        assert!(SharePath::parse(part).is_ok(), "{part:?}");
    }
}

/// Names, ids and keys have one meaning for each text.
pub fn names(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    survives::<Username>(text);
    survives::<GroupName>(text);
    survives::<PeerId>(text);
    survives::<ContentId>(text);
    survives::<Reach>(text);
}

/// Addresses survive their text.
pub fn addr(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    survives::<PeerAddr>(text);
}

/// A query has few words, all as names are cut, and matches what consists of its words.
pub fn query(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(cursor) = Cursor::decode(text) {
        assert_eq!(Cursor::decode(&cursor.encode()).as_ref(), Ok(&cursor));
    }
    let Ok(query) = Query::parse(text) else { return };
    let all = query.include.iter().chain(query.exclude.iter().flatten());
    for word in all {
        assert!(words(word).eq([word.clone()]), "{word:?} of {text:?} is cut further");
    }
    let own: BTreeSet<String> = query.include.iter().cloned().collect();
    let included = Query { exclude: Vec::new(), ..query.clone() };
    assert!(included.matches(&own), "{text:?}");
    assert_eq!(
        Query::parse(&query.include.join(" ")).map(|again| again.include),
        Ok(query.include)
    );
}

struct Signing {
    signer: GrantSigner,
    pair: Ed25519KeyPair,
    verifier: GrantVerifier,
}

static SIGNING: LazyLock<Signing> = LazyLock::new(|| {
    let signer = GrantSigner::generate().expect("a key can be made");
    let pair = Ed25519KeyPair::from_pkcs8(&signer.to_pkcs8_der()).expect("it is a key");
    let verifier = GrantVerifier::new(vec![signer.public_key()]);
    Signing { signer, pair, verifier }
});

/// No token that was not signed is a grant; what was signed is refused or means what its claims say when they are
/// signed again.
pub fn grant(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let Signing { signer, pair, verifier } = &*SIGNING;
    let now = Timestamp::from_secs(1_700_000_000);
    assert!(verifier.verify(text, now).is_err(), "{text:?} was not signed");

    let mut payload: Value = serde_json::from_str(text).unwrap_or_else(|_| json!(text));
    if let Some(claims) = payload.as_object_mut() {
        claims.insert("iss".to_owned(), json!(signer.key_id()));
    }
    let header = json!({ "typ": "p2pshare-grant+jwt", "alg": "EdDSA", "kid": signer.key_id() });
    let part = |value: &Value| BASE64URL_NOPAD.encode(value.to_string().as_bytes());
    let message = format!("{}.{}", part(&header), part(&payload));
    let signature = BASE64URL_NOPAD.encode(pair.sign(message.as_bytes()).as_ref());
    let Ok(claims) = verifier.verify(&format!("{message}.{signature}"), now) else { return };
    assert!(claims.issued_at <= now.saturating_add(GrantVerifier::LEEWAY), "{claims:?}");
    assert!(now <= claims.expires_at.saturating_add(GrantVerifier::LEEWAY), "{claims:?}");
    assert_eq!(verifier.verify(&signer.sign(&claims), now).as_ref(), Ok(&claims));
    let long_after = claims.expires_at.saturating_add(Duration::from_secs(3600));
    assert!(verifier.verify(&signer.sign(&claims), long_after).is_err(), "{claims:?}");
}
