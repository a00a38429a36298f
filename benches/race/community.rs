//! An index and peers, each a process of its own.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Outcome, process::Server, programs::Programs};

/// An index and what its users run.
pub(crate) struct Community<'a> {
    programs: &'a Programs,
    folder: PathBuf,
    secure: bool,
    index: Server,
    seeds: Vec<Server>,
}

impl<'a> Community<'a> {
    /// An index without peers. With `secure` peers use TLS.
    pub(crate) fn new(programs: &'a Programs, folder: PathBuf, secure: bool) -> Outcome<Self> {
        fs::create_dir_all(&folder)?;
        let mut command = programs.index();
        command.args(["serve", "--listen", "127.0.0.1:0", "--log", "error"]);
        command.args(["--grants-per-user", "100000", "--registrations-per-address", "1000"]);
        command.arg("--data-dir").arg(folder.join("index"));
        let index = Server::start(command, "is listening on")?;
        Ok(Self { programs, folder, secure, index, seeds: Vec::new() })
    }

    /// A user who shares this file or folder and serves it; gives what it shares, as `ID NAME` a line.
    pub(crate) fn seed(&mut self, user: &str, shared: &Path) -> Outcome<()> {
        self.register(user)?;
        let mut share = self.command(user);
        share.arg("share").arg(shared).arg("--json");
        run(share)?;
        let mut serve = self.command(user);
        serve.args(["serve", "--quiet", "--listen", "127.0.0.1:0"]).args(self.insecure());
        self.seeds.push(Server::start(serve, "is listening on")?);
        Ok(())
    }

    /// A user with an account.
    pub(crate) fn register(&self, user: &str) -> Outcome<()> {
        let mut register = self.command(user);
        register.args(["register", user]);
        run(register)
    }

    /// A download by this user, without the last sync, as no other racer does it either.
    pub(crate) fn get(&self, user: &str, what: &str, to: &Path) -> Command {
        let mut get = self.command(user);
        get.args(["get", what, "--no-sync", "--quiet", "-o"]).arg(to).args(self.insecure());
        get
    }

    /// All that serve.
    pub(crate) fn servers(&self) -> Vec<&Server> {
        std::iter::once(&self.index).chain(&self.seeds).collect()
    }

    /// The largest memory of a seed, in bytes.
    pub(crate) fn peak_of_seeds(&self) -> u64 {
        self.seeds.iter().map(Server::peak_memory).max().unwrap_or(0)
    }

    fn insecure(&self) -> &[&str] {
        if self.secure { &[] } else { &["--insecure"] }
    }

    fn command(&self, user: &str) -> Command {
        let url = self.index.ready.rsplit(' ').next().unwrap_or_default();
        let mut command = self.programs.peer();
        command.args(["--index", url, "--data-dir"]).arg(self.folder.join(user));
        command
    }
}

fn run(mut command: Command) -> Outcome<()> {
    let output = command.output()?;
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{command:?}: {}\n{said}", output.status).into())
        }
    }
}
