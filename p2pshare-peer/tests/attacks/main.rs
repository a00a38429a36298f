//! Attacks on a peer, over real sockets: on its server, on its downloads, on its folders.
//!
//! ARCHITECTURE's threat model names these tests beside what they show.
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod floods;
mod grants;
mod liars;
mod names;
mod reach;
#[path = "../net/script.rs"]
mod script;
#[path = "../net/stranger.rs"]
mod stranger;
#[path = "../net/support.rs"]
mod support;
mod wire;
#[path = "../with_index/mod.rs"]
mod with_index;
