//! Two stores to which the same is done.

use std::fmt::Debug;

use super::Disagreement;
use crate::index::store::{IndexStore, StoreResult};

pub(super) struct Pair<'a> {
    pub(super) reference: &'a dyn IndexStore,
    pub(super) other: &'a dyn IndexStore,
    /// How many steps were done.
    pub(super) steps: usize,
}

/// Calls one method of both stores: the answer, if it is the same.
macro_rules! ask {
    ($pair:expr, $method:ident($($arg:expr),* $(,)?)) => {
        $pair.agree(
            $pair.reference.$method($($arg),*).await,
            $pair.other.$method($($arg),*).await,
            || format!(concat!(stringify!($method), "{:?}"), ($(&$arg,)*)),
        )
    };
}
pub(super) use ask;

impl<'a> Pair<'a> {
    pub(super) fn new(reference: &'a dyn IndexStore, other: &'a dyn IndexStore) -> Self {
        Self { reference, other, steps: 0 }
    }

    pub(super) fn agree<T: PartialEq + Debug>(
        &self,
        reference: StoreResult<T>,
        other: StoreResult<T>,
        question: impl FnOnce() -> String,
    ) -> Result<T, Disagreement> {
        match (reference, other) {
            (Ok(reference), Ok(other)) if reference == other => Ok(reference),
            (reference, other) => Err(Disagreement {
                steps: self.steps,
                question: question(),
                reference: told(&reference),
                other: told(&other),
            }),
        }
    }
}

fn told<T: Debug>(answer: &StoreResult<T>) -> String {
    match answer {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("failed: {error}"),
    }
}
