//! Random histories: what a store answers is what the memory store answers, whatever happened before.
//!
//! A history is a list of [`Op`]s over a few users, peers, groups, paths and contents, so that they get in each other's
//! way. [`compare`] does each on two stores and compares every answer; every few steps it asks both everything.
//!
//! ```
//! # use std::sync::Arc;
//! # use p2pshare_core::{backend::memory::MemoryStore, index::store::IndexStore, testing::store::history};
//! let make = async || Arc::new(MemoryStore::new()) as Arc<dyn IndexStore>;
//! history::histories_agree(make, 4);
//! ```

mod look;
mod op;
mod pair;
mod step;
mod strategy;

use std::{fmt, sync::Arc};

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

pub use op::{Change, Op};
pub use strategy::histories;

use pair::Pair;

use super::block_on;
use crate::{backend::memory::MemoryStore, index::store::IndexStore};

/// Both stores are asked everything after so many steps, and at the end.
const LOOK_EVERY: usize = 8;

/// What happened to a store, in order. Its `Debug` form is a line for each step.
#[derive(Clone, PartialEq, Eq)]
pub struct History(pub Vec<Op>);

impl fmt::Debug for History {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (step, op) in self.0.iter().enumerate() {
            writeln!(f, "{:3}. {op:?}", step + 1)?;
        }
        Ok(())
    }
}

/// Two stores answered differently.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "after {} steps the stores differ on {question}\n  reference: {reference}\n  other:     {other}",
    steps
)]
pub struct Disagreement {
    /// How many steps of the history were done, the one that shows it included.
    pub steps: usize,
    /// What was asked.
    pub question: String,
    /// What the reference answered.
    pub reference: String,
    /// What the other store answered.
    pub other: String,
}

/// Does a history to two stores and compares every answer, and every few steps the answers to every question.
///
/// # Errors
/// The first difference. A failure of either store is one.
pub async fn compare(
    reference: &dyn IndexStore,
    other: &dyn IndexStore,
    history: &History,
) -> Result<(), Disagreement> {
    let mut pair = Pair::new(reference, other);
    for op in &history.0 {
        pair.step(op).await?;
        if pair.steps.is_multiple_of(LOOK_EVERY) {
            pair.look().await?;
        }
    }
    pair.look().await
}

/// Holds the stores that `make` gives, each fresh and empty, against the memory store over so many random histories.
///
/// Runs on a runtime of its own: call it from a plain test.
///
/// # Panics
/// If one differs, with the shortest such history that was found.
pub fn histories_agree(make: impl AsyncFn() -> Arc<dyn IndexStore>, cases: u32) {
    let config =
        Config { cases, max_shrink_iters: 4096, failure_persistence: None, ..Config::default() };
    let agrees = |history: History| {
        block_on(async {
            let other = make().await;
            let agree = compare(&MemoryStore::new(), &*other, &history).await;
            agree.map_err(|difference| TestCaseError::fail(difference.to_string()))
        })
    };
    match TestRunner::new(config).run(&histories(), agrees) {
        Ok(()) => {}
        Err(TestError::Fail(why, history)) => panic!("{why}\n\nThe history:\n{history:?}"),
        Err(TestError::Abort(why)) => panic!("no histories could be made: {why}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::store::fixture::{account, add_users, ok};

    fn store() -> Arc<dyn IndexStore> {
        Arc::new(MemoryStore::new())
    }

    #[test]
    fn a_difference_is_found_and_told() {
        let history = History(vec![Op::DeleteUser { name: "bob" }, Op::PurgeSessions { now: 3 }]);
        let found = block_on(async {
            let (reference, other) = (store(), store());
            add_users(&other, &["alice"]).await;
            let equal = compare(&*reference, &*store(), &history).await;
            assert_eq!(equal, Ok(()));
            compare(&*reference, &*other, &history).await
        });
        let text = found.unwrap_err().to_string();
        assert!(text.contains("after 2 steps"), "{text}");
        assert!(text.contains("reference: []"), "{text}");
        assert!(text.contains("alice"), "{text}");
        let lines = format!("{history:?}");
        assert_eq!(lines, "  1. DeleteUser { name: \"bob\" }\n  2. PurgeSessions { now: 3 }\n");
    }

    #[test]
    fn a_different_answer_to_a_step_is_found() {
        let history = History(vec![Op::DeleteUser { name: "alice" }]);
        let found = block_on(async {
            let (reference, other) = (store(), store());
            ok(other.insert_user(&account("alice"), false).await);
            compare(&*reference, &*other, &history).await
        });
        let difference = found.unwrap_err();
        assert_eq!(difference.steps, 1);
        assert_eq!((&*difference.reference, &*difference.other), ("false", "true"));
    }
}
