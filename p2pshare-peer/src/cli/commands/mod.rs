//! One function for each command.

pub(crate) mod account;
mod catalog;
pub(crate) mod choose;
pub(crate) mod community;
pub(crate) mod config;
pub(crate) mod doctor;
pub(crate) mod downloads;
pub(crate) mod find;
mod follow;
pub(crate) mod get;
pub(crate) mod peers;
pub(crate) mod push;
mod running;
pub(crate) mod serve;
pub(crate) mod share;
pub(crate) mod shares;
pub(crate) mod status;
pub(crate) mod ui;
mod watch;
