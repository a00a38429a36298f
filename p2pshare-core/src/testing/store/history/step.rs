//! Doing one step to both stores.

use super::{
    Disagreement, Op,
    pair::{Pair, ask},
};
use crate::{
    api::CatalogChange,
    auth::Verifier,
    identity::PeerId,
    index::model::{GroupRecord, InviteRecord, KeptSessions, Peer, Session, User},
    testing::store::fixture::{
        address, at, content, group, invite_hash, part, peer_id, token, user, verifier,
    },
    time::Timestamp,
};

impl Pair<'_> {
    /// Does a step and compares what it says it did.
    pub(super) async fn step(&mut self, op: &Op) -> Result<(), Disagreement> {
        self.steps += 1;
        match *op {
            Op::InsertUser { name, verifier, operator, disabled, created_at, only_if_first } => {
                let account = User {
                    name: user(name),
                    verifier: secret(verifier),
                    operator,
                    disabled,
                    created_at: at(created_at),
                };
                ask!(self, insert_user(&account, only_if_first))?;
            }
            Op::SetVerifier { name, verifier, expected, kept } => {
                let (new, expected) = (secret(verifier), expected.map(secret));
                let kept = match kept {
                    None => KeptSessions::All,
                    Some(None) => KeptSessions::None,
                    Some(Some(number)) => KeptSessions::One(token(number)),
                };
                ask!(self, set_verifier(&user(name), &new, expected.as_ref(), kept))?;
            }
            Op::SetDisabled { name, disabled } => {
                ask!(self, set_disabled(&user(name), disabled))?;
            }
            Op::SetOperator { name, operator } => {
                ask!(self, set_operator(&user(name), operator))?;
            }
            Op::DeleteUser { name } => {
                ask!(self, delete_user(&user(name)))?;
            }
            Op::OpenSession {
                token: number,
                user: name,
                created_at,
                expires_at,
                verifier,
                keep,
            } => {
                let session = Session {
                    token: token(number),
                    user: user(name),
                    created_at: at(created_at),
                    expires_at: at(expires_at),
                };
                ask!(self, open_session(&session, &secret(verifier), keep))?;
            }
            Op::ExtendSession { token: number, expires_at } => {
                ask!(self, extend_session(&token(number), at(expires_at)))?;
            }
            Op::EndSession { token: number } => {
                ask!(self, end_session(&token(number)))?;
            }
            Op::EndSessions { user: name, except } => {
                let except = except.map(token);
                ask!(self, end_sessions(&user(name), except.as_ref()))?;
            }
            Op::PurgeSessions { now } => {
                ask!(self, purge_sessions(at(now)))?;
            }
            Op::Announce { peer, owner, addresses, announced_at, last_seen } => {
                let peer = Peer {
                    id: peer_id(peer),
                    owner: user(owner),
                    addresses: (0..addresses).map(address).collect(),
                    announced_at: at(announced_at),
                    last_seen: last_seen.map(at),
                };
                ask!(self, announce(&peer))?;
            }
            Op::TouchPeers { ref seen } => {
                let one = |&(peer, seconds): &(u8, i64)| (peer_id(peer), at(seconds));
                let seen: Vec<(PeerId, Timestamp)> = seen.iter().map(one).collect();
                ask!(self, touch_peers(&seen))?;
            }
            Op::PeerLeaves { peer } => {
                ask!(self, peer_leaves(&peer_id(peer)))?;
            }
            Op::DeletePeer { peer } => {
                ask!(self, delete_peer(&peer_id(peer)))?;
            }
            Op::PurgePeers { before, limit } => {
                ask!(self, purge_peers(at(before), limit))?;
            }
            Op::Publish { owner, peer, ref changes, now } => {
                let changes: Vec<CatalogChange> = changes.iter().map(Into::into).collect();
                ask!(self, publish(&user(owner), &peer_id(peer), &changes, at(now)))?;
            }
            Op::AddPartialSource { owner, peer, content: number, until, ref groups } => {
                let (owner, peer) = (user(owner), peer_id(peer));
                ask!(self, add_partial_source(&owner, &peer, &part(number, until, groups)))?;
            }
            Op::RemovePartialSource { owner, peer, content: number } => {
                let (owner, peer, content) = (user(owner), peer_id(peer), content(number));
                ask!(self, remove_partial_source(&owner, &peer, &content))?;
            }
            Op::InsertGroup { name, owner, created_at } => {
                let record = GroupRecord {
                    name: group(name),
                    owner: user(owner),
                    created_at: at(created_at),
                };
                ask!(self, insert_group(&record))?;
            }
            Op::AddMember { name, user: member } => {
                ask!(self, add_member(&group(name), &user(member)))?;
            }
            Op::RemoveMember { name, user: member } => {
                ask!(self, remove_member(&group(name), &user(member)))?;
            }
            Op::SetGroupOwner { name, owner } => {
                ask!(self, set_group_owner(&group(name), &user(owner)))?;
            }
            Op::DeleteGroup { name } => {
                ask!(self, delete_group(&group(name)))?;
            }
            Op::InsertInvite {
                hash,
                created_by,
                group: into,
                uses_left,
                created_at,
                expires_at,
            } => {
                let invite = InviteRecord {
                    hash: invite_hash(hash),
                    created_by: user(created_by),
                    group: into.map(group),
                    uses_left,
                    created_at: at(created_at),
                    expires_at: at(expires_at),
                };
                ask!(self, insert_invite(&invite))?;
            }
            Op::RedeemInvite { hash, name, now } => {
                let account = User {
                    name: user(name),
                    verifier: secret(1),
                    operator: false,
                    disabled: false,
                    created_at: at(now),
                };
                ask!(self, redeem_invite(&invite_hash(hash), &account, at(now)))?;
            }
            Op::DeleteInvite { hash } => {
                ask!(self, delete_invite(&invite_hash(hash)))?;
            }
            Op::PurgeInvites { now } => {
                ask!(self, purge_invites(at(now)))?;
            }
        }
        Ok(())
    }
}

fn secret(number: u8) -> Verifier {
    verifier(&number.to_string())
}
