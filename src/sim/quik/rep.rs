//! The terminal's RPC endpoint: a REP socket. Requests wait in line, also those of clients that are gone; each frame
//! of a message is executed, and the last one answered.

use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::mpsc;

use super::server::Shared;
use super::wire::{Received, Writer, greet};
use crate::zmtp::Role;

/// Requests of one client that wait; libzmq's default. Beyond it they stay in the client.
const MOST_WAITING: usize = 1_000;

/// Serves one client; its requests are executed even when it leaves.
pub(super) async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let Some((mut reader, writer)) = greet(stream, Role::REP, &shared.security).await else { return };
    let (line, mut waiting) = mpsc::channel::<Vec<Bytes>>(MOST_WAITING);
    let reading = async move {
        while let Some(received) = reader.next().await {
            if let Received::Message(parts) = received
                && line.send(parts).await.is_err()
            {
                return;
            }
        }
    };
    let answering = async {
        while let Some(parts) = waiting.recv().await {
            answer(parts, &shared, &writer).await;
        }
    };
    tokio::join!(reading, answering);
}

/// One message: what stands before the first empty frame is its envelope. Without an empty frame it is dropped.
async fn answer(mut parts: Vec<Bytes>, shared: &Shared, writer: &tokio::sync::Mutex<Writer>) {
    let Some(delimiter) = parts.iter().position(Bytes::is_empty) else { return };
    let body = parts.split_off(delimiter + 1);
    let Some(reply) = shared.execute(&body).await else { return };
    parts.push(reply);
    let mut writer = writer.lock().await;
    writer.put(&parts);
    writer.flush().await;
}
