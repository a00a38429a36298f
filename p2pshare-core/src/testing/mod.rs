//! Suites that show that an implementation keeps the laws of its trait.

pub mod store;
