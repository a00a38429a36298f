//! `store`: a community from one store into another, and whether a store is in order.

use std::{
    io::{self, Write},
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use data_encoding::HEXLOWER;
use p2pshare_core::index::{
    copy::{self, Progress, Survey},
    store::{IndexStore, StoreError},
};

use super::{
    args::{StoreArgs, StoreCommand, ToolArgs},
    config::{for_tool, log_for_stores},
    error::CliError,
    logging, print, runtime,
    store::StoreUri,
};

/// How often it says how far it is.
const EVERY: Duration = Duration::from_secs(2);

/// Does one command.
pub(super) fn run(args: StoreArgs) -> Result<(), CliError> {
    let log = args.log;
    match args.command {
        StoreCommand::Copy { from, to, resume } => {
            logging::start(log_for_stores(&log)?);
            let (from, to) = (persistent(from.parse()?)?, persistent(to.parse()?)?);
            if from == to {
                return Err(CliError::Usage("both stores are the same".to_owned()));
            }
            runtime()?.block_on(copy(&from, &to, resume))
        }
        StoreCommand::Check { config, data } => {
            let (data, log) = for_tool(ToolArgs { config, data, log })?;
            logging::start(log);
            runtime()?.block_on(check(&persistent(data.store)?))
        }
    }
}

fn persistent(store: StoreUri) -> Result<StoreUri, CliError> {
    match store {
        StoreUri::Memory => Err(CliError::Usage(
            "a store in memory is empty when no index runs: name another one".to_owned(),
        )),
        uri => Ok(uri),
    }
}

async fn copy(from: &StoreUri, to: &StoreUri, resume: bool) -> Result<(), CliError> {
    let (source, target) = (from.open_existing().await?, to.open().await?);
    let is_empty = target.users(None, 1).await.map_err(of(to))?.is_empty();
    if !is_empty && !resume {
        return Err(CliError::Failed(format!(
            "{to} is not empty: name an empty store, or use --resume if a copy into it was broken off"
        )));
    }
    let copying = teller("copied");
    // What fails tells by itself which of both stores it was, if that can be known.
    let failed = |source| CliError::Store { store: format!("{from} into {to}"), source };
    copy::copy(&*source, &*target, &copying).await.map_err(failed)?;
    let read = surveyed(&*source, "read again").await.map_err(of(from))?;
    let written = surveyed(&*target, "compared").await.map_err(of(to))?;
    if read != written {
        return Err(CliError::Failed(format!(
            "the stores differ, so that something else was written meanwhile, or was there before:\n  {}\n  {}",
            told(&read),
            told(&written)
        )));
    }
    print(&format!("copied and compared: {}", told(&written)))
}

async fn check(uri: &StoreUri) -> Result<(), CliError> {
    let store = uri.open_existing().await?;
    let wrong = copy::check(&*store, &teller("checked")).await.map_err(of(uri))?;
    for flaw in &wrong {
        print(flaw)?;
    }
    if !wrong.is_empty() {
        return Err(CliError::Failed(format!(
            "{uri} is not in order, see above: if an index runs, stop it and check again; what is still wrong then is \
             mended by a backup alone"
        )));
    }
    print(&format!("in order: {}", told(&surveyed(&*store, "read").await.map_err(of(uri))?)))
}

async fn surveyed(store: &dyn IndexStore, what: &'static str) -> Result<Survey, StoreError> {
    copy::survey(store, &teller(what)).await
}

fn of(uri: &StoreUri) -> impl Fn(StoreError) -> CliError {
    let store = uri.to_string();
    move |source| CliError::Store { store: store.clone(), source }
}

fn told(survey: &Survey) -> String {
    format!(
        "{} accounts, {} groups with {} members, {} sessions, {} invites, {} peers, {} files, {} partial sources, \
         checksum {}",
        survey.users,
        survey.groups,
        survey.members,
        survey.sessions,
        survey.invites,
        survey.peers,
        survey.entries,
        survey.partial_sources,
        HEXLOWER.encode(&survey.checksum[..8])
    )
}

/// Says on standard error how far it is, now and then.
fn teller(what: &'static str) -> impl Fn(Progress) + Sync {
    let last = Mutex::new(Instant::now());
    move |progress| {
        let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
        if last.elapsed() < EVERY {
            return;
        }
        *last = Instant::now();
        // Nobody needs to read it.
        let _ = writeln!(
            io::stderr(),
            "{what}: {} accounts, {} files",
            progress.users,
            progress.entries
        );
    }
}
