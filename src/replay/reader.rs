//! Reads captures from files, plain or compressed, and keeps going where they are damaged.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::bufread::MultiGzDecoder;
use tracing::warn;

use super::capture::{Line, LineError, is_whole, parse_line};

/// Longest line read; longer ones are skipped.
const MAX_LINE: usize = 64 * 1024 * 1024;
/// Lines skipped with a log line each; further ones are only counted.
const LOGGED_SKIPS: u64 = 5;
const BUFFER: usize = 256 * 1024;

/// A capture cannot be read at all.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the capture {}: {source}", .path.display())]
pub struct CaptureError {
    /// Which file.
    pub path: PathBuf,
    /// Why.
    pub source: io::Error,
}

/// What was met while reading.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ReadReport {
    /// Lines used.
    pub lines: u64,
    /// Lines of unknown kind, skipped.
    pub unknown_kinds: u64,
    /// Lines not in the format, skipped.
    pub malformed: u64,
    /// Lines longer than 64 MiB, skipped.
    pub too_long: u64,
    /// Files that end in the middle of something, with what it was. All before it was used.
    pub torn: Vec<String>,
}

/// Several capture files as one stream of lines.
pub struct Captures {
    waiting: VecDeque<Source>,
    current: Option<Source>,
    line: Vec<u8>,
    report: ReadReport,
}

struct Source {
    path: PathBuf,
    reader: Box<dyn BufRead + Send>,
    line_number: u64,
}

/// What reading up to the next line end gave.
enum Read1 {
    Line,
    TooLong,
    /// The file is over; a line without an end may be in the buffer.
    End,
}

impl Captures {
    /// Opens all files, so that a missing one is known at once.
    ///
    /// # Errors
    /// One of them cannot be opened.
    pub fn open(paths: &[PathBuf]) -> Result<Self, CaptureError> {
        let waiting = paths.iter().map(|path| open_one(path)).collect::<Result<_, _>>()?;
        Ok(Self { waiting, current: None, line: Vec::new(), report: ReadReport::default() })
    }

    /// The next line that can be used; `None` at the end of the last file.
    #[allow(clippy::should_implement_trait)] // Iterator would hide that damage is to be asked for afterwards.
    pub fn next(&mut self) -> Option<Line> {
        loop {
            if self.current.is_none() {
                self.current = Some(self.waiting.pop_front()?);
            }
            if let Some(line) = self.next_of_current() {
                return Some(line);
            }
        }
    }

    /// What was met so far.
    pub const fn report(&self) -> &ReadReport {
        &self.report
    }

    /// `None` when a line was skipped or the file is over.
    fn next_of_current(&mut self) -> Option<Line> {
        let source = self.current.as_mut()?;
        self.line.clear();
        source.line_number += 1;
        match read_line(&mut source.reader, &mut self.line) {
            Ok(Read1::Line) => self.parse(),
            Ok(Read1::TooLong) => {
                self.report.too_long += 1;
                None
            }
            Ok(Read1::End) => self.last_line(None),
            Err(error) => self.last_line(Some(error)),
        }
    }

    /// Uses a line without an end if it is whole, and leaves the file.
    fn last_line(&mut self, error: Option<io::Error>) -> Option<Line> {
        let whole = is_whole(&self.line);
        let line = if whole { self.parse() } else { None };
        let source = self.current.take()?;
        let torn = match error {
            Some(error) => Some(error.to_string()),
            None if whole || self.line.trim_ascii().is_empty() => None,
            None => Some("the last line is cut off".to_owned()),
        };
        if let Some(trouble) = torn {
            let place = format!("{}:{}", source.path.display(), source.line_number);
            warn!(place, trouble, "the capture is torn; all before it is used");
            self.report.torn.push(format!("{place}: {trouble}"));
        }
        line
    }

    fn parse(&mut self) -> Option<Line> {
        if self.line.trim_ascii().is_empty() {
            return None;
        }
        let error = match parse_line(&self.line) {
            Ok(line) => {
                self.report.lines += 1;
                return Some(line);
            }
            Err(error) => error,
        };
        match &error {
            LineError::UnknownKind(_) => self.report.unknown_kinds += 1,
            LineError::Malformed(_) => self.report.malformed += 1,
        }
        if let Some(source) = &self.current
            && self.report.unknown_kinds + self.report.malformed <= LOGGED_SKIPS
        {
            let place = format!("{}:{}", source.path.display(), source.line_number);
            warn!(place, %error, "line skipped");
        }
        None
    }
}

/// Tells compressed files by their first bytes, whatever their name.
fn open_one(path: &Path) -> Result<Source, CaptureError> {
    let failed = |source| CaptureError { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    if file.metadata().map_err(failed)?.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    let mut raw = BufReader::with_capacity(BUFFER, file);
    let mut first = [0; 4];
    let length = peek(&mut raw, &mut first).map_err(failed)?;
    let start = io::Cursor::new(first).take(length as u64);
    let whole = BufReader::with_capacity(BUFFER, start.chain(raw));
    let reader: Box<dyn BufRead + Send> = match &first[..length] {
        [0x1f, 0x8b, ..] => Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(whole))),
        [0x28, 0xb5, 0x2f, 0xfd] => {
            let decoder = zstd::stream::read::Decoder::with_buffer(whole).map_err(failed)?;
            Box::new(BufReader::with_capacity(BUFFER, decoder))
        }
        _ => Box::new(whole),
    };
    Ok(Source { path: path.to_owned(), reader, line_number: 0 })
}

/// Reads until the buffer is full or the file is over; gives how much was read.
fn peek(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// Reads up to a line end, which is left out. On an error what was read before it is in `line`.
fn read_line(reader: &mut dyn BufRead, line: &mut Vec<u8>) -> io::Result<Read1> {
    let mut too_long = false;
    loop {
        let available = match reader.fill_buf() {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if available.is_empty() {
            return Ok(if too_long { Read1::TooLong } else { Read1::End });
        }
        let end = memchr::memchr(b'\n', available);
        let piece = &available[..end.unwrap_or(available.len())];
        too_long |= line.len() + piece.len() > MAX_LINE;
        if too_long {
            line.clear();
        } else {
            line.extend_from_slice(piece);
        }
        let used = piece.len() + usize::from(end.is_some());
        reader.consume(used);
        if end.is_some() {
            return Ok(if too_long { Read1::TooLong } else { Read1::Line });
        }
    }
}
