//! REST calls of a session, answered by servers of every kind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt;
use tickbus::io::http::{HttpError, RestClient};
use tickbus::io::limits::{REST_CALLS, Rate, RestBudget};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_tungstenite::tungstenite::Message;

use crate::fake::{PATIENCE, Setup, accept, accept_ws, listen};

fn client() -> RestClient {
    RestClient::new(Arc::new(RestBudget::new(REST_CALLS)))
}

/// Answers one request with this; gives the request's first line.
async fn answer(listener: &TcpListener, response: String) -> String {
    let mut stream = accept(listener).await;
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        assert_ne!(stream.read_buf(&mut request).await.unwrap(), 0, "hung up in the request");
    }
    // Fails when the client has seen enough; that is what some tests are about.
    let _ = stream.write_all(response.as_bytes()).await;
    String::from_utf8(request).unwrap().lines().next().unwrap().to_owned()
}

fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

async fn http() -> (TcpListener, String) {
    let (listener, url) = listen().await;
    (listener, url.replace("ws://", "http://"))
}

#[tokio::test]
async fn an_answer_reaches_the_session_even_after_its_connection() {
    let (rest, _) = http().await;
    let rest_url = format!("http://{}", rest.local_addr().unwrap());
    let (listener, url) = listen().await;
    let mut running = Setup { rest_url, ..Setup::default() }.start(url);
    let mut server = accept_ws(&listener).await;
    server.send(Message::text("get /v5/market?limit=1")).await.unwrap();
    running.step("text get").await;
    drop(server);
    running.step("disconnected").await;
    assert_eq!(answer(&rest, ok("[1]")).await, "GET /v5/market?limit=1 HTTP/1.1");
    assert_eq!(running.step("http").await, "http 7 Some(200) [1]");
}

#[tokio::test]
async fn a_call_that_fails_is_answered_too() {
    let (listener, url) = listen().await;
    let mut running = Setup::default().start(url);
    let mut server = accept_ws(&listener).await;
    server.send(Message::text("get /secret?key=1")).await.unwrap();
    let failed = running.step("http").await;
    assert!(failed.starts_with("http 7 None call to 127.0.0.1:1 failed"), "{failed}");
    assert!(!failed.contains("key"), "{failed}");
}

#[tokio::test]
async fn a_status_is_an_answer() {
    let (listener, url) = http().await;
    let server = answer(&listener, "HTTP/1.1 404 Not Found\r\nContent-Length: 2\r\n\r\nno".to_owned());
    let client = client();
    let (got, _) = tokio::join!(client.get(&url, PATIENCE), server);
    let got = got.unwrap();
    assert_eq!((got.status, &got.body[..]), (404, &b"no"[..]));
}

#[tokio::test]
async fn a_silent_server_costs_one_deadline() {
    let (listener, url) = http().await;
    let limit = Duration::from_millis(100);
    let client = client();
    let (got, _silent) = tokio::join!(client.get(&url, limit), accept(&listener));
    assert!(matches!(got, Err(HttpError::Deadline { .. })), "{got:?}");
}

#[tokio::test]
async fn a_body_without_end_is_cut_off() {
    let (listener, url) = http().await;
    let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(17 << 20));
    let client = client();
    let (got, _) = tokio::join!(client.get(&url, PATIENCE), answer(&listener, endless));
    assert!(matches!(got, Err(HttpError::TooBig { .. })), "{got:?}");
}

#[tokio::test]
async fn redirects_stay_within_the_host() {
    let (listener, url) = http().await;
    let (elsewhere, other_url) = http().await;
    let moved = |to: &str| format!("HTTP/1.1 302 Found\r\nLocation: {to}\r\nConnection: close\r\n\r\n");
    let client = client();

    let server = async {
        answer(&listener, moved("/inside")).await;
        answer(&listener, ok("here")).await
    };
    let (got, line) = tokio::join!(client.get(&url, PATIENCE), server);
    assert_eq!((&got.unwrap().body[..], line.as_str()), (&b"here"[..], "GET /inside HTTP/1.1"));

    let (got, _) = tokio::join!(client.get(&url, PATIENCE), answer(&listener, moved(&other_url)));
    assert_eq!(got.unwrap().status, 302);
    assert!(futures_util::FutureExt::now_or_never(elsewhere.accept()).is_none(), "it went elsewhere");
}

#[tokio::test]
async fn a_host_that_limits_us_is_left_alone() {
    let (listener, url) = http().await;
    let limited = "HTTP/1.1 429 Too Many Requests\r\nRetry-After: 60\r\nContent-Length: 0\r\n\r\n".to_owned();
    let client = client();
    let (got, _) = tokio::join!(client.get(&url, PATIENCE), answer(&listener, limited));
    assert_eq!(got.unwrap().status, 429);
    let again = client.get(&url, Duration::from_secs(5)).await;
    assert!(matches!(again, Err(HttpError::Budget { .. })), "{again:?}");
}

#[tokio::test]
async fn calls_keep_within_the_budget_and_say_when_they_cannot() {
    let client = RestClient::new(Arc::new(RestBudget::new(Rate { per_second: 0.001, burst: 0.0 })));
    let got = client.get("http://127.0.0.1:1/", Duration::from_secs(1)).await;
    assert!(matches!(got, Err(HttpError::Budget { .. })), "{got:?}");
}

#[tokio::test]
async fn bad_addresses_are_errors() {
    for bad in ["", "ftp://127.0.0.1/", "127.0.0.1:80/x"] {
        assert!(matches!(client().get(bad, PATIENCE).await, Err(HttpError::Url(_))), "{bad}");
    }
}
