//! What a server serves: to each caller what is for them.

use std::{fmt, sync::Arc};

use super::PieceSource;
use crate::identity::Reach;

/// Contents of which not all are for everybody.
///
/// A server asks for what the caller was granted ([`Admission::reach`](super::Admission::reach)) and serves that
/// source, so there is no moment between asking and serving at which a content can come to be for others.
pub trait GuardedSource: Send + Sync {
    /// The source as somebody finds it who was granted `reach`. What is not for them is not there: each call about it is
    /// answered in every way as for a content that there never was. What a call goes by is what holds when it is made,
    /// not when this was.
    fn within(&self, reach: Reach) -> Arc<dyn PieceSource>;
}

/// Serves all of a source to whoever is let in.
#[derive(Clone)]
pub struct OpenSource(Arc<dyn PieceSource>);

impl OpenSource {
    /// Serves all of `source` to whoever is let in.
    pub fn new(source: Arc<dyn PieceSource>) -> Self {
        Self(source)
    }
}

impl GuardedSource for OpenSource {
    fn within(&self, _: Reach) -> Arc<dyn PieceSource> {
        Arc::clone(&self.0)
    }
}

impl fmt::Debug for OpenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenSource").finish_non_exhaustive()
    }
}
