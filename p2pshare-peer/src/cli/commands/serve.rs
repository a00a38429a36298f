//! `serve`.

use std::{net::SocketAddr, num::NonZeroUsize, sync::Arc};

use p2pshare_core::{text::visible, transfer::RateLimit};
use sd_notify::NotifyState;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::{share::open_catalog, watch::show_watch};
use crate::{
    catalog::PartialSources,
    cli::{
        args::ServeArgs,
        context::Context,
        exit::{CliError, Exit},
        output::{Output, count},
    },
    daemon::{Daemon, DaemonError, DaemonEvent, ServeOptions},
    lan::{Lan, LanOptions},
    metrics::{MetricsServer, PeerMetrics},
    net::ServerLimits,
    share::Sharer,
};

pub(crate) async fn serve(
    context: &Context,
    args: ServeArgs,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    let _lock = context.dir.lock_for_serving()?;
    let (session, client) = context.session_client()?;
    if args.insecure && !args.listen.ip().is_loopback() {
        context
            .output
            .warn("serving without encryption: everybody on the way can read what is sent");
    }
    let catalog = open_catalog(context).await?;
    let daemon = Daemon {
        peer: context.own_peer(&session, client)?,
        sharer: Sharer::new(catalog.clone(), &context.dir),
        catalog,
        partial: PartialSources::new(),
    };
    let metrics = PeerMetrics::new();
    let _metrics_stop = serve_metrics(context.output, args.metrics, &metrics).await?;
    let options = ServeOptions {
        listen: args.listen,
        advertise: args.advertise,
        inbox: args.inbox,
        upload_slots: NonZeroUsize::new(args.upload_slots.into()).unwrap_or(NonZeroUsize::MIN),
        upload_limit: RateLimit::new(args.upload_limit.and_then(std::num::NonZeroU64::new)),
        insecure: args.insecure,
        limits: ServerLimits::default(),
        // Only who can be reached from there has something to say there.
        lan: (!args.no_lan && !args.listen.ip().is_loopback()).then(lan).flatten(),
        metrics,
    };
    let output = context.output;
    let events = Arc::new(move |event: DaemonEvent| show(output, &event));
    Box::pin(daemon.run(options, events, stop.clone())).await?;
    tell_manager(NotifyState::Stopping);
    context.output.note("Stopped.");
    Ok(())
}

/// Lets the metrics be read, if that is wanted, until what it gives is dropped.
pub(crate) async fn serve_metrics(
    output: Output,
    address: Option<SocketAddr>,
    metrics: &PeerMetrics,
) -> Result<Option<DropGuard>, CliError> {
    let Some(address) = address else { return Ok(None) };
    let server = MetricsServer::bind(address).await.map_err(CliError::failed)?;
    output.note(format!("Metrics: http://{}/metrics", server.address()));
    output.event("metrics", json!({ "address": server.address().to_string() }));
    let stop = CancellationToken::new();
    tokio::spawn(server.run(metrics.clone(), stop.clone()));
    Ok(Some(stop.drop_guard()))
}

/// Tells the service manager, if there is one.
fn tell_manager(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(&[state]) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// The local network; `None` if the system does not let it be used.
pub(crate) fn lan() -> Option<Lan> {
    Lan::start(LanOptions::default())
        .inspect_err(|error| tracing::warn!(%error, "the local network is not used"))
        .ok()
}

fn show(output: Output, event: &DaemonEvent) {
    match event {
        DaemonEvent::Ready { listen, addresses, published } => {
            let told: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            output.line(format!(
                "p2pshare-peer is listening on {listen}, sharing {}; others reach it at {}",
                count(*published, "file"),
                told.join(", ")
            ));
            output.event(
                "ready",
                json!({ "listen": listen.to_string(), "addresses": addresses, "published": published }),
            );
            tell_manager(NotifyState::Ready);
        }
        DaemonEvent::Published { total } => {
            output.note(format!("Published: the index knows {} of yours.", count(*total, "file")));
            output.event("published", json!({ "total": total }));
        }
        DaemonEvent::Watch(event) => show_watch(output, event),
        DaemonEvent::Trouble(what) => output.warn(visible(what)),
    }
}

impl From<DaemonError> for CliError {
    fn from(error: DaemonError) -> Self {
        match error {
            DaemonError::LoggedOut => Self::new(Exit::NotLoggedIn, error.to_string()),
            DaemonError::Index(error) => error.into(),
            DaemonError::Announce(error) => error.into(),
            DaemonError::IndexKeys(error) => error.into(),
            DaemonError::Publish(error) => error.into(),
            DaemonError::Listen { address, .. } => Self::failed(&error).hint(format!(
                "another program uses port {}: choose one with --listen",
                address.port()
            )),
            other => Self::failed(other),
        }
    }
}
