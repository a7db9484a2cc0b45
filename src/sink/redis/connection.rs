//! One connection to Redis: opened within a deadline, and given batches of commands that are answered within another.

use std::time::Duration;

use redis::aio::{MultiplexedConnection, PubSub};
use redis::{AsyncConnectionConfig, Cmd, Pipeline, RedisConnectionInfo, RedisError, ServerError, Value};
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use super::layout::batch::Batch;
use super::options::{Address, Location, RedisOptions};
use crate::io::dial::{self, ConnectError, DialLimits};

/// Errors of Redis that say that this server cannot be written to now: another connection may lead to one that can.
const CANNOT_WRITE: [&str; 4] = ["READONLY", "LOADING", "MASTERDOWN", "NOAUTH"];

/// Why there is no connection, or no longer one. Names the server, never a password.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// No stream to the server.
    #[error("{0}")]
    Connect(#[from] ConnectError),
    /// No stream to the server's Unix socket.
    #[error("cannot connect to {path}: {source}")]
    Unix { path: String, source: std::io::Error },
    /// Redis hung up, or said something that is no answer; or refused the user, the password or the database.
    #[error("Redis: {0}")]
    Redis(#[from] RedisError),
    /// Redis says that it cannot be written to.
    #[error("Redis cannot be written to: {0}")]
    CannotWrite(String),
    /// It took too long.
    #[error("Redis did not answer within {} s", .0.as_secs_f64())]
    Deadline(Duration),
}

/// What Redis made of a batch.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Commands that were refused.
    pub(super) refused: usize,
    /// What was said of the first of them.
    pub(super) first: Option<String>,
}

/// How the server knows a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Identity {
    id: String,
    address: String,
}

/// See the module. Dropping it closes the connection.
pub(super) struct Connection {
    redis: MultiplexedConnection,
    driver: AbortHandle,
    identity: Option<Identity>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

fn info(options: &RedisOptions) -> RedisConnectionInfo {
    let mut info = RedisConnectionInfo::default().set_db(options.location.db.into());
    if let Some(username) = &options.username {
        info = info.set_username(username);
    }
    if let Some(password) = &options.password {
        info = info.set_password(password.reveal());
    }
    info.set_lib_name("tickbus", env!("CARGO_PKG_VERSION"))
}

/// Either kind of stream, handed to what is made of it.
macro_rules! on_stream {
    ($location:expr, $stream:ident => $made:expr) => {
        match &$location.address {
            Address::Unix(path) => {
                let connected = UnixStream::connect(path).await;
                let $stream = connected.map_err(|source| Failure::Unix { path: path.display().to_string(), source })?;
                $made
            }
            Address::Tcp { host, port, secure } => {
                let (name, limits) = ($location.to_string(), DialLimits::default());
                let $stream = dial::connect(host, *port, *secure, &name, &limits, &mut "").await?;
                $made
            }
        }
    };
}

impl Connection {
    /// Connects, and has Redis end `former`, so that what it still holds of that is not carried out after what comes now.
    pub(super) async fn open(options: &RedisOptions, former: Option<&Identity>) -> Result<(Self, bool), Failure> {
        let opening = async {
            let mut connection = Self::dial(&options.location, options).await?;
            let clean = connection.introduce(former).await?;
            Ok((connection, clean))
        };
        within(options.deadline, opening).await
    }

    async fn dial(location: &Location, options: &RedisOptions) -> Result<Self, Failure> {
        // The deadline is ours: the library's own would leave the connection open.
        let config = || AsyncConnectionConfig::new().set_response_timeout(None);
        let info = info(options);
        let (redis, driver) = on_stream!(location, stream => {
            let (redis, driver) = MultiplexedConnection::new_with_config(&info, stream, config()).await?;
            (redis, tokio::spawn(driver).abort_handle())
        });
        Ok(Self { redis, driver, identity: None })
    }

    /// Learns who we are, and ends who we were; whether it is certain that nothing of that is left.
    async fn introduce(&mut self, former: Option<&Identity>) -> Result<bool, Failure> {
        let mut pipeline = Pipeline::new();
        pipeline.add_command(command(["CLIENT", "INFO"]));
        if let Some(Identity { id, address }) = former {
            // By number and address: after a restart of the server the number may be another's.
            pipeline.add_command(command(["CLIENT", "KILL", "ID", id, "ADDR", address]));
        }
        let answers = self.redis.send_packed_commands(&pipeline, 0, pipeline.len()).await?;
        self.identity = answers.first().and_then(text).and_then(|text| Identity::read(&text));
        let killed = matches!(answers.get(1), Some(Value::Int(_)));
        Ok(former.is_none() || killed)
    }

    /// How the server knows this connection, if it says so.
    pub(super) fn identity(&self) -> Option<&Identity> {
        self.identity.as_ref()
    }

    /// Has the commands carried out, in order and in one go.
    pub(super) async fn execute(&mut self, batch: &Batch, deadline: Duration) -> Result<Outcome, Failure> {
        let mut pipeline = Pipeline::with_capacity(batch.len());
        for arguments in batch.commands() {
            let mut command = Cmd::new();
            for argument in arguments {
                command.arg(argument);
            }
            pipeline.add_command(command);
        }
        let count = pipeline.len();
        let answers =
            within(deadline, async { Ok(self.redis.send_packed_commands(&pipeline, 0, count).await?) }).await?;
        let mut outcome = Outcome::default();
        for answer in &answers {
            outcome.look(answer)?;
        }
        Ok(outcome)
    }
}

impl Outcome {
    fn look(&mut self, answer: &Value) -> Result<(), Failure> {
        match answer {
            Value::ServerError(error) => self.refused(error),
            // The answer of a transaction.
            Value::Array(answers) => answers.iter().try_for_each(|answer| self.look(answer)),
            _ => Ok(()),
        }
    }

    fn refused(&mut self, error: &ServerError) -> Result<(), Failure> {
        let told = format!("{} {}", error.code(), error.details().unwrap_or_default());
        if CANNOT_WRITE.contains(&error.code()) {
            return Err(Failure::CannotWrite(told));
        }
        self.refused += 1;
        self.first.get_or_insert(told);
        Ok(())
    }
}

impl Identity {
    /// From the answer of `CLIENT INFO`: `id=7 addr=127.0.0.1:5000 …`.
    fn read(text: &str) -> Option<Self> {
        let field = |name: &str| text.split_whitespace().find_map(|word| word.strip_prefix(name)).map(str::to_owned);
        Some(Self { id: field("id=")?, address: field("addr=")? })
    }
}

/// Subscribes to one channel over a connection of its own.
pub(super) async fn listen(options: &RedisOptions, channel: &str) -> Result<PubSub, Failure> {
    let info = info(options);
    let location = &options.location;
    within(options.deadline, async {
        let mut listener = on_stream!(location, stream => PubSub::new(&info, stream).await?);
        listener.subscribe(channel).await?;
        Ok(listener)
    })
    .await
}

async fn within<T>(deadline: Duration, work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    timeout(deadline, work).await.unwrap_or(Err(Failure::Deadline(deadline)))
}

fn command<const N: usize>(words: [&str; N]) -> Cmd {
    let mut command = Cmd::new();
    for word in words {
        command.arg(word);
    }
    command
}

fn text(answer: &Value) -> Option<String> {
    match answer {
        Value::BulkString(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        Value::VerbatimString { text, .. } | Value::SimpleString(text) => Some(text.clone()),
        _ => None,
    }
}
