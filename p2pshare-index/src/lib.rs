//! p2pshare-index
