//! Server-sent events: what has changed, as it happens.

use std::{convert::Infallible, time::Duration};

use axum::{
    Router,
    extract::State,
    response::{
        IntoResponse, Response,
        sse::{Event, KeepAlive, Sse},
    },
    routing::get,
};
use futures::{Stream, StreamExt, stream};
use p2pshare_core::{
    api::ProblemKind,
    time::{Clock, SystemClock, Timestamp},
};
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc},
    time::{Instant, MissedTickBehavior, interval, sleep_until},
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::task::AbortOnDropHandle;

use super::{
    App,
    api::{downloads::MAX_PAGE, transfers::Pushes},
    extract::Query,
    failure::{Answer, Failure},
};
use crate::{
    downloads::{
        Changed, Changes as DownloadChanges, DownloadFilter, DownloadId, DownloadTotals,
        DownloadView, DownloadsError,
    },
    node::{Changes, NodeError, Topic},
};

/// An event of each kind comes no more often.
const EVERY: Duration = Duration::from_millis(250);

/// Uploads are looked at so often.
const UPLOADS_EVERY: Duration = Duration::from_secs(1);

/// Between events, so that each end knows that the other is there.
const PING: Duration = Duration::from_secs(15);

/// A browser that was cut off comes back after this time.
const RETRY: Duration = Duration::from_secs(2);

/// Events that wait for a slow browser. Meanwhile changes are joined.
const AHEAD: usize = 4;

/// When more downloads have changed at once, the newest are told anew.
const MANY: usize = 100;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/events", get(events))
}

#[derive(Deserialize)]
struct Since {
    /// The last event id that a page has, when it comes back: it hears the notices since then.
    after: Option<String>,
}

async fn events(State(app): State<App>, Query(since): Query<Since>) -> Answer<Response> {
    let place = app.listeners.clone().try_acquire_owned().map_err(|_| {
        Failure::new(ProblemKind::Unavailable, "too many pages follow this peer: close some")
    })?;
    let ping = KeepAlive::new().interval(PING).text("ping");
    let mut changes = app.node.changes();
    if let Some(after) = &since.after {
        changes.go_back(after);
    }
    Ok(Sse::new(follow(app, changes, place)).keep_alive(ping).into_response())
}

/// The events, for as long as somebody listens and the server runs.
fn follow(
    app: App,
    changes: Changes,
    place: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> + Send {
    let (sender, receiver) = mpsc::channel(AHEAD);
    let stop = app.stop.clone();
    // Every event after it has this id too, until a notice has another.
    let first = Event::default().retry(RETRY).id(changes.place());
    let task = tokio::spawn(async move {
        let _place = place;
        let follower = Follower::new(&app, changes, sender);
        // Whatever ends it, the browser comes back and asks again.
        if let Some(Err(Ended::Failed(error))) = stop.run_until_cancelled(follower.run()).await {
            tracing::debug!(%error, "telling a page of changes failed");
        }
    });
    let task = AbortOnDropHandle::new(task);
    stream::once(async move { Ok(first) }).chain(ReceiverStream::new(receiver).map(move |event| {
        let _task = &task;
        Ok(event)
    }))
}

enum Ended {
    /// Nobody listens any more.
    Gone,
    Failed(NodeError),
}

impl<E: Into<NodeError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

struct Follower<'a> {
    app: &'a App,
    sender: mpsc::Sender<Event>,
    changes: Changes,
    downloads: DownloadChanges,
    /// What was told last of the uploads.
    uploads: String,
}

/// Downloads that have changed.
#[derive(Serialize)]
struct DownloadsChanged {
    items: Vec<DownloadView>,
    removed: Vec<DownloadId>,
    totals: DownloadTotals,
    /// What was told before counts no more.
    reset: bool,
    /// When they were looked at: what ends later is told next.
    at: Timestamp,
}

impl<'a> Follower<'a> {
    fn new(app: &'a App, changes: Changes, sender: mpsc::Sender<Event>) -> Self {
        let downloads = app.node.downloads().changes();
        Self { app, sender, changes, downloads, uploads: String::new() }
    }

    async fn run(mut self) -> Result<(), Ended> {
        for topic in Topic::ALL {
            self.tell(topic).await?;
        }
        self.tell_all_downloads().await?;
        let mut uploads = interval(UPLOADS_EVERY);
        uploads.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let mut changed = None;
            tokio::select! {
                there = self.changes.wait() => if !there { return Ok(()) },
                next = self.downloads.next() => match next {
                    Some(next) => changed = Some(next),
                    None => return Ok(()),
                },
                _ = uploads.tick() => self.tell_uploads().await?,
                () = self.sender.closed() => return Ok(()),
            }
            let next = Instant::now() + EVERY;
            while let Some(notice) = self.changes.notice() {
                let event = event_of("notice", &json(&notice)).id(self.changes.place());
                self.send_event(event).await?;
            }
            for topic in self.changes.take() {
                self.tell(topic).await?;
            }
            if let Some(changed) = changed {
                self.tell_downloads(changed).await?;
            }
            sleep_until(next).await;
        }
    }

    async fn tell(&self, topic: Topic) -> Result<(), Ended> {
        let node = &self.app.node;
        match topic {
            Topic::State => self.send("state", &node.state()).await,
            Topic::Shares => self.send("shares", &node.shares().await?).await,
            Topic::Pushes => self.send("pushes", &Pushes { items: node.pushes() }).await,
            Topic::Inbox => self.send("inbox", &node.inbox().await?).await,
        }
    }

    async fn tell_uploads(&mut self) -> Result<(), Ended> {
        let now = json(&self.app.node.uploads().await?);
        if now != self.uploads {
            self.send_text("uploads", &now).await?;
            self.uploads = now;
        }
        Ok(())
    }

    async fn tell_downloads(&self, changed: Changed) -> Result<(), Ended> {
        if changed.all || changed.changed.len() > MANY || changed.removed.len() > MAX_PAGE {
            return self.tell_all_downloads().await;
        }
        let (downloads, at) = (self.app.node.downloads(), SystemClock.now());
        let mut items = Vec::with_capacity(changed.changed.len());
        for id in changed.changed {
            match downloads.view(id).await {
                Ok(view) => items.push(view),
                // It went meanwhile: that is told next.
                Err(DownloadsError::NotFound(_)) => {}
                Err(error) => return Err(error.into()),
            }
        }
        let (removed, totals) = (changed.removed, downloads.totals().await?);
        let changed = DownloadsChanged { items, removed, totals, reset: false, at };
        self.send("downloads", &changed).await
    }

    /// The newest downloads, in place of what was told before.
    async fn tell_all_downloads(&self) -> Result<(), Ended> {
        let (downloads, at) = (self.app.node.downloads(), SystemClock.now());
        let page = downloads.list(DownloadFilter::All, None, MANY).await?;
        let totals = downloads.totals().await?;
        let (items, removed) = (page.items, Vec::new());
        let all = DownloadsChanged { items, removed, totals, reset: true, at };
        self.send("downloads", &all).await
    }

    async fn send(&self, name: &str, value: &impl Serialize) -> Result<(), Ended> {
        self.send_text(name, &json(value)).await
    }

    async fn send_text(&self, name: &str, json: &str) -> Result<(), Ended> {
        self.send_event(event_of(name, json)).await
    }

    async fn send_event(&self, event: Event) -> Result<(), Ended> {
        self.sender.send(event).await.map_err(|_| Ended::Gone)
    }
}

fn event_of(name: &str, json: &str) -> Event {
    Event::default().event(name).data(json)
}

/// JSON has no line breaks of its own, which an event could not carry.
fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).unwrap_or_else(|error| {
        tracing::error!(%error, "something has no JSON form");
        "null".to_owned()
    })
}
