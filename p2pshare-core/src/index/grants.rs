//! Where contents are, and permission to fetch and push them.

use std::collections::HashMap;

use super::{
    Caller, Index, IndexError, Thing,
    model::{LocateRequest, Location},
    reach::Sight,
};
use crate::{
    api::{
        GrantRequest, Grants, Located, MAX_GRANT_BATCH, MAX_GRANT_SOURCES, PushGrant,
        PushGrantRequest, PushGrants, Source,
    },
    auth::GrantClaims,
    content::ContentId,
    identity::{Access, PeerId, Reach},
    time::Timestamp,
};

/// Most groups for whose sake sources of one content are told: each costs a signature. There is rarely more than one.
const GROUPS_PER_CONTENT: usize = 8;

impl Index {
    /// Sources of contents, and for each a grant to fetch it. What the caller cannot reach is left out.
    ///
    /// Each source gets to see the grant that says why the caller is told of it and nothing else: one that shares a
    /// content with everybody does not learn in which groups the caller finds it too.
    pub async fn grants(
        &self,
        caller: &Caller,
        request: GrantRequest,
    ) -> Result<Grants, IndexError> {
        if request.contents.len() > MAX_GRANT_BATCH {
            return Err(IndexError::Invalid(format!(
                "at most {MAX_GRANT_BATCH} contents can be asked for at once"
            )));
        }
        let asked = super::catalog::page(request.max_sources, 20, 100)?;
        let limit = asked.min(sources_for_each(request.contents.len()));
        self.check_holder(caller, request.peer).await?;

        let sight = self.sight(caller).await?;
        let now = self.now();
        let wanted = LocateRequest {
            contents: request.contents.clone(),
            online_since: self.online_since(),
            now,
            limit,
            pivot: PeerId::from_bytes(rand::random()),
        };
        let found = self.store().locate(&sight.viewer, &wanted).await?;
        let mut found: HashMap<ContentId, Location> =
            found.into_iter().map(|location| (location.content, location)).collect();

        let mut contents = Vec::with_capacity(found.len());
        for content in &request.contents {
            let Some(mut location) = found.remove(content) else {
                continue;
            };
            // A peer that downloads is not a source for itself.
            location.sources.retain(|source| Some(source.peer) != request.peer);
            let permit = |reach| {
                let permission = Permission {
                    action: Access::Fetch,
                    content: *content,
                    holder: request.peer,
                    audience: None,
                    reach,
                };
                self.sign(caller, now, permission)
            };
            contents.push(located(location, &sight, permit));
        }
        Ok(Grants { contents, expires_at: self.grants_end(now) })
    }

    /// Grants to push a content to the peers of a user that are online. Whether a peer takes it is the peer's decision.
    pub async fn push_grants(
        &self,
        caller: &Caller,
        request: &PushGrantRequest,
    ) -> Result<PushGrants, IndexError> {
        self.check_holder(caller, request.peer).await?;
        let receiver = self.store().user(&request.user).await?.filter(|user| !user.disabled);
        if receiver.is_none() {
            return Err(IndexError::NotFound(Thing::User(request.user.clone())));
        }
        let now = self.now();
        let online_since = self.online_since();
        let known = self.store().peers_of(&request.user).await?;
        let peers = known
            .into_iter()
            .filter(|peer| peer.online_since(online_since) && !peer.addresses.is_empty())
            .map(|peer| {
                let permission = Permission {
                    action: Access::Push,
                    content: request.content,
                    holder: request.peer,
                    audience: Some(peer.id),
                    reach: Reach::Everyone,
                };
                let grant = self.sign(caller, now, permission);
                PushGrant { peer: peer.id, addresses: peer.addresses, grant }
            })
            .collect();
        Ok(PushGrants { peers, expires_at: self.grants_end(now) })
    }

    /// A grant is bound to a peer of the caller's, or to none where that is allowed.
    async fn check_holder(
        &self,
        caller: &Caller,
        holder: Option<PeerId>,
    ) -> Result<(), IndexError> {
        match holder {
            Some(peer) => self.own_peer(caller, &peer).await.map(|_| ()),
            None if self.config().unbound_grants => Ok(()),
            None => Err(IndexError::Forbidden(
                "this index gives out no grants without a peer key: name an announced peer of yours",
            )),
        }
    }

    fn sign(&self, caller: &Caller, issued_at: Timestamp, permission: Permission) -> String {
        let keys = self.keys();
        let signer = keys.signer(issued_at);
        let claims = GrantClaims {
            issuer: signer.key_id(),
            user: caller.user.clone(),
            action: permission.action,
            content: permission.content,
            holder: permission.holder,
            audience: permission.audience,
            reach: permission.reach,
            issued_at,
            expires_at: self.grants_end(issued_at),
            id: GrantClaims::new_id(),
        };
        signer.sign(&claims)
    }

    fn grants_end(&self, issued_at: Timestamp) -> Timestamp {
        issued_at.saturating_add(self.config().grant_lifetime)
    }
}

/// Most sources of each of so many contents: the answer as a whole is bounded too.
fn sources_for_each(contents: usize) -> u32 {
    let share = MAX_GRANT_SOURCES / contents.max(1);
    u32::try_from(share).unwrap_or(u32::MAX).max(1)
}

/// A location with a grant of `permit` for each source: one for all that are told of for the same reason.
fn located(location: Location, sight: &Sight, permit: impl Fn(Reach) -> String) -> Located {
    let mut grants: HashMap<Reach, String> = HashMap::new();
    let mut sources = Vec::with_capacity(location.sources.len());
    for source in location.sources {
        // Only if the caller has joined a group since their groups were read.
        let Some(reach) = sight.reach(&source.groups) else { continue };
        let grant = match reach {
            Reach::Everyone => None,
            Reach::Groups(_)
                if grants.len() >= GROUPS_PER_CONTENT && !grants.contains_key(&reach) =>
            {
                continue;
            }
            Reach::Groups(_) => Some(grants.entry(reach).or_insert_with(|| permit(reach)).clone()),
        };
        sources.push(Source {
            peer: source.peer,
            owner: source.owner,
            addresses: source.addresses,
            kind: source.kind,
            grant,
        });
    }
    Located {
        content: location.content,
        size: location.size,
        grant: permit(Reach::Everyone),
        sources,
        total: location.total,
    }
}

/// What a grant is to permit.
#[derive(Clone, Copy)]
struct Permission {
    action: Access,
    content: ContentId,
    holder: Option<PeerId>,
    audience: Option<PeerId>,
    reach: Reach,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_batch_has_no_more_sources_than_by_default() {
        assert_eq!(sources_for_each(MAX_GRANT_BATCH), 20);
        for contents in 0..=MAX_GRANT_BATCH {
            let each = sources_for_each(contents);
            assert!((20..=20_000).contains(&each), "{contents}: {each}");
            assert!(contents * each as usize <= MAX_GRANT_SOURCES, "{contents}: {each}");
        }
        assert!(sources_for_each(200) >= 100, "what may be asked for is given to 200");
    }
}
