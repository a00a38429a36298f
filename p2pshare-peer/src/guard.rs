//! Who is let in: grants of the index, checked offline.

use std::{
    fmt,
    sync::{Arc, PoisonError, RwLock},
};

use p2pshare_core::{
    auth::{GrantClaims, GrantVerifier, IndexPublicKey},
    identity::PeerId,
    time::Clock,
    transfer::{AccessDenied, AccessRequest, Admission, TransferGuard},
};

/// Lets in whoever shows a grant that the index signed for just this.
///
/// Every call is checked anew: nothing that was allowed once is remembered. Whether the peer has the content for those
/// for whom the grant is, is up to what it serves. A clone is the same guard.
#[derive(Clone)]
pub struct GrantGuard {
    inner: Arc<Inner>,
}

struct Inner {
    verifier: RwLock<Arc<GrantVerifier>>,
    me: PeerId,
    clock: Arc<dyn Clock>,
}

impl GrantGuard {
    /// Guards the peer `me` with grants that are signed with one of `keys`.
    pub fn new(keys: Vec<IndexPublicKey>, me: PeerId, clock: Arc<dyn Clock>) -> Self {
        let verifier = RwLock::new(Arc::new(GrantVerifier::new(keys)));
        Self { inner: Arc::new(Inner { verifier, me, clock }) }
    }

    /// From now on grants of these keys are accepted, and of no other: the index has changed its key, or the user has
    /// logged in elsewhere. Without keys nobody is let in.
    pub fn replace_keys(&self, keys: Vec<IndexPublicKey>) {
        let verifier = Arc::new(GrantVerifier::new(keys));
        *self.inner.verifier.write().unwrap_or_else(PoisonError::into_inner) = verifier;
    }

    fn verifier(&self) -> Arc<GrantVerifier> {
        self.inner.verifier.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl TransferGuard for GrantGuard {
    fn admit(&self, request: &AccessRequest<'_>) -> Result<Admission, AccessDenied> {
        let grant = request.credential.ok_or_else(|| {
            AccessDenied::Unauthenticated(
                "no grant was shown: ask the index for one and send it as `authorization: Bearer GRANT`".to_owned(),
            )
        })?;
        let claims = self
            .verifier()
            .verify(grant, self.inner.clock.now())
            .map_err(|error| AccessDenied::Unauthenticated(error.to_string()))?;
        claims
            .permits(request.access, request.content, request.connection, self.inner.me)
            .map_err(|error| AccessDenied::Forbidden(error.to_string()))?;
        let GrantClaims { user, expires_at, reach, .. } = claims;
        Ok(Admission { user, expires_at, reach })
    }
}

impl fmt::Debug for GrantGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantGuard").field("me", &self.inner.me).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use p2pshare_core::{
        auth::GrantSigner,
        content::ContentId,
        identity::{Access, GroupsId, PeerConnection, Reach},
        time::{ManualClock, Timestamp},
    };

    use super::*;

    const NOW: Timestamp = Timestamp::from_secs(1_000_000);
    const LIFETIME: Duration = Duration::from_secs(600);

    fn me() -> PeerId {
        PeerId::from_bytes([1; 32])
    }

    fn holder() -> PeerId {
        PeerId::from_bytes([2; 32])
    }

    fn content() -> ContentId {
        ContentId::of(b"content")
    }

    struct Setting {
        signer: GrantSigner,
        clock: Arc<ManualClock>,
        guard: GrantGuard,
    }

    fn setting() -> Setting {
        let signer = GrantSigner::generate().unwrap();
        let clock = Arc::new(ManualClock::new(NOW));
        let guard = GrantGuard::new(vec![signer.public_key()], me(), clock.clone());
        Setting { signer, clock, guard }
    }

    fn claims(signer: &GrantSigner) -> GrantClaims {
        GrantClaims {
            issuer: signer.key_id(),
            user: "alice".parse().unwrap(),
            action: Access::Fetch,
            content: content(),
            holder: Some(holder()),
            audience: None,
            reach: Reach::Groups(GroupsId::from_bytes([7; 16])),
            issued_at: NOW,
            expires_at: NOW.saturating_add(LIFETIME),
            id: GrantClaims::new_id(),
        }
    }

    fn request(credential: Option<&str>) -> AccessRequest<'_> {
        AccessRequest {
            credential,
            access: Access::Fetch,
            content: content(),
            connection: PeerConnection::Tls { key: Some(holder()) },
        }
    }

    fn unauthenticated(guard: &GrantGuard, credential: Option<&str>, says: &str) {
        match guard.admit(&request(credential)) {
            Err(AccessDenied::Unauthenticated(text)) => assert!(text.contains(says), "{text}"),
            other => panic!("{other:?}"),
        }
    }

    fn forbidden(guard: &GrantGuard, request: &AccessRequest<'_>, says: &str) {
        match guard.admit(request) {
            Err(AccessDenied::Forbidden(text)) => assert!(text.contains(says), "{text}"),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_good_grant_lets_its_user_in() {
        let Setting { signer, guard, .. } = setting();
        let claims = claims(&signer);
        let grant = signer.sign(&claims);
        let admission = guard.admit(&request(Some(&grant))).unwrap();
        let GrantClaims { user, expires_at, reach, .. } = claims;
        assert_eq!(admission, Admission { user, expires_at, reach });
        let plain = AccessRequest { connection: PeerConnection::Plain, ..request(Some(&grant)) };
        guard.admit(&plain).unwrap();
    }

    #[test]
    fn no_grant() {
        unauthenticated(&setting().guard, None, "no grant");
    }

    #[test]
    fn what_is_no_grant() {
        let guard = setting().guard;
        unauthenticated(&guard, Some(""), "not a grant");
        unauthenticated(&guard, Some("a.b.c"), "not a grant");
        unauthenticated(&guard, Some(&"a".repeat(10_000)), "bytes long");
    }

    #[test]
    fn a_grant_that_was_changed() {
        let Setting { signer, guard, .. } = setting();
        let grant = signer.sign(&claims(&signer));
        let (start, signature) = grant.rsplit_once('.').unwrap();
        let first = if signature.starts_with('A') { 'B' } else { 'A' };
        let changed = format!("{start}.{first}{}", &signature[1..]);
        unauthenticated(&guard, Some(&changed), "signature");
    }

    #[test]
    fn a_grant_of_another_index() {
        let guard = setting().guard;
        let other = GrantSigner::generate().unwrap();
        let grant = other.sign(&claims(&other));
        unauthenticated(&guard, Some(&grant), "not trusted");
    }

    #[test]
    fn a_grant_that_is_over() {
        let Setting { signer, clock, guard } = setting();
        let grant = signer.sign(&claims(&signer));
        clock.advance(LIFETIME + GrantVerifier::LEEWAY);
        unauthenticated(&guard, Some(&grant), "expired");
    }

    #[test]
    fn a_grant_from_the_future() {
        let Setting { signer, clock, guard } = setting();
        let grant = signer.sign(&claims(&signer));
        clock.set(NOW.saturating_sub(GrantVerifier::LEEWAY * 2));
        unauthenticated(&guard, Some(&grant), "clock");
    }

    #[test]
    fn a_grant_for_something_else() {
        let Setting { signer, guard, .. } = setting();
        let grant = signer.sign(&claims(&signer));
        let asked = request(Some(&grant));
        forbidden(&guard, &AccessRequest { access: Access::Push, ..asked }, "fetch");
        let other = ContentId::of(b"other");
        forbidden(&guard, &AccessRequest { content: other, ..asked }, "content");
    }

    #[test]
    fn a_grant_of_another_peer() {
        let Setting { signer, guard, .. } = setting();
        let grant = signer.sign(&claims(&signer));
        for key in [None, Some(me())] {
            let connection = PeerConnection::Tls { key };
            let asked = AccessRequest { connection, ..request(Some(&grant)) };
            forbidden(&guard, &asked, "key");
        }
    }

    #[test]
    fn a_grant_for_use_elsewhere() {
        let Setting { signer, guard, .. } = setting();
        let push = |audience| {
            let claims = GrantClaims { action: Access::Push, audience, ..claims(&signer) };
            signer.sign(&claims)
        };
        let (here, elsewhere, nowhere) = (push(Some(me())), push(Some(holder())), push(None));
        let asked = |grant| AccessRequest { access: Access::Push, ..request(Some(grant)) };
        guard.admit(&asked(&here)).unwrap();
        forbidden(&guard, &asked(&elsewhere), "not here");
        forbidden(&guard, &asked(&nowhere), "names no receiving peer");
    }

    #[test]
    fn keys_are_replaced_while_it_runs() {
        let Setting { signer, guard, .. } = setting();
        let next = GrantSigner::generate().unwrap();
        let old_grant = signer.sign(&claims(&signer));
        let new_grant = next.sign(&claims(&next));
        guard.admit(&request(Some(&old_grant))).unwrap();

        guard.replace_keys(vec![next.public_key(), signer.public_key()]);
        guard.admit(&request(Some(&old_grant))).unwrap();
        guard.admit(&request(Some(&new_grant))).unwrap();

        guard.replace_keys(vec![next.public_key()]);
        unauthenticated(&guard, Some(&old_grant), "not trusted");
        guard.replace_keys(Vec::new());
        unauthenticated(&guard, Some(&new_grant), "not trusted");
    }
}
