//! One websocket of the simulated venue: moves messages between the socket, the session and its faults.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Sink, SinkExt, StreamExt};
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tokio::sync::broadcast::{self, error::RecvError};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{CloseCode, Data, OpCode};
use tokio_tungstenite::tungstenite::protocol::frame::{CloseFrame, Frame};
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_tungstenite::tungstenite::{Error, Message, Utf8Bytes};

use super::injector::{Effect, Injector};
use super::server::Shared;
use super::venue::{Beat, Published, Reply, Session as _, Venue};
use crate::clock;
use crate::model::Mono;

/// Largest request a client may send.
const MOST_REQUEST: usize = 1 << 20;
/// How long a client may take nothing of what is sent to it.
const SEND_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the answer to a close frame is awaited.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(1);
/// How long a half-open connection is kept.
const HALF_OPEN: Duration = Duration::from_secs(600);

/// How a connection ends.
enum End {
    /// The client went away, or the socket broke.
    Gone,
    Close(u16, &'static str),
    Reset,
    Eof,
    HalfOpen,
}

struct Connection<V: Venue> {
    ws: WebSocketStream<TcpStream>,
    session: V::Session,
    injector: Injector,
    shared: Arc<Shared<V>>,
    /// When a connection that was announced to end does end.
    closes: Option<Mono>,
    unflushed: bool,
}

/// Serves one websocket to its end. `early` is what came in behind the handshake.
pub(super) async fn run<V: Venue>(
    stream: TcpStream,
    early: Bytes,
    number: u64,
    session: V::Session,
    injector: Injector,
    mut feed: broadcast::Receiver<Published>,
    shared: Arc<Shared<V>>,
) {
    let config = WebSocketConfig::default().max_message_size(Some(MOST_REQUEST)).max_frame_size(Some(MOST_REQUEST));
    let ws = WebSocketStream::from_partially_read(stream, early.to_vec(), Role::Server, Some(config)).await;
    let place = session.place();
    tracing::info!(connection = number, place, "client connected");
    let closes = injector.lifetime().map(|ms| clock::now().mono.after(Duration::from_millis(ms)));
    let mut connection = Connection { ws, session, injector, shared, closes, unflushed: false };
    let end = connection.work(&mut feed).await;
    connection.shared.with_venue(|venue, _| connection.session.close(venue));
    tracing::info!(connection = number, place, "client disconnected");
    drop(feed);
    connection.end(end).await;
}

impl<V: Venue> Connection<V> {
    async fn work(&mut self, feed: &mut broadcast::Receiver<Published>) -> End {
        loop {
            let (idle, code, reason) = self.session.idle();
            let (alarm, closes) = (self.session.alarm(), self.closes.unwrap_or(Mono(u64::MAX)));
            let step = tokio::select! {
                request = self.ws.next() => match request {
                    Some(Ok(Message::Text(text))) => self.answer(&text).await,
                    Some(Err(Error::Capacity(_))) => Err(End::Close(1009, "message too long")),
                    Some(Ok(Message::Close(_)) | Err(_)) | None => Err(End::Gone),
                    Some(Ok(Message::Ping(_))) => self.beat(Beat::Ping).await,
                    Some(Ok(Message::Pong(payload))) => self.beat(Beat::Pong(&payload)).await,
                    Some(Ok(_)) => {
                        self.session.touch(clock::now().mono);
                        Ok(())
                    }
                },
                message = feed.recv() => match message {
                    Ok(message) => self.deliver(message).await,
                    Err(RecvError::Lagged(lost)) => {
                        tracing::warn!(lost, "client too slow: connection closed");
                        Err(End::Close(1008, "too slow"))
                    }
                    Err(RecvError::Closed) => Err(End::Eof),
                },
                () = tokio::time::sleep_until(clock::instant_of(alarm)), if alarm < Mono(u64::MAX) => {
                    let replies = self.session.on_alarm(self.shared.now());
                    self.reply(replies).await
                }
                () = tokio::time::sleep_until(clock::instant_of(idle)) => Err(End::Close(code, reason)),
                () = tokio::time::sleep_until(clock::instant_of(closes)), if self.closes.is_some() => {
                    Err(End::Close(1001, "service upgrade"))
                }
            };
            let step = if step.is_ok() && self.unflushed && feed.is_empty() { self.flush().await } else { step };
            if let Err(end) = step {
                return end;
            }
        }
    }

    async fn answer(&mut self, text: &str) -> Result<(), End> {
        let now = self.shared.now();
        let (session, injector) = (&mut self.session, &mut self.injector);
        let replies =
            self.shared.with_venue(|venue, _| session.on_text(text, now, venue, &mut |topic| injector.refuses(topic)));
        self.reply(replies).await
    }

    async fn beat(&mut self, beat: Beat<'_>) -> Result<(), End> {
        let replies = self.session.on_beat(beat, self.shared.now());
        self.reply(replies).await
    }

    async fn reply(&mut self, replies: Vec<Reply>) -> Result<(), End> {
        for reply in replies {
            match reply {
                Reply::Ping(payload) => self.write(Message::Ping(payload.into())).await?,
                Reply::Pong(_) if self.injector.mutes_pongs() => {}
                Reply::Pong(text) | Reply::Control(text) => self.write(Message::text(text)).await?,
                Reply::Data(message) => self.pass(message).await?,
                Reply::Close(code, reason) => return Err(End::Close(code, reason)),
            }
        }
        Ok(())
    }

    async fn deliver(&mut self, message: Published) -> Result<(), End> {
        if self.session.wants(&message) { self.pass(message).await } else { Ok(()) }
    }

    async fn pass(&mut self, message: Published) -> Result<(), End> {
        let now = self.shared.now();
        let mut effects = Vec::with_capacity(1);
        self.injector.pass(self.session.framed(message), now.mono, &mut effects);
        for effect in effects {
            self.session.touch(now.mono);
            self.apply(effect).await?;
        }
        Ok(())
    }

    async fn apply(&mut self, effect: Effect) -> Result<(), End> {
        let now = self.shared.now();
        let session = &mut self.session;
        match effect {
            Effect::Send(text) => return self.write(text_message(text)).await,
            Effect::SendRaw(bytes) => {
                return self.write(Message::Frame(Frame::message(bytes, OpCode::Data(Data::Text), true))).await;
            }
            Effect::SendFragmented(text) => return self.write_fragments(&text).await,
            Effect::SendCrossed(message) => {
                let text = self.shared.with_venue(|venue, _| venue.crossed(&message));
                return self.write(Message::text(text)).await;
            }
            Effect::Stranger => return self.write(Message::text(V::STRANGER)).await,
            Effect::Snapshot(topic) => {
                let made = self.shared.with_venue(|venue, _| session.snapshot(&topic, now, venue));
                for message in made {
                    self.write(text_message(message.text)).await?;
                }
            }
            Effect::Restart(message) => {
                self.shared.with_venue(|venue, out| venue.restart(message.product, &message.topic, now, out));
            }
            Effect::Notice(ms) => {
                self.closes = Some(now.mono.after(Duration::from_millis(ms)));
                if let Some(text) = session.notice(now) {
                    return self.write(Message::text(text)).await;
                }
            }
            Effect::Mute(topic) => session.mute(&topic),
            Effect::Close(code) => return Err(End::Close(code, "simulated")),
            Effect::Reset => return Err(End::Reset),
            Effect::Eof => return Err(End::Eof),
            Effect::HalfOpen => return Err(End::HalfOpen),
        }
        Ok(())
    }

    async fn write_fragments(&mut self, text: &[u8]) -> Result<(), End> {
        let parts: Vec<&[u8]> = text.chunks(text.len().div_ceil(3).max(1)).collect();
        for (at, part) in parts.iter().enumerate() {
            let code = OpCode::Data(if at == 0 { Data::Text } else { Data::Continue });
            let frame = Frame::message(Bytes::copy_from_slice(part), code, at + 1 == parts.len());
            self.write(Message::Frame(frame)).await?;
        }
        Ok(())
    }

    async fn write(&mut self, message: Message) -> Result<(), End> {
        self.unflushed = true;
        within_time(self.ws.feed(message)).await
    }

    async fn flush(&mut self) -> Result<(), End> {
        self.unflushed = false;
        within_time(self.ws.flush()).await
    }

    /// Ends the connection the way it was decided.
    async fn end(mut self, end: End) {
        // The answer to a client's close frame, and what was written before a fault, go out first.
        let _ = tokio::time::timeout(CLOSE_TIMEOUT, self.ws.flush()).await;
        match end {
            End::Gone => {}
            End::Close(code, reason) => {
                let frame = CloseFrame { code: CloseCode::from(code), reason: Utf8Bytes::from_static(reason) };
                let _ = tokio::time::timeout(CLOSE_TIMEOUT, close(&mut self.ws, frame)).await;
            }
            End::Reset => {
                let _ = self.ws.get_ref().set_zero_linger();
            }
            End::Eof => {
                let _ = self.ws.get_mut().shutdown().await;
            }
            End::HalfOpen => tokio::time::sleep(HALF_OPEN).await,
        }
    }
}

async fn within_time(sending: impl Future<Output = Result<(), Error>>) -> Result<(), End> {
    match tokio::time::timeout(SEND_TIMEOUT, sending).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(End::Gone),
    }
}

/// Sends a close frame and waits for the other side's.
async fn close<S>(ws: &mut S, frame: CloseFrame)
where
    S: futures_util::Stream<Item = Result<Message, Error>> + Sink<Message, Error = Error> + Unpin,
{
    if ws.send(Message::Close(Some(frame))).await.is_ok() {
        while let Some(Ok(_)) = ws.next().await {}
    }
}

/// A text message; bytes that are no UTF-8 go out all the same, as a raw text frame.
fn text_message(text: Bytes) -> Message {
    match Utf8Bytes::try_from(text.clone()) {
        Ok(text) => Message::Text(text),
        Err(_) => Message::Frame(Frame::message(text, OpCode::Data(Data::Text), true)),
    }
}
