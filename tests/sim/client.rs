//! A websocket client that knows as little as possible, and plain HTTP.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use serde_json::Value;
use tickbus::sim::Running;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::{Error, Message};

/// Long enough for a loaded machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);

/// One connection.
pub(crate) struct Client {
    pub(crate) ws: WebSocketStream<TcpStream>,
}

/// What a client saw.
#[derive(Debug)]
pub(crate) enum Seen {
    Json(Value),
    NotJson,
    Closed(Option<u16>),
    Broken(Error),
    Ended,
    Nothing,
}

/// Connects to a product or a path of the venue.
pub(crate) async fn connect(server: &Running, place: &str) -> Result<Client, Error> {
    let stream = TcpStream::connect(server.local_addr()).await?;
    let (ws, _) = tokio_tungstenite::client_async(server.url(place), stream).await?;
    Ok(Client { ws })
}

/// The status line and the body that a path is answered with.
pub(crate) async fn get(server: &Running, path: &str) -> (String, Value) {
    let (head, body) = ask(server, "GET", path, "").await;
    (head.lines().next().unwrap().to_owned(), serde_json::from_str(&body).unwrap())
}

/// The head and the body that a request with this header is answered with.
pub(crate) async fn ask(server: &Running, method: &str, path: &str, header: &str) -> (String, String) {
    let mut http = TcpStream::connect(server.local_addr()).await.unwrap();
    let header = if header.is_empty() { String::new() } else { format!("{header}\r\n") };
    let request = format!("{method} {path} HTTP/1.1\r\nHost: sim\r\n{header}Connection: close\r\n\r\n");
    http.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    http.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    (head.to_owned(), body.to_owned())
}

impl Client {
    pub(crate) async fn send(&mut self, text: &str) {
        self.ws.send(Message::text(text)).await.unwrap();
    }

    pub(crate) async fn seen_within(&mut self, limit: Duration) -> Seen {
        loop {
            return match tokio::time::timeout(limit, self.ws.next()).await {
                Err(_) => Seen::Nothing,
                Ok(None) => Seen::Ended,
                Ok(Some(Ok(Message::Text(text)))) => serde_json::from_str(&text).map_or(Seen::NotJson, Seen::Json),
                Ok(Some(Ok(Message::Close(frame)))) => Seen::Closed(frame.map(|frame| frame.code.into())),
                Ok(Some(Err(error))) => Seen::Broken(error),
                Ok(Some(Ok(_))) => continue,
            };
        }
    }

    pub(crate) async fn seen(&mut self) -> Seen {
        self.seen_within(DEADLINE).await
    }

    pub(crate) async fn json(&mut self) -> Value {
        match self.seen().await {
            Seen::Json(value) => value,
            other => panic!("expected a JSON message, saw {other:?}"),
        }
    }
}
