//! Fetching one content into one file.

use std::{path::PathBuf, sync::Arc};

use p2pshare_core::{
    content::{ContentId, Manifest, ManifestError, PIECE_LEN, PieceIndex, hash_bytes},
    swarm::{DownloadError, DownloadOptions as SwarmOptions, Downloader, SmallDownload, SwarmEvent},
    transfer::{FileSink, PieceSink, SinkError, SinkOptions, TransferError},
};
use tokio_util::sync::CancellationToken;

use super::{
    Wanted,
    locator::{IndexDiscovery, Locator},
};
use crate::index_client::ClientError;
