//! The connection to the servers: the collections, how they are made, and how they are read and written.

mod error;
mod schema;
mod transaction;
mod uri;

use std::time::Duration;

use mongodb::{
    Client, Collection,
    bson::{Document, doc},
    options::{
        Acknowledgment, ClientOptions, ReadConcern, ReadPreference, SelectionCriteria,
        TransactionOptions, WriteConcern,
    },
};

pub(super) use error::{MongoError, MongoResult};
use transaction::patiently_unless;
pub(super) use transaction::{Haste, Reading, Tx, patiently, read, transact};
pub use uri::{MongoUri, ParseMongoUriError};

use super::documents::{EntryDoc, GroupDoc, InviteDoc, PartialDoc, PeerDoc, SessionDoc, UserDoc};

/// How long a call waits for a server that can answer it, unless the URI says otherwise: longer than an election takes
/// with MongoDB's own settings.
const SERVER_SELECTION: Duration = Duration::from_secs(20);

/// The servers, and the collections of one database.
///
/// Every write is acknowledged by a majority, every read is of what a majority has, from the primary: so nothing that
/// was answered is lost or unseen, whichever server fails.
#[derive(Clone)]
pub(super) struct Database {
    database: mongodb::Database,
    pub(super) users: Collection<UserDoc>,
    pub(super) sessions: Collection<SessionDoc>,
    pub(super) peers: Collection<PeerDoc>,
    pub(super) entries: Collection<EntryDoc>,
    pub(super) partials: Collection<PartialDoc>,
    pub(super) groups: Collection<GroupDoc>,
    pub(super) invites: Collection<InviteDoc>,
    pub(super) leases: Collection<Document>,
    pub(super) meta: Collection<Document>,
}

impl Database {
    /// Connects and brings the database up to date.
    pub(super) async fn open(uri: &MongoUri) -> MongoResult<Self> {
        let refused = |error: mongodb::error::Error| {
            MongoError::Refused(uri.redact(&format!("{}", error.kind)))
        };
        let mut options = ClientOptions::parse(uri.reveal()).await.map_err(refused)?;
        let database = uri.database(options.default_database.as_deref());
        options.app_name.get_or_insert_with(|| "p2pshare-index".to_owned());
        options.server_selection_timeout.get_or_insert(SERVER_SELECTION);
        // The laws of the store are not for the URI to change.
        options.retry_reads = Some(true);
        options.retry_writes = Some(true);
        options.read_concern = Some(ReadConcern::majority());
        options.write_concern = Some(majority());
        options.selection_criteria =
            Some(SelectionCriteria::ReadPreference(ReadPreference::Primary));
        let client = Client::with_options(options).map_err(refused)?;
        let database = Self::over(client.database(&database));
        database.check_servers().await?;
        schema::prepare(&database).await?;
        Ok(database)
    }

    fn over(database: mongodb::Database) -> Self {
        Self {
            users: database.collection("users"),
            sessions: database.collection("sessions"),
            peers: database.collection("peers"),
            entries: database.collection("entries"),
            partials: database.collection("partials"),
            groups: database.collection("groups"),
            invites: database.collection("invites"),
            leases: database.collection("leases"),
            meta: database.collection("meta"),
            database,
        }
    }

    pub(super) fn client(&self) -> &Client {
        self.database.client()
    }

    pub(super) fn raw(&self) -> &mongodb::Database {
        &self.database
    }

    /// A server alone has no transactions.
    async fn check_servers(&self) -> MongoResult<()> {
        // Whoever mistyped an address has waited as long as the URI says.
        let ask = || self.database.run_command(doc! { "hello": 1 });
        let hello = patiently_unless(MongoError::found_no_server, ask).await?;
        let is_set = hello.contains_key("setName");
        let is_router = hello.get_str("msg").is_ok_and(|message| message == "isdbgrid");
        if is_set || is_router {
            return Ok(());
        }
        Err(MongoError::Refused(
            "this mongod is in no replica set, and only replica sets have transactions: start it with --replSet and \
             initiate the set (one member is enough)"
                .to_owned(),
        ))
    }
}

fn majority() -> WriteConcern {
    WriteConcern::builder().w(Acknowledgment::Majority).build()
}

fn transaction_options() -> TransactionOptions {
    TransactionOptions::builder()
        .read_concern(ReadConcern::snapshot())
        .write_concern(majority())
        .selection_criteria(SelectionCriteria::ReadPreference(ReadPreference::Primary))
        .build()
}
