//! The named endpoints of every venue that has some, against its simulator: they are there, cost what the tables say, and
//! their readers read the answers.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use tickbus::clock;
use tickbus::io::budget::RestBudget;
use tickbus::io::http::RestClient;
use tickbus::model::{Channel, Stream, StreamId};
use tickbus::secret::Secret;
use tickbus::sim::{Options, Running, Server};
use tickbus::venue::{self, Endpoint, HttpRequest, Output, Params, RpcRequest, Told, Update, VenueDef};

/// What a reader said, as text.
#[derive(Default)]
struct Said {
    streams: Vec<Stream>,
    updates: Vec<String>,
    candles: Vec<(u64, bool)>,
    trades: Vec<u64>,
}

impl Output for Said {
    fn send(&mut self, text: String) {
        panic!("{text}");
    }
    fn sign_in(&mut self, _: Secret) {}
    fn http(&mut self, request: HttpRequest) {
        panic!("{request:?}");
    }
    fn rpc(&mut self, _: RpcRequest) {}
    fn answer(&mut self, _: u64, _: String) {}
    fn update(&mut self, update: Update<'_>) {
        match &update {
            Update::Candle(candle) => self.candles.push((candle.open_time, candle.closed)),
            Update::Trade(trade) => self.trades.push(trade.clocks.event.unwrap().0),
            Update::Book(book) => assert!(!book.bids.is_empty() && !book.asks.is_empty() && book.seq > 0),
            Update::Ticker(ticker) => assert!(!ticker.fields.is_empty(), "{ticker:?}"),
            other => panic!("{other:?}"),
        }
        self.updates.push(format!("{update:?}"));
    }
    fn discovered(&mut self, stream: Stream) -> Option<StreamId> {
        let at = self.streams.iter().position(|known| *known == stream).unwrap_or_else(|| {
            self.streams.push(stream);
            self.streams.len() - 1
        });
        Some(StreamId(at as u32))
    }
    fn reconnect(&mut self, reason: String) {
        panic!("{reason}");
    }
    fn replace(&mut self, reason: &str) {
        panic!("{reason}");
    }
}

fn params(venue: &VenueDef, market: &str, endpoint: &Endpoint) -> Params {
    let value = |name: &&'static str| match *name {
        "symbol" | "instId" => venue.example_symbol(market).to_owned(),
        "interval" => if venue.id == "bybit" { "5" } else { "5m" }.to_owned(),
        other => panic!("{other} of {}", endpoint.name),
    };
    let mut params: Params = endpoint.required.iter().map(|name| ((*name).to_owned(), value(name))).collect();
    let limit = ["limit", "sz"].into_iter().find(|name| endpoint.optional.contains(name));
    params.extend(limit.map(|name| (name.to_owned(), "10".to_owned())));
    if venue.id == "okx" && market == "option" && endpoint.optional.contains(&"instFamily") {
        params.push(("instFamily".to_owned(), "BTC-USD".to_owned()));
    }
    endpoint.check(&params).unwrap();
    endpoint.all_params(params)
}

async fn serve(venue: &str) -> Running {
    let options = Options { venue: venue.to_owned(), rate: 0, seed: 3, ..Options::default() };
    let sim = Server::bind(options).await.unwrap().start();
    // So that there are trades.
    sim.truth().step(200);
    sim
}

async fn check(venue: &'static VenueDef, market: &str, sim: &Running, budget: &Arc<RestBudget>) {
    let base = (venue.endpoints)(market, Some(&sim.url(market)), None).rest_url;
    let rest = RestClient::default();
    for endpoint in (venue.rest)(market).iter().filter(|endpoint| !endpoint.signed) {
        let params = params(venue, market, endpoint);
        let account = budget.account(venue, market, &base);
        let spent = account.report().weight;
        let place = account.queue((endpoint.weight)(&params)).unwrap();
        let url = format!("{base}{}", endpoint.target(&params));
        let answer = rest.get(&url, Duration::from_secs(10), place).await.unwrap();
        let text = String::from_utf8_lossy(&answer.body);
        assert_eq!(answer.status, 200, "{url}: {text}");
        let report = account.report();
        assert_eq!((report.others, report.limited), (0, 0), "{url} costs more than {}", report.weight - spent);
        let Some(read) = endpoint.read else { continue };
        let mut said = Said::default();
        let told = Told { market, params: &params, body: &answer.body, at: clock::wall() };
        read(&told, &mut said).unwrap_or_else(|error| panic!("{url}: {error} in {text}"));
        assert!(!said.updates.is_empty(), "{url}: {text}");
        assert!(said.trades.is_sorted() && said.candles.is_sorted(), "{url}: the oldest first");
        if let Some((_, last)) = said.candles.pop() {
            assert!(!last && said.candles.len() == 9, "{url}: the newest has not ended, {:?}", said.candles);
            assert!(said.candles.iter().all(|(_, closed)| *closed), "{url}: the others have");
        }
        assert!(read(&Told { body: b"{\"msg\":\"no\"}", ..told }, &mut Said::default()).is_err(), "{url}: an error");
    }
}

#[tokio::test]
async fn binance_answers_what_the_tables_name() {
    let (sim, budget) = (serve("binance").await, Arc::default());
    for market in ["spot", "usdm", "coinm"] {
        check(&venue::binance::VENUE, market, &sim, &budget).await;
    }
}

#[tokio::test]
async fn bybit_answers_what_the_tables_name() {
    let (sim, budget) = (serve("bybit").await, Arc::default());
    for market in ["spot", "linear", "inverse"] {
        check(&venue::bybit::VENUE, market, &sim, &budget).await;
    }
}

#[tokio::test]
async fn okx_answers_what_the_tables_name() {
    let (sim, budget) = (serve("okx").await, Arc::default());
    for market in ["spot", "swap"] {
        check(&venue::okx::VENUE, market, &sim, &budget).await;
    }
}

/// Every candle channel of a venue can be filled, and single trades wherever ids tell them apart.
#[test]
fn the_past_of_streams_can_be_asked_for() {
    use tickbus::venue::Page;
    for venue in [&venue::binance::VENUE, &venue::bybit::VENUE, &venue::okx::VENUE] {
        for market in venue.markets {
            for channel in (venue.channels)(market.id) {
                let spec = (venue.parse_channel)(market.id, &channel).unwrap();
                let stream = Stream { variant: spec.variant, ..Stream::new(market.example, spec.channel) };
                let span = venue.past(market.id, &stream, Page::Span { from: 1_000, to: 2_000 }, 5, 0);
                assert_eq!(span.is_some(), matches!(spec.channel, Channel::Candle(_)), "{} {channel}", market.id);
                if let Some((endpoint, params)) = span {
                    assert!(endpoint.read.is_some() && params.iter().any(|(_, value)| value == market.example));
                }
            }
        }
    }
}
