//! Real programs, each in folders of its own, all gone when the test ends.

mod files;
mod index;
mod namespace;
mod page;
mod peer;
mod process;

use std::process::Command;

pub(crate) use files::{MIB, assert_bytes, b3sum, noise, parts, tree};
pub(crate) use index::Index;
pub(crate) use namespace::{Namespace, skip};
pub(crate) use page::{Answer, Page, path_of};
pub(crate) use peer::{PASSWORD, Peer, Serving};
pub(crate) use process::{Ended, PATIENCE, Process, until};

/// A command with which another program, such as a shell, begins this one.
pub(crate) fn begun_by(mut outer: Command, inner: &Command) -> Command {
    outer.arg(inner.get_program()).args(inner.get_args());
    for (name, value) in inner.get_envs() {
        match value {
            Some(value) => outer.env(name, value),
            None => outer.env_remove(name),
        };
    }
    if let Some(folder) = inner.get_current_dir() {
        outer.current_dir(folder);
    }
    outer
}

/// The same command, untouched by what the environment of the tests says about p2pshare and its traces.
fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if ["P2PSHARE_", "OTEL_"].iter().any(|it| name.to_string_lossy().starts_with(it)) {
            command.env_remove(name);
        }
    }
    // Whoever runs the tests may have a configuration of their own.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
}
