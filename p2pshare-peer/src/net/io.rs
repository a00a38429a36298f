//! What either end of a connection reads and writes.

mod forward;
mod heads;
mod line;
mod lingering;
mod prompt;
mod read_ahead;
mod traffic;

use tokio::io::{AsyncRead, AsyncWrite};

pub(crate) use forward::forward_writes;
pub(crate) use heads::HeadLimit;
pub(crate) use lingering::Lingering;
pub(crate) use prompt::Prompt;
pub(crate) use read_ahead::ReadAhead;
pub(crate) use traffic::{Counted, Traffic};

/// A connection, encrypted or not. One virtual call for each read or write of up to a megabyte costs nothing.
pub(crate) type BoxIo = Box<dyn Io>;

/// Anything that can carry HTTP/2.
pub(crate) trait Io: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Io for T {}

/// How many encrypted bytes may wait for the socket: with the library's 64 KiB a frame would take many rounds.
pub(crate) const TLS_BUFFER: usize = 1 << 20;
