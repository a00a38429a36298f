//! p2pshare-peer

pub mod net;
