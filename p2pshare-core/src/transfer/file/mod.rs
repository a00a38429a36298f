//! Contents in files: shares that are read in place, downloads that survive crashes.

mod commit;
mod discard;
mod earlier;
mod known;
mod many;
mod name;
mod open;
mod part;
mod read;
mod resume;
mod sink;
mod source;
mod space;
mod stamp;
mod sys;
mod view;

pub use commit::{Committer, Durability};
pub use earlier::EarlierParts;
pub use known::KnownParts;
pub use many::give_many;
pub use open::{ResumeProgress, SinkOptions};
pub use read::{ReadOptions, StampCheck, read_runs};
pub use sink::FileSink;
pub use source::{FileSource, SharedFile};
pub use space::free_space;
pub use stamp::FileStamp;
pub use view::PartialSource;
