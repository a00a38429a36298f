//! Invites: speakable codes that let somebody register.

use std::time::Duration;

use data_encoding::HEXLOWER;

use super::{
    Caller, Index, IndexError, Thing,
    model::{InviteHash, InviteRecord},
};
use crate::{
    api::{CreateInvite, Invite, InviteCreated, InviteList},
    time::Timestamp,
};

/// Words in a code, each of 2,048: 44 bits.
const CODE_WORDS: usize = 4;

const MINUTE: u32 = 60;
const DAY: u32 = 24 * 60 * MINUTE;

impl Index {
    /// Makes an invite code.
    pub async fn create_invite(
        &self,
        caller: &Caller,
        request: &CreateInvite,
    ) -> Result<InviteCreated, IndexError> {
        let uses = within("uses", request.uses, 1, 1, 1000)?;
        let valid = within("valid_seconds", request.valid_seconds, 7 * DAY, MINUTE, 90 * DAY)?;
        if let Some(group) = &request.group {
            self.owned_group(caller, group).await?;
        }
        let limit = self.config().invites_per_user;
        let now = self.now();
        let good = self
            .store()
            .invites_by(&caller.user)
            .await?
            .iter()
            .filter(|one| one.is_good(now))
            .count();
        if good >= limit as usize {
            return Err(IndexError::Quota { what: "open invites", limit: limit.into() });
        }
        let code = new_code();
        let record = InviteRecord {
            hash: InviteHash::of_code(&code),
            created_by: caller.user.clone(),
            group: request.group.clone(),
            uses_left: uses,
            created_at: now,
            expires_at: now.saturating_add(Duration::from_secs(valid.into())),
        };
        if !self.store().insert_invite(&record).await? {
            return Err(IndexError::Conflict(
                "the group is gone: ask for the invite again without it",
            ));
        }
        if let Some(group) = &request.group
            && let Err(error) = self.owned_group(caller, group).await
        {
            // It was given away since it was looked up above. Nobody knows the code yet.
            self.store().delete_invite(&record.hash).await?;
            return Err(error);
        }
        Ok(InviteCreated { code, invite: Invite::from(record) })
    }

    /// The invites that the caller made and that are still good.
    pub async fn invites(&self, caller: &Caller) -> Result<InviteList, IndexError> {
        let now = self.now();
        let invites = self.store().invites_by(&caller.user).await?;
        Ok(InviteList {
            invites: invites.into_iter().filter(|one| one.is_good(now)).map(Invite::from).collect(),
        })
    }

    /// Revokes an invite that the caller made; an operator revokes any.
    pub async fn revoke_invite(&self, caller: &Caller, id: &str) -> Result<(), IndexError> {
        let missing = || IndexError::NotFound(Thing::Invite);
        let hash = InviteHash::parse(id).ok_or_else(missing)?;
        let invite = self.store().invite(&hash).await?.ok_or_else(missing)?;
        if invite.created_by != caller.user && !caller.operator {
            return Err(missing());
        }
        if self.store().delete_invite(&hash).await? { Ok(()) } else { Err(missing()) }
    }
}

impl InviteHash {
    /// The hash of a code as a person types it: upper case, spaces and repeated dashes do not matter.
    pub fn of_code(code: &str) -> Self {
        let plain: Vec<String> = code
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .take(CODE_WORDS + 1)
            .map(str::to_lowercase)
            .collect();
        Self(blake3::derive_key("p2pshare invite code v1", plain.join("-").as_bytes()))
    }

    /// The hex form.
    pub fn to_hex(self) -> String {
        HEXLOWER.encode(&self.0)
    }

    /// Reads the hex form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut hash = [0; 32];
        if text.len() != 64 || HEXLOWER.decode_mut(text.as_bytes(), &mut hash).is_err() {
            return None;
        }
        Some(Self(hash))
    }
}

impl InviteRecord {
    /// Whether an account can be made with it.
    pub fn is_good(&self, now: Timestamp) -> bool {
        self.uses_left > 0 && self.expires_at > now
    }
}

impl From<InviteRecord> for Invite {
    fn from(record: InviteRecord) -> Self {
        Self {
            id: record.hash.to_hex(),
            created_by: record.created_by,
            group: record.group,
            uses_left: record.uses_left,
            created_at: record.created_at,
            expires_at: record.expires_at,
        }
    }
}

/// Words of the BIP 39 list, which was made to be told apart by ear and eye.
fn new_code() -> String {
    let list = bip39::Language::English.word_list();
    let word = || list[usize::from(rand::random::<u16>()) % list.len()];
    std::iter::repeat_with(word).take(CODE_WORDS).collect::<Vec<_>>().join("-")
}

fn within(
    name: &str,
    asked: Option<u32>,
    default: u32,
    least: u32,
    most: u32,
) -> Result<u32, IndexError> {
    match asked {
        None => Ok(default),
        Some(value) if (least..=most).contains(&value) => Ok(value),
        Some(value) => {
            Err(IndexError::Invalid(format!("{name} is {value}; it can be {least} to {most}")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_code_is_speakable_and_forgiving() {
        let code = new_code();
        assert_eq!(code.split('-').count(), CODE_WORDS);
        let spoken = code.to_uppercase().replace('-', "  ");
        assert_eq!(InviteHash::of_code(&code), InviteHash::of_code(&spoken));
        assert_ne!(InviteHash::of_code(&code), InviteHash::of_code(&new_code()));
    }

    #[test]
    fn the_id_survives_its_text() {
        let hash = InviteHash::of_code("a-b-c-d");
        assert_eq!(InviteHash::parse(&hash.to_hex()), Some(hash));
        assert_eq!(InviteHash::parse("é".repeat(32).as_str()), None);
    }
}
