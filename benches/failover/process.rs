//! The programs that are killed: this one, started again as an index or a peer.

use std::{
    env, fs,
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
};

use p2pshare_peer::index_client::IndexUrl;

use crate::{AS, PASSWORD};

/// A program that is killed with the value.
pub(crate) struct Process(Child);

impl Process {
    pub(crate) fn start(what: &str, folder: &Path, arguments: &[&str]) -> Self {
        let this = env::current_exe().expect("this program has a path");
        let mut command = Command::new(this);
        command.env(AS, what).env("P2PSHARE_PASSWORD", PASSWORD).args(arguments);
        // What an index or a peer would be configured with on this machine is none of this.
        command.current_dir(folder).stdin(Stdio::null()).stdout(Stdio::piped());
        Self(command.spawn().expect("a program can be started"))
    }

    /// Waits for a line of output with `what` in it; the rest of the output is read and dropped.
    pub(crate) fn wait_for(&mut self, what: &str) -> String {
        let mut output = BufReader::new(self.0.stdout.take().expect("the output is piped"));
        let mut line = String::new();
        while !line.contains(what) {
            line.clear();
            let read = output.read_line(&mut line).expect("the program prints text");
            assert!(read > 0, "the program ended before it said {what:?}");
        }
        std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
        line
    }

    /// Waits for its end; gives its exit code and what it printed.
    pub(crate) fn finish(mut self) -> (ExitStatus, String) {
        let output = self.0.stdout.take().expect("the output is piped");
        let said = std::io::read_to_string(output).expect("the program prints text");
        (self.0.wait().expect("the program was started"), said)
    }

    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

pub(crate) struct Index {
    folder: PathBuf,
    store: String,
    pub(crate) url: IndexUrl,
    process: Process,
}

impl Index {
    pub(crate) fn start(place: &Path, name: &str, store: &str) -> Self {
        let folder = place.join(name);
        fs::create_dir(&folder).expect("a folder for the index");
        let (process, url) = Self::serve(&folder, store, "127.0.0.1:0");
        Self { folder, store: store.to_owned(), url, process }
    }

    fn serve(folder: &Path, store: &str, listen: &str) -> (Process, IndexUrl) {
        let keys = folder.join("../keys.json");
        let keys = keys.to_str().expect("the folder's name is text");
        let arguments = [
            "serve",
            "--listen",
            listen,
            "--store",
            store,
            "--data-dir",
            ".",
            "--key-file",
            keys,
            "--log",
            "error",
            "--logins-per-address",
            "1000000",
            "--logins-per-account",
            "1000000",
            "--registrations-per-address",
            "1000000",
        ];
        let mut process = Process::start("index", folder, &arguments);
        let said = process.wait_for("listening on ");
        let url = said.trim().rsplit(' ').next().expect("a line has words");
        (process, url.parse().expect("the index says its URL"))
    }

    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    pub(crate) fn restart(&mut self) {
        let address = self.url.to_string();
        let address = address.trim_start_matches("http://").trim_end_matches('/');
        (self.process, _) = Self::serve(&self.folder, &self.store, address);
    }
}
