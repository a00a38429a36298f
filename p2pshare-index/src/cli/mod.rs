//! The program `p2pshare-index`: arguments as they were given, then the configuration that they mean, then the work.

mod args;
mod config;
mod config_file;
mod error;
mod groups;
mod keys;
mod listen;
mod logging;
mod password;
mod sections;
mod serve;
mod span;
mod store;
mod stores;
mod users;

use std::{
    fs,
    io::{self, Write},
    path::Path,
    process::ExitCode,
};

use clap::{CommandFactory, Parser};
use clap_complete::Shell;

use args::{Args, Command};
use config::Config;
use error::CliError;

/// A configuration file is written as it was read, for fuzzing.
///
/// # Panics
/// When it is not.
#[doc(hidden)]
pub fn fuzz_config(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        config::check_round_trip(text);
    }
}

/// Runs the program with the process's arguments and environment: 0 done, 1 failed, 2 wrong usage or configuration.
pub fn run() -> ExitCode {
    match work(Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        // Whoever reads has seen enough, as `head`.
        Err(CliError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => {
            ExitCode::SUCCESS
        }
        Err(error) => {
            // Nothing can be done if even this cannot be written.
            let _ = writeln!(io::stderr(), "p2pshare-index: {error}");
            error.exit_code()
        }
    }
}

fn work(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Serve(mut options) => {
            options.config = options.config.or_default();
            let (config, log) = Config::resolve(*options)?;
            serve::run(config, log)
        }
        Command::User(command) => users::run(command),
        Command::Group(command) => groups::run(command),
        Command::Keys(command) => keys::run(command),
        Command::Store(command) => stores::run(command),
        Command::Config(command) => config_file::run(command),
        Command::Openapi => {
            let document = serde_json::to_string_pretty(&crate::document()).map_err(|error| {
                CliError::Failed(format!("the document cannot be made: {error}"))
            })?;
            print(&document)
        }
        Command::Man { dir } => man(dir.as_deref()),
        Command::Completions { shell } => {
            io::stdout().write_all(&completions(shell)).map_err(CliError::Output)
        }
    }
}

/// The script that completes commands in a shell.
fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "p2pshare-index", &mut script);
    if shell != Shell::Bash {
        return script;
    }
    // clap_complete 4.6 spells a program's name with a hyphen in two ways, so that nothing is found below the first word.
    let text = String::from_utf8_lossy(&script);
    text.replace("p2pshare__subcmd__index", "p2pshare__index").into_bytes()
}

/// Prints the manual page of the program, or writes those of all its commands into a folder.
fn man(dir: Option<&Path>) -> Result<(), CliError> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(Args::command()).render(&mut page).map_err(CliError::Output)?;
        return io::stdout().write_all(&page).map_err(CliError::Output);
    };
    let written =
        fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(Args::command(), dir));
    written
        .map_err(|error| CliError::file(dir, format_args!("no pages can be written: {error}")))?;
    print(&format!("wrote the manual pages to {}", dir.display()))
}

/// Writes one line of output.
fn print(line: &str) -> Result<(), CliError> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(CliError::Output)
}

/// The runtime that the work runs on.
fn runtime() -> Result<tokio::runtime::Runtime, CliError> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| CliError::Failed(format!("no threads can be started: {error}")))
}

#[cfg(test)]
mod tests {
    use p2pshare_core::testing::programs::assert_bash_completes;

    use super::*;

    #[test]
    fn what_bash_looks_up_to_complete_a_command_is_there() {
        assert_bash_completes(&completions(Shell::Bash));
    }
}
