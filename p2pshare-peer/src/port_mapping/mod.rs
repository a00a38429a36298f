//! A way in for others: a port of the router between this network and the index that leads to the peer.
//!
//! A home's router lets nobody in unless it is asked to. It is asked by PCP (RFC 6887), NAT-PMP (RFC 6886) or UPnP
//! (Internet Gateway Device), whichever it knows.

mod keep;
mod router;

pub(crate) use keep::{PortMapper, WayIn};
pub(crate) use router::HomeRouter;
