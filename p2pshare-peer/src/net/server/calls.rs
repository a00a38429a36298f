//! What holds for every call on a connection, whatever it calls.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Response};
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;
use p2pshare_core::identity::PeerConnection;
use p2pshare_proto::SERVICE_NAME;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt;
use tracing::{Instrument, Span};

use super::connection::Settings;
use super::requests::bounded;
use crate::net::service::{StallReport, TransferService};

/// The calls that traces name.
const CALLS: [&str; 4] = [
    "p2pshare.v1.Transfer/Manifest",
    "p2pshare.v1.Transfer/Have",
    "p2pshare.v1.Transfer/Fetch",
    "p2pshare.v1.Transfer/Push",
];

/// Hands the calls of one connection to the services.
#[derive(Clone)]
pub(super) struct Calls {
    routes: Routes,
    transfer: Arc<TransferService>,
    connection: PeerConnection,
    usage: Arc<Usage>,
    answer_timeout: Duration,
}

impl Calls {
    pub(super) fn new(settings: &Settings, connection: PeerConnection, usage: Arc<Usage>) -> Self {
        let Settings { routes, transfer, limits, .. } = settings;
        Self {
            routes: routes.clone(),
            transfer: Arc::clone(transfer),
            connection,
            usage,
            answer_timeout: limits.answer_timeout,
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let in_use = is_transfer(&request).then(|| Usage::enter(&self.usage));
        let span = span(&request);
        let mut request = bounded(request, in_use.is_some());
        request.extensions_mut().insert(self.connection);
        let usage = Arc::downgrade(&self.usage);
        let report = StallReport::new(move || {
            if let Some(usage) = usage.upgrade() {
                usage.stalled();
            }
        });
        request.extensions_mut().insert(report);
        let answer = async {
            if TransferService::is_bulk(request.uri().path()) {
                return self.transfer.answer_bulk(request).await;
            }
            match self.routes.oneshot(request).await {
                Ok(response) => response,
                Err(never) => match never {},
            }
        };
        let answer = timeout(self.answer_timeout, answer).instrument(span.clone());
        let response = match answer.await {
            Ok(response) => response,
            Err(_) => Status::unavailable("the request or its answer took too long").into_http(),
        };
        response.map(|body| Body::new(InUse { body, _in_use: in_use, _span: span }))
    }
}

impl hyper::service::Service<Request<Incoming>> for Calls {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let answer = self.clone().answer(request);
        Box::pin(async move { Ok(answer.await) })
    }
}

fn is_transfer(request: &Request<Incoming>) -> bool {
    let service = request.uri().path().strip_prefix('/');
    service.is_some_and(|path| path.split('/').next() == Some(SERVICE_NAME))
}

/// The call as a part of traces: which it is, nothing of who calls or what for.
fn span(request: &Request<Incoming>) -> Span {
    let path = request.uri().path().strip_prefix('/').unwrap_or_default();
    let called = CALLS.iter().find(|name| **name == path);
    tracing::info_span!(
        target: p2pshare_telemetry::TARGET,
        parent: None,
        "call",
        otel.name = called.map_or("other", |name| *name),
        otel.kind = "server",
        rpc.system = "grpc",
    )
}

/// What a connection is used for at the moment.
pub(super) struct Usage {
    state: Mutex<State>,
    max_stalled: usize,
    changed: Notify,
    abused: Notify,
}

struct State {
    transfers: usize,
    stalled: usize,
    last_change: Instant,
}

impl Usage {
    pub(super) fn new(max_stalled: usize) -> Self {
        Self {
            state: Mutex::new(State { transfers: 0, stalled: 0, last_change: Instant::now() }),
            max_stalled,
            changed: Notify::new(),
            abused: Notify::new(),
        }
    }

    /// Since when there is no transfer; `None` while there is one.
    pub(super) fn idle_since(&self) -> Option<Instant> {
        let state = self.state();
        (state.transfers == 0).then_some(state.last_change)
    }

    /// Ready when the answer of [`idle_since`](Self::idle_since) has changed.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// Ready when more fetches than allowed were given up because the client did not read them. What it left unread
    /// takes memory until the connection is closed.
    pub(super) async fn abused(&self) {
        self.abused.notified().await;
    }

    fn stalled(&self) {
        let mut state = self.state();
        state.stalled += 1;
        if state.stalled > self.max_stalled {
            self.abused.notify_one();
        }
    }

    fn enter(usage: &Arc<Self>) -> Entered {
        usage.count(|transfers| transfers + 1);
        Entered(Arc::clone(usage))
    }

    fn count(&self, change: impl FnOnce(usize) -> usize) {
        let mut state = self.state();
        state.transfers = change(state.transfers);
        state.last_change = Instant::now();
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A transfer that runs.
struct Entered(Arc<Usage>);

impl Drop for Entered {
    fn drop(&mut self) {
        self.0.count(|transfers| transfers.saturating_sub(1));
    }
}

/// The body of an answer; the call lasts as long as it does.
struct InUse {
    body: Body,
    _in_use: Option<Entered>,
    /// Ends with it.
    _span: Span,
}

impl http_body::Body for InUse {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
