//! A collector inside a test.

use std::{
    collections::BTreeMap,
    io,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value::Value},
};
use tokio::sync::oneshot;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

/// A collector on a free port of this machine that keeps all that it gets, until it is dropped.
#[derive(Debug)]
pub struct Collector {
    address: SocketAddr,
    received: Received,
    _stop: oneshot::Sender<()>,
}

/// A span as it arrived.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReceivedSpan {
    /// `service.name` of the program that made it.
    pub service: String,
    /// `service.version` of that program.
    pub version: String,
    /// Its name.
    pub name: String,
    /// Which trace it is of, in hex digits.
    pub trace: String,
    /// Its id, in hex digits.
    pub id: String,
    /// The id of the span that it is a part of; empty if it is of none.
    pub parent: String,
    /// Its attributes, all as text.
    pub attributes: BTreeMap<String, String>,
    /// Whether it says that something failed.
    pub failed: bool,
}

type Received = Arc<Mutex<Vec<ExportTraceServiceRequest>>>;

impl Collector {
    /// Starts one, in a thread of its own.
    ///
    /// # Errors
    /// If no port can be had, or no thread.
    pub fn start() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let received = Received::default();
        let service = TraceServiceServer::new(Service(received.clone()));
        let (stop, stopped) = oneshot::channel();
        thread::Builder::new().name("collector".to_owned()).spawn(move || {
            runtime.block_on(async move {
                let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
                let server = Server::builder().add_service(service);
                let served = server.serve_with_incoming(TcpListenerStream::new(listener));
                tokio::select! {
                    _ = served => {}
                    _ = stopped => {}
                }
            });
        })?;
        Ok(Self { address, received, _stop: stop })
    }

    /// Its URL.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The spans that have arrived so far.
    pub fn spans(&self) -> Vec<ReceivedSpan> {
        lock(&self.received).iter().flat_map(spans_of).collect()
    }

    /// All that has arrived so far, to look for what must not be in it.
    pub fn everything(&self) -> String {
        format!("{:?}", lock(&self.received))
    }
}

struct Service(Received);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        lock(&self.0).push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

fn lock(received: &Received) -> MutexGuard<'_, Vec<ExportTraceServiceRequest>> {
    received.lock().unwrap_or_else(PoisonError::into_inner)
}

fn spans_of(request: &ExportTraceServiceRequest) -> Vec<ReceivedSpan> {
    let mut all = Vec::new();
    for of_program in &request.resource_spans {
        let resource =
            of_program.resource.as_ref().map(|it| texts(&it.attributes)).unwrap_or_default();
        let text = |key: &str| resource.get(key).cloned().unwrap_or_default();
        for span in of_program.scope_spans.iter().flat_map(|scope| &scope.spans) {
            all.push(ReceivedSpan {
                service: text("service.name"),
                version: text("service.version"),
                name: span.name.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                attributes: texts(&span.attributes),
                // 2 is an error.
                failed: span.status.as_ref().is_some_and(|status| status.code == 2),
            });
        }
    }
    all
}

fn texts(attributes: &[KeyValue]) -> BTreeMap<String, String> {
    let text = |attribute: &KeyValue| match attribute.value.as_ref()?.value.as_ref()? {
        Value::StringValue(text) => Some(text.clone()),
        Value::IntValue(number) => Some(number.to_string()),
        Value::BoolValue(yes) => Some(yes.to_string()),
        other => Some(format!("{other:?}")),
    };
    let pair = |it: &KeyValue| Some((it.key.clone(), text(it)?));
    attributes.iter().filter_map(pair).collect()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
