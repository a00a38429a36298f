//! What every handler has at hand.

use std::{ops::Deref, sync::Arc};

use axum::extract::FromRef;
use p2pshare_core::{index::Index, time::Timestamp};

use super::{
    answer::AnswerMemory, audit::AuditLog, body::BodyMemory, limits::Limits, look::Lookout,
    options::HttpOptions, pool::Pool, reach::Prober,
};

/// State of the router. A clone shares everything.
#[derive(Clone)]
pub(super) struct App(Arc<Inner>);

pub(super) struct Inner {
    pub(super) index: Index,
    pub(super) options: HttpOptions,
    pub(super) limits: Limits,
    pub(super) bodies: BodyMemory,
    pub(super) answers: AnswerMemory,
    pub(super) pool: Pool,
    pub(super) prober: Prober,
    pub(super) audit: AuditLog,
    pub(super) lookout: Lookout,
    /// What this process is called where several serve one index.
    pub(super) process: String,
    pub(super) started_at: Timestamp,
}

impl App {
    pub(super) fn new(index: Index, options: HttpOptions) -> Self {
        Self(Arc::new(Inner {
            audit: AuditLog::default(),
            lookout: Lookout::default(),
            process: format!("{:016x}", rand::random::<u64>()),
            started_at: index.now(),
            index,
            limits: Limits::new(&options.rates),
            bodies: BodyMemory::new(options.body_memory),
            answers: AnswerMemory::new(options.answer_memory),
            pool: Pool::new(options.concurrent_requests, options.requests_per_address),
            prober: Prober::default(),
            options,
        }))
    }
}

impl Deref for App {
    type Target = Inner;

    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl FromRef<App> for Index {
    fn from_ref(app: &App) -> Self {
        app.index.clone()
    }
}
