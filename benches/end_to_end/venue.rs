//! A venue that does nothing but replay: it answers subscriptions, waits, and then sends a prepared stream, at full speed
//! or paced.

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};
use tickbus::sim::stream::Generator;
use tokio_tungstenite::tungstenite::{Message, WebSocket, accept};

/// How long the gateway may take to connect and subscribe.
const SUBSCRIBED_WITHIN: Duration = Duration::from_secs(20);
/// Bytes given to the socket at once at full speed.
const CHUNK: usize = 64 * 1024;
/// The pause between looks at the clock when paced; the system makes it some ten microseconds longer.
const PAUSE: Duration = Duration::from_micros(20);

/// The stream as websocket frames, and what a subscriber must get of it.
pub(crate) struct Prepared {
    pub(crate) symbols: Vec<String>,
    bytes: Vec<u8>,
    /// Where each message ends.
    ends: Vec<usize>,
    /// The topic of each message, and how many frames it causes there.
    pub(crate) frames: Vec<(String, u64)>,
}

impl Prepared {
    pub(crate) fn new(messages: usize) -> Self {
        let mut generator = Generator::new(1);
        let symbols: Vec<String> = generator.truth().into_iter().map(|(symbol, _)| symbol).collect();
        let (mut bytes, mut ends, mut frames) = (Vec::new(), Vec::new(), Vec::new());
        let mut message = Vec::new();
        for _ in 0..messages {
            message.clear();
            generator.write_next(&mut message);
            put_text_frame(&mut bytes, &message);
            ends.push(bytes.len());
            let text = String::from_utf8_lossy(&message);
            let topic = text.split('"').nth(3).expect("a topic");
            let symbol = topic.rsplit('.').next().expect("a symbol");
            frames.push(if topic.starts_with("publicTrade.") {
                (format!("trade.bybit.linear.{symbol}."), text.matches("\"BT\":").count() as u64)
            } else {
                (format!("delta.bybit.linear.{symbol}."), 1)
            });
        }
        Self { symbols, bytes, ends, frames }
    }

    pub(crate) fn len(&self) -> usize {
        self.ends.len()
    }
}

/// Appends a message as a frame of a websocket server.
fn put_text_frame(out: &mut Vec<u8>, message: &[u8]) {
    out.push(0x81);
    match u16::try_from(message.len()) {
        Ok(len) if len < 126 => out.push(len as u8),
        Ok(len) => {
            out.push(126);
            out.extend_from_slice(&len.to_be_bytes());
        }
        Err(_) => {
            out.push(127);
            out.extend_from_slice(&(message.len() as u64).to_be_bytes());
        }
    }
    out.extend_from_slice(message);
}

/// Nanoseconds of the clock that the sink reads too.
pub(crate) fn monotonic() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

/// A listening venue.
pub(crate) struct Venue(TcpListener);

/// A gateway that has subscribed to everything.
pub(crate) struct Subscribed(WebSocket<TcpStream>);

impl Venue {
    pub(crate) fn bind() -> anyhow::Result<Self> {
        Ok(Self(TcpListener::bind("127.0.0.1:0")?))
    }

    pub(crate) fn address(&self) -> anyhow::Result<SocketAddr> {
        Ok(self.0.local_addr()?)
    }

    /// Accepts the gateway and answers its subscriptions until it has asked for `topics` of them.
    pub(crate) fn accept(&self, topics: usize) -> anyhow::Result<Subscribed> {
        let stream = self.0.accept()?.0;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SUBSCRIBED_WITHIN))?;
        let mut socket = accept(stream)?;
        let mut asked = 0;
        while asked < topics {
            let Message::Text(text) = socket.read()? else { continue };
            let request: Value = serde_json::from_str(&text)?;
            asked += request["args"].as_array().map_or(0, Vec::len);
            let (id, op) = (&request["req_id"], &request["op"]);
            let answer = json!({"success": true, "ret_msg": "", "conn_id": "bench", "req_id": id, "op": op});
            socket.send(Message::text(answer.to_string()))?;
        }
        Ok(Subscribed(socket))
    }
}

impl Subscribed {
    /// Sends everything as fast as the gateway reads; returns when the first byte was sent.
    pub(crate) fn send_at_full_speed(&mut self, prepared: &Prepared) -> anyhow::Result<u64> {
        let start = monotonic();
        for chunk in prepared.bytes.chunks(CHUNK) {
            self.0.get_mut().write_all(chunk)?;
        }
        Ok(start)
    }

    /// Sends `rate` messages a second; returns when each was sent.
    #[allow(clippy::disallowed_methods)] // A pause between looks at the clock is what pacing is.
    pub(crate) fn send_paced(&mut self, prepared: &Prepared, rate: u64) -> anyhow::Result<Vec<u64>> {
        let start = monotonic();
        let mut sent_at = Vec::with_capacity(prepared.len());
        while sent_at.len() < prepared.len() {
            let now = monotonic();
            let due = ((now - start) as u128 * u128::from(rate) / 1_000_000_000) as usize;
            let due = due.clamp(sent_at.len(), prepared.len());
            if due > sent_at.len() {
                let from = sent_at.len().checked_sub(1).map_or(0, |last| prepared.ends[last]);
                sent_at.resize(due, now);
                self.0.get_mut().write_all(&prepared.bytes[from..prepared.ends[due - 1]])?;
            }
            std::thread::sleep(PAUSE);
        }
        Ok(sent_at)
    }
}
