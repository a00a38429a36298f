//! Transactions, and reads of one moment, done again while servers change roles.

use std::{
    ops::Deref,
    time::{Duration, Instant},
};

use mongodb::ClientSession;

use super::{Database, MongoError, MongoResult};

/// How long one call is tried again before it fails: longer than an election takes with MongoDB's own settings.
const TRY_FOR: Duration = Duration::from_secs(25);

/// Does something in one transaction: `$work` is an async function that takes `&mut Tx` first. What it answers is
/// answered once all of it is committed to a majority. Conflicts and elections make it begin again.
macro_rules! transact {
    ($database:expr, $work:path $(, $argument:expr)* $(,)?) => {
        transact!(@Haste::None, $database, $work $(, $argument)*)
    };
    // The same for what decides over somebody: whoever writes all the time what it has to write would have it wait longer
    // and longer, and it comes to nothing.
    (in haste: $database:expr, $work:path $(, $argument:expr)* $(,)?) => {
        transact!(@Haste::Much, $database, $work $(, $argument)*)
    };
    (@$haste:path, $database:expr, $work:path $(, $argument:expr)*) => {{
        use $crate::backend::mongodb::database::{Haste, Tx};
        let mut tx = Tx::new($database, $haste).await?;
        loop {
            tx.begin().await?;
            let outcome = $work(&mut tx $(, $argument)*).await;
            if let Some(answer) = tx.end(outcome).await? {
                break answer;
            }
        }
    }};
}
pub(in crate::backend::mongodb) use transact;

/// Reads at one moment: `$work` is an async function that takes `&mut Reading` first, and sees all that was written
/// before and nothing of what is written meanwhile.
macro_rules! read {
    ($database:expr, $work:path $(, $argument:expr)* $(,)?) => {{
        let mut reading = $crate::backend::mongodb::database::Reading::new($database).await?;
        loop {
            let outcome = $work(&mut reading $(, $argument)*).await;
            if let Some(answer) = reading.end(outcome).await? {
                break answer;
            }
        }
    }};
}
pub(in crate::backend::mongodb) use read;

/// How soon a transaction that met another one is begun again.
#[derive(Clone, Copy, Debug)]
pub(in crate::backend::mongodb) enum Haste {
    /// Later each time, so that many who meet get through.
    None,
    /// At once, or nearly.
    Much,
}

/// How often something was tried, since when.
struct Patience {
    begun: Instant,
    tries: u32,
    /// How often the time until the next try doubles at most.
    doublings: u32,
}

impl Patience {
    fn new() -> Self {
        Self { begun: Instant::now(), tries: 0, doublings: 7 }
    }

    /// Waits a moment, longer each time, and not as long as others who wait; `false` when it has been tried for long
    /// enough.
    async fn wait(&mut self) -> bool {
        let most = Duration::from_millis(5 << self.tries.min(self.doublings));
        let wait = most.mul_f64(rand::random_range(0.2..1.0));
        self.tries += 1;
        if self.begun.elapsed() + wait > TRY_FOR {
            return false;
        }
        tokio::time::sleep(wait).await;
        true
    }
}

/// A transaction. Dropping it aborts it.
pub(in crate::backend::mongodb) struct Tx<'d> {
    pub(in crate::backend::mongodb) database: &'d Database,
    pub(in crate::backend::mongodb) session: ClientSession,
    patience: Patience,
}

impl<'d> Tx<'d> {
    pub(in crate::backend::mongodb) async fn new(
        database: &'d Database,
        haste: Haste,
    ) -> MongoResult<Self> {
        let session = database.client().start_session().await?;
        let mut patience = Patience::new();
        if let Haste::Much = haste {
            patience.doublings = 1;
        }
        Ok(Self { database, session, patience })
    }

    /// Read concern, write concern and primary are those of the client.
    pub(in crate::backend::mongodb) async fn begin(&mut self) -> MongoResult<()> {
        loop {
            let options = super::transaction_options();
            match self.session.start_transaction().with_options(options).await {
                Ok(()) => return Ok(()),
                Err(error) => self.wait_after(error.into()).await?,
            }
        }
    }

    /// Commits what was done, or takes it back if it failed; `None` if it is to be done again.
    pub(in crate::backend::mongodb) async fn end<T>(
        &mut self,
        outcome: MongoResult<T>,
    ) -> MongoResult<Option<T>> {
        let answer = match outcome {
            Ok(answer) => answer,
            Err(error) => {
                // The server takes it back by itself if this does not reach it.
                let _ = self.session.abort_transaction().await;
                if !error.may_begin_again() {
                    return Err(error);
                }
                return self.wait_after(error).await.map(|()| None);
            }
        };
        loop {
            let Err(error) = self.session.commit_transaction().await.map_err(MongoError::from)
            else {
                return Ok(Some(answer));
            };
            // Committing is told apart by the number of the transaction, so that it may be asked for again.
            let is_unknown = error.is_unknown_commit();
            if !is_unknown && !error.may_begin_again() {
                return Err(error);
            }
            self.wait_after(error).await?;
            if !is_unknown {
                return Ok(None);
            }
        }
    }

    async fn wait_after(&mut self, error: MongoError) -> MongoResult<()> {
        if error.is_passing() && self.patience.wait().await { Ok(()) } else { Err(error) }
    }
}

impl Deref for Tx<'_> {
    type Target = Database;

    fn deref(&self) -> &Database {
        self.database
    }
}

/// Reads of one moment.
pub(in crate::backend::mongodb) struct Reading<'d> {
    pub(in crate::backend::mongodb) database: &'d Database,
    pub(in crate::backend::mongodb) session: ClientSession,
    patience: Patience,
}

impl<'d> Reading<'d> {
    pub(in crate::backend::mongodb) async fn new(database: &'d Database) -> MongoResult<Self> {
        let session = database.client().start_session().snapshot(true).await?;
        Ok(Self { database, session, patience: Patience::new() })
    }

    /// The answer; `None` if it is to be read again.
    pub(in crate::backend::mongodb) async fn end<T>(
        &mut self,
        outcome: MongoResult<T>,
    ) -> MongoResult<Option<T>> {
        match outcome {
            Ok(answer) => Ok(Some(answer)),
            Err(error) if error.is_passing() && self.patience.wait().await => {
                // Another moment.
                self.session = self.database.client().start_session().snapshot(true).await?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }
}

/// Does one call to the driver again as long as it fails in a way that passes. For what may be done twice.
pub(in crate::backend::mongodb) async fn patiently<T, F>(call: impl Fn() -> F) -> MongoResult<T>
where
    F: IntoFuture<Output = mongodb::error::Result<T>>,
{
    patiently_unless(|_| false, call).await
}

/// The same, but not after an error that is `hopeless`.
pub(super) async fn patiently_unless<T, F>(
    hopeless: impl Fn(&MongoError) -> bool,
    call: impl Fn() -> F,
) -> MongoResult<T>
where
    F: IntoFuture<Output = mongodb::error::Result<T>>,
{
    let mut patience = Patience::new();
    loop {
        match call().await.map_err(MongoError::from) {
            Ok(answer) => return Ok(answer),
            Err(error) if error.is_passing() && !hopeless(&error) && patience.wait().await => {}
            Err(error) => return Err(error),
        }
    }
}
