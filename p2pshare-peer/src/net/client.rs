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
mod push_small;
mod remote;
mod source;
mod watch;

pub use connector::{ClientSecurity, PeerConnector};
pub(crate) use grants::OneGrant;
pub use grants::{GrantProvider, GrantRequest};
pub use nearby::Nearby;
pub use pool::{PeerPool, PoolLimits};
pub use push::{PushProgress, PushProposal};
pub use push_small::{Kept, NotTaken, SmallPush};
pub use remote::RemotePeer;
pub use source::RemoteSource;
