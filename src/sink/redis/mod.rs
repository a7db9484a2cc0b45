//! The Redis sink: latest values, histories and publications in a Redis server, by one of two layouts (`docs/REDIS.md`).
//! `layout` turns frames into commands (pure); the rest carries them out.

mod connection;
mod desk;
mod door;
pub mod layout;
mod options;
mod run;
mod stats;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

use self::door::Door;
use self::layout::{Layout, OkwsLayout, TickbusLayout};
pub use self::options::{Address, Location, OkwsOptions, RedisOptions};
use self::run::Run;
pub use self::stats::{NAME, RedisStats, SinkReport};
use crate::bus::{LocalOptions, Publisher, SubscribeError};

/// What the door for commands may leave waiting for the sink's task.
const MOST_TOLD: usize = 1024;

/// The answer to a command, when it comes.
pub type Answer<'a> = Pin<Box<dyn Future<Output = Value> + Send + 'a>>;

/// The gateway's command set: what the control socket takes and answers, one JSON object each.
pub trait Commands: Send + Sync {
    /// Carries out a request such as `{"op":"feeds"}`, within a bounded time. The future is to be run to its end.
    fn execute(&self, request: Value) -> Answer<'_>;
}

/// A running sink; dropping it ends it at once.
#[derive(Debug)]
pub struct RedisSink {
    task: JoinHandle<()>,
    door: Option<JoinHandle<()>>,
    stop: watch::Sender<bool>,
}

impl RedisSink {
    /// Subscribes to the bus and starts writing. Redis need not be there yet. Without `commands` there is no door for
    /// okws's clients.
    ///
    /// # Errors
    /// A topic prefix that is too long.
    pub fn start(
        options: RedisOptions,
        publisher: &Publisher,
        commands: Option<Arc<dyn Commands>>,
        stats: Arc<RedisStats>,
    ) -> Result<Self, SubscribeError> {
        let local = LocalOptions {
            name: NAME.to_owned(),
            queue_frames: options.queue_frames,
            queue_bytes: options.queue_bytes,
        };
        let subscriber = publisher.subscribe_here(&prefixes(&options), local)?;
        let options = Arc::new(options);
        let layout: Box<dyn Layout> = match &options.okws {
            Some(okws) => Box::new(OkwsLayout::new(Arc::clone(&options.layout), &okws.root, &okws.info)),
            None => Box::new(TickbusLayout::new(Arc::clone(&options.layout))),
        };
        let (stop, stopped) = watch::channel(false);
        let (tell, told) = mpsc::channel(MOST_TOLD);
        let door = options.okws.clone().zip(commands).map(|(okws, commands)| {
            let door = Door::new(Arc::clone(&options), okws, commands, tell.clone(), Arc::clone(&stats));
            tokio::spawn(door.run())
        });
        // Without a door nobody tells anything, and the task waits for that in vain.
        let run = Run::new(options, subscriber, layout, told, stopped, stats);
        Ok(Self { task: tokio::spawn(run.run()), door, stop })
    }

    /// Writes what is still queued and ends, within this time.
    pub async fn close(mut self, within: Duration) {
        if let Some(door) = &self.door {
            door.abort();
        }
        self.stop.send_replace(true);
        // One that takes longer is ended when it is dropped.
        let _ = tokio::time::timeout(within, &mut self.task).await;
    }
}

impl Drop for RedisSink {
    fn drop(&mut self) {
        self.task.abort();
        if let Some(door) = &self.door {
            door.abort();
        }
    }
}

/// What is subscribed to: what the config says, and what the sink cannot do without.
fn prefixes(options: &RedisOptions) -> Vec<String> {
    let mut prefixes = options.channels.clone();
    for needed in ["status.", "notice."] {
        if !prefixes.iter().any(|prefix| needed.starts_with(prefix.as_str())) {
            prefixes.push(needed.to_owned());
        }
    }
    prefixes
}
