//! `tickbus sim`: a simulated venue on local ports, for any client.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::Future;
use std::io;
use std::path::Path;
use std::time::Duration;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};

use super::{Usage, print, sim_symbols};
use crate::bus::BindError;
use crate::model::UnixNanos;
use crate::secret::Secret;
use crate::sim::{binance, bitflyer, bybit, fault, okx, quik, server};
use crate::zmtp::{AllowList, Clients, KeyPair, PublicKey, ServerSecurity, Users};

/// The venue that is a terminal.
const QUIK: &str = "quik";
/// Most market moves a second.
const MOST_RATE: i64 = 1_000_000;
/// A year.
const MOST_AHEAD_MS: i64 = 365 * 86_400_000;

/// Arguments of `tickbus sim`.
#[derive(Args, Clone, Debug)]
pub struct SimArgs {
    /// Venue to simulate.
    #[arg(long, default_value = "bybit", value_parser = venues())]
    pub venue: String,

    /// Address to listen on; port 0 takes a free one. Exchanges: websocket and REST on one port [127.0.0.1:9001]; QUIK: RPC
    /// [127.0.0.1:5560].
    #[arg(long, value_name = "HOST:PORT", value_parser = NonEmptyStringValueParser::new())]
    pub listen: Option<String>,

    /// Seed of markets and faults: the same seed lives the same life.
    #[arg(long, default_value_t = 1)]
    pub seed: u64,

    /// Market moves a second over all symbols (exchanges: the subscribed ones); 0 stands still.
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(0..=MOST_RATE))]
    pub rate: u32,

    /// Fault to inject; may be repeated.
    #[arg(
        long = "fault",
        value_name = "FAULT",
        long_help = format!(
            "Fault to inject; may be repeated.\n\nExchanges: {}.\n\nQUIK: {}.", fault::ALLOWED, quik::ALLOWED
        )
    )]
    pub faults: Vec<String>,

    /// Symbols to list, separated by commas (QUIK: SBER or TQBR.SBER); unknown ones are made up. Binance: a number makes
    /// that many up on every market. All of the built-in ones by default.
    #[arg(long, value_delimiter = ',', value_name = "SYMBOL,…")]
    pub symbols: Vec<String>,

    /// The account deals by itself each so many milliseconds (exchanges: once somebody has watched it), so that there are
    /// account events; 0 for never (default: 5000).
    #[arg(long, value_name = "MS")]
    pub deal_ms: Option<u32>,

    /// What only venues with an account have.
    #[command(flatten)]
    pub account: AccountArgs,

    /// What only OKX has.
    #[command(flatten)]
    pub okx: OkxArgs,

    /// What only Binance has.
    #[command(flatten)]
    pub binance: BinanceArgs,

    /// What only a terminal has.
    #[command(flatten)]
    pub quik: QuikArgs,
}

/// Arguments for exchanges with an account.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for --venue bybit, okx, okj, binance and bitflyer")]
pub struct AccountArgs {
    /// Key with which clients log in (default: key).
    #[arg(long, value_name = "TEXT")]
    pub key: Option<String>,

    /// Secret with which they sign (default: secret). A made-up one: whoever sees the command line sees it.
    #[arg(long, value_name = "TEXT", value_parser = secret)]
    pub secret: Option<Secret>,

    /// How many milliseconds the venue's clock is ahead of this machine's (default: 0); below zero, behind it.
    #[arg(long, value_name = "MS", allow_negative_numbers = true, value_parser = clap::value_parser!(i64).range(-MOST_AHEAD_MS..=MOST_AHEAD_MS))]
    pub clock_ahead: Option<i64>,

    /// Accept more new connections from one address than the venue does: three a second on OKX, 300 in five minutes on
    /// Binance; not for Bybit.
    #[arg(long)]
    pub no_connect_limit: bool,
}

impl AccountArgs {
    /// The first argument that was given, of those that all of them have.
    fn given(&self) -> Option<&'static str> {
        first(&[
            ("--key", self.key.is_some()),
            ("--secret", self.secret.is_some()),
            ("--clock-ahead", self.clock_ahead.is_some()),
        ])
    }

    /// For Bybit.
    fn bybit(self, deal_ms: Option<u32>) -> bybit::Settings {
        let default = bybit::Settings::default();
        bybit::Settings {
            key: self.key.unwrap_or(default.key),
            secret: self.secret.unwrap_or(default.secret),
            deal_every: deal_ms.map_or(default.deal_every, |ms| Duration::from_millis(ms.into())),
        }
    }

    fn bitflyer(self, deal_ms: Option<u32>) -> bitflyer::Settings {
        let default = bitflyer::Settings::default();
        bitflyer::Settings {
            key: self.key.unwrap_or(default.key),
            secret: self.secret.unwrap_or(default.secret),
            deal_every: deal_ms.map_or(default.deal_every, |ms| Duration::from_millis(ms.into())),
            ..default
        }
    }
}

/// Arguments for `--venue binance` only.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for --venue binance")]
pub struct BinanceArgs {
    /// Ed25519 key in PEM (`openssl pkey -pubout`) whose signatures are accepted beside those of --secret.
    #[arg(long, value_name = "FILE", value_parser = public_key)]
    pub public_key: Option<binance::PublicKey>,

    /// Request weight an address may use in a minute, for spot and for futures alike (default: 6000 and 2400). What was
    /// used is shown at /sim/stats.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub weight_limit: Option<u32>,

    /// How long a listen key of the futures markets lives unless it is renewed, in milliseconds (default: an hour).
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    pub listen_key_ms: Option<u32>,

    /// Depth goes out with each move of a market, not every 100, 250, 500 or 1000 ms: the rate decides the load.
    #[arg(long)]
    pub every_move: bool,
}

impl BinanceArgs {
    /// The first argument that was given.
    fn given(&self) -> Option<&'static str> {
        first(&[
            ("--public-key", self.public_key.is_some()),
            ("--weight-limit", self.weight_limit.is_some()),
            ("--listen-key-ms", self.listen_key_ms.is_some()),
            ("--every-move", self.every_move),
        ])
    }

    fn settings(self, account: AccountArgs, deal_ms: Option<u32>) -> binance::Settings {
        let default = binance::Settings::default();
        binance::Settings {
            key: account.key.unwrap_or(default.key),
            secret: account.secret.unwrap_or(default.secret),
            public_key: self.public_key,
            weight_limit: self.weight_limit,
            connect_limit: !account.no_connect_limit,
            every_move: self.every_move,
            deal_every: deal_ms.map_or(default.deal_every, |ms| Duration::from_millis(ms.into())),
            key_life: self.listen_key_ms.map_or(default.key_life, |ms| Duration::from_millis(ms.into())),
        }
    }
}

/// Arguments for `--venue okx` and `--venue okj` only.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for --venue okx and okj (OKX Japan)")]
pub struct OkxArgs {
    /// Passphrase they show (default: phrase).
    #[arg(long, value_name = "TEXT", value_parser = secret)]
    pub passphrase: Option<Secret>,

    /// The account's trading fee tier: below 6 no books-l2-tbt, below 5 no books50-l2-tbt (default: 6).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=9))]
    pub vip: Option<u8>,

    /// What book messages carry: no checksum, 0, or a live one (default: zero; okj: live). For wrong ones see --fault.
    #[arg(long, value_enum)]
    pub checksum: Option<ChecksumArg>,

    /// A connection on which nothing happens for so many milliseconds is closed (default: 30000).
    #[arg(long, value_name = "MS", value_parser = clap::value_parser!(u32).range(1..))]
    pub idle_ms: Option<u32>,
}

/// What `--checksum` says.
#[derive(clap::ValueEnum, Clone, Copy, Debug)]
pub enum ChecksumArg {
    /// No such field.
    None,
    /// 0, which means none.
    Zero,
    /// The book's.
    Live,
}

impl OkxArgs {
    /// The first argument that was given.
    fn given(&self) -> Option<&'static str> {
        first(&[
            ("--passphrase", self.passphrase.is_some()),
            ("--vip", self.vip.is_some()),
            ("--checksum", self.checksum.is_some()),
            ("--idle-ms", self.idle_ms.is_some()),
        ])
    }

    fn settings(self, account: AccountArgs, deal_ms: Option<u32>) -> okx::Settings {
        let default = okx::Settings::default();
        okx::Settings {
            key: account.key.unwrap_or(default.key),
            secret: account.secret.unwrap_or(default.secret),
            passphrase: self.passphrase.unwrap_or(default.passphrase),
            vip: self.vip.unwrap_or(default.vip),
            checksum: self.checksum.map(|checksum| match checksum {
                ChecksumArg::None => okx::Checksum::None,
                ChecksumArg::Zero => okx::Checksum::Zero,
                ChecksumArg::Live => okx::Checksum::Live,
            }),
            idle: self.idle_ms.map_or(default.idle, |ms| Duration::from_millis(ms.into())),
            connect_limit: !account.no_connect_limit,
            deal_every: deal_ms.map_or(default.deal_every, |ms| Duration::from_millis(ms.into())),
        }
    }
}

/// The name of the first argument that was given.
fn first(arguments: &[(&'static str, bool)]) -> Option<&'static str> {
    arguments.iter().find(|(_, given)| *given).map(|(name, _)| *name)
}

/// What `--venue` may be.
fn venues() -> PossibleValuesParser {
    PossibleValuesParser::new(server::venues().chain([QUIK]))
}

/// Arguments for `--venue quik` only.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Options for --venue quik")]
pub struct QuikArgs {
    /// Address of the events endpoint, or `none` [127.0.0.1:5561].
    #[arg(long, value_name = "HOST:PORT")]
    pub events: Option<String>,

    /// Address of a second RPC endpoint of the same script.
    #[arg(long, value_name = "HOST:PORT")]
    pub data: Option<String>,

    /// No `OnAllTrade`, `OnParam` and `OnQuote`: what users comment out in main.lua. The same as `--fault light`.
    #[arg(long)]
    pub light: bool,

    /// What clients must show: `null`, `plain:USER:PASSWORD_FILE`, or `curve:SERVER.key_secret:CLIENT.key[,CLIENT.key…]`
    /// with key files as `tickbus keygen` and pyzmq write them (default: null).
    #[arg(long, value_name = "AUTH", value_parser = auth)]
    pub auth: Option<ServerSecurity>,

    /// Bars of a datasource when it is first opened (default: 300).
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(0..=65_536))]
    pub bars: Option<u32>,

    /// How long a datasource takes to fill, in milliseconds (default: 300).
    #[arg(long, value_name = "MS")]
    pub load_ms: Option<u32>,

    /// What the terminal's clock shows at the start, such as 2026-11-20T18:44:55+03:00 [the time].
    #[arg(long, value_name = "TIME", value_parser = clock)]
    pub clock: Option<UnixNanos>,
}

impl QuikArgs {
    /// The first argument that was given.
    fn given(&self) -> Option<&'static str> {
        first(&[
            ("--events", self.events.is_some()),
            ("--data", self.data.is_some()),
            ("--light", self.light),
            ("--auth", self.auth.is_some()),
            ("--bars", self.bars.is_some()),
            ("--load-ms", self.load_ms.is_some()),
            ("--clock", self.clock.is_some()),
        ])
    }
}

/// Runs the simulated venue until the process is interrupted or terminated. Prints where it listens on stdout:
/// `ws://HOST:PORT` for an exchange, a line each of `rpc`, `events` and `data` with `tcp://HOST:PORT` for QUIK.
///
/// # Errors
/// When an address cannot be bound, or an argument does not fit the venue.
pub async fn run(args: SimArgs) -> anyhow::Result<()> {
    fits(&args)?;
    sim_symbols::check(&args.venue, &args.symbols)?;
    if args.venue == QUIK {
        return run_quik(args).await;
    }
    let faults = faults(&args.faults)?;
    server::check(&args.venue, &faults).map_err(|error| Usage(error.to_string()))?;
    let SimArgs { venue, listen, seed, rate, symbols, account, okx, binance, deal_ms, .. } = args;
    let clock_ahead_ms = account.clock_ahead.unwrap_or_default();
    let (bybit, bitflyer) = (account.clone().bybit(deal_ms), account.clone().bitflyer(deal_ms));
    let (okx, binance) = (okx.settings(account.clone(), deal_ms), binance.settings(account, deal_ms));
    let listen = listen.unwrap_or_else(|| "127.0.0.1:9001".to_owned());
    let options = server::Options {
        venue,
        listen: listen.clone(),
        seed,
        rate,
        faults,
        symbols,
        clock_ahead_ms,
        bybit,
        okx,
        binance,
        bitflyer,
    };
    let refused = |source| BindError::Refused { endpoint: listen, source };
    let server = server::Server::bind(options).await.map_err(refused)?;
    let address = server.local_addr();
    tracing::info!(%address, seed, rate, "simulated venue listening");
    print(&format!("ws://{address}\n"))?;
    server.run(ended()?).await;
    Ok(())
}

/// Whether every argument is for this venue.
fn fits(args: &SimArgs) -> Result<(), Usage> {
    let venue = args.venue.as_str();
    let unlimited = args.account.no_connect_limit.then_some("--no-connect-limit");
    let given: [(Option<&str>, &[&str], &str); 5] = [
        (
            args.account.given(),
            &["bybit", "okx", okx::JAPAN, "binance", "bitflyer"],
            "bybit, okx, okj, binance and bitflyer",
        ),
        (unlimited, &["okx", okx::JAPAN, "binance"], "okx, okj and binance"),
        (args.okx.given(), &["okx", okx::JAPAN], "okx and okj"),
        (args.binance.given(), &["binance"], "binance"),
        (args.quik.given(), &[QUIK], QUIK),
    ];
    for (name, venues, words) in given {
        if let Some(name) = name.filter(|_| !venues.contains(&venue)) {
            return Err(Usage(format!("{name} is for --venue {words} only")));
        }
    }
    Ok(())
}

async fn run_quik(args: SimArgs) -> anyhow::Result<()> {
    let (seed, rate, events_off) = (args.seed, args.rate, args.quik.events.as_deref() == Some("none"));
    let server = quik::Server::bind(quik_options(args)?).await?;
    let mut lines = format!("rpc tcp://{}\n", server.rpc());
    for (name, address) in [("events", server.events()), ("data", server.data())] {
        if let Some(address) = address {
            lines.push_str(&format!("{name} tcp://{address}\n"));
        }
    }
    tracing::info!(rpc = %server.rpc(), seed, rate, events_off, "simulated terminal listening");
    print(&lines)?;
    server.run(ended()?).await;
    Ok(())
}

fn quik_options(args: SimArgs) -> Result<quik::Options, Usage> {
    let mut faults = faults::<quik::Fault>(&args.faults)?;
    if args.quik.light {
        faults.push(quik::Fault { kind: quik::FaultKind::Light, at: None, every: None });
    }
    let QuikArgs { events, data, auth, bars, load_ms, clock, .. } = args.quik;
    let ms = |ms: Option<u32>, default: u64| Duration::from_millis(ms.map_or(default, u64::from));
    let settings = quik::Settings {
        seed: args.seed,
        rate: args.rate,
        securities: args.symbols,
        history_bars: bars.unwrap_or(300) as usize,
        history_load: ms(load_ms, 300),
        deal_every: ms(args.deal_ms, 5_000),
        clock,
        faults,
    };
    Ok(quik::Options {
        listen: args.listen.unwrap_or_else(|| "127.0.0.1:5560".to_owned()),
        data,
        events: Some(events.unwrap_or_else(|| "127.0.0.1:5561".to_owned())).filter(|events| events != "none"),
        security: auth.unwrap_or_default(),
        settings,
        ..quik::Options::default()
    })
}

fn faults<F: std::str::FromStr<Err = fault::FaultError>>(texts: &[String]) -> Result<Vec<F>, Usage> {
    texts.iter().map(|text| text.parse().map_err(|error| Usage(format!("--fault {text}: {error}")))).collect()
}

/// Done when the process is told to end.
fn ended() -> io::Result<impl Future<Output = ()>> {
    let mut terminate = tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    })
}

#[allow(clippy::unnecessary_wraps)] // What clap asks of a parser.
fn secret(text: &str) -> Result<Secret, Infallible> {
    Ok(Secret::new(text.to_owned()))
}

fn public_key(text: &str) -> Result<binance::PublicKey, String> {
    binance::PublicKey::read(Path::new(text)).map_err(|error| error.to_string())
}

fn clock(text: &str) -> Result<UnixNanos, String> {
    let moment: jiff::Timestamp = text.parse().map_err(|error: jiff::Error| error.to_string())?;
    u64::try_from(moment.as_nanosecond()).map(UnixNanos).map_err(|_| "must be after 1970".to_owned())
}

fn auth(text: &str) -> Result<ServerSecurity, String> {
    let allowed = || "must be null, plain:USER:PASSWORD_FILE or curve:SERVER.key_secret:CLIENT.key[,…]".to_owned();
    let (mechanism, rest) = text.split_once(':').unwrap_or((text, ""));
    match (mechanism, rest.split_once(':')) {
        ("null", None) if rest.is_empty() => Ok(ServerSecurity::Null),
        ("plain", Some((user, file))) => {
            let password = std::fs::read_to_string(file).map_err(|error| format!("{file}: {error}"))?;
            let password = Secret::new(password.trim_end_matches(['\r', '\n']).to_owned());
            Ok(ServerSecurity::Plain(Users::new(BTreeMap::from([(user.to_owned(), password)]))))
        }
        ("curve", Some((server, clients))) => {
            let own = KeyPair::read(Path::new(server)).map_err(|error| error.to_string())?;
            let key = |file: &str| PublicKey::read(Path::new(file)).map_err(|error| error.to_string());
            let keys = clients.split(',').map(key).collect::<Result<_, _>>()?;
            Ok(ServerSecurity::Curve { own, allowed: AllowList::new(Clients::Listed(keys)) })
        }
        _ => Err(allowed()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn auth_is_read_from_files() {
        let dir = tempfile::tempdir().unwrap();
        let path = |name: &str| dir.path().join(name).display().to_string();
        std::fs::write(path("password"), "swordfish\n").unwrap();
        let plain = auth(&format!("plain:user:{}", path("password"))).unwrap();
        assert_eq!(plain.mechanism(), "PLAIN");
        assert!(!format!("{plain:?}").contains("swordfish"));
        let (server, client) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
        server.write(dir.path(), "server").unwrap();
        client.write(dir.path(), "client").unwrap();
        let curve = auth(&format!("curve:{}:{}", path("server.key_secret"), path("client.key"))).unwrap();
        assert!(curve.still_allows(Some(&client.public())) && !curve.still_allows(Some(&server.public())));
        for wrong in ["", "NULL", "null:x", "plain:user", "curve:none", "curve:/nowhere:/nowhere"] {
            assert!(auth(wrong).is_err(), "{wrong}");
        }
        assert!(auth("plain:user:/nowhere").unwrap_err().contains("/nowhere"));
    }

    #[test]
    fn the_clock_is_a_moment() {
        assert_eq!(clock("1970-01-01T03:00:01+03:00"), Ok(UnixNanos(1_000_000_000)));
        assert!(clock("noon").is_err() && clock("1960-01-01T00:00:00Z").is_err());
    }
}
