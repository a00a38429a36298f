//! `serve`.

use std::{num::NonZeroUsize, sync::Arc};

use p2pshare_core::{text::visible, transfer::RateLimit};
use serde_json::json;
use tokio_util::sync::CancellationToken;

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
    let options = ServeOptions {
        listen: args.listen,
        advertise: args.advertise,
        inbox: args.inbox,
        upload_slots: NonZeroUsize::new(args.upload_slots.into()).unwrap_or(NonZeroUsize::MIN),
        upload_limit: RateLimit::new(args.upload_limit.and_then(std::num::NonZeroU64::new)),
        insecure: args.insecure,
        limits: ServerLimits::default(),
    };
    let output = context.output;
    let events = Arc::new(move |event: DaemonEvent| show(output, &event));
    Box::pin(daemon.run(options, events, stop.clone())).await?;
    context.output.note("Stopped.");
    Ok(())
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
