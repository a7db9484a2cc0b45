//! Several connections of one feed: each is dialled, lost and left by itself.

use futures_util::{SinkExt, StreamExt};
use tokio_tungstenite::tungstenite::Message;

use crate::fake::{PATIENCE, Setup, accept_ws, assert_quiet, listen};

async fn say(ws: &mut tokio_tungstenite::WebSocketStream<tokio::net::TcpStream>, text: &str) {
    ws.send(Message::text(text)).await.unwrap();
}

#[tokio::test]
async fn connections_come_and_go_as_the_pipeline_needs_them() {
    let ((public, url), (business, other)) = (listen().await, listen().await);
    let mut running = Setup::default().start_with(vec![url, other]);
    let mut first = accept_ws(&public).await;
    running.step("connected").await;
    assert_quiet(&business).await;
    say(&mut first, "links 0:0 7:1").await;
    let mut second = accept_ws(&business).await;
    running.step("link 7 connected").await;
    assert_eq!(second.next().await.unwrap().unwrap(), Message::text("subscribe"), "over the connection it is for");
    say(&mut second, "send hello").await;
    assert_eq!(second.next().await.unwrap().unwrap(), Message::text("hello"));
    assert!(running.report().await.link.connected);
    say(&mut first, "links 0:0").await;
    let closed = tokio::time::timeout(PATIENCE, second.next()).await.expect("it is closed").unwrap().unwrap();
    assert!(matches!(closed, Message::Close(_)), "{closed:?}");
    say(&mut first, "still here").await;
    running.step("text still here").await;
}

#[tokio::test]
async fn a_connection_that_is_lost_is_dialled_again_and_the_others_run_on() {
    let ((public, url), (business, other)) = (listen().await, listen().await);
    let mut running = Setup::default().start_with(vec![url, other]);
    let mut first = accept_ws(&public).await;
    running.step("connected").await;
    say(&mut first, "links 0:0 1:1").await;
    let second = accept_ws(&business).await;
    running.step("link 1 connected").await;
    drop(second);
    running.step("link 1 disconnected").await;
    let mut second = accept_ws(&business).await;
    running.step("link 1 connected").await;
    say(&mut second, "reconnect tired").await;
    running.step("link 1 disconnected").await;
    let _second = accept_ws(&business).await;
    say(&mut first, "unmoved").await;
    running.step("text unmoved").await;
    let report = running.report().await.link;
    assert_eq!((report.connects, report.failures), (4, 2));
}

#[tokio::test]
async fn a_successor_is_dialled_at_the_same_address_beside_the_old_one() {
    let (public, url) = listen().await;
    let mut running = Setup::default().start(url);
    let mut old = accept_ws(&public).await;
    running.step("connected").await;
    say(&mut old, "links 0:0 1:0").await;
    let mut new = accept_ws(&public).await;
    running.step("link 1 connected").await;
    say(&mut old, "both").await;
    running.step("text both").await;
    say(&mut new, "links 1:0").await;
    running.step("link 1 text links 1:0").await;
    let closed = tokio::time::timeout(PATIENCE, async {
        while !matches!(old.next().await, Some(Ok(Message::Close(_))) | None) {}
    });
    closed.await.expect("the old one is closed");
    say(&mut new, "alone").await;
    running.step("link 1 text alone").await;
}
