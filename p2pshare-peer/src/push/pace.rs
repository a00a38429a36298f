//! How fast files are pushed, and where that is seen.

use std::sync::OnceLock;

use p2pshare_core::{
    content::ContentId,
    identity::{PeerId, Username},
    transfer::RateLimit,
};

use crate::net::{PushProgress, UploadCall, UploadKey, Uploads};

/// How fast files are pushed, and where that is seen. Unless told otherwise as fast as can be, and nowhere.
#[derive(Clone, Debug, Default)]
pub struct Pace {
    /// Bytes a second, of all who share it: pushes, and what others fetch.
    pub limit: RateLimit,
    /// Lists what is pushed beside what others fetch.
    pub uploads: Option<Uploads>,
}

/// A push in the list of uploads, from when the receiver takes it.
pub(super) struct Listed<'a> {
    pace: &'a Pace,
    user: &'a Username,
    peer: PeerId,
    content: ContentId,
    call: OnceLock<Option<UploadCall>>,
}

impl Pace {
    /// A push to a peer of this user, which is listed until this is dropped.
    pub(super) fn list<'a>(
        &'a self,
        user: &'a Username,
        peer: PeerId,
        content: ContentId,
    ) -> Listed<'a> {
        Listed { pace: self, user, peer, content, call: OnceLock::new() }
    }
}

impl Listed<'_> {
    /// Tells the list how far it is.
    pub(super) fn note(&self, progress: PushProgress) {
        let bytes = match progress {
            // In the queue of the receiver, which is none of this peer's.
            PushProgress::Queued { .. } => return,
            PushProgress::Wanted { .. } => 0,
            PushProgress::Sent { bytes } => bytes,
        };
        let begin = || {
            let (user, peer) = (self.user.clone(), Some(self.peer));
            let key = UploadKey { user, peer, content: self.content, pushed: true };
            self.pace.uploads.as_ref()?.begin(key)
        };
        if let Some(call) = self.call.get_or_init(begin) {
            call.sent(bytes);
        }
    }
}
