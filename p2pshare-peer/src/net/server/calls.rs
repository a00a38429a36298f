//! What holds for every call on a connection, whatever it calls.

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use p2pshare_core::identity::PeerConnection;
use p2pshare_proto::SERVICE_NAME;
use tokio::time::timeout;
use tonic::Status;
use tonic::body::Body;
use tonic::service::Routes;
use tower::ServiceExt;
use tracing::{Instrument, Span};

use super::connection::Settings;
use super::requests::bounded;
use super::usage::{self, Call, Usage};
use crate::net::io::Traffic;
use crate::net::service::TransferService;

/// The calls that traces name.
const CALLS: [&str; 5] = [
    "p2pshare.v1.Transfer/Manifest",
    "p2pshare.v1.Transfer/Have",
    "p2pshare.v1.Transfer/Fetch",
    "p2pshare.v1.Transfer/FetchMany",
    "p2pshare.v1.Transfer/Push",
];

/// Hands the calls of one connection to the services.
#[derive(Clone)]
pub(super) struct Calls {
    routes: Routes,
    transfer: Arc<TransferService>,
    connection: PeerConnection,
    traffic: Traffic,
    usage: Arc<Usage>,
    answer_timeout: Duration,
}

impl Calls {
    pub(super) fn new(
        settings: &Settings,
        connection: PeerConnection,
        traffic: Traffic,
        usage: Arc<Usage>,
    ) -> Self {
        let Settings { routes, transfer, limits, .. } = settings;
        Self {
            routes: routes.clone(),
            transfer: Arc::clone(transfer),
            connection,
            traffic,
            usage,
            answer_timeout: limits.answer_timeout,
        }
    }

    async fn answer(self, request: Request<Incoming>) -> Response<Body> {
        let is_transfer = is_transfer(&request);
        let call = Call::new(&self.usage, is_transfer);
        let span = span(&request);
        let mut request = bounded(request, is_transfer);
        request.extensions_mut().insert(self.connection);
        request.extensions_mut().insert(call.untaken.clone());
        request.extensions_mut().insert(self.traffic.clone());
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
        response.map(|body| Body::new(usage::answer(body, call, span)))
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
