//! Certificates that must be refused, and one that must not.

use std::process::Command;
use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_tungstenite::accept_async;

use crate::fake::{Setup, accept, listen};

/// Set in the process that trusts our own authority: where its certificate is put.
const TRUSTED: &str = "SSL_CERT_FILE";
const CHILD: &str = "TICKBUS_TEST_TLS_CHILD";

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority(name: &str) -> Authority {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certificate(by: &Authority, name: &str, expired: bool) -> (CertificateDer<'static>, PrivateKeyDer<'static>) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.not_before = date_time_ymd(2000, 1, 1);
    params.not_after = date_time_ymd(if expired { 2001 } else { 4000 }, 1, 1);
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, by).unwrap().der().clone(), PrivateKeyDer::Pkcs8(key.serialize_der().into()))
}

/// Serves one websocket after another until the test ends.
fn serve(listener: TcpListener, (certificate, key): (CertificateDer<'static>, PrivateKeyDer<'static>)) {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        loop {
            // A client that refuses the certificate hangs up here.
            if let Ok(stream) = acceptor.accept(accept(&listener).await).await {
                let server = accept_async(stream).await.unwrap();
                tokio::spawn(async move {
                    let _open = server;
                    std::future::pending::<()>().await;
                });
            }
        }
    });
}

async fn served(by: &Authority, name: &str, expired: bool) -> String {
    let (listener, url) = listen().await;
    serve(listener, certificate(by, name, expired));
    url.replace("ws://127.0.0.1", "wss://localhost")
}

/// Which authorities are trusted is settled once per process, so this test runs itself again in a process of its own.
#[tokio::test]
async fn only_a_valid_certificate_for_this_host_is_accepted() {
    if std::env::var_os(CHILD).is_some() {
        return check_certificates().await;
    }
    let dir = tempfile::tempdir().unwrap();
    let mut child = Command::new(std::env::current_exe().unwrap());
    child
        .args(["--exact", "tls::only_a_valid_certificate_for_this_host_is_accepted"])
        .env(TRUSTED, dir.path().join("trusted.pem"))
        .env_remove("SSL_CERT_DIR")
        .env(CHILD, "1");
    let output = tokio::task::spawn_blocking(move || child.output().unwrap()).await.unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && text.contains("1 passed"), "{text}");
}

async fn check_certificates() {
    let (ours, strangers) = (authority("ours"), authority("strangers"));
    std::fs::write(std::env::var_os(TRUSTED).unwrap(), ours.pem()).unwrap();
    for (by, name, expired, wanted) in [
        (&strangers, "localhost", false, "UnknownIssuer"),
        (&ours, "localhost", true, "expired"),
        (&ours, "example.com", false, "not valid for name"),
    ] {
        let running = Setup::default().start(served(by, name, expired).await);
        running.failure("TLS with localhost").await;
        running.failure(wanted).await;
    }
    let mut running = Setup::default().start(served(&ours, "localhost", false).await);
    running.step("connected").await;
}
