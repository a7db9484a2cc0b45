//! REST calls of a session, answered by servers of every kind.

use std::sync::Arc;
use std::time::Duration;

use futures_util::SinkExt;
use tickbus::io::budget::Account;
use tickbus::io::http::{Answer, HttpError, RestClient};
use tickbus::venue::RestLimit;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::Message;

use crate::fake::{PATIENCE, Setup, accept, accept_ws, account, listen};

/// A client and its account.
struct Caller {
    rest: RestClient,
    account: Arc<Account>,
}

impl Caller {
    async fn get(&self, url: &str, limit: Duration) -> Result<Answer, HttpError> {
        self.rest.get(url, limit, self.account.queue(10).expect("a place")).await
    }
}

fn client() -> Caller {
    client_with(RestLimit::calls("test", 20))
}

fn client_with(limit: RestLimit) -> Caller {
    Caller { rest: RestClient::default(), account: account(limit) }
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
    let again = timeout(Duration::from_millis(200), client.get(&url, PATIENCE)).await;
    assert!(again.is_err(), "it waits, and longer than it may take once it has left");
    let report = client.account.report();
    assert_eq!((report.held, report.limited, report.calls, report.waiting), (true, 1, 1, 0));
}

#[tokio::test]
async fn a_ban_in_words_is_obeyed_too() {
    let (listener, url) = http().await;
    let client = client_with((tickbus::venue::binance::VENUE.rest_limit)("spot"));
    let until = tickbus::clock::wall().as_ms() + 700;
    let body = format!(r#"{{"code":-1003,"msg":"Way too many requests; IP(1.2.3.4) banned until {until}. Be good."}}"#);
    let banned = format!(
        "HTTP/1.1 418 I'm a teapot\r\nRetry-After: 0\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    );
    let (got, _) = tokio::join!(client.get(&url, PATIENCE), answer(&listener, banned));
    assert_eq!(got.unwrap().status, 418);
    assert!(client.account.report().held);
    let again = async {
        answer(&listener, ok("free")).await;
        tickbus::clock::wall().as_ms()
    };
    let (got, asked_at) = tokio::join!(client.get(&url, PATIENCE), again);
    assert_eq!(&got.unwrap().body[..], b"free");
    assert!(asked_at >= until, "asked {} ms too early", until - asked_at);
}

#[tokio::test]
async fn what_others_use_is_read_from_the_answers() {
    let (listener, url) = http().await;
    let client = client_with((tickbus::venue::binance::VENUE.rest_limit)("usdm"));
    let used = "HTTP/1.1 200 OK\r\nX-MBX-USED-WEIGHT-1M: 1915\r\nContent-Length: 0\r\n\r\n".to_owned();
    let (got, _) = tokio::join!(client.get(&url, PATIENCE), answer(&listener, used));
    assert_eq!(got.unwrap().status, 200);
    let report = client.account.report();
    assert_eq!((report.limit, report.used, report.weight, report.others), (1_920, 1_915, 10, 1_905));
    assert!(timeout(Duration::from_millis(100), client.get(&url, PATIENCE)).await.is_err(), "there is no room left");
}

#[tokio::test]
async fn an_image_that_waits_is_told_of_and_given_up_with_its_connection() {
    let (rest, _) = http().await;
    let rest_url = format!("http://{}", rest.local_addr().unwrap());
    let (listener, url) = listen().await;
    let slow = account(RestLimit { per_minute: 1, burst: 1, ..RestLimit::calls("test", 1) });
    let mut running = Setup { rest_url, account: Arc::clone(&slow), ..Setup::default() }.start(url);
    let mut server = accept_ws(&listener).await;
    server.send(Message::text("image /depth")).await.unwrap();
    assert_eq!(answer(&rest, ok("first")).await, "GET /depth HTTP/1.1");
    for _ in 0..2 {
        server.send(Message::text("image /depth")).await.unwrap();
    }
    let told = running.step("waits").await;
    assert!(told == "waits 3 behind 0 for 59 s" || told == "waits 3 behind 0 for 60 s", "{told}");
    assert!(running.step("waits").await.starts_with("waits 3 behind 1 for 1"), "a minute more");
    let waiting = slow.report();
    assert_eq!((waiting.waiting, waiting.calls), (2, 1));
    assert_eq!(running.report().await.link.rest, Some(slow.report()));
    drop(server);
    for _ in 0..2 {
        let given_up = running.step("http 8 None").await;
        assert_eq!(given_up, "http 8 None not asked: the connection it was for is gone");
    }
    assert_eq!(slow.report().waiting, 0);
}

#[tokio::test]
async fn bad_addresses_are_errors() {
    for bad in ["", "ftp://127.0.0.1/", "127.0.0.1:80/x"] {
        assert!(matches!(client().get(bad, PATIENCE).await, Err(HttpError::Url(_))), "{bad}");
    }
}
