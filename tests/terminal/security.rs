//! PLAIN and CURVE against libzmq: the right key works, and every wrong one is an error that says so within seconds.

use std::time::Duration;

use tickbus::secret::Secret;
use tickbus::zmtp::{ClientSecurity, KeyPair};
use tokio::time::Instant;

use crate::python::{Terminal, WIDE, ask, request};

fn plain(password: &str) -> ClientSecurity {
    ClientSecurity::Plain { username: "trader".to_owned(), password: Secret::new(password.to_owned()) }
}

/// The error every call gets, in time.
async fn refusal(terminal: &Terminal, security: &ClientSecurity) -> String {
    let pool = terminal.pool(security, WIDE);
    let mut caller = pool.caller();
    let began = Instant::now();
    let error = ask(&mut caller, request(1)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(4), "{error}: {:?}", began.elapsed());
    let again = Instant::now();
    assert_eq!(ask(&mut caller, request(2)).await.unwrap_err(), error);
    assert!(again.elapsed() < Duration::from_millis(500), "the next call is told at once");
    assert!(pool.report().hosts[0].trouble.is_some());
    error
}

#[tokio::test(flavor = "multi_thread")]
async fn plain_works_and_a_wrong_password_is_told() {
    let Some(terminal) = Terminal::start(&["plain", "trader", "correct"]) else { return };
    let pool = terminal.pool(&plain("correct"), WIDE);
    ask(&mut pool.caller(), request(1)).await.unwrap();
    let error = refusal(&terminal, &plain("wrong")).await;
    assert!(error.contains("does not accept"), "{error}");
    assert!(!error.contains("wrong"), "{error}");
    let error = refusal(&terminal, &ClientSecurity::Null).await;
    assert!(error.contains("PLAIN"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn curve_works_and_every_wrong_key_is_told() {
    let (server, client, stranger) =
        (KeyPair::generate().unwrap(), KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let secret = server.secret().to_z85();
    let Some(terminal) = Terminal::start(&["curve", &secret, &client.public().to_string()]) else { return };
    let curve = |server: &KeyPair, own: &KeyPair| ClientSecurity::Curve { server: server.public(), own: own.clone() };
    let pool = terminal.pool(&curve(&server, &client), WIDE);
    let mut caller = pool.caller();
    for id in 0..100 {
        ask(&mut caller, request(id)).await.unwrap();
    }
    let error = refusal(&terminal, &curve(&server, &stranger)).await;
    assert!(error.contains("does not accept this client key"), "{error}");
    let error = refusal(&terminal, &curve(&stranger, &client)).await;
    assert!(error.contains("expected key") || error.contains("server's public key"), "{error}");
    let error = refusal(&terminal, &ClientSecurity::Null).await;
    assert!(error.contains("CURVE"), "{error}");
}
