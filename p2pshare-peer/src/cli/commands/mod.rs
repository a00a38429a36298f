//! One function for each command.

pub(crate) mod account;
pub(crate) mod community;
pub(crate) mod find;
pub(crate) mod get;
pub(crate) mod push;
pub(crate) mod serve;
pub(crate) mod share;
pub(crate) mod status;
mod watch;
