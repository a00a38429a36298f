//! Sessions.

use async_trait::async_trait;
use mongodb::bson::{Document, doc};
use serde::Deserialize;

use super::{
    MongoStore,
    database::{MongoResult, Tx, patiently, transact},
    documents::{Bytes32, SessionDoc},
    many, users,
};
use crate::{
    auth::{TokenHash, Verifier},
    identity::Username,
    index::{
        model::{OpenSession, Session},
        store::{SessionStore, StoreResult},
    },
    time::Timestamp,
};

#[async_trait]
impl SessionStore for MongoStore {
    async fn open_session(
        &self,
        session: &Session,
        verifier: &Verifier,
        keep: u32,
    ) -> StoreResult<bool> {
        Ok(transact!(&self.database, open, session, verifier, keep))
    }

    async fn session(&self, token: &TokenHash, now: Timestamp) -> StoreResult<Option<OpenSession>> {
        let pipeline = [
            doc! { "$match": { "_id": Bytes32::from(token), "expires_at": { "$gt": now.as_millis() } } },
            doc! { "$lookup": {
                "from": "users", "localField": "user", "foreignField": "_id", "as": "account",
            } },
            doc! { "$project": {
                "user": 1, "created_at": 1, "expires_at": 1,
                "account.operator": 1, "account.disabled": 1,
            } },
        ];
        let find = || self.database.sessions.aggregate(pipeline.clone()).with_type::<Found>();
        let found = many(find, Found::into_model).await?;
        Ok(found.into_iter().next().flatten())
    }

    async fn extend_session(&self, token: &TokenHash, expires_at: Timestamp) -> StoreResult<bool> {
        let which = doc! { "_id": Bytes32::from(token) };
        let later = doc! { "$max": { "expires_at": expires_at.as_millis() } };
        let extend = || self.database.sessions.update_one(which.clone(), later.clone());
        Ok(patiently(extend).await?.matched_count > 0)
    }

    async fn end_session(&self, token: &TokenHash) -> StoreResult<bool> {
        Ok(transact!(&self.database, end, doc! { "_id": Bytes32::from(token) }) > 0)
    }

    async fn end_sessions(&self, user: &Username, except: Option<&TokenHash>) -> StoreResult<u64> {
        let which = all_but(user, except);
        Ok(transact!(&self.database, end, which.clone()))
    }

    async fn sessions_of(&self, user: &Username) -> StoreResult<Vec<Session>> {
        let own = doc! { "user": user.as_str() };
        let find = || self.database.sessions.find(own.clone()).sort(doc! { "_id": 1 });
        Ok(many(find, SessionDoc::into_model).await?)
    }

    /// Not in one transaction: there can be very many, and to forget some of them changes no answer but this one.
    async fn purge_sessions(&self, now: Timestamp) -> StoreResult<u64> {
        let ended = doc! { "expires_at": { "$lte": now.as_millis() } };
        let purge = || self.database.sessions.delete_many(ended.clone());
        Ok(patiently(purge).await?.deleted_count)
    }
}

/// A session and the account that has its name.
#[derive(Deserialize)]
struct Found {
    #[serde(flatten)]
    session: SessionDoc,
    account: Vec<State>,
}

#[derive(Deserialize)]
struct State {
    operator: bool,
    disabled: bool,
}

impl Found {
    fn into_model(self) -> MongoResult<Option<OpenSession>> {
        let Some(State { operator, disabled }) = self.account.into_iter().next() else {
            return Ok(None);
        };
        Ok(Some(OpenSession { session: self.session.into_model()?, operator, disabled }))
    }
}

async fn open(
    tx: &mut Tx<'_>,
    session: &Session,
    verifier: &Verifier,
    keep: u32,
) -> MongoResult<bool> {
    let account =
        doc! { "_id": session.user.as_str(), "disabled": false, "verifier": verifier.as_str() };
    if users::hold(tx, account).await?.is_none() {
        return Ok(false);
    }
    let sessions = &tx.database.sessions;
    let new = SessionDoc::from(session);
    let known = doc! { "_id": new.token };
    if sessions.find_one(known).session(&mut tx.session).await?.is_some() {
        return Ok(false);
    }
    // The new session is one of those that remain.
    let remain = u64::from(keep.saturating_sub(1));
    let find = sessions.find(doc! { "user": session.user.as_str() });
    let mut found = find.session(&mut tx.session).await?;
    let mut own = Vec::new();
    while found.advance(&mut tx.session).await? {
        let one = found.deserialize_current()?;
        own.push((one.expires_at.min(new.expires_at), one.created_at, one.token));
    }
    own.sort_unstable_by(|one, other| other.cmp(one));
    let first: Vec<_> = (0..)
        .zip(own)
        .filter(|(place, _)| *place >= remain)
        .map(|(_, (.., token))| token)
        .collect();
    if !first.is_empty() {
        let first = doc! { "_id": { "$in": first } };
        sessions.delete_many(first).session(&mut tx.session).await?;
    }
    sessions.insert_one(new).session(&mut tx.session).await?;
    Ok(true)
}

/// The sessions of a user but one.
pub(super) fn all_but(user: &Username, except: Option<&TokenHash>) -> Document {
    let mut which = doc! { "user": user.as_str() };
    if let Some(except) = except {
        which.insert("_id", doc! { "$ne": Bytes32::from(except) });
    }
    which
}

pub(super) async fn end(tx: &mut Tx<'_>, which: Document) -> MongoResult<u64> {
    let ended = tx.database.sessions.delete_many(which).session(&mut tx.session).await?;
    Ok(ended.deleted_count)
}
