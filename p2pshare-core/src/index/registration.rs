//! Making accounts.

use super::{
    Index, IndexError, Thing,
    model::{InviteHash, User},
    store::RedeemOutcome,
};
use crate::{
    api::{Account, Registration},
    auth::{AuthError, Password, Verdict, Verifier},
    identity::Username,
};

impl Index {
    /// Makes an account, if registration is open or the invite code is good. The first account of an index that takes
    /// registrations is its operator, with or without an invite.
    ///
    /// Over a [directory](crate::auth::Authenticator::is_directory) the password is the one that the directory knows, nobody
    /// is an operator for coming first, and whoever has an account and no invite gets the same again.
    pub async fn register(
        &self,
        username: &Username,
        password: Password,
        invite: Option<&str>,
    ) -> Result<Account, IndexError> {
        if self.registration() == Registration::Closed {
            return Err(IndexError::RegistrationClosed);
        }
        let invite = invite.map(InviteHash::of_code);
        if let Some(invite) = &invite {
            // Told before the costly part, so that guessing codes costs the index little.
            let found = self.store().invite(invite).await?;
            let found = found.filter(|found| found.is_good(self.now()));
            let found = found.ok_or(IndexError::InviteNotGood)?;
            if let Some(group) = &found.group {
                let members = self.store().members(group).await?;
                self.check_member_quota(&members)?;
            }
        }
        let user = if !self.is_directory() {
            let verifier = self.authenticator().enroll(username, password).await?;
            self.add_account(username, verifier, invite.as_ref()).await?
        } else if self.authenticator().verify(username, password, None).await? == Verdict::Refused {
            return Err(IndexError::WrongCredentials);
        } else if invite.is_some() {
            self.add_account(username, Verifier::elsewhere(), invite.as_ref()).await?
        } else {
            self.known(username).await?
        };
        Ok(Account::from(&user))
    }

    /// Whether users and passwords are those of a [directory](crate::auth::Authenticator::is_directory), so that
    /// registering tries a password.
    pub fn is_directory(&self) -> bool {
        self.authenticator().is_directory()
    }

    /// The account of somebody whom the directory has accepted; it is made if there is none and the policy allows it.
    pub(super) async fn known(&self, username: &Username) -> Result<User, IndexError> {
        // A second time if another call makes it meanwhile.
        for _ in 0..2 {
            if let Some(user) = self.store().user(username).await? {
                return match user {
                    user if user.is_leaving() => Err(IndexError::WrongCredentials),
                    user if user.disabled => Err(IndexError::AccountDisabled),
                    user => Ok(user),
                };
            }
            if self.registration() == Registration::Closed {
                return Err(IndexError::RegistrationClosed);
            }
            match self.add_account(username, Verifier::elsewhere(), None).await {
                Err(IndexError::Taken(_)) => {}
                made => return made,
            }
        }
        Err(taken(username))
    }

    /// Makes an account, unless the policy asks for an invite and there is none.
    async fn add_account(
        &self,
        username: &Username,
        verifier: Verifier,
        invite: Option<&InviteHash>,
    ) -> Result<User, IndexError> {
        // Whoever of a directory came first has been told nothing of that.
        let mut user = self.new_user(username, verifier, !self.is_directory());
        if user.operator && self.store().insert_user(&user, true).await? {
            return Ok(user);
        }
        user.operator = false;
        match (self.registration(), invite) {
            (_, Some(invite)) => {
                match self.store().redeem_invite(invite, &user, self.now()).await? {
                    RedeemOutcome::Registered => Ok(user),
                    RedeemOutcome::NotGood => Err(IndexError::InviteNotGood),
                    RedeemOutcome::NameTaken => Err(taken(username)),
                }
            }
            (Registration::Open, None) => self.insert(user).await,
            (Registration::Invite | Registration::Closed, None) => Err(IndexError::InviteNeeded),
        }
    }

    /// Makes an account whatever the registration policy says: for operators' tools. Over a directory, see
    /// [`admit`](Self::admit).
    pub async fn create_account(
        &self,
        username: &Username,
        password: Password,
        operator: bool,
    ) -> Result<Account, IndexError> {
        if self.is_directory() {
            return Err(AuthError::NotManaged.into());
        }
        let verifier = self.authenticator().enroll(username, password).await?;
        let user = self.insert(self.new_user(username, verifier, operator)).await?;
        Ok(Account::from(&user))
    }

    /// Makes an account, whatever the registration policy says, for somebody whom the
    /// [directory](crate::auth::Authenticator::is_directory) knows by this name, or will know: for operators' tools. It
    /// has no password but the directory's.
    pub async fn admit(&self, username: &Username, operator: bool) -> Result<Account, IndexError> {
        let user = self.insert(self.new_user(username, Verifier::elsewhere(), operator)).await?;
        Ok(Account::from(&user))
    }

    async fn insert(&self, user: User) -> Result<User, IndexError> {
        match self.store().insert_user(&user, false).await? {
            true => Ok(user),
            false => Err(taken(&user.name)),
        }
    }

    fn new_user(&self, name: &Username, verifier: Verifier, operator: bool) -> User {
        let (name, created_at) = (name.clone(), self.now());
        User { name, verifier, operator, disabled: false, created_at }
    }
}

fn taken(username: &Username) -> IndexError {
    IndexError::Taken(Thing::User(username.clone()))
}
