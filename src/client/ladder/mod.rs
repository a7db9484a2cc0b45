//! The live depth ladder: receives one symbol's frames, and redraws the terminal at most 20 times a second.

mod draw;
mod model;

use std::io::{self, IsTerminal as _};
use std::process::ExitCode;
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEventKind, KeyModifiers};
use tokio::time::MissedTickBehavior;

use self::model::Ladder;
use super::args::SubArgs;
use super::notes;
use super::run::{USAGE, stop_signal, until};
use super::subscribe::{EndpointError, Subscriber, subscribe};
use crate::clock;
use crate::zmtp::ClientSecurity;

/// Time between looks at the keyboard and redraws.
const REDRAW: Duration = Duration::from_millis(50);
/// What is watched until a topic of the symbol is found.
const CHANNELS: [&str; 3] = ["book.", "trade.", "status."];

/// Shows the ladder until a key, a signal or the timeout ends it.
pub(super) async fn run(args: &SubArgs, symbol: &str, security: &ClientSecurity) -> ExitCode {
    if !io::stdout().is_terminal() {
        notes::print(format_args!("--ladder needs a terminal on stdout; leave it out to print frames"));
        return ExitCode::from(USAGE);
    }
    match show(args, symbol, security).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            notes::print(format_args!("{error}"));
            ExitCode::FAILURE
        }
    }
}

/// The terminal in full-screen mode; dropping it brings the shell's screen back, also on a panic.
struct Screen(DefaultTerminal);

impl Drop for Screen {
    fn drop(&mut self) {
        ratatui::restore();
    }
}

async fn show(args: &SubArgs, symbol: &str, security: &ClientSecurity) -> io::Result<()> {
    let prefixes = if args.topics.is_empty() { CHANNELS.map(String::from).to_vec() } else { args.topics.clone() };
    let open = |prefixes: &[String]| open(&args.endpoint, prefixes, security);
    let subscriber = open(&prefixes)?;
    let mut ladder = Ladder::new(&args.endpoint, symbol, clock::now());
    let mut screen = Screen(ratatui::try_init()?);
    tokio::select! {
        ended = watch(&mut screen.0, &mut ladder, subscriber, open) => ended,
        () = until(args.timeout) => Ok(()),
        () = stop_signal() => Ok(()),
    }
}

fn open(endpoint: &str, prefixes: &[String], security: &ClientSecurity) -> io::Result<Subscriber> {
    let opened = subscribe(endpoint, prefixes).map(|subscriber| subscriber.secured(security.clone()));
    opened.map_err(|error: EndpointError| io::Error::new(io::ErrorKind::InvalidInput, error))
}

async fn watch(
    terminal: &mut DefaultTerminal,
    ladder: &mut Ladder,
    mut subscriber: Subscriber,
    open: impl Fn(&[String]) -> io::Result<Subscriber>,
) -> io::Result<()> {
    let mut redraw = tokio::time::interval(REDRAW);
    redraw.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            biased;
            _ = redraw.tick() => {
                match pressed()? {
                    Pressed::Leave => return Ok(()),
                    Pressed::Other => ladder.touch(),
                    Pressed::Nothing => {}
                }
                if ladder.tick(clock::now()) {
                    terminal.draw(|frame| draw::draw(ladder, frame))?;
                }
            }
            incoming = subscriber.next() => {
                if let Some(narrow) = ladder.take(incoming, clock::now()) {
                    subscriber = open(&narrow)?;
                }
            }
        }
    }
}

enum Pressed {
    Leave,
    /// Another key, or the window changed its size.
    Other,
    Nothing,
}

/// Reads what was typed since the last look, without waiting.
fn pressed() -> io::Result<Pressed> {
    let mut pressed = Pressed::Nothing;
    while event::poll(Duration::ZERO)? {
        pressed = Pressed::Other;
        if let Event::Key(key) = event::read()?
            && key.kind == KeyEventKind::Press
            && leaves(key.code, key.modifiers)
        {
            return Ok(Pressed::Leave);
        }
    }
    Ok(pressed)
}

fn leaves(code: KeyCode, modifiers: KeyModifiers) -> bool {
    match code {
        KeyCode::Char('q') | KeyCode::Esc => true,
        KeyCode::Char('c') => modifiers.contains(KeyModifiers::CONTROL),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
