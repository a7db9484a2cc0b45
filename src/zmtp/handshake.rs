//! Greeting and handshake of both sides, step by step and for any split of the bytes: NULL, PLAIN and CURVE.

use super::codec::{Decoder, Encoder};
use super::commands::{expect_command, properties, put_command, put_error, type_and_identity};
use super::curve::{self, Entropy, Session};
use super::error::shown;
use super::greeting::{GREETING_LEN, greeting, read_greeting};
use super::keys::PublicKey;
use super::security::{AllowList, ClientSecurity, ServerSecurity};
use super::{WireError, plain};

/// The longest command of a handshake. CURVE's INITIATE has about 300 bytes, unless a client adds metadata of its own.
const MAX_COMMAND: usize = 4096;
/// Characters of a stranger's socket type that are shown.
const SHOWN_TYPE: usize = 16;
/// The longest routing identity, in bytes (RFC 28); a longer one is taken for none.
const LONGEST_IDENTITY: usize = 255;
/// The status of ZAP (RFC 27) for wrong credentials; libzmq's clients know by it that trying again is no use.
const NOT_AUTHORIZED: &str = "400";

/// Which socket we are, and which may be connected to it.
#[derive(Clone, Copy, Debug)]
pub struct Role {
    ours: &'static str,
    accepts: &'static [&'static str],
}

impl Role {
    /// The side that publishes to subscribers.
    pub const PUBLISHER: Self = Self { ours: "PUB", accepts: &["SUB", "XSUB"] };
    /// The side that answers requests.
    pub const REPLIER: Self = Self { ours: "ROUTER", accepts: &["REQ", "DEALER", "ROUTER"] };
    /// The side that answers one question before it takes the next.
    pub const REP: Self = Self { ours: "REP", accepts: &["REQ", "DEALER"] };
    /// The side that subscribes.
    pub const SUBSCRIBER: Self = Self { ours: "SUB", accepts: &["PUB", "XPUB"] };
    /// The side that asks, without waiting for one answer before it asks again.
    pub const DEALER: Self = Self { ours: "DEALER", accepts: &["ROUTER", "REP", "DEALER"] };
    /// The side that asks, one question at a time.
    pub const REQUESTER: Self = Self { ours: "REQ", accepts: &["ROUTER", "REP"] };

    /// Our socket type, as in the metadata.
    pub const fn name(self) -> &'static str {
        self.ours
    }

    /// The peer's routing identity, if its socket fits.
    fn check(self, properties: &[u8]) -> Result<Option<Box<[u8]>>, WireError> {
        let (name, identity) = type_and_identity(properties)?;
        if self.accepts.iter().any(|accepted| accepted.as_bytes() == name) {
            let fits = (1..=LONGEST_IDENTITY).contains(&identity.len());
            return Ok(fits.then(|| identity.into()));
        }
        Err(WireError::SocketType(shown(name, SHOWN_TYPE)))
    }
}

/// What the handshake found out about the peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Peer {
    /// ZMTP's minor version: 0 means that the peer may not know PING and other commands.
    pub minor: u8,
    /// The key that a CURVE client proved to have.
    pub key: Option<PublicKey>,
}

/// One side of a mechanism, on its way.
#[derive(Debug)]
enum Mechanism {
    Null,
    PlainServer(plain::Server),
    PlainClient(plain::Client),
    CurveServer(Box<curve::Server>, AllowList),
    CurveClient(Box<curve::Client>),
}

/// What a complete handshake leaves behind.
struct Agreed {
    key: Option<PublicKey>,
    identity: Option<Box<[u8]>>,
    sealed: Option<Session>,
}

/// A handshake, step by step. [`Self::greeting`] is to be sent before the first step.
#[derive(Debug)]
pub struct Handshake {
    role: Role,
    name: &'static str,
    as_server: bool,
    mechanism: Mechanism,
    limit: usize,
    decoder: Decoder,
    encoder: Encoder,
    minor: Option<u8>,
    identity: Option<Box<[u8]>>,
}

impl Handshake {
    /// The listening side's handshake. Its connection refuses frames longer than `limit` bytes.
    pub fn server(role: Role, limit: usize, security: &ServerSecurity, entropy: Entropy) -> Self {
        let mechanism = match security {
            ServerSecurity::Null => Mechanism::Null,
            ServerSecurity::Plain(users) => Mechanism::PlainServer(plain::Server::new(users.clone())),
            ServerSecurity::Curve { own, allowed } => {
                Mechanism::CurveServer(Box::new(curve::Server::new(own.clone(), entropy)), allowed.clone())
            }
        };
        let as_server = !matches!(mechanism, Mechanism::Null);
        Self::new(role, limit, security.mechanism(), as_server, mechanism)
    }

    /// The connecting side's handshake. Its connection refuses frames longer than `limit` bytes.
    pub fn client(role: Role, limit: usize, security: &ClientSecurity, entropy: Entropy) -> Self {
        let mechanism = match security {
            ClientSecurity::Null => Mechanism::Null,
            ClientSecurity::Plain { username, password } => {
                Mechanism::PlainClient(plain::Client::new(username.clone(), password.clone()))
            }
            ClientSecurity::Curve { server, own } => {
                Mechanism::CurveClient(Box::new(curve::Client::new(*server, own.clone(), entropy)))
            }
        };
        Self::new(role, limit, security.mechanism(), false, mechanism)
    }

    fn new(role: Role, limit: usize, name: &'static str, as_server: bool, mechanism: Mechanism) -> Self {
        let (decoder, encoder) = (Decoder::new(MAX_COMMAND), Encoder::default());
        Self { role, name, as_server, mechanism, limit, decoder, encoder, minor: None, identity: None }
    }

    /// Our greeting.
    pub fn greeting(&self) -> [u8; GREETING_LEN] {
        greeting(self.name, self.as_server)
    }

    /// Whether the peer's greeting is here, and its mechanism is ours.
    pub const fn is_greeted(&self) -> bool {
        self.minor.is_some()
    }

    /// Takes bytes from the socket and appends what is to be sent (also after an error) to `out`.
    /// Returns the peer when the handshake is complete; then go on with [`Self::into_codec`].
    ///
    /// # Errors
    /// The peer is no ZMTP 3.x socket of a type and a mechanism that fit ours, or one side refuses the other. The
    /// connection is then to be closed.
    pub fn step(&mut self, input: &[u8], out: &mut Vec<u8>) -> Result<Option<Peer>, WireError> {
        self.decoder.feed(input);
        let minor = match self.minor {
            Some(minor) => minor,
            None => {
                let Some(minor) = read_greeting(&mut self.decoder, self.name)? else { return Ok(None) };
                self.minor = Some(minor);
                self.open(out);
                minor
            }
        };
        while let Some(frame) = self.decoder.next_frame()? {
            if !frame.command {
                return Err(WireError::Expected("a command"));
            }
            let taken = self.mechanism.take(frame.body, self.role, out);
            let agreed = taken.inspect_err(|error| self.mechanism.tell(error, out))?;
            if let Some(Agreed { key, identity, sealed }) = agreed {
                self.identity = identity;
                let (sealer, opener) = sealed.unzip();
                self.encoder = Encoder::new(sealer);
                self.decoder.establish(self.limit, opener);
                return Ok(Some(Peer { minor, key }));
            }
        }
        Ok(None)
    }

    /// What it means that the peer closes the connection now, during the handshake.
    pub fn if_closed(&self) -> WireError {
        match (&self.mechanism, self.minor) {
            // A server that has another key cannot open HELLO. Saying why would help nobody but its attackers.
            (Mechanism::CurveClient(client), Some(_)) if !client.has_introduced_itself() => WireError::ServerKey,
            (Mechanism::CurveClient(_) | Mechanism::PlainClient(_), Some(_)) => WireError::Refused(String::new()),
            _ => WireError::Left,
        }
    }

    /// The routing identity that the peer has set, once the handshake is complete. Nothing proves it.
    pub fn identity(&self) -> Option<&[u8]> {
        self.identity.as_deref()
    }

    /// The decoder, which may already hold the peer's first frames, and the encoder.
    pub fn into_codec(self) -> (Decoder, Encoder) {
        (self.decoder, self.encoder)
    }

    /// Appends what this side sends first, once the greetings fit.
    fn open(&self, out: &mut Vec<u8>) {
        match &self.mechanism {
            Mechanism::Null => put_command(out, b"READY", &[&properties(self.role.ours)]),
            Mechanism::PlainClient(client) => client.hello(out),
            Mechanism::CurveClient(client) => client.hello(out),
            Mechanism::PlainServer(_) | Mechanism::CurveServer(..) => {}
        }
    }
}

impl Mechanism {
    /// Takes one command of the handshake, and answers it.
    fn take(&mut self, body: &[u8], role: Role, out: &mut Vec<u8>) -> Result<Option<Agreed>, WireError> {
        let ours = properties(role.ours);
        let identity = match self {
            Self::Null => role.check(expect_command(body, "READY")?)?,
            Self::PlainServer(server) => {
                let Some(metadata) = server.take(body, out)? else { return Ok(None) };
                let identity = role.check(metadata)?;
                plain::Server::ready(&ours, out);
                identity
            }
            Self::PlainClient(client) => {
                let Some(metadata) = client.take(body, &ours, out)? else { return Ok(None) };
                role.check(metadata)?
            }
            Self::CurveServer(server, allowed) => {
                let Some(initiated) = server.take(body, out)? else { return Ok(None) };
                if !allowed.allows(&initiated.client) {
                    return Err(WireError::Denied(format!("client key {}", initiated.client)));
                }
                let identity = role.check(&initiated.metadata)?;
                let sealed = Some(server.ready(&initiated, &ours, out));
                return Ok(Some(Agreed { key: Some(initiated.client), identity, sealed }));
            }
            Self::CurveClient(client) => {
                let Some((metadata, session)) = client.take(body, &ours, out)? else { return Ok(None) };
                let identity = role.check(&metadata)?;
                return Ok(Some(Agreed { key: None, identity, sealed: Some(session) }));
            }
        };
        Ok(Some(Agreed { key: None, identity, sealed: None }))
    }

    /// Appends what a peer may know of why it is refused.
    fn tell(&self, error: &WireError, out: &mut Vec<u8>) {
        match (error, self) {
            (WireError::Denied(_), Self::PlainServer(_)) => plain::Server::put_denied(out, NOT_AUTHORIZED),
            (WireError::Denied(_), _) => put_error(out, NOT_AUTHORIZED),
            (WireError::SocketType(_), _) => put_error(out, &error.to_string()),
            _ => {}
        }
    }
}
