//! What operators see and do.

use data_encoding::HEXLOWER;

use super::{
    Caller, Index, IndexError, Thing,
    catalog::page,
    model::{InviteHash, InviteRecord, OverviewRequest},
    search::CursorError,
};
use crate::{
    api::{ChangeUser, Invite, InvitePage, InvitesQuery, UserOverview, UserOverviews, UsersQuery},
    identity::Username,
    time::Timestamp,
};

/// Accounts or invites in a page, unless told, and at most.
const PAGE: (u32, u32) = (50, 200);

/// Longest cursor, in characters.
const MAX_CURSOR_CHARS: usize = 128;

/// An operator of the index. Only [`Index::operator`] makes one: who has it has passed the rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operator {
    caller: Caller,
}

impl Operator {
    /// Who it is.
    pub fn caller(&self) -> &Caller {
        &self.caller
    }
}

impl Index {
    /// The caller as an operator.
    ///
    /// # Errors
    /// [`IndexError::Forbidden`] for everybody else, in the same words whatever they asked for.
    pub fn operator(&self, caller: Caller) -> Result<Operator, IndexError> {
        if caller.operator {
            Ok(Operator { caller })
        } else {
            Err(IndexError::Forbidden("this is for operators of the index"))
        }
    }

    /// A page of all accounts with how much is theirs.
    pub async fn user_overviews(
        &self,
        _operator: &Operator,
        query: &UsersQuery,
    ) -> Result<UserOverviews, IndexError> {
        let limit = page(query.limit, PAGE.0, PAGE.1)?;
        let prefix = query.prefix.as_deref().map(prefix).transpose()?.unwrap_or_default();
        let request = self.overview_request(prefix, query.after.clone(), limit + 1);
        let mut users = self.store().overviews(&request).await?;
        let more = users.len() > limit as usize;
        users.truncate(limit as usize);
        let next = users.last().filter(|_| more).map(|last| last.username.clone());
        Ok(UserOverviews { users, next })
    }

    /// Disables or enables the account of another, as [`Index::set_disabled`] does.
    pub async fn change_user(
        &self,
        operator: &Operator,
        username: &Username,
        change: ChangeUser,
    ) -> Result<UserOverview, IndexError> {
        if change.disabled && *username == operator.caller.user {
            return Err(IndexError::Conflict(
                "operators cannot disable their own account: another operator can, or p2pshare-index user disable",
            ));
        }
        self.set_disabled(username, change.disabled).await?;
        let request = self.overview_request(username.to_string(), None, 1);
        let found = self.store().overviews(&request).await?.into_iter().next();
        // The shortest name of those that begin with it comes first.
        found
            .filter(|found| found.username == *username)
            .ok_or_else(|| IndexError::NotFound(Thing::User(username.clone())))
    }

    /// A page of the invites of all users that are still good.
    pub async fn all_invites(
        &self,
        _operator: &Operator,
        query: &InvitesQuery,
    ) -> Result<InvitePage, IndexError> {
        let limit = page(query.limit, PAGE.0, PAGE.1)?;
        let after = query.cursor.as_deref().map(decode).transpose()?;
        let mut invites = self.store().good_invites(self.now(), after, limit + 1).await?;
        let more = invites.len() > limit as usize;
        invites.truncate(limit as usize);
        let next = invites.last().filter(|_| more).map(encode);
        Ok(InvitePage { invites: invites.into_iter().map(Invite::from).collect(), next })
    }

    fn overview_request(
        &self,
        prefix: String,
        after: Option<Username>,
        limit: u32,
    ) -> OverviewRequest {
        let (now, online_since) = (self.now(), self.online_since());
        OverviewRequest { prefix, after, limit, now, online_since }
    }
}

/// The beginning of a name, as names are spelled.
fn prefix(text: &str) -> Result<String, IndexError> {
    let fits = text.len() <= Username::MAX_LEN
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-".contains(&byte));
    if fits {
        return Ok(text.to_ascii_lowercase());
    }
    Err(IndexError::Invalid(format!(
        "no name begins like this: names have at most {} characters of a-z, 0-9, `.`, `_` and `-`",
        Username::MAX_LEN
    )))
}

/// A cursor is the end and the hash of the last invite of the page before.
fn encode(last: &InviteRecord) -> String {
    let ends = last.expires_at.as_millis().to_be_bytes();
    HEXLOWER.encode(&[&ends[..], &last.hash.0].concat())
}

fn decode(cursor: &str) -> Result<(Timestamp, InviteHash), CursorError> {
    if cursor.len() > MAX_CURSOR_CHARS {
        return Err(CursorError);
    }
    let bytes = HEXLOWER.decode(cursor.as_bytes()).map_err(|_| CursorError)?;
    let (ends, hash) = bytes.split_first_chunk().ok_or(CursorError)?;
    let hash = hash.try_into().map_err(|_| CursorError)?;
    Ok((Timestamp::from_millis(i64::from_be_bytes(*ends)), InviteHash(hash)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text() {
        let record = InviteRecord {
            hash: InviteHash([7; 32]),
            created_by: "alice".parse().unwrap(),
            group: None,
            uses_left: 1,
            created_at: Timestamp::EPOCH,
            expires_at: Timestamp::from_millis(-5),
        };
        let cursor = encode(&record);
        assert_eq!(decode(&cursor), Ok((record.expires_at, record.hash)));
        for wrong in ["", "00", "é", &cursor[2..], &format!("{cursor}00"), &"0".repeat(10_000)] {
            assert_eq!(decode(wrong), Err(CursorError), "{wrong}");
        }
    }

    #[test]
    fn a_prefix_is_spelled_as_names_are() {
        assert_eq!(prefix("Al.B-_9").unwrap(), "al.b-_9");
        assert_eq!(prefix("").unwrap(), "");
        for wrong in ["é", "a b", "a\0", "a/", &"a".repeat(33)] {
            assert!(prefix(wrong).is_err(), "{wrong}");
        }
    }
}
