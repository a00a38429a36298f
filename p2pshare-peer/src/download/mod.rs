//! Downloading: from what a person names to verified files on disk.
//!
//! [`resolve`] asks the index what is meant, [`Locator`] where it is and for permission, [`run`] fetches it.

mod fetch;
mod job;
mod locator;
mod resolve;
mod target;

pub use fetch::{FetchError, Fetched};
pub use job::{DownloadOptions, JobEvent, JobProgress, JobReport, Serving, run};
pub use locator::{Age, Locator};
pub use resolve::{Found, ResolveError, Wanted, find, resolve};
pub use target::{Target, TargetError};
