//! `serve`.

use std::{net::SocketAddr, sync::Arc};

use p2pshare_core::{
    process::{listen_advice, raise_file_limit},
    text::visible,
};
use sd_notify::NotifyState;
use serde_json::json;
use tokio_util::sync::{CancellationToken, DropGuard};

use super::watch::show_watch;
use crate::{
    account::{SavedSession, SavedSessionError},
    cli::{
        args::ServeArgs,
        context::Context,
        exit::{CliError, Exit},
        output::{Output, bytes, count},
        values::UiAddress,
    },
    daemon::{DaemonError, DaemonEvent},
    inbox::Received,
    lan::{Lan, LanOptions},
    local::{LocalError, LocalServer},
    metrics::{MetricsServer, PeerMetrics},
    net::ServerLimits,
    node::{Node, NodeError, NodeOptions, SettingsChange},
};

/// What the service manager is told of a peer that has nobody's session.
const NOBODY: &str = "nobody is logged in";

/// What helps such a peer.
const LOG_IN: &str = "log in on the page, or with `p2pshare-peer login USER`";

pub(crate) async fn serve(
    context: &Context,
    args: ServeArgs,
    stop: &CancellationToken,
) -> Result<(), CliError> {
    raise_file_limit();
    let _lock = context.dir.lock_for_serving()?;
    if args.insecure && !args.listen.ip().is_loopback() {
        context
            .output
            .warn("serving without encryption: everybody on the way can read what is sent");
    }
    check_listen(args.listen)?;
    let ui = match args.ui {
        Some(UiAddress::Off) => {
            // Nothing else would notice a login that is not there.
            context.session_client()?;
            None
        }
        Some(UiAddress::At(address)) => Some(bind(context, Some(address)).await?),
        None => Some(bind(context, None).await?),
    };
    let metrics = PeerMetrics::new();
    let _metrics_stop = serve_metrics(context.output, args.metrics, &metrics).await?;
    let node = Node::open(context.dir.clone(), options(context, args, metrics)?).await?;
    // Others may read the journal.
    let url = ui.as_ref().filter(|_| !is_journal()).map(LocalServer::one_time_url);
    let stay = ui.is_some();
    match &url {
        Some(url) => {
            context.output.line(format!("Open {url}"));
            context.output.event("ui", json!({ "url": url }));
        }
        None if stay => context.output.line("To open the page, run: p2pshare-peer ui"),
        None => {}
    }
    // From now on it does what can be done: the page is there, and the index is waited for.
    if stay && matches!(SavedSession::load(&context.dir), Err(SavedSessionError::None)) {
        context.output.note(format!("Nobody is logged in: {LOG_IN}."));
        tell_manager(&[NotifyState::Ready, NotifyState::Status(NOBODY)]);
    } else {
        tell_manager(&[NotifyState::Ready, NotifyState::Status("going online")]);
    }

    let output = context.output;
    let events = Arc::new(move |event: DaemonEvent| show(output, &event, url.as_deref()));
    // The page goes first: it would take the end of what a peer does in its user's name for a logout.
    let stop_ui = stop.child_token();
    let page = async {
        if let Some(ui) = ui {
            ui.run(node.clone(), stop_ui.clone()).await;
        }
    };
    let peer = async {
        let done = Box::pin(node.run(stay, events, stop.clone())).await;
        stop_ui.cancel();
        done
    };
    let (done, ()) = tokio::join!(peer, page);
    tell_manager(&[NotifyState::Stopping]);
    done?;
    context.output.note("Stopped.");
    Ok(())
}

/// Whether standard output is the system's journal, as systemd.exec(5) says how to tell.
#[cfg(unix)]
fn is_journal() -> bool {
    let stat = rustix::fs::fstat(std::io::stdout());
    let own = stat.map(|stat| format!("{}:{}", stat.st_dev, stat.st_ino));
    std::env::var("JOURNAL_STREAM").is_ok_and(|journal| own == Ok(journal))
}

#[cfg(not(unix))]
fn is_journal() -> bool {
    false
}

/// Finds out that the peer cannot listen before anything is said of it. It listens once it is logged in.
fn check_listen(address: SocketAddr) -> Result<(), CliError> {
    match std::net::TcpListener::bind(address) {
        Ok(_) => Ok(()),
        Err(error) => Err(DaemonError::Listen { address, error }.into()),
    }
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
fn tell_manager(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!(%error, "the service manager was not told");
    }
}

/// The local network; `None` if the system does not let it be used.
pub(crate) fn lan() -> Option<Lan> {
    Lan::start(LanOptions::default())
        .inspect_err(|error| tracing::warn!(%error, "the local network is not used"))
        .ok()
}

async fn bind(context: &Context, address: Option<SocketAddr>) -> Result<LocalServer, CliError> {
    Ok(LocalServer::bind(&context.dir, address).await?)
}

fn options(
    context: &Context,
    args: ServeArgs,
    metrics: PeerMetrics,
) -> Result<NodeOptions, CliError> {
    let inbox = match &args.inbox {
        None => None,
        Some(inbox) => {
            let whole = std::path::absolute(inbox).map_err(|error| {
                CliError::failed(format!("{}: {error}", visible(&inbox.display().to_string())))
            })?;
            Some(Some(whole.display().to_string()))
        }
    };
    Ok(NodeOptions {
        listen: args.listen,
        advertise: args.advertise,
        port_mapping: !args.no_port_mapping,
        insecure: args.insecure,
        limits: ServerLimits::default(),
        slots_for: [args.user_slots, args.group_slots].concat(),
        default_index: context.index_urls(),
        metrics,
        given: SettingsChange {
            inbox,
            upload_slots: args.upload_slots,
            upload_limit: args.upload_limit.map(|limit| (limit > 0).then_some(limit)),
            lan: args.no_lan.then_some(false),
            ..SettingsChange::default()
        },
    })
}

/// Tells the service manager how the peer is.
fn tell_state(event: &DaemonEvent) {
    let status = match event {
        DaemonEvent::Ready { published: files, .. } | DaemonEvent::Published { total: files } => {
            format!("online, sharing {}", count(*files, "file"))
        }
        DaemonEvent::Online => "online".to_owned(),
        DaemonEvent::Offline(why) => format!("offline: {}", visible(why)),
        DaemonEvent::LoggedOut => NOBODY.to_owned(),
        _ => return,
    };
    tell_manager(&[NotifyState::Status(&status)]);
}

fn show(output: Output, event: &DaemonEvent, ui: Option<&str>) {
    tell_state(event);
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
                json!({
                    "listen": listen.to_string(),
                    "addresses": addresses,
                    "published": published,
                    "ui": ui,
                }),
            );
        }
        DaemonEvent::Moved { addresses, let_in } => {
            let told: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            let told = told.join(", ");
            output.note(match let_in {
                Some(_) => format!("The router lets others in: they reach it at {told}."),
                None => format!("Others reach it at {told} now."),
            });
            output.event("moved", json!({ "addresses": addresses, "let_in": let_in }));
        }
        DaemonEvent::Unreachable { tried } => {
            let told: Vec<_> = tried
                .iter()
                .map(|check| {
                    let why = check.reason.as_deref().unwrap_or("no reason is given");
                    format!("{} ({})", check.address, visible(why))
                })
                .collect();
            output.warn(format!(
                "others cannot reach this peer, so nobody can fetch from it: {}; `p2pshare-peer doctor` says what helps",
                told.join(", ")
            ));
            output.event("unreachable", json!({ "tried": tried }));
        }
        DaemonEvent::Published { total } => {
            output.note(format!("Published: the index knows {} of yours.", count(*total, "file")));
            output.event("published", json!({ "total": total }));
        }
        DaemonEvent::Online => output.note("Online."),
        DaemonEvent::LoggedOut => {
            output.note(format!("Logged out and offline: {LOG_IN}."));
            output.event("logged_out", json!({}));
        }
        DaemonEvent::Offline(what) | DaemonEvent::Trouble(what) => output.warn(visible(what)),
        DaemonEvent::Watch(event) => show_watch(output, event),
        DaemonEvent::Received(Received { from, name, path, content, bytes: len }) => {
            let (place, size) = (path.display().to_string(), bytes(*len));
            output.note(format!("{from} has sent you {}, {size}", visible(&place)));
            let told = json!({
                "from": from, "name": name, "path": place, "content": content, "size": len,
            });
            output.event("received", told);
        }
        DaemonEvent::PushRefused(from, name, why) => {
            output.warn(format!(
                "{} of {from} was not taken: {}",
                visible(name.as_str()),
                visible(why)
            ));
        }
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
            DaemonError::Listen { address, error: ref cause } => {
                let advice = listen_advice(cause, address);
                Self::failed(&error).hint(format!("{advice} with --listen"))
            }
            other => Self::failed(other),
        }
    }
}

impl From<NodeError> for CliError {
    fn from(error: NodeError) -> Self {
        match error {
            NodeError::LoggedOut => Self::new(Exit::NotLoggedIn, error.to_string()),
            NodeError::Index(error) => error.into(),
            NodeError::Announce(error) => error.into(),
            NodeError::Session(error) => error.into(),
            NodeError::Daemon(error) => error.into(),
            NodeError::Share(error) => error.into(),
            NodeError::Catalog(error) => error.into(),
            NodeError::Invalid(_) => Self::new(Exit::Usage, error.to_string()),
            NodeError::NotFound(_) => Self::new(Exit::NotFound, error.to_string()),
            other => Self::failed(other),
        }
    }
}

impl From<LocalError> for CliError {
    fn from(error: LocalError) -> Self {
        match error {
            LocalError::NotLoopback(_) => Self::new(Exit::Usage, error.to_string()),
            LocalError::Listen { address, error: ref cause } => {
                let advice = listen_advice(cause, address);
                let instead = "or serve without a page with --ui off";
                Self::failed(&error).hint(format!("{advice} with --ui, {instead}"))
            }
            LocalError::DataDir(error) => error.into(),
        }
    }
}
