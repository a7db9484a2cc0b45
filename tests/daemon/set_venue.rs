//! A venue that only keeps the set of topics that are subscribed to, as Bybit would: the truth of tests that ask for
//! nothing else. Whoever connects begins with an empty set.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_tungstenite::accept_async;
use tokio_tungstenite::tungstenite::Message;

/// Running until dropped.
pub(crate) struct SetVenue {
    /// Where its websocket is.
    pub(crate) url: String,
    kept: Arc<Mutex<Kept>>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Kept {
    topics: BTreeSet<String>,
    requests: usize,
}

impl SetVenue {
    /// A venue that has every topic, but those with `NONE` in their names.
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}/v5/public/linear", listener.local_addr().unwrap());
        let kept = Arc::new(Mutex::new(Kept::default()));
        let shared = Arc::clone(&kept);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(serve(stream, Arc::clone(&shared)));
            }
        });
        Self { url, kept, task }
    }

    /// What is subscribed to.
    pub(crate) fn topics(&self) -> BTreeSet<String> {
        self.kept.lock().unwrap().topics.clone()
    }

    /// Requests so far.
    pub(crate) fn requests(&self) -> usize {
        self.kept.lock().unwrap().requests
    }
}

impl Drop for SetVenue {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn serve(stream: TcpStream, kept: Arc<Mutex<Kept>>) {
    // A REST call is no websocket.
    let Ok(mut socket) = accept_async(stream).await else { return };
    kept.lock().unwrap().topics.clear();
    while let Some(Ok(message)) = socket.next().await {
        let Message::Text(text) = message else { continue };
        let answer = kept.lock().unwrap().answer(&serde_json::from_str(&text).unwrap());
        if socket.send(Message::text(answer.to_string())).await.is_err() {
            return;
        }
    }
}

impl Kept {
    fn answer(&mut self, request: &Value) -> Value {
        let (op, id) = (request["op"].as_str().unwrap(), &request["req_id"]);
        if op == "ping" {
            return json!({"success": true, "ret_msg": "pong", "conn_id": "1", "req_id": id, "op": "ping"});
        }
        self.requests += 1;
        let topics = request["args"].as_array().unwrap().iter().map(|topic| topic.as_str().unwrap().to_owned());
        let topics: Vec<String> = topics.collect();
        let mut refusal = None;
        if op == "unsubscribe" {
            self.topics.retain(|topic| !topics.contains(topic));
        } else if let Some(known) = topics.iter().find(|topic| self.topics.contains(*topic)) {
            refusal = Some(format!("error:already subscribed,topic:{known}"));
        } else if let Some(none) = topics.iter().find(|topic| topic.contains("NONE")) {
            refusal = Some(format!("error:handler not found,topic:{none}"));
        } else {
            self.topics.extend(topics);
        }
        let words = refusal.clone().unwrap_or_default();
        json!({"success": refusal.is_none(), "ret_msg": words, "conn_id": "1", "req_id": id, "op": op})
    }
}
