//! Peer to peer: the gRPC server and client, and TLS between them.
//!
//! Both ends are a [`PieceSource`]: [`serve`] adapts the wire to any source, as far as a [`GuardedSource`] has it for who
//! calls, and [`RemoteSource`] makes a peer far away look local. So nothing outside of this module knows gRPC, HTTP/2 or TLS. Errors of a transfer come over the wire as
//! they were.
//!
//! ```text
//!  RemoteSource ─ RemotePeer ─ Lane ─ Channel ══ HTTP/2 ══ connection ─ Calls ─ TransferService ─ PieceSource
//!                                └ PeerConnector   TLS      └ handshake              └ TransferGuard, UploadSlots
//! ```
//!
//! [`PieceSource`]: p2pshare_core::transfer::PieceSource
//! [`GuardedSource`]: p2pshare_core::transfer::GuardedSource

mod client;
pub(crate) mod fuzz;
mod grpc;
mod io;
mod limits;
mod server;
mod service;
mod status;
mod tls;
mod uploads;
mod wire;

pub(crate) use client::OneGrant;
pub use client::{
    ClientSecurity, GrantProvider, GrantRequest, Kept, Nearby, NotTaken, PeerConnector, PeerPool,
    PoolLimits, PushProgress, PushProposal, RemotePeer, RemoteSource, SmallPush,
};
pub use limits::{ClientLimits, Http2Settings, ServerLimits};
pub use server::{ServerSecurity, serve};
pub use service::ServerServices;
pub use tls::{PeerTls, TlsError};
pub(crate) use uploads::{Key as UploadKey, UploadCall};
pub use uploads::{Upload, Uploads};
