//! The program `p2pshare-index`: arguments as they were given, then the configuration that they mean, then the work.

mod args;
mod config;
mod error;
mod keys;
mod listen;
mod logging;
mod password;
mod private_file;
mod sections;
mod serve;
mod span;
mod store;
mod stores;
mod users;

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::{CommandFactory, Parser};

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
        Err(error) => {
            // Nothing can be done if even this cannot be written.
            let _ = writeln!(io::stderr(), "p2pshare-index: {error}");
            error.exit_code()
        }
    }
}

fn work(args: Args) -> Result<(), CliError> {
    match args.command {
        Command::Serve(options) => {
            let (config, log) = Config::resolve(*options)?;
            serve::run(config, log)
        }
        Command::User(command) => users::run(command),
        Command::Keys(command) => keys::run(command),
        Command::Store(command) => stores::run(&command),
        Command::Openapi => {
            let document = serde_json::to_string_pretty(&crate::document()).map_err(|error| {
                CliError::Failed(format!("the document cannot be made: {error}"))
            })?;
            print(&document)
        }
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "p2pshare-index", &mut script);
            io::stdout().write_all(&script).map_err(CliError::Output)
        }
    }
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
