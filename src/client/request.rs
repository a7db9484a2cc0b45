//! One question to the snapshot or control socket, and its answer.

use std::io;
use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::net::{TcpStream, UnixStream};
use tokio::time::{sleep, timeout};
use zeromq::{ReqSocket, Socket, SocketOptions, SocketRecv, SocketSend, ZmqError};

use super::subscribe::{EndpointError, check_endpoint};

/// How long connecting may take before it is looked at why. A gateway that is there has answered by then; one that is
/// merely slow logs the look as a peer that left.
const LOOK_AFTER: Duration = Duration::from_millis(250);

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The endpoint is nothing to connect to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nobody listens there.
    #[error("nobody listens at {endpoint} ({source}): start the gateway, or name its snapshot or control socket")]
    Refused {
        /// Who was to be asked.
        endpoint: String,
        /// What the operating system said.
        source: io::Error,
    },
    /// Nobody answered in time.
    #[error(
        "no answer from {endpoint} within {within:?}: is the gateway running, and is this its snapshot or control socket?"
    )]
    Timeout {
        /// Who was asked.
        endpoint: String,
        /// How long was waited.
        within: Duration,
    },
    /// The connection failed.
    #[error("request to {endpoint} failed: {source}")]
    Socket {
        /// Who was asked.
        endpoint: String,
        /// What failed.
        source: ZmqError,
    },
}

/// Sends `body` (JSON text, as `{"op":"snapshot","topic":"book.…"}`) and returns the answer's parts: `[topic][payload]`
/// of a frame, or one part of JSON. Each call opens its own socket, because one that lost an answer is of no more use.
///
/// # Errors
/// [`RequestError`], after `within` at the latest.
pub async fn request(endpoint: &str, body: &str, within: Duration) -> Result<Vec<Bytes>, RequestError> {
    check_endpoint(endpoint)?;
    let late = |_| RequestError::Timeout { endpoint: endpoint.to_owned(), within };
    timeout(within, exchange(endpoint, body)).await.map_err(late)?
}

async fn exchange(endpoint: &str, body: &str) -> Result<Vec<Bytes>, RequestError> {
    let failed = |source| RequestError::Socket { endpoint: endpoint.to_owned(), source };
    let mut options = SocketOptions::default();
    // The caller's deadline covers connecting too.
    options.no_connect_timeout();
    let mut socket = ReqSocket::with_options(options);
    tokio::select! {
        connected = socket.connect(endpoint) => connected.map_err(failed)?,
        source = refusal(endpoint) => return Err(RequestError::Refused { endpoint: endpoint.to_owned(), source }),
    }
    socket.send(body.into()).await.map_err(failed)?;
    Ok(socket.recv().await.map_err(failed)?.into_vec())
}

/// Waits for the operating system to say that nobody listens there, which the library keeps to itself while it tries
/// again and again.
async fn refusal(endpoint: &str) -> io::Error {
    sleep(LOOK_AFTER).await;
    let connected = match (endpoint.strip_prefix("tcp://"), endpoint.strip_prefix("ipc://")) {
        (Some(address), _) => TcpStream::connect(address).await.map(drop),
        (_, Some(path)) => UnixStream::connect(path).await.map(drop),
        _ => Ok(()),
    };
    match connected {
        Err(error) if matches!(error.kind(), io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound) => error,
        // Somebody is there, or may yet be: the deadline decides.
        _ => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zeromq::{RouterSocket, ZmqMessage};

    #[tokio::test]
    async fn an_answer_of_several_parts_comes_back_whole() {
        let mut server = RouterSocket::new();
        let endpoint = server.bind("tcp://127.0.0.1:0").await.unwrap().to_string();
        let serve = async {
            let question = server.recv().await.unwrap().into_vec();
            assert_eq!(question[1..], [Bytes::new(), Bytes::from_static(br#"{"op":"snapshot"}"#)]);
            let mut answer = question[..2].to_vec();
            answer.extend([Bytes::from_static(b"book.x."), Bytes::from_static(b"{}")]);
            server.send(ZmqMessage::try_from(answer).unwrap()).await.unwrap();
        };
        let (answer, ()) = tokio::join!(request(&endpoint, r#"{"op":"snapshot"}"#, Duration::from_secs(10)), serve);
        assert_eq!(answer.unwrap(), [Bytes::from_static(b"book.x."), Bytes::from_static(b"{}")]);
    }

    #[tokio::test]
    async fn nobody_there_is_said_long_before_the_deadline() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for endpoint in [format!("tcp://127.0.0.1:{port}"), "ipc:///nowhere/tickbus".to_owned()] {
            let asked = request(&endpoint, "{}", Duration::from_secs(3600));
            let error = timeout(Duration::from_secs(20), asked).await.expect("at once").unwrap_err();
            assert!(matches!(error, RequestError::Refused { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn silence_ends_at_the_deadline() {
        let mut server = RouterSocket::new();
        let endpoint = server.bind("tcp://127.0.0.1:0").await.unwrap().to_string();
        let error = request(&endpoint, "{}", Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, RequestError::Timeout { .. }), "{error}");
        let error = request("tcp://*:1", "{}", Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, RequestError::Endpoint(_)), "{error}");
    }
}
