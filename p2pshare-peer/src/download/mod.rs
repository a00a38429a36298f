//! Downloading: from what a person names to verified files on disk.
//!
//! [`resolve`] asks the index what is meant, [`Locator`] where it is and for permission, [`run`] fetches it.

mod batch;
mod cause;
mod copies;
mod discovery;
mod error;
mod existing;
mod fetch;
mod job;
mod locator;
mod patience;
mod place;
mod progress;
mod replaced;
mod resolve;
mod target;

pub use cause::Cause;
pub(crate) use cause::is_away;
pub use copies::Copies;
pub use error::FetchError;
pub use fetch::{Arrived, Fetched};
pub(crate) use job::IN_VAIN;
pub use job::{
    DownloadOptions, JobEvent, JobFiles, JobReport, JobResults, SMALL_GROUP, Serving, run,
    run_files,
};
pub use locator::{Age, Locator};
pub use progress::{FileProgress, JobProgress};
pub use resolve::{Found, ResolveError, Wanted, find, find_each, resolve};
pub(crate) use target::typed_path;
pub use target::{Target, TargetError};
