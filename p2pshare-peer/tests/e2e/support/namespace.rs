//! Networks of their own on this machine.

use std::{
    env,
    process::{self, Command, Stdio},
};

use super::{Peer, Process, begun_by};

/// A network namespace; gone when dropped.
pub(crate) struct Namespace {
    name: String,
}

impl Namespace {
    /// Namespaces with these names. `None`, and a loud line, where none can be made, unless they are required.
    pub(crate) fn all<const N: usize>(names: [&str; N]) -> Option<[Self; N]> {
        let spaces = names.map(|name| Self { name: format!("p2p{}{name}", process::id()) });
        for Self { name } in &spaces {
            if !quiet(Command::new("ip").args(["netns", "add", name])) {
                skip("no network namespaces can be made here: it takes root and iproute2");
                return None;
            }
        }
        for space in &spaces {
            space.ip(&["link", "set", "lo", "up"]);
        }
        Some(spaces)
    }

    /// Lays a wire to another one; each end has the name of its interface and an address with the length of its prefix.
    pub(crate) fn wire(&self, [name, address]: [&str; 2], other: &Self, end: [&str; 2]) {
        let far = ["peer", "name", end[0], "netns", &other.name];
        self.ip(&[&["link", "add", "name", name, "type", "veth"], &far[..]].concat());
        for (space, [name, address]) in [(self, [name, address]), (other, end)] {
            space.ip(&["address", "add", address, "dev", name]);
            space.ip(&["link", "set", name, "up"]);
        }
    }

    /// Runs `ip` for it.
    pub(crate) fn ip(&self, args: &[&str]) {
        let mut command = Command::new("ip");
        command.args(["-n", &self.name]).args(args);
        assert!(command.status().is_ok_and(|status| status.success()), "{command:?}");
    }

    /// The same command inside.
    pub(crate) fn within(&self, command: &Command) -> Command {
        let mut inside = Command::new("ip");
        inside.args(["netns", "exec", &self.name]);
        begun_by(inside, command)
    }

    /// Starts a peer's command inside, which names an index there.
    pub(crate) fn run(&self, peer: &Peer, url: &str, args: &[&str]) -> Process {
        let mut command = peer.command(args);
        command.args(["--json", "--index", url]);
        Process::start(self.within(&command))
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        quiet(Command::new("ip").args(["netns", "delete", &self.name]));
    }
}

/// Says that a test does not run, and why; it fails where it must run.
#[allow(clippy::print_stdout)]
pub(crate) fn skip(why: &str) {
    assert!(env::var_os("P2PSHARE_REQUIRE_NETWORKS").is_none(), "{why}");
    println!("SKIPPED: {why}");
}

fn quiet(command: &mut Command) -> bool {
    command.stderr(Stdio::null()).status().is_ok_and(|status| status.success())
}
