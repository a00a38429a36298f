//! The command line: arguments in, words or JSON out.

mod args;
mod commands;
mod config;
mod context;
mod exit;
mod output;
mod progress;
mod values;

use std::{
    ffi::OsString,
    fs, future,
    io::{self, IsTerminal, Write},
    panic::resume_unwind,
    path::Path,
    process::ExitCode,
};

use clap::error::ErrorKind;
use clap_complete::Shell;
use p2pshare_telemetry::{Endpoint, EnvFilter, Log, Program, Style, Telemetry};
use tokio_util::sync::CancellationToken;
use tracing::{Instrument, Span, field::Empty};

pub use args::Cli;
pub use exit::{CliError, Exit};

use args::{Command, PeersCommand};
use commands::{
    account, community, config as config_command, doctor, downloads, find, get, peers, push, serve,
    share, shares, status, ui,
};
use config::{ParseError, Parsed, Settings};
use context::Context;
use output::Output;

/// Runs one command to its end and gives the exit code. A first Ctrl-C or SIGTERM ends long work cleanly, a second at
/// once; what is short, or waits for somebody to type, ends at the first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<_> = arguments.into_iter().collect();
    let Parsed { cli, settings } = match config::parse(&arguments) {
        Ok(parsed) => parsed,
        Err(ParseError::File(error)) => {
            // How to print was not read for good: whoever reads JSON asks for it plainly.
            let json = arguments.iter().any(|argument| argument == "--json");
            Output::new(json, false).error(&error);
            return ended(error.exit);
        }
        Err(ParseError::Arguments(error)) => {
            // Help and version go to standard output and are no failure.
            let asked = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
            let exit = if asked { Exit::Done } else { Exit::Usage };
            if !asked && arguments.iter().any(|argument| argument == "--json") {
                Output::new(true, false).error(&misuse(&error));
            } else if let (Err(lost), true) = (error.print(), asked) {
                output::lose(&lost);
            }
            return ended(output::printed().map_or(Exit::Failed, |()| exit));
        }
    };
    let output = Output::new(cli.global.json, cli.global.quiet);
    // What it prints from time to time is not its result.
    let is_lasting = cli.command.is_lasting();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let done = match runtime {
        Ok(runtime) => {
            let telemetry = {
                let _within = runtime.enter();
                tell(cli.global.verbose, cli.global.traces())
            };
            // One of the runtime's own threads does it: what goes on beside it would wake this one for each step. Nobody
            // aborts it: without an end it has panicked.
            let done = runtime.block_on(runtime.spawn(run(cli, settings, output)));
            let done = done.unwrap_or_else(|ended| resume_unwind(ended.into_panic()));
            telemetry.stop();
            // A blocking call may hang on a disk or a terminal: it must not keep the program from ending.
            runtime.shutdown_background();
            done
        }
        Err(error) => Err(CliError::failed(format!("starting failed: {error}"))),
    };
    ended(match done {
        Ok(()) if is_lasting => Exit::Done,
        Ok(()) => output::printed().map_or(Exit::Failed, |()| Exit::Done),
        Err(error) => {
            output.error(&error);
            error.exit
        }
    })
}

fn ended(exit: Exit) -> ExitCode {
    ExitCode::from(exit as u8)
}

async fn run(cli: Cli, settings: Settings, output: Output) -> Result<(), CliError> {
    match &cli.command {
        Command::Completions { shell } => {
            if let Err(error) = io::stdout().write_all(&completions(*shell)) {
                output::lose(&error);
            }
            return Ok(());
        }
        Command::Man { dir } => return man(output, dir.as_deref()),
        _ => {}
    }
    if let Command::Config(command) = &cli.command {
        return config_command::config(output, &settings, command);
    }
    let span = match cli.command.goes_on() {
        // What it does has traces, which must not wait for its end.
        true => Span::none(),
        false => tracing::info_span!(
            target: p2pshare_telemetry::TARGET,
            "command",
            otel.name = settings.command(),
            otel.status_code = Empty,
        ),
    };
    let context = Context::new(&cli.global, settings, output)?;
    let done = Box::pin(work(&context, cli.command)).instrument(span.clone()).await;
    if done.is_err() {
        p2pshare_telemetry::failed(&span);
    }
    done
}

async fn work(context: &Context, command: Command) -> Result<(), CliError> {
    let output = context.output;
    match command {
        Command::Register(args) => account::register(context, args).await,
        Command::Login(args) => account::login(context, args).await,
        Command::Logout(args) => account::logout(context, args).await,
        Command::Password(args) => account::change_password(context, &args).await,
        Command::DeleteAccount(args) => account::delete(context, args).await,
        Command::Whoami => account::whoami(context).await,
        Command::Share(args) => {
            Box::pin(share::share(context, args, &stop_on_signal(output))).await
        }
        Command::Unshare(args) => share::unshare(context, args).await,
        Command::Shares => shares::shares(context).await,
        Command::Serve(args) => {
            Box::pin(serve::serve(context, args, &stop_on_signal(output))).await
        }
        Command::Ui(args) => ui::ui(context, args).await,
        Command::Search(args) => {
            Box::pin(find::search(context, args, || stop_on_signal(output))).await
        }
        Command::Browse(args) => find::browse(context, args).await,
        Command::Get(args) => Box::pin(get::get(context, args, &stop_on_signal(output))).await,
        Command::Downloads(args) => downloads::downloads(context, args).await,
        Command::Link(args) => find::link(context, args).await,
        Command::Push(args) => Box::pin(push::push(context, args, &stop_on_signal(output))).await,
        Command::Doctor => Box::pin(doctor::doctor(context)).await,
        Command::Status => status::status(context).await,
        Command::Group(command) => community::group(context, command).await,
        Command::Peers { command } => {
            peers::run(context, command.unwrap_or(PeersCommand::List)).await
        }
        Command::Invite(command) => community::invite(context, command).await,
        Command::Completions { .. } | Command::Man { .. } | Command::Config(_) => Ok(()),
    }
}

/// Wrong usage, for scripts: what is wrong, and what clap says beside it as what to do next.
fn misuse(error: &clap::Error) -> CliError {
    if error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        return CliError::new(Exit::Usage, "a command or an argument is missing")
            .hint("--help says which there are");
    }
    let text = error.to_string();
    let (what, rest) = text.split_once("\n\n").unwrap_or((&text, ""));
    let what = what.strip_prefix("error: ").unwrap_or(what).trim();
    let hint = rest.lines().filter(|line| !line.trim().is_empty()).collect::<Vec<_>>().join("\n");
    let error = CliError::new(Exit::Usage, what);
    if hint.is_empty() { error } else { error.hint(hint) }
}

/// The script that completes commands in a shell.
fn completions(shell: Shell) -> Vec<u8> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut config::command(), "p2pshare-peer", &mut script);
    if shell != Shell::Bash {
        return script;
    }
    // clap_complete 4.6 spells a program's name with a hyphen in two ways, so that nothing is found below the first word.
    let text = String::from_utf8_lossy(&script);
    text.replace("p2pshare__subcmd__peer", "p2pshare__peer").into_bytes()
}

/// Prints the manual page of the program, or writes those of all its commands into a folder.
fn man(output: Output, dir: Option<&Path>) -> Result<(), CliError> {
    let command = config::command();
    let Some(dir) = dir else {
        if let Err(error) = clap_mangen::Man::new(command).render(&mut io::stdout()) {
            output::lose(&error);
        }
        return Ok(());
    };
    let written = fs::create_dir_all(dir).and_then(|()| clap_mangen::generate_to(command, dir));
    written.map_err(|error| {
        CliError::failed(format!("writing the pages to {} failed: {error}", dir.display()))
    })?;
    output.note(format!("Wrote the manual pages to {}", dir.display()));
    Ok(())
}

/// A token that the first Ctrl-C, SIGTERM or SIGHUP cancels; a second one of the first two ends the program.
fn stop_on_signal(output: Output) -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        if signal(true).await {
            output.note("Stopping … (once more to stop at once)");
            token.cancel();
            // The end of a terminal is often told twice.
            if signal(false).await {
                std::process::exit(i32::from(Exit::Failed as u8));
            }
        }
    });
    stop
}

/// Waits for a signal to stop, such as that the terminal has gone if `hangup`; `false` if the system has none to give.
#[cfg(unix)]
async fn signal(hangup: bool) -> bool {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut interrupt), Ok(mut terminate)) =
        (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
    else {
        return false;
    };
    // Whoever is to outlive the terminal, as by `nohup`, ignores its end.
    let mut hangup = match hangup && !is_ignored(SignalKind::hangup()) {
        true => signal(SignalKind::hangup()).ok(),
        false => None,
    };
    let hung_up = async {
        match &mut hangup {
            Some(hangup) => hangup.recv().await,
            None => future::pending().await,
        }
    };
    tokio::select! {
        got = interrupt.recv() => got.is_some(),
        got = terminate.recv() => got.is_some(),
        got = hung_up => got.is_some(),
    }
}

/// Whether this process was started with a signal ignored, or that cannot be told.
#[cfg(unix)]
fn is_ignored(kind: tokio::signal::unix::SignalKind) -> bool {
    // The kernel's own account of it (proc_pid_status(5)): bits in hexadecimal, the first that of signal 1.
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let ignored = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    let ignored = ignored.and_then(|bits| u64::from_str_radix(bits.trim(), 16).ok());
    let bit = u32::try_from(kind.as_raw_value()).ok().and_then(|number| number.checked_sub(1));
    ignored.zip(bit).and_then(|(bits, bit)| bits.checked_shr(bit)).is_none_or(|bits| bits & 1 == 1)
}

/// Waits for a signal to stop; `false` if the system has none to give.
#[cfg(not(unix))]
async fn signal(_hangup: bool) -> bool {
    tokio::signal::ctrl_c().await.is_ok()
}

/// Logs to standard error what `P2PSHARE_LOG` says, else as much as `-v` asks for, and lets traces go where they are to.
fn tell(verbose: u8, traces: Option<&Endpoint>) -> Telemetry {
    let default = match verbose {
        // That an index does not answer is told while it is asked again. Why a certificate was refused is in the error.
        0 => "error,p2pshare_peer::index_client=warn,rustls_platform_verifier=off",
        1 => "info,p2pshare_core=debug,p2pshare_peer=debug",
        _ => "debug,p2pshare_core=trace,p2pshare_peer=trace",
    };
    let filter =
        EnvFilter::try_from_env("P2PSHARE_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    let style = if io::stderr().is_terminal() { Style::Coloured } else { Style::Plain };
    let program = Program { name: "p2pshare-peer", version: env!("CARGO_PKG_VERSION") };
    p2pshare_telemetry::start(Log { filter, style }, program, traces)
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
