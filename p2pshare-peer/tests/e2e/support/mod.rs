//! Real programs, each in folders of its own, all gone when the test ends.

mod files;
mod index;
mod page;
mod peer;
mod process;

use std::process::Command;

pub(crate) use files::{MIB, assert_bytes, b3sum, noise, parts, tree};
pub(crate) use index::Index;
pub(crate) use page::{Answer, Page, path_of};
pub(crate) use peer::{PASSWORD, Peer, Serving};
pub(crate) use process::{Ended, Process, until};

/// The same command, untouched by what the environment of the tests says about p2pshare.
fn clean(mut command: Command) -> Command {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("P2PSHARE_") {
            command.env_remove(name);
        }
    }
    // Whoever runs the tests may have a configuration of their own.
    command.env("XDG_CONFIG_HOME", "/nonexistent");
    command
}
