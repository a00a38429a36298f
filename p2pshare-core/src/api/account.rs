//! Accounts, sessions and what the index says of itself.

use serde::{Deserialize, Serialize};

use crate::{
    auth::{IndexPublicKey, KeySuccession, Password, SessionToken},
    identity::Username,
    time::Timestamp,
};

/// Who may make an account.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(rename_all = "lowercase")]
pub enum Registration {
    /// Anybody.
    #[default]
    Open,
    /// Whoever has an invite code.
    Invite,
    /// Nobody: operators make the accounts.
    Closed,
}

/// What the index says of itself, to anybody who asks.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct IndexInfo {
    /// The community's name for its index.
    pub name: String,
    /// Version of the index's program.
    pub version: String,
    /// Keys whose grants are valid: the one that signs now first, then those that will, then those that did.
    pub public_keys: Vec<IndexPublicKey>,
    /// How the keys followed each other, by the word of the key before. Who knows an older key learns from it which of
    /// `public_keys` to trust.
    #[serde(default)]
    pub successions: Vec<KeySuccession>,
    /// Who may make an account.
    pub registration: Registration,
    /// The index's clock, so that a client can tell when its own is wrong.
    pub time: Timestamp,
}

/// Makes an account.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Register {
    /// The name wanted.
    pub username: Username,
    /// The password.
    pub password: Password,
    /// An invite code, where registration asks for one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub invite: Option<String>,
}

/// Opens a session.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct Login {
    /// Whose session.
    pub username: Username,
    /// The account's password.
    pub password: Password,
}

/// A session was opened.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionOpened {
    /// Bearer token of the session. The index keeps only its hash: it cannot be asked for again.
    pub token: SessionToken,
    /// When the session ends by itself, unless it is used before that: each use puts it off again.
    pub expires_at: Timestamp,
    /// The account.
    pub account: Account,
    /// The index, with the keys to pin.
    pub index: IndexInfo,
}

/// Sessions were ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct SessionsEnded {
    /// How many.
    pub ended: u64,
}

/// An account, as its owner and operators see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
pub struct Account {
    /// The name.
    pub username: Username,
    /// Whether this is an operator of the index.
    pub operator: bool,
    /// Whether an operator has disabled the account.
    pub disabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
}

/// Changes the password of one's own account. Every other session of the account ends.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct ChangePassword {
    /// The password until now.
    pub current: Password,
    /// The password from now on.
    pub new: Password,
}

/// Deletes one's own account with everything it published.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[cfg_attr(feature = "openapi", derive(utoipa::ToSchema))]
#[serde(deny_unknown_fields)]
pub struct DeleteAccount {
    /// The account's password.
    pub password: Password,
}
