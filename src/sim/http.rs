//! The HTTP side of a simulated venue: REST requests and their faults, and the handshake that makes a websocket of a
//! connection.

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{
    CONNECTION, CONTENT_TYPE, HeaderName, HeaderValue, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE,
};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use super::connection;
use super::fault::FaultKind;
use super::injector::Injector;
use super::server::{Shared, lock};
use super::venue::{Answer, Asked, Venue};

/// How long a client may take to send a request head.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// Longest body of a request.
const MOST_BODY: usize = 64 * 1024;
/// Where what the venue counted is shown.
const STATS: &str = "/sim/stats";

type Upgraded<S> = mpsc::Sender<(OnUpgrade, u64, S)>;

/// One TCP connection: HTTP requests, until one of them turns it into a websocket.
pub(super) async fn serve<V: Venue>(stream: TcpStream, peer: IpAddr, shared: Arc<Shared<V>>) {
    let _ = stream.set_nodelay(true);
    let (upgraded, mut upgrades) = mpsc::channel(1);
    let service = service_fn(|request: Request<Incoming>| {
        let (shared, upgraded) = (&shared, &upgraded);
        async move { Ok::<_, Infallible>(respond(request, peer, shared, upgraded).await) }
    });
    let http = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    if let Err(error) = http.await {
        tracing::debug!(%error, "http connection ended");
    }
    let Ok((upgrade, number, session)) = upgrades.try_recv() else { return };
    let Ok(parts) = upgrade.await.map(hyper::upgrade::Upgraded::downcast::<TokioIo<TcpStream>>) else { return };
    if let Ok(parts) = parts {
        let injector = Injector::new(&shared.faults, shared.seed ^ number.wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let feed = shared.feed.subscribe();
        connection::run(parts.io.into_inner(), parts.read_buf, number, session, injector, feed, shared).await;
    }
}

async fn respond<V: Venue>(
    mut request: Request<Incoming>,
    peer: IpAddr,
    shared: &Shared<V>,
    upgraded: &Upgraded<V::Session>,
) -> Response<Full<Bytes>> {
    if request.headers().contains_key(UPGRADE) {
        return match handshake(&request, peer, shared) {
            Ok((number, session, accept)) => {
                // One websocket per TCP connection: there is always room.
                let _ = upgraded.try_send((hyper::upgrade::on(&mut request), number, session));
                switching(accept)
            }
            Err(status) => plain(status.as_u16(), ""),
        };
    }
    if !V::takes(request.method().as_str()) {
        return plain(StatusCode::METHOD_NOT_ALLOWED.as_u16(), "");
    }
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MOST_BODY).collect().await else {
        return plain(StatusCode::PAYLOAD_TOO_LARGE.as_u16(), "");
    };
    let body = String::from_utf8_lossy(&body.to_bytes()).into_owned();
    if parts.uri.path() == STATS {
        let stats = shared.with_venue(|venue, _| venue.stats(shared.now()));
        return plain(StatusCode::OK.as_u16(), &stats.to_string());
    }
    let fault = lock(&shared.doorman).spoils(V::is_image(parts.uri.path()));
    if let Some(FaultKind::RestError(status)) = fault {
        return plain(status, &V::broken(status));
    }
    let value = |value: &'_ HeaderValue| value.to_str().unwrap_or_default().to_owned();
    let headers: Vec<(&str, String)> = parts.headers.iter().map(|(name, text)| (name.as_str(), value(text))).collect();
    let headers: Vec<(&str, &str)> = headers.iter().map(|(name, text)| (*name, text.as_str())).collect();
    let asked = Asked {
        method: parts.method.as_str(),
        headers: &headers,
        body: &body,
        fault: fault.as_ref(),
        ..Asked::get(parts.uri.path(), parts.uri.query().unwrap_or(""), peer)
    };
    let answer = shared.with_venue(|venue, _| venue.answer(&asked, shared.now()));
    // It is as old as it is late.
    if let Some(FaultKind::RestSlow(ms)) = fault {
        tokio::time::sleep(Duration::from_millis(ms)).await;
    }
    written(&answer)
}

/// The session a websocket handshake opens, its number, and the key that accepts it; or the status that refuses it.
fn handshake<V: Venue>(
    request: &Request<Incoming>,
    peer: IpAddr,
    shared: &Shared<V>,
) -> Result<(u64, V::Session, HeaderValue), StatusCode> {
    let refusal = |status| StatusCode::from_u16(status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    if let Some(status) = lock(&shared.doorman).refuses() {
        return Err(refusal(status));
    }
    let key = request.headers().get(SEC_WEBSOCKET_KEY).ok_or(StatusCode::BAD_REQUEST)?;
    let accept = HeaderValue::from_str(&derive_accept_key(key.as_bytes())).map_err(|_| StatusCode::BAD_REQUEST)?;
    let asked = Asked::get(request.uri().path(), request.uri().query().unwrap_or(""), peer);
    // Behind everything that may refuse: a session that is never run would never be closed.
    let session = shared.with_venue(|venue, _| {
        let number = shared.connections.load(Ordering::Relaxed) + 1;
        let session = venue.connect(&asked, number, shared.now())?;
        shared.connections.store(number, Ordering::Relaxed);
        Ok((number, session))
    });
    let (number, session) = session.map_err(refusal)?;
    Ok((number, session, accept))
}

fn switching(accept: HeaderValue) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    response
}

fn plain(status: u16, body: &str) -> Response<Full<Bytes>> {
    written(&Answer::from((status, body.to_owned())))
}

fn written(answer: &Answer) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(Bytes::copy_from_slice(answer.body.as_bytes())));
    *response.status_mut() = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json; charset=utf-8"));
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (HeaderName::from_bytes(name.as_bytes()), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
    response
}
