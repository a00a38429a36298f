//! `serve`: the index, until it is told to stop.

use std::{io, sync::Arc};

use p2pshare_core::{
    auth::{Argon2Authenticator, Argon2Params, GrantSigner, SigningKeys},
    index::Index,
    private_file,
    process::raise_file_limit,
    time::SystemClock,
};
use p2pshare_telemetry::Log;
use sd_notify::NotifyState;
use tokio_util::sync::CancellationToken;

use super::{
    config::{Config, Data},
    error::CliError,
    listen, logging, print, runtime,
};
use crate::{keys, router, serve};

/// Runs until SIGINT or SIGTERM.
pub(super) fn run(config: Config, log: Log) -> Result<(), CliError> {
    let runtime = runtime()?;
    let telemetry = {
        let _within = runtime.enter();
        logging::start_with(log, config.traces.as_ref())
    };
    raise_file_limit();
    let done = runtime.block_on(work(config));
    telemetry.stop();
    done
}

async fn work(mut config: Config) -> Result<(), CliError> {
    // From here on a signal is not lost.
    let signals = signals().map_err(|error| CliError::Failed(format!("no signals: {error}")))?;
    let keys = keys(&config.data)?;
    let store = config.data.store.open().await?;
    let fail = |source| CliError::Store { store: config.data.store.to_string(), source };
    store.check().await.map_err(fail)?;
    let ready = listen::open(&mut config).await?;
    let index = Index::new(
        store,
        Arc::new(Argon2Authenticator::new(Argon2Params::default())),
        keys,
        Arc::new(SystemClock),
        config.index,
    );

    let stopped = CancellationToken::new();
    let maintenance = {
        let (index, stopped) = (index.clone(), stopped.clone());
        tokio::spawn(async move { index.maintain(stopped).await })
    };
    if let Some(path) = config.data.key_file.clone() {
        let watched = keys::watch(index.clone(), path);
        let stopped = stopped.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(watched).await });
    }
    tracing::info!(url = ready.url, store = %config.data.store, version = env!("CARGO_PKG_VERSION"), "ready");
    if let Err(error) = print(&format!("p2pshare-index is listening on {}", ready.url)) {
        tracing::warn!(%error, "nobody reads the line that says where the index listens");
    }
    tell_manager(NotifyState::Ready);
    let stop = async {
        signals.await;
        tell_manager(NotifyState::Stopping);
        tracing::info!("stopping: requests that run may come to their end");
    };
    serve(ready.listener, router(index, config.http), config.server, stop).await;

    stopped.cancel();
    maintenance.await.map_err(|error| {
        CliError::Failed(format!("the last heartbeats were not written: {error}"))
    })?;
    tracing::info!("stopped");
    Ok(())
}

/// Tells the service manager, if there is one.
fn tell_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

fn keys(data: &Data) -> Result<SigningKeys, CliError> {
    if let Some(dir) = &data.dir {
        private_file::create_dir(dir)?;
    }
    match &data.key_file {
        Some(path) => Ok(keys::load_or_make(path)?),
        None => Ok(SigningKeys::new(GrantSigner::generate()?)),
    }
}

/// Done at the first SIGINT or SIGTERM.
#[cfg(unix)]
fn signals() -> io::Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Done at the first Ctrl-C.
#[cfg(not(unix))]
fn signals() -> io::Result<impl Future<Output = ()>> {
    Ok(async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    })
}
