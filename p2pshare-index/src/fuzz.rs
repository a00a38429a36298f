//! What is done with bytes from outside in fuzzing; see `p2pshare_core::testing::fuzz`. It is part of the library so
//! that an ordinary test and `cargo fuzz` run the same functions; nothing else uses it.

pub use crate::{cli::fuzz_config as config, http::fuzz_public_url as public_url};

/// A target: its name, which is that of its corpus, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: [Target; 2] = [("config", config), ("public_url", public_url)];
