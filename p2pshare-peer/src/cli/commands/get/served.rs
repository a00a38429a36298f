//! Serving what is downloaded, beside the download.

use std::sync::Arc;

use p2pshare_core::text::visible;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    catalog::PartialSources,
    cli::{args::GetArgs, context::Context, exit::CliError, values::rate},
    daemon::{DownloadServeOptions, DownloadServer, UPLOADS},
    data_dir::DownloadLock,
    download::Serving,
    publish::OwnPeer,
};

/// The server of what is downloaded, which runs beside the download.
pub(super) struct Served {
    pub(super) serving: Serving,
    stop: CancellationToken,
    task: JoinHandle<()>,
    /// Others must not use its key meanwhile.
    _lock: DownloadLock,
}

impl Served {
    /// Starts it; `None` when too many commands download at the moment.
    pub(super) fn start(
        context: &Context,
        me: &OwnPeer,
        args: &GetArgs,
    ) -> Result<Option<Self>, CliError> {
        let Some((key, lock)) = context.dir.download_key()? else { return Ok(None) };
        let sources = PartialSources::new();
        let server = DownloadServer::new(me.with_key(Arc::new(key)), sources.clone());
        let serving = Serving { sources, peer: server.peer() };
        let options = DownloadServeOptions {
            listen: args.listen,
            upload_slots: UPLOADS,
            upload_limit: rate(args.upload_limit),
            insecure: args.insecure,
        };
        let stop = CancellationToken::new();
        let (output, stopped) = (context.output, stop.clone());
        let task = tokio::spawn(async move {
            if let Err(error) = Box::pin(server.run(options, stopped)).await {
                // The download goes on without.
                output.warn(format!(
                    "not serving what is downloaded: {}",
                    visible(&error.to_string())
                ));
            }
        });
        Ok(Some(Self { serving, stop, task, _lock: lock }))
    }

    pub(super) async fn end(self) {
        self.stop.cancel();
        // If it has panicked there is nothing left to end.
        let _ = self.task.await;
    }
}
