//! A job: a closure that runs on another thread and whose answer is awaited.

use std::{
    any::Any,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
};

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::{DatabaseError, DatabaseResult};

/// A job on its way to a thread.
pub(super) trait Job: Send {
    /// Whether nobody waits for the answer any more.
    fn is_cancelled(&self) -> bool;

    /// Set once nobody waits for the answer any more.
    fn given_up(&self) -> Arc<AtomicBool>;

    /// Does the work and keeps the answer. `false`: it failed, and what it did must be undone.
    fn run(&mut self, connection: &Connection) -> bool;

    /// Gives the answer, or the error that befell the transaction around it.
    fn finish(self: Box<Self>, outcome: DatabaseResult<()>);
}

/// Where the answer of a job will come from. Dropping it gives the job up.
pub(super) struct Answer<T> {
    answer: oneshot::Receiver<DatabaseResult<T>>,
    given_up: Arc<AtomicBool>,
}

impl<T> Answer<T> {
    /// Waits for it.
    pub(super) async fn wait(mut self) -> DatabaseResult<T> {
        (&mut self.answer).await.map_err(|_| DatabaseError::Closed)?
    }
}

impl<T> Drop for Answer<T> {
    fn drop(&mut self) {
        self.given_up.store(true, Relaxed);
    }
}

/// The job, and where its answer will come from.
pub(super) fn job<T, F>(work: F) -> (Box<dyn Job>, Answer<T>)
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
{
    let (reply, answer) = oneshot::channel();
    let given_up = Arc::new(AtomicBool::new(false));
    let job = Work { work: Some(work), result: None, reply, given_up: given_up.clone() };
    (Box::new(job), Answer { answer, given_up })
}

struct Work<F, T> {
    work: Option<F>,
    result: Option<DatabaseResult<T>>,
    reply: oneshot::Sender<DatabaseResult<T>>,
    given_up: Arc<AtomicBool>,
}

impl<F, T> Job for Work<F, T>
where
    T: Send + 'static,
    F: FnOnce(&Connection) -> DatabaseResult<T> + Send + 'static,
{
    fn is_cancelled(&self) -> bool {
        self.given_up.load(Relaxed)
    }

    fn given_up(&self) -> Arc<AtomicBool> {
        self.given_up.clone()
    }

    fn run(&mut self, connection: &Connection) -> bool {
        let Some(work) = self.work.take() else {
            return false;
        };
        // What the closure leaves half-done is in the database alone, and undone there.
        let result = catch_unwind(AssertUnwindSafe(|| work(connection)))
            .unwrap_or_else(|panic| Err(DatabaseError::Panicked(message_of(&*panic))));
        let done = result.is_ok();
        self.result = Some(result);
        done
    }

    fn finish(self: Box<Self>, outcome: DatabaseResult<()>) {
        let result = match (self.result, outcome) {
            // Its own error says more than the one that it caused.
            (Some(Err(own)), _) => Err(own),
            (_, Err(error)) => Err(error),
            (Some(result), Ok(())) => result,
            (None, Ok(())) => Err(DatabaseError::Closed),
        };
        // Nobody may be waiting any more.
        let _ = self.reply.send(result);
    }
}

fn message_of(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "no message".to_owned())
}
