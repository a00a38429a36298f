//! What is done with bytes from outside in fuzzing: each target is a function that takes any bytes, gives them to a
//! parser, and asserts its laws. The same functions are run by `cargo fuzz` and, over a committed corpus, by
//! [`smoke`] in an ordinary test.

mod content;
mod smoke;
mod text;

pub use content::{assembler, manifest, manifest_parts};
pub use smoke::smoke;
pub use text::{addr, grant, names, query, share_path};

/// A target: its name, which is that of its corpus, and its function, which panics when a law is broken.
pub type Target = (&'static str, fn(&[u8]));

/// The targets of this crate.
pub const TARGETS: [Target; 8] = [
    ("addr", addr),
    ("assembler", assembler),
    ("grant", grant),
    ("manifest", manifest),
    ("manifest_parts", manifest_parts),
    ("names", names),
    ("query", query),
    ("share_path", share_path),
];
