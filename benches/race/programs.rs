//! The programs that race: those of this repository, built first, and those that the machine has.

use std::{
    env,
    ffi::OsStr,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::Outcome;

/// Where the programs of this repository are.
pub(crate) struct Programs {
    folder: PathBuf,
}

impl Programs {
    /// Builds them as this program was built.
    pub(crate) fn build() -> Outcome<Self> {
        let own = env::current_exe()?;
        let folder = own.parent().and_then(Path::parent).ok_or("this program is in no folder")?;
        let mut build = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        // There, so that this repository's settings count.
        build.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        build.args(["build", "--quiet", "--bin", "p2pshare-index", "--bin", "p2pshare-peer"]);
        if !cfg!(debug_assertions) {
            build.arg("--release");
        }
        match build.status()?.success() {
            true => Ok(Self { folder: folder.to_owned() }),
            false => Err("the programs that race cannot be built".into()),
        }
    }

    pub(crate) fn index(&self) -> Command {
        clean(Command::new(self.folder.join("p2pshare-index")))
    }

    pub(crate) fn peer(&self) -> Command {
        clean(Command::new(self.folder.join("p2pshare-peer")))
    }
}

/// Whether the machine has a program.
pub(crate) fn is_there(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdout(Stdio::null()).stderr(Stdio::null());
    // nginx knows no long options, but it is there if it can say so.
    command.status().is_ok()
}

/// Options in the environment of whoever runs this are not for the racers.
fn clean(mut command: Command) -> Command {
    for (name, _) in env::vars_os() {
        if AsRef::<OsStr>::as_ref(&name).to_string_lossy().starts_with("P2PSHARE_") {
            command.env_remove(name);
        }
    }
    command.env("P2PSHARE_PASSWORD", "correct horse battery staple");
    command
}
