//! What else may listen on a terminal's port: every case is an error that says so, within seconds.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tickbus::io::terminal::Pool;
use tickbus::zmtp::ClientSecurity;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::{Instant, sleep};

use crate::python::{WIDE, ask, request};

/// A server that says this to everyone and then nothing; counts who came.
async fn server(says: Vec<u8>, hangs_up: bool) -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let came = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&came);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            counter.fetch_add(1, Ordering::Relaxed);
            let says = says.clone();
            tokio::spawn(async move {
                stream.write_all(&says).await.ok();
                let mut sink = [0; 1024];
                while !hangs_up && matches!(stream.read(&mut sink).await, Ok(read) if read > 0) {}
            });
        }
    });
    (endpoint, came)
}

/// The greeting and READY of a REP socket without security, then these bytes.
fn zmtp(then: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0; 64];
    (bytes[0], bytes[9], bytes[10], bytes[11]) = (0xff, 0x7f, 3, 1);
    bytes[12..16].copy_from_slice(b"NULL");
    bytes.extend_from_slice(b"\x04\x19\x05READY\x0bSocket-Type\x00\x00\x00\x03REP");
    bytes.extend_from_slice(then);
    bytes
}

async fn error_of(endpoint: &str) -> String {
    let pool = Pool::connect("quik", endpoint, None, &ClientSecurity::Null, WIDE);
    let began = Instant::now();
    let error = ask(&mut pool.caller(), request(1)).await.unwrap_err();
    assert!(began.elapsed() < Duration::from_secs(5), "{error}: {:?}", began.elapsed());
    assert!(error.starts_with(endpoint), "{error} does not name {endpoint}");
    error
}

#[tokio::test]
async fn everything_that_is_no_terminal_is_told_apart() {
    let http = b"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n".to_vec();
    let cases: [(Vec<u8>, bool, &str); 5] = [
        (http, true, "no ZeroMQ socket answers there"),
        (Vec::new(), false, "not complete within 3s"),
        (Vec::new(), true, "closed the connection during the handshake"),
        (zmtp(b"\xf0garbage"), false, "breaks the protocol"),
        (zmtp(b""), false, "did not answer within 1000 ms, asked twice"),
    ];
    for (says, hangs_up, wanted) in cases {
        let (endpoint, _) = server(says, hangs_up).await;
        let error = error_of(&endpoint).await;
        assert!(error.contains(wanted), "wanted {wanted}, got {error}");
    }
    let unused = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    assert!(error_of(&format!("tcp://{unused}")).await.contains("cannot be reached: Connection refused"));
    assert!(error_of("tcp://no-such-host.invalid:5560").await.contains("cannot be reached"));
    assert!(error_of("ipc:///nonexistent/socket").await.contains("cannot be reached"));
}

#[tokio::test]
async fn a_server_that_hangs_up_on_everyone_is_not_hammered() {
    for says in [Vec::new(), zmtp(b"")] {
        let (endpoint, came) = server(says, true).await;
        let pool = Pool::connect("quik", &endpoint, None, &ClientSecurity::Null, WIDE);
        let mut caller = pool.caller();
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until {
            ask(&mut caller, request(1)).await.unwrap_err();
            sleep(Duration::from_millis(10)).await;
        }
        let came = came.load(Ordering::Relaxed);
        assert!((5..40).contains(&came), "{came} connections in three seconds");
    }
}
