//! The index of p2pshare.

fn main() {}
