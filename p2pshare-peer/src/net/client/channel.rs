//! One HTTP/2 connection to a peer, as the generated clients use it.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use p2pshare_core::identity::PeerId;
use p2pshare_proto::v1::transfer_client::TransferClient;
use tonic::body::Body;
use tower::Service;

use crate::net::io::BoxIo;
use crate::net::limits::Http2Settings;
use crate::net::tls::host_name;

/// An open connection. Clones share it; it closes when the last clone and the last call are gone.
#[derive(Clone)]
pub(super) struct Channel {
    sender: SendRequest<Body>,
    origin: Uri,
}

impl Channel {
    /// Begins to speak HTTP/2 with the peer.
    pub(super) async fn open(io: BoxIo, id: PeerId, settings: &Http2Settings) -> io::Result<Self> {
        let handshake = http2_builder(settings).handshake(TokioIo::new(io));
        let (sender, connection) = handshake.await.map_err(io::Error::other)?;
        tokio::spawn(async move {
            if let Err(error) = connection.await {
                tracing::debug!(peer = %id, %error, "connection failed");
            }
        });
        let origin = Uri::builder()
            .scheme("http")
            .authority(host_name(id))
            .path_and_query("/")
            .build()
            .map_err(io::Error::other)?;
        Ok(Self { sender, origin })
    }

    /// Whether no call can be made over it any more.
    pub(super) fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }

    /// A client of the transfer service that takes messages up to this many bytes.
    pub(super) fn transfer_client(&self, max_message: usize) -> TransferClient<Self> {
        TransferClient::with_origin(self.clone(), self.origin.clone())
            .max_decoding_message_size(max_message)
    }

    /// The origin of calls to the peer.
    pub(super) fn origin(&self) -> Uri {
        self.origin.clone()
    }
}

impl Service<Request<Body>> for Channel {
    type Response = Response<Incoming>;
    type Error = hyper::Error;
    type Future = Pin<Box<dyn Future<Output = hyper::Result<Response<Incoming>>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<hyper::Result<()>> {
        self.sender.poll_ready(cx)
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        Box::pin(self.sender.send_request(request))
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
