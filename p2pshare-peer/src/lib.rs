//! p2pshare-peer
