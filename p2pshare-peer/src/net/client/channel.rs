//! One HTTP/2 connection to a peer, as the generated clients use it.

use std::future::{Future, pending};
use std::io;
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

use http::uri::PathAndQuery;
use http::{HeaderValue, Method, Request, Response, Uri, Version, header};
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use p2pshare_core::identity::PeerId;
use p2pshare_proto::v1::transfer_client::TransferClient;
use prost::Message;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic::Status;
use tonic::body::Body;
use tonic::codegen::StdError;
use tower::Service;

use super::watch::{Doubt, Watch};
use crate::net::grpc::{Incoming, SegmentField};
use crate::net::io::{BoxIo, Traffic};
use crate::net::limits::{Http2Settings, MAX_CONTROL_MESSAGE};
use crate::net::tls::host_name;

/// An open connection. Clones share it; it closes when the last clone and the last call are gone.
#[derive(Clone)]
pub(super) struct Channel {
    sender: SendRequest<Body>,
    origin: Uri,
    traffic: Traffic,
    doubt: Doubt,
    uses: Uses,
    /// Cancelled when the connection has ended.
    ended: CancellationToken,
}

/// How many calls were made over a connection. Whoever has it uses the connection.
pub(super) type Uses = Arc<AtomicU64>;

/// A connection that nobody uses is closed when it is found so twice, so long apart. A download keeps its peers, those too
/// that it has given up.
const IDLE: Duration = Duration::from_secs(60);

/// What becomes of a call once its connection has ended is known within this time.
const LAST_WORDS: Duration = Duration::from_secs(1);

impl Channel {
    /// Begins to speak HTTP/2 with the peer.
    pub(super) async fn open(
        io: BoxIo,
        traffic: Traffic,
        id: PeerId,
        settings: &Http2Settings,
    ) -> io::Result<Self> {
        let handshake = http2_builder(settings).handshake(TokioIo::new(io));
        let (sender, connection) = handshake.await.map_err(io::Error::other)?;
        let ended = CancellationToken::new();
        let guard = ended.clone().drop_guard();
        let uses = Uses::default();
        let idle = idle(Arc::downgrade(&uses));
        tokio::spawn(async move {
            let _guard = guard;
            tokio::select! {
                result = connection => if let Err(error) = result {
                    tracing::debug!(peer = %id, %error, "connection failed");
                },
                () = idle => tracing::debug!(peer = %id, "a connection that nobody uses is closed"),
            }
        });
        let origin = Uri::builder()
            .scheme("http")
            .authority(host_name(id))
            .path_and_query("/")
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { sender, origin, traffic, doubt: Doubt::default(), uses, ended })
    }

    /// Whether no new call should be made over it any more: it is closed, or silent while calls waited.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed() || self.doubt.is_there()
    }

    /// Begins to watch a call. Silence is no reason for doubt before this time.
    pub(super) fn watch(&self, patience: Duration) -> Watch {
        self.uses.fetch_add(1, Relaxed);
        Watch::new(self.doubt.clone(), self.traffic.clone(), self.uses.clone(), patience)
    }

    /// A client of the calls of the transfer service that carry no bytes of contents.
    pub(super) fn transfer_client(&self) -> TransferClient<Self> {
        TransferClient::with_origin(self.clone(), self.origin.clone())
            .max_decoding_message_size(MAX_CONTROL_MESSAGE)
    }

    /// Makes a call whose messages are not the generated code's business. Segments of the answer are in this field, if
    /// it has any; its messages have at most `max_message` bytes.
    ///
    /// # Errors
    /// The status that the peer answers with, or what became of the connection.
    pub(super) async fn call<M: Message + Default>(
        mut self,
        path: &'static str,
        request: tonic::Request<Body>,
        field: Option<SegmentField>,
        max_message: usize,
    ) -> Result<tonic::Response<Incoming<M>>, Status> {
        let (metadata, _, body) = request.into_parts();
        let mut uri = self.origin.into_parts();
        uri.path_and_query = Some(PathAndQuery::from_static(path));
        let uri = Uri::from_parts(uri).map_err(|error| Status::from_error(error.into()))?;
        let mut request = Request::new(body);
        *request.method_mut() = Method::POST;
        *request.uri_mut() = uri;
        *request.version_mut() = Version::HTTP_2;
        *request.headers_mut() = metadata.into_headers();
        request.headers_mut().insert(header::TE, HeaderValue::from_static("trailers"));
        let content_type = HeaderValue::from_static("application/grpc");
        request.headers_mut().insert(header::CONTENT_TYPE, content_type);
        self.sender.ready().await.map_err(|error| Status::from_error(error.into()))?;
        let answer = self.sender.send_request(request);
        let answer = before_end(&self.ended, answer).await.map_err(Status::from_error)?;
        let answer = Incoming::of_answer(answer.map(Body::new), field, max_message)?;
        Ok(tonic::Response::new(answer.into_body()))
    }

    /// What passes over the connection.
    pub(super) fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    /// The origin of calls to the peer.
    pub(super) fn origin(&self) -> Uri {
        self.origin.clone()
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<hyper::body::Incoming>;
    type Error = StdError;
    type Future =
        Pin<Box<dyn Future<Output = Result<Response<hyper::body::Incoming>, StdError>> + Send>>;

    /// Always: the generated client would make a status of a connection that is closed in which the cause is lost, so
    /// nobody could tell it from an answer of the peer.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), StdError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (mut sender, ended) = (self.sender.clone(), self.ended.clone());
        Box::pin(async move {
            sender.ready().await?;
            before_end(&ended, sender.send_request(request)).await
        })
    }
}

/// Waits until nobody but the one who keeps a connection has it, and nobody has used it for a while.
async fn idle(uses: Weak<AtomicU64>) {
    let mut seen = None;
    loop {
        sleep(IDLE).await;
        let Some(uses) = uses.upgrade() else {
            // It ends by itself, with the last call.
            return pending().await;
        };
        let count = uses.load(Relaxed);
        // This, and the one who keeps it.
        let is_used = Arc::strong_count(&uses) > 2;
        if !is_used && seen == Some(count) {
            return;
        }
        seen = (!is_used).then_some(count);
    }
}

/// The answer to a request, or what became of its connection.
///
/// The library tells of the end itself, but for a request that is handed over in that very moment: that lies in a queue
/// which nobody empties any more.
async fn before_end<T>(
    ended: &CancellationToken,
    answer: impl Future<Output = hyper::Result<T>>,
) -> Result<T, StdError> {
    let mut answer = pin!(answer);
    tokio::select! {
        biased;
        answer = &mut answer => return Ok(answer?),
        () = ended.cancelled() => {}
    }
    match timeout(LAST_WORDS, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => {
            Err(io::Error::new(io::ErrorKind::ConnectionAborted, "the connection ended").into())
        }
    }
}

fn http2_builder(settings: &Http2Settings) -> http2::Builder<TokioExecutor> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_frame_size(settings.max_frame_size)
        .initial_stream_window_size(settings.stream_window)
        .initial_connection_window_size(settings.connection_window)
        .max_header_list_size(settings.max_header_list)
        .max_send_buf_size(settings.send_buffer)
        .keep_alive_interval(settings.ping_interval)
        .keep_alive_timeout(settings.ping_timeout);
    builder
}

#[cfg(test)]
mod tests {
    use std::future::ready;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_closed_only_when_nobody_has_used_it_for_long() {
        let kept = Uses::default();
        let idle = idle(Arc::downgrade(&kept));
        let mut idle = pin!(idle);
        let call = kept.clone();
        assert!(timeout(10 * IDLE, &mut idle).await.is_err());
        drop(call);
        // Short calls now and then.
        for _ in 0..10 {
            assert!(timeout(IDLE * 3 / 4, &mut idle).await.is_err());
            kept.fetch_add(1, Relaxed);
        }
        assert!(timeout(3 * IDLE, &mut idle).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn no_call_outlives_its_connection() {
        let ended = CancellationToken::new();
        let error = |waited: Result<(), StdError>| waited.unwrap_err().to_string();
        // Whose connection is well waits.
        let waiting =
            timeout(Duration::from_secs(3600), before_end(&ended, pending::<hyper::Result<()>>()));
        assert!(waiting.await.is_err());
        ended.cancel();
        assert_eq!(error(before_end(&ended, pending()).await), "the connection ended");
        // What came counts, also a moment later.
        assert!(before_end(&ended, ready(hyper::Result::Ok(()))).await.is_ok());
        let later = async {
            sleep(LAST_WORDS / 2).await;
            hyper::Result::Ok(())
        };
        assert!(before_end(&ended, later).await.is_ok());
    }
}
