//! The beginning of a connection: TLS, and the first bytes of HTTP/2.
//!
//! The library that speaks HTTP/2 waits for those bytes as long as it takes; here they are read within a time.

use std::io::{self, ErrorKind};
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use p2pshare_core::identity::{PeerConnection, PeerId, certificate_peer};
use rustls::ServerConnection;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio_rustls::TlsAcceptor;

use super::ServerSecurity;
use crate::net::io::{BoxIo, Counted, Lingering, Prompt, ReadAhead, TLS_BUFFER, forward_writes};

/// What a client says first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Shakes hands with a client that just connected; says what its connection proves. The caller sets a time limit.
pub(super) async fn shake(
    stream: Counted<Lingering>,
    security: &ServerSecurity,
) -> io::Result<(Rewound, PeerConnection)> {
    let (mut io, connection): (BoxIo, _) = match security {
        ServerSecurity::Plain => (Box::new(stream), PeerConnection::Plain),
        ServerSecurity::Tls(tls) => {
            let acceptor = TlsAcceptor::from(tls.server_config());
            let stream = ReadAhead::new(stream);
            let accept = acceptor.accept_with(stream, |tls| tls.set_buffer_limit(Some(TLS_BUFFER)));
            let stream = accept.await?;
            let key = client_key(stream.get_ref().1)?;
            (Box::new(Prompt::new(stream)), PeerConnection::Tls { key })
        }
    };
    let mut first = [0; PREFACE.len()];
    io.read_exact(&mut first).await?;
    if &first != PREFACE {
        let error = "the client does not speak HTTP/2 with prior knowledge";
        return Err(io::Error::new(ErrorKind::InvalidData, error));
    }
    let read = Bytes::from_static(PREFACE);
    Ok((Rewound { read, io }, connection))
}

fn client_key(tls: &ServerConnection) -> io::Result<Option<PeerId>> {
    let certificate = tls.peer_certificates().and_then(|chain| chain.first());
    certificate.map(certificate_peer).transpose().map_err(io::Error::other)
}

/// A connection that gives what was read from it once more.
pub(super) struct Rewound {
    read: Bytes,
    io: BoxIo,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.read.is_empty() {
            return Pin::new(&mut self.io).poll_read(cx, buf);
        }
        let len = self.read.len().min(buf.remaining());
        buf.put_slice(&self.read[..len]);
        self.read.advance(len);
        Poll::Ready(Ok(()))
    }
}

forward_writes!([] Rewound, io);
