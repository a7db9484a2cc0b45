//! One question to the snapshot or control socket, and its answer.

use std::time::Duration;

use bytes::Bytes;
use thiserror::Error;
use tokio::time::timeout;

use super::subscribe::{EndpointError, check_endpoint};
use crate::io::zmq::{Kind, ZmqError, ZmqLimits, connect};
use crate::zmtp::ClientSecurity;

/// Why there is no answer.
#[derive(Debug, Error)]
pub enum RequestError {
    /// The endpoint is nothing to connect to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// Nobody listens there.
    #[error("{0}: start the gateway, or name its snapshot or control socket")]
    Unreachable(ZmqError),
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
    /// The connection was refused, or failed.
    #[error("request to {endpoint} failed: {source}")]
    Socket {
        /// Who was asked.
        endpoint: String,
        /// What failed.
        source: ZmqError,
    },
}

/// Sends `body` (JSON text, as `{"op":"snapshot","topic":"book.…"}`) and returns the answer's parts: `[topic][payload]`
/// of a frame, or one part of JSON. Each call opens its own connection, because one that lost an answer is of no more use.
///
/// # Errors
/// [`RequestError`], after `within` at the latest.
pub async fn request(endpoint: &str, body: &str, within: Duration) -> Result<Vec<Bytes>, RequestError> {
    request_secured(endpoint, &ClientSecurity::Null, body, within).await
}

/// [`request`], of a gateway that demands a password or keys.
///
/// # Errors
/// [`RequestError`], after `within` at the latest.
pub async fn request_secured(
    endpoint: &str,
    security: &ClientSecurity,
    body: &str,
    within: Duration,
) -> Result<Vec<Bytes>, RequestError> {
    check_endpoint(endpoint)?;
    let late = |_| RequestError::Timeout { endpoint: endpoint.to_owned(), within };
    let answer = timeout(within, exchange(endpoint, security, body, within)).await.map_err(late)?;
    answer.map_err(|source| match source {
        ZmqError::Unreachable { .. } => RequestError::Unreachable(source),
        source => RequestError::Socket { endpoint: endpoint.to_owned(), source },
    })
}

async fn exchange(
    endpoint: &str,
    security: &ClientSecurity,
    body: &str,
    within: Duration,
) -> Result<Vec<Bytes>, ZmqError> {
    // The caller's deadline covers everything, and is what ends a wait.
    let longer = within.saturating_add(Duration::from_secs(1));
    let limits = ZmqLimits { connect: longer, handshake: longer, ..ZmqLimits::default() };
    let mut connection = connect(endpoint, Kind::Req, security, limits).await?;
    connection.send(&[body.as_bytes()]).await?;
    connection.receive().await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::bus::{Asker, Reply, RequestHandler, RequestOptions, RequestServer};
    use crate::zmtp::{AllowList, Clients, KeyPair, ServerSecurity};
    use zeromq::{RouterSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

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

    struct Echo;

    impl RequestHandler for Echo {
        fn handle<'a>(&'a self, request: Bytes, _asker: &'a Asker) -> Reply<'a> {
            Box::pin(async move { vec![request] })
        }
    }

    #[tokio::test]
    async fn keys_are_shown_and_a_wrong_one_is_told() {
        let [own, client, other] = std::array::from_fn(|_| KeyPair::generate().unwrap());
        let server = own.public();
        let allowed = AllowList::new(Clients::Listed([client.public()].into()));
        let options = RequestOptions { security: ServerSecurity::Curve { own, allowed }, ..RequestOptions::default() };
        let bound = RequestServer::bind("tcp://127.0.0.1:0", options, Arc::new(Echo)).await.unwrap();
        let ask = async |security: ClientSecurity| {
            let answer = request_secured(&bound.endpoints()[0], &security, "{}", Duration::from_secs(20)).await;
            answer.map_err(|error| error.to_string())
        };
        let answer = ask(ClientSecurity::Curve { server, own: client.clone() }).await;
        assert_eq!(answer, Ok(vec![Bytes::from_static(b"{}")]));
        let cases = [
            (ClientSecurity::Curve { server, own: other.clone() }, "does not accept this client key"),
            (ClientSecurity::Curve { server: other.public(), own: client }, "does not have the expected key"),
            (ClientSecurity::Null, "give the server's public key"),
        ];
        for (security, expected) in cases {
            let error = ask(security).await.unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
    }

    #[tokio::test]
    async fn nobody_there_is_said_long_before_the_deadline() {
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        for endpoint in [format!("tcp://127.0.0.1:{port}"), "ipc:///nowhere/tickbus".to_owned()] {
            let asked = request(&endpoint, "{}", Duration::from_secs(3600));
            let error = timeout(Duration::from_secs(20), asked).await.expect("at once").unwrap_err();
            assert!(matches!(error, RequestError::Unreachable(_)), "{error}");
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
