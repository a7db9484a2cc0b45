//! One question to the snapshot or control socket, and its answer.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::time::timeout;
use zeromq::{ReqSocket, Socket, SocketOptions, SocketRecv, SocketSend, ZmqError};

use super::subscribe::{EndpointError, check_endpoint};

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The endpoint is nothing to connect to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
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
    let failed = |source| RequestError::Socket { endpoint: endpoint.to_owned(), source };
    let late = |_| RequestError::Timeout { endpoint: endpoint.to_owned(), within };
    timeout(within, exchange(endpoint, body)).await.map_err(late)?.map_err(failed)
}

async fn exchange(endpoint: &str, body: &str) -> Result<Vec<Bytes>, ZmqError> {
    let mut options = SocketOptions::default();
    // The caller's deadline covers connecting too.
    options.no_connect_timeout();
    let mut socket = ReqSocket::with_options(options);
    socket.connect(endpoint).await?;
    socket.send(body.into()).await?;
    Ok(socket.recv().await?.into_vec())
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
    async fn silence_ends_at_the_deadline() {
        let mut server = RouterSocket::new();
        let endpoint = server.bind("tcp://127.0.0.1:0").await.unwrap().to_string();
        let error = request(&endpoint, "{}", Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, RequestError::Timeout { .. }), "{error}");
        let error = request("tcp://*:1", "{}", Duration::from_millis(200)).await.unwrap_err();
        assert!(matches!(error, RequestError::Endpoint(_)), "{error}");
    }
}
