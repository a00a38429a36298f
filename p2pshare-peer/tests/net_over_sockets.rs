//! The server and the client of peers, over real sockets.
#![allow(clippy::unwrap_used)]

#[path = "net/conformance.rs"]
mod conformance;
#[path = "net/crowd.rs"]
mod crowd;
#[path = "net/fetch.rs"]
mod fetch;
#[path = "net/hostile.rs"]
mod hostile;
#[path = "net/hostile_server.rs"]
mod hostile_server;
#[path = "net/nearby.rs"]
mod nearby;
#[path = "net/push.rs"]
mod push;
#[path = "net/push_small.rs"]
mod push_small;
#[path = "net/script.rs"]
mod script;
#[path = "net/server.rs"]
mod server;
#[path = "net/slow.rs"]
mod slow;
#[path = "net/stranger.rs"]
mod stranger;
#[path = "net/support.rs"]
mod support;
#[path = "net/tls.rs"]
mod tls;
