//! The command line: arguments in, words or JSON out.

mod args;
mod commands;
mod context;
mod exit;
mod output;
mod values;

use std::{ffi::OsString, io, process::ExitCode};

use clap::{CommandFactory, Parser, error::ErrorKind};
use tokio_util::sync::CancellationToken;
use tracing_subscriber::EnvFilter;

pub use args::Cli;
pub use exit::{CliError, Exit};

use args::Command;
use commands::{account, community, downloads, find, get, push, serve, share, status, ui};
use context::Context;
use output::Output;

/// Runs one command to its end and gives the exit code. A first Ctrl-C or SIGTERM ends long work cleanly, a second at
/// once; what is short, or waits for somebody to type, ends at the first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version go to standard output and are no failure.
            let _ = error.print();
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            return ExitCode::from(if asked { Exit::Done } else { Exit::Usage } as u8);
        }
    };
    let output = Output::new(cli.global.json, cli.global.quiet);
    log(cli.global.verbose);
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let done = runtime.block_on(run(cli, output));
            // A blocking call may hang on a disk or a terminal: it must not keep the program from ending.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(CliError::failed(format!("starting failed: {error}"))),
    };
    match done {
        Ok(()) => ExitCode::from(Exit::Done as u8),
        Err(error) => {
            output.error(&error);
            ExitCode::from(error.exit as u8)
        }
    }
}

async fn run(cli: Cli, output: Output) -> Result<(), CliError> {
    if let Command::Completions { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "p2pshare-peer", &mut io::stdout());
        return Ok(());
    }
    let context = Context::new(&cli.global, output)?;
    match cli.command {
        Command::Register(args) => account::register(&context, args).await,
        Command::Login(args) => account::login(&context, args).await,
        Command::Logout(args) => account::logout(&context, args).await,
        Command::Whoami => account::whoami(&context).await,
        Command::Share(args) => {
            Box::pin(share::share(&context, args, &stop_on_signal(output))).await
        }
        Command::Unshare(args) => share::unshare(&context, args).await,
        Command::Shares => share::shares(&context).await,
        Command::Serve(args) => {
            Box::pin(serve::serve(&context, args, &stop_on_signal(output))).await
        }
        Command::Ui(args) => ui::ui(&context, args).await,
        Command::Search(args) => find::search(&context, args).await,
        Command::Browse(args) => find::browse(&context, args).await,
        Command::Get(args) => Box::pin(get::get(&context, args, &stop_on_signal(output))).await,
        Command::Downloads(args) => downloads::downloads(&context, args).await,
        Command::Link(args) => find::link(&context, args).await,
        Command::Push(args) => Box::pin(push::push(&context, args, &stop_on_signal(output))).await,
        Command::Status => status::status(&context).await,
        Command::Group(command) => community::group(&context, command).await,
        Command::Invite(command) => community::invite(&context, command).await,
        Command::Completions { .. } => Ok(()),
    }
}

/// A token that the first Ctrl-C or SIGTERM cancels; the second ends the program.
fn stop_on_signal(output: Output) -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        if signal().await {
            output.note("Stopping … (once more to stop at once)");
            token.cancel();
            if signal().await {
                std::process::exit(i32::from(Exit::Failed as u8));
            }
        }
    });
    stop
}

/// Waits for a signal to stop; `false` if the system has none to give.
#[cfg(unix)]
async fn signal() -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return false;
    };
    tokio::select! {
        got = interrupt.recv() => got.is_some(),
        got = terminate.recv() => got.is_some(),
    }
}

/// Waits for a signal to stop; `false` if the system has none to give.
#[cfg(not(unix))]
async fn signal() -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}

/// Logs to standard error what `P2PSHARE_LOG` says, else as much as `-v` asks for.
fn log(verbose: u8) {
    let default = match verbose {
        0 => "error",
        1 => "info,p2pshare_core=debug,p2pshare_peer=debug",
        _ => "debug,p2pshare_core=trace,p2pshare_peer=trace",
    };
    let filter =
        EnvFilter::try_from_env("P2PSHARE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    // Fails only if a logger is set already, by a program that embeds this one.
    let _ = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init();
}
