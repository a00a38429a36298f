//! How a store finds the best hits by reading entries one after another, with memory for no more than it was asked for.

mod candidates;
mod judge;
mod names;
mod path_words;

pub(crate) use candidates::Candidates;
pub(crate) use judge::{Candidate, Judge, NO_RANK, Says, rank_of};
pub(crate) use names::BestNames;
pub(crate) use path_words::PathWords;
#[cfg(feature = "sqlite")]
pub(crate) use path_words::relevance_without_words;
