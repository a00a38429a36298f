//! The client of a peer: other peers, made to look like local sources and receivers.

mod channel;
mod connector;
mod dial;
mod fetch;
mod gathered;
mod grants;
mod lane;
mod nearby;
mod pool;
mod push;
mod remote;
mod source;
mod watch;

pub use connector::{ClientSecurity, PeerConnector};
pub use grants::{GrantProvider, GrantRequest};
pub use nearby::Nearby;
pub use pool::{PeerPool, PoolLimits};
pub use push::{PushProgress, PushProposal};
pub use remote::RemotePeer;
pub use source::RemoteSource;
