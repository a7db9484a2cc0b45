//! Carries out the commands of okws's clients: each becomes commands of the gateway's own control plane.
//!
//! A connection of okws carried every market; a feed has one. So a name stands for up to one feed a market, `test_spot` of
//! `test`, each opened when it is first needed.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::Commands;
use super::layout::batch::{Batch, json_text};
use super::layout::okws::names::{V3Name, feed_of, name_of};
use super::layout::okws::requests::{Code, Credentials, Op, Reply, Request};
use super::layout::okws::{Asked, Told};
use super::options::OkwsOptions;

/// The market that is opened with the connection, before anything is subscribed to.
const FIRST_MARKET: &str = "spot";
/// Accounts remembered for markets that are opened later.
const MOST_ACCOUNTS: usize = 1000;
/// The error that OKEx's v3 sent for a channel that it had not.
const NO_SUCH_CHANNEL: u32 = 30_040;

/// See the module.
pub(super) struct Desk {
    okws: OkwsOptions,
    /// Levels a side that opened feeds publish: what is stored is cut from them.
    book_depth: usize,
    commands: Arc<dyn Commands>,
    tell: mpsc::Sender<Told>,
    accounts: Mutex<HashMap<String, Credentials>>,
}

/// A feed of the gateway.
#[derive(Clone, Debug)]
struct Feed {
    feed: String,
    market: String,
}

/// A v3 channel that a client names.
#[derive(Debug)]
struct Wish {
    /// As the client wrote it.
    channel: String,
    asked: Asked,
    refused: Option<Reply>,
}

/// By v3 channel with its market: the market, our channel if it is to be asked for, and the wishes.
type Parts = BTreeMap<String, Part>;

#[derive(Debug)]
struct Part {
    market: String,
    channel: Option<String>,
    wishes: Vec<Wish>,
}

impl Desk {
    pub(super) fn new(
        okws: OkwsOptions,
        book_depth: usize,
        commands: Arc<dyn Commands>,
        tell: mpsc::Sender<Told>,
    ) -> Self {
        Self { okws, book_depth, commands, tell, accounts: Mutex::default() }
    }

    /// Carries out a request and has the answer written.
    pub(super) async fn serve(&self, request: Request) {
        let Request { op, name, id } = request;
        let reply = match op {
            Op::Open(credentials) => self.open(&name, credentials).await,
            Op::Close => self.close(&name).await,
            Op::Subscribe(channels) => self.subscribe(&name, &channels, "subscribe").await,
            Op::Unsubscribe(channels) => self.subscribe(&name, &channels, "unsubscribe").await,
            Op::Servers => self.servers().await,
            Op::QuitServer => {
                self.done(json!({"op": "shutdown"})).await.map_or_else(|refused| refused, |_| Reply::done())
            }
            Op::Bad(what) => Reply::refused(Code::Bad, what),
        };
        let mut out = Batch::default();
        reply.write(&self.okws.answers, id.as_deref(), &mut out);
        self.tell(Told::Commands(out)).await;
    }

    async fn tell(&self, told: Told) {
        // The sink's task is gone only when the gateway ends.
        let _ = self.tell.send(told).await;
    }

    /// A command of the control plane; its refusal as the client is told it.
    async fn done(&self, request: Value) -> Result<Value, Reply> {
        let answer = self.commands.execute(request).await;
        if answer["ok"] == true { Ok(answer) } else { Err(refusal(&answer)) }
    }

    /// Every feed of the gateway.
    async fn feeds(&self) -> Result<Vec<Feed>, Reply> {
        let answer = self.done(json!({"op": "feeds"})).await?;
        let feeds = answer["feeds"].as_array().into_iter().flatten();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Ok(feeds.map(|feed| Feed { feed: text(&feed["name"]), market: text(&feed["market"]) }).collect())
    }

    /// The feeds that a name stands for; none is an error.
    async fn feeds_of(&self, name: &str) -> Result<Vec<Feed>, Reply> {
        let mut feeds = self.feeds().await?;
        feeds.retain(|feed| name_of(&feed.feed, &feed.market) == name);
        if feeds.is_empty() {
            return Err(Reply::refused(Code::NoConnection, format!("no connection {name:?}; open it first")));
        }
        Ok(feeds)
    }

    async fn servers(&self) -> Reply {
        match self.feeds().await {
            Err(refused) => refused,
            Ok(feeds) => {
                let names: BTreeSet<_> = feeds.iter().map(|feed| name_of(&feed.feed, &feed.market)).collect();
                Reply { code: Code::Done, message: json!(names) }
            }
        }
    }

    async fn open(&self, name: &str, credentials: Option<Credentials>) -> Reply {
        if self.feeds_of(name).await.is_ok() {
            return Reply::refused(Code::Exists, format!("{name:?} is open already"));
        }
        self.remember(name, credentials);
        let opened = self.open_market(name, FIRST_MARKET).await;
        if let Err(refused) = opened {
            self.remember(name, None);
            return refused;
        }
        Reply::done()
    }

    fn remember(&self, name: &str, credentials: Option<Credentials>) {
        let mut accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
        match credentials {
            None => drop(accounts.remove(name)),
            Some(credentials) if accounts.len() < MOST_ACCOUNTS => drop(accounts.insert(name.to_owned(), credentials)),
            Some(_) => {}
        }
    }

    async fn open_market(&self, name: &str, market: &str) -> Result<String, Reply> {
        let feed = feed_of(name, market);
        let publish = json!({"book_depth": self.book_depth});
        let mut request =
            json!({"op": "open", "name": feed, "venue": self.okws.venue, "market": market, "publish": publish});
        for (key, url) in [("url", &self.okws.url), ("rest_url", &self.okws.rest_url)] {
            if let Some(url) = url {
                request[key] = json!(url);
            }
        }
        {
            let accounts = self.accounts.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(credentials) = accounts.get(name) {
                request["credentials"] = credentials.json();
            }
        }
        self.done(request).await.map(|_| feed)
    }

    async fn close(&self, name: &str) -> Reply {
        let feeds = match self.feeds_of(name).await {
            Ok(feeds) => feeds,
            Err(refused) => return refused,
        };
        for feed in feeds {
            if let Err(refused) = self.done(json!({"op": "close", "name": feed.feed})).await {
                return refused;
            }
        }
        self.remember(name, None);
        self.tell(Told::Closed(name.to_owned())).await;
        Reply::done()
    }

    /// Subscribes or unsubscribes: one command a market and kind. Done if any channel could be; each is told of as the venue
    /// once did, on the name's event channel.
    async fn subscribe(&self, name: &str, channels: &[String], op: &str) -> Reply {
        let mut feeds = match self.feeds_of(name).await {
            Ok(feeds) => feeds,
            Err(refused) => return refused,
        };
        let mut events = Batch::default();
        let (parts, mut refusal) = self.parts(name, channels, &mut events);
        let mut any = false;
        for (table, part) in parts {
            let wishes = self.subscribe_part(name, &mut feeds, &table, part, op).await;
            for Wish { channel, refused, .. } in wishes {
                match refused {
                    None => {
                        any = true;
                        self.event(name, op, &channel, &mut events);
                    }
                    Some(reply) => {
                        let why = reply.message.as_str().unwrap_or_default();
                        self.error(name, &format!("{channel}: {why}"), &mut events);
                        refusal = refusal.or(Some(reply));
                    }
                }
            }
        }
        self.tell(Told::Commands(events)).await;
        match refusal {
            Some(refused) if !any => refused,
            _ => Reply::done(),
        }
    }

    /// The channels by market and kind, and what is to be said of those that do not exist.
    fn parts(&self, name: &str, channels: &[String], events: &mut Batch) -> (Parts, Option<Reply>) {
        let mut parts = Parts::new();
        let mut refusal = None;
        for channel in channels {
            let v3 = V3Name::read(channel);
            let Some((v3, wanted)) = v3.and_then(|v3| v3.wanted().map(|wanted| (v3, wanted))) else {
                let told: String = channel.chars().take(100).collect();
                let why = format!("Channel {told} doesn't exist");
                self.error(name, &why, events);
                refusal.get_or_insert(Reply::refused(Code::Bad, why));
                continue;
            };
            // Rows of an account come together, whatever they are of.
            let symbol = if v3.is_of_account() { "" } else { v3.argument };
            let asked = Asked {
                name: name.to_owned(),
                venue: self.okws.venue.clone(),
                market: v3.market.to_owned(),
                symbol: symbol.to_owned(),
                topic: wanted.topic,
                table: v3.table.to_owned(),
            };
            let part = parts.entry(v3.table.to_owned()).or_insert_with(|| Part {
                market: v3.market.to_owned(),
                channel: wanted.channel,
                wishes: Vec::new(),
            });
            part.wishes.push(Wish { channel: channel.clone(), asked, refused: None });
        }
        (parts, refusal)
    }

    /// Subscribes to one v3 channel of any number of symbols, or unsubscribes, and marks what was refused.
    async fn subscribe_part(
        &self,
        name: &str,
        feeds: &mut Vec<Feed>,
        table: &str,
        Part { market, channel, mut wishes }: Part,
        op: &str,
    ) -> Vec<Wish> {
        let open = feeds.iter().find(|feed| feed.market == market).map(|feed| feed.feed.clone());
        let feed = match open {
            Some(feed) => feed,
            // What is not open is not subscribed to.
            None if op != "subscribe" => return wishes,
            None => match self.open_market(name, &market).await {
                Ok(feed) => {
                    feeds.push(Feed { feed: feed.clone(), market });
                    feed
                }
                Err(refused) => {
                    wishes.iter_mut().for_each(|wish| wish.refused = Some(refused.clone()));
                    return wishes;
                }
            },
        };
        if op == "subscribe" {
            // Before it is asked for, so that the first frame is stored already.
            for wish in &wishes {
                self.tell(Told::Asked(wish.asked.clone())).await;
            }
        }
        // Without a channel it comes with any other.
        if let Some(channel) = channel {
            let symbols: BTreeSet<_> =
                wishes.iter().map(|wish| &*wish.asked.symbol).filter(|symbol| !symbol.is_empty()).collect();
            // Several v3 channels are served by one of ours: each is a wish of its own.
            let client = format!("okws:{name}:{table}");
            let request = json!({"op": op, "feed": feed, "channels": [channel], "symbols": symbols, "client": client});
            let answer = self.commands.execute(request).await;
            wishes.iter_mut().for_each(|wish| wish.refused = refused(&answer, &wish.asked.symbol));
        }
        for wish in &wishes {
            if (op == "subscribe") != wish.refused.is_none() {
                self.tell(Told::Unasked(wish.asked.clone())).await;
            }
        }
        wishes
    }

    /// What the venue once said of a subscription.
    fn event(&self, name: &str, op: &str, channel: &str, out: &mut Batch) {
        let mut event = format!("{{\"event\":\"{op}\",\"channel\":");
        json_text(&mut event, channel);
        event.push('}');
        out.simple("PUBLISH", &[&format!("{}/{name}/event", self.okws.root), &event]);
    }

    fn error(&self, name: &str, message: &str, out: &mut Batch) {
        let event = json!({"event": "error", "message": message, "errorCode": NO_SUCH_CHANNEL}).to_string();
        out.simple("PUBLISH", &[&format!("{}/{name}/event", self.okws.root), &event]);
    }
}

/// Whether a symbol was refused: by itself, or with everything.
fn refused(answer: &Value, symbol: &str) -> Option<Reply> {
    let Some(streams) = answer["streams"].as_array() else {
        return (answer["ok"] != true).then(|| refusal(answer));
    };
    let of_symbol = |stream: &&Value| symbol.is_empty() || stream["symbol"] == symbol;
    let rejected = streams.iter().filter(of_symbol).find(|stream| stream["state"] == "rejected")?;
    Some(Reply::refused(Code::Bad, rejected["detail"].as_str().unwrap_or("the venue refused it")))
}

fn refusal(answer: &Value) -> Reply {
    let code = match answer["code"].as_str() {
        Some("exists") => Code::Exists,
        Some("unknown_feed") => Code::NoConnection,
        _ => Code::Bad,
    };
    Reply::refused(code, answer["error"].as_str().unwrap_or("refused"))
}

#[cfg(test)]
#[path = "desk_tests.rs"]
mod tests;
