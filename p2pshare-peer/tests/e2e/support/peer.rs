//! A user's `p2pshare-peer` with its data directory.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::{
    Index, Page, clean,
    process::{Ended, Process},
};

/// The password of every user.
pub(crate) const PASSWORD: &str = "correct horse battery staple";

/// A peer: where it keeps its data, and a folder for the files of its user.
pub(crate) struct Peer {
    pub(crate) user: String,
    dir: TempDir,
    url: String,
}

impl Peer {
    /// A peer whose user is not registered.
    pub(crate) fn new(index: &Index, user: &str) -> Self {
        let dir = tempfile::tempdir().expect("a folder for the peer");
        fs::create_dir(dir.path().join("home")).expect("a folder for its files");
        Self { user: user.to_owned(), dir, url: index.url() }
    }

    /// The same peer, of which commands name another URL of an index.
    pub(crate) fn at(self, url: &str) -> Self {
        Self { url: url.to_owned(), ..self }
    }

    /// A peer whose user is registered and logged in.
    pub(crate) fn registered(index: &Index, user: &str) -> Self {
        let peer = Self::new(index, user);
        peer.ok(["register", user]);
        peer
    }

    /// The folder of its user's files, which is the current folder of its commands.
    pub(crate) fn home(&self) -> PathBuf {
        self.dir.path().join("home")
    }

    pub(crate) fn data_dir(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// A path among its user's files.
    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.home().join(name)
    }

    /// The command with these arguments, not started.
    pub(crate) fn command<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Command {
        let mut command = clean(Command::new(env!("CARGO_BIN_EXE_p2pshare-peer")));
        command.env("P2PSHARE_PASSWORD", PASSWORD).current_dir(self.home());
        // Tests that want a page ask for it.
        command.env("P2PSHARE_UI", "off");
        command.args(["--index", &self.url, "--data-dir"]).arg(self.data_dir()).args(args);
        command
    }

    /// Starts a command with `--json`.
    pub(crate) fn start<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Process {
        let mut command = self.command(args);
        command.arg("--json");
        Process::start(command)
    }

    /// Runs a command with `--json` to its end.
    pub(crate) fn run<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Ended {
        self.start(args).wait()
    }

    /// Runs a command that must succeed.
    #[track_caller]
    pub(crate) fn ok<I: IntoIterator<Item: AsRef<OsStr>>>(&self, args: I) -> Ended {
        self.run(args).expect_code(0)
    }

    /// Runs a command that must fail like this; gives what it says.
    #[track_caller]
    pub(crate) fn fails<I: IntoIterator<Item: AsRef<OsStr>>>(&self, code: i32, args: I) -> String {
        let ended = self.run(args).expect_code(code);
        let (message, hint) = ended.error();
        format!("{message}\n{hint}")
    }

    /// Shares a path; gives the content ids by the name that others see.
    pub(crate) fn share(&self, path: impl AsRef<OsStr>) -> Vec<(String, String)> {
        self.share_with(&[], path)
    }

    fn share_with(&self, options: &[&str], path: impl AsRef<OsStr>) -> Vec<(String, String)> {
        let options = options.iter().map(OsStr::new);
        let args = [OsStr::new("share")].into_iter().chain(options).chain([path.as_ref()]);
        let shared = self.ok(args);
        let text = |file: &Value, key: &str| file[key].as_str().expect("a text").to_owned();
        let files = shared.all("file");
        files.iter().map(|file| (text(file, "path"), text(file, "content"))).collect()
    }

    /// Writes a file, shares it, and gives its content id.
    pub(crate) fn share_file(&self, name: &str, bytes: &[u8]) -> String {
        self.share_file_with(&[], name, bytes)
    }

    /// The same for a file whose changes are not followed.
    pub(crate) fn share_unwatched_file(&self, name: &str, bytes: &[u8]) -> String {
        self.share_file_with(&["--no-watch"], name, bytes)
    }

    fn share_file_with(&self, options: &[&str], name: &str, bytes: &[u8]) -> String {
        let path = self.path(name);
        fs::write(&path, bytes).expect("a file to share");
        let shared = self.share_with(options, &path);
        assert_eq!(shared.len(), 1, "{shared:?}");
        shared.into_iter().next().expect("it has one").1
    }

    /// Serves on a free port, with more options.
    pub(crate) fn serve(&self, options: &[&str]) -> Serving {
        let args = ["serve", "--listen", "127.0.0.1:0"].into_iter().chain(options.iter().copied());
        let mut process = self.start(args);
        let ready = process.wait_for_event("ready");
        Serving { process, ready }
    }

    /// Serves at so many bytes a second, until the page says otherwise.
    pub(crate) fn serve_slowly(&self, bytes_per_second: usize) -> (Serving, Page) {
        let serving = self.serve(&["--ui", "127.0.0.1:0"]);
        let page = Page::of(self);
        page.limit_uploads(Some(bytes_per_second));
        (serving, page)
    }

    /// The session's token, as it lies on the disk.
    pub(crate) fn token(&self) -> String {
        let session = fs::read(self.data_dir().join("session.json")).expect("a session");
        let session: Value = serde_json::from_slice(&session).expect("JSON");
        session["token"].as_str().expect("a token").to_owned()
    }
}

/// A peer that serves.
pub(crate) struct Serving {
    pub(crate) process: Process,
    pub(crate) ready: Value,
}

impl Serving {
    pub(crate) fn listen(&self) -> String {
        self.ready["listen"].as_str().expect("an address").to_owned()
    }

    pub(crate) fn kill(self) -> Ended {
        self.process.kill()
    }

    pub(crate) fn stop(self) -> Ended {
        self.process.stop(Signal::TERM)
    }
}
