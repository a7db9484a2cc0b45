//! One connection of a pool: opened, used for one call after the other, gone at the first that has no answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::host::End;
use super::{Dial, Link, LinkError};

/// How long opening may take: name, TCP, handshake and authentication. Whoever dials has shorter limits for its parts,
/// and better words for what was not done in time.
pub(super) const OPEN_WITHIN: Duration = Duration::from_secs(6);

/// A call to make.
#[derive(Debug)]
pub(super) struct Job {
    /// Tells its answer from others.
    pub(super) ticket: u64,
    /// What to send.
    pub(super) body: String,
    /// How long to wait for the answer.
    pub(super) timeout: Duration,
}

/// What happened on a connection.
#[derive(Debug)]
pub(super) enum News {
    /// It is open.
    Opened,
    /// Its call was answered.
    Answered(Bytes),
    /// An answer came that nobody waits for.
    Stray,
    /// It is over: the last news of this connection.
    Closed(End),
}

/// Where a connection is: its host's and its own place.
pub(super) type Place = (usize, usize);

/// Where it reports to.
#[derive(Clone, Debug)]
pub(super) struct Reports {
    pub(super) place: Place,
    pub(super) sender: mpsc::Sender<(Place, News)>,
}

impl Reports {
    /// A pool that is gone needs no news: the connection then ends because nobody has jobs for it.
    async fn send(&self, news: News) {
        let _ = self.sender.send((self.place, news)).await;
    }
}

/// Opens a connection and serves it until it is over.
pub(super) async fn run<D: Dial>(dial: Arc<D>, jobs: mpsc::Receiver<Job>, reports: Reports) {
    let end = match timeout(OPEN_WITHIN, dial.dial()).await {
        Ok(Ok(link)) => {
            reports.send(News::Opened).await;
            serve(link, jobs, &reports).await
        }
        Ok(Err(error)) => End::Failed(error),
        Err(_) => {
            let reason = format!("no connection within {} s", OPEN_WITHIN.as_secs());
            End::Failed(LinkError { refused: false, reason })
        }
    };
    reports.send(News::Closed(end)).await;
}

async fn serve(mut link: impl Link, mut jobs: mpsc::Receiver<Job>, reports: &Reports) -> End {
    loop {
        let job = tokio::select! {
            job = jobs.recv() => job,
            // Nothing is asked: whatever comes is stray, but the end of the connection is noticed at once.
            idle = link.receive() => match idle {
                Ok(_) => {
                    reports.send(News::Stray).await;
                    continue;
                }
                Err(error) => return End::Failed(error),
            },
        };
        let Some(job) = job else {
            return End::Failed(LinkError { refused: false, reason: "closed by us".to_owned() });
        };
        match timeout(job.timeout, exchange(&mut link, &job, reports)).await {
            Ok(Ok(body)) => reports.send(News::Answered(body)).await,
            Ok(Err(error)) => return End::Failed(error),
            // Leaving the connection makes its late answer impossible to mistake for another.
            Err(_) => return End::TimedOut,
        }
    }
}

/// Sends a request and waits for its own answer: a REP socket gives the frames before the empty one back.
async fn exchange(link: &mut impl Link, job: &Job, reports: &Reports) -> Result<Bytes, LinkError> {
    let ticket = job.ticket.to_string();
    link.send(&[ticket.as_bytes(), b"", job.body.as_bytes()]).await?;
    loop {
        match <[Bytes; 3]>::try_from(link.receive().await?) {
            Ok([id, empty, body]) if id == ticket.as_bytes() && empty.is_empty() => return Ok(body),
            _ => reports.send(News::Stray).await,
        }
    }
}
