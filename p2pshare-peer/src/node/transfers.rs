//! Downloads that are begun, who takes what of this peer, and links to contents.

use std::collections::HashMap;

use p2pshare_core::{
    content::ContentId,
    identity::{PeerId, Username},
    path::SharePath,
    time::Timestamp,
};
use serde::Serialize;

use super::{Node, NodeError, absolute};
use crate::{
    download::Target,
    downloads::{DownloadView, NewDownload},
    link::ShareLink,
};

/// Uploads of each kind that are listed.
const MAX_LISTED: usize = 200;

/// An upload that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct RunningUpload {
    /// Who downloads.
    pub user: Username,
    /// With which peer, if that is known.
    pub peer: Option<PeerId>,
    /// What.
    pub content: ContentId,
    /// What it is shared or pushed as.
    pub name: Option<SharePath>,
    /// Whether it is pushed, which takes no slot.
    pub pushed: bool,
    /// Bytes sent since it began.
    pub bytes: u64,
    /// Bytes a second, over the last seconds.
    pub rate: u64,
    /// When it began.
    pub since: Timestamp,
}

/// An upload that waits for a slot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WaitingUpload {
    /// Who wants to download.
    pub user: Username,
    /// What.
    pub content: ContentId,
    /// What it is shared as.
    pub name: Option<SharePath>,
    /// Its place in the queue.
    pub position: u32,
}

/// Who takes what of this peer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct UploadsView {
    /// Uploads at a time, those included that are for certain users alone.
    pub slots: usize,
    /// Those that run.
    pub running: Vec<RunningUpload>,
    /// Those that wait, in order of their places.
    pub waiting: Vec<WaitingUpload>,
    /// Bytes a second that are sent to all together.
    pub rate: u64,
    /// Most bytes a second.
    pub limit: Option<u64>,
}

/// A link to a content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkView {
    /// For others who have an account at the same index.
    pub link: String,
}

impl Node {
    /// Begins a download into this folder, or into the one of the settings; tells too whether it had begun before.
    pub async fn download(
        &self,
        targets: Vec<Target>,
        folder: Option<&str>,
        overwrite: bool,
    ) -> Result<(DownloadView, bool), NodeError> {
        let folder = match folder {
            Some(folder) => absolute(folder)?,
            None => self.inner.settings.current().download_folder,
        };
        let downloads = &self.inner.downloads;
        let added = downloads.add(NewDownload { targets, folder, overwrite }).await?;
        Ok((downloads.view(added.id).await?, added.joined))
    }

    /// Who takes what of this peer at the moment.
    pub async fn uploads(&self) -> Result<UploadsView, NodeError> {
        let settings = self.inner.settings.current();
        let mut view = UploadsView {
            slots: self.inner.slots.capacity(),
            running: Vec::new(),
            waiting: Vec::new(),
            rate: 0,
            limit: settings.upload_limit,
        };
        let mut names = HashMap::new();
        for upload in self.inner.uploads.list() {
            view.rate = view.rate.saturating_add(upload.rate);
            let listed = match upload.position {
                None => view.running.len(),
                Some(_) => view.waiting.len(),
            };
            if listed >= MAX_LISTED {
                continue;
            }
            let name = match names.get(&upload.content) {
                Some(name) => Option::clone(name),
                None => {
                    let name = self.name_of(upload.content).await?;
                    let name = name.or_else(|| self.pushed_as(upload.content));
                    names.insert(upload.content, name.clone());
                    name
                }
            };
            let (user, content) = (upload.user, upload.content);
            match upload.position {
                Some(position) => {
                    view.waiting.push(WaitingUpload { user, content, name, position });
                }
                None => view.running.push(RunningUpload {
                    user,
                    peer: upload.peer,
                    content,
                    name,
                    pushed: upload.pushed,
                    bytes: upload.bytes,
                    rate: upload.rate,
                    since: upload.since,
                }),
            }
        }
        view.waiting.sort_by_key(|waiting| waiting.position);
        Ok(view)
    }

    /// A link to a content at the index of whoever is logged in. Of `name` the last part counts.
    pub fn link_to(&self, content: ContentId, name: &SharePath) -> Result<LinkView, NodeError> {
        let index = self.link()?.client.url().clone();
        Ok(LinkView { link: ShareLink::new(index, content, name).to_string() })
    }

    /// What a content is shared as.
    async fn name_of(&self, content: ContentId) -> Result<Option<SharePath>, NodeError> {
        let files = self.inner.catalog.files_with(content, 1).await?;
        Ok(files.into_iter().next().map(|file| file.path))
    }
}
