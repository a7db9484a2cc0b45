//! Writes what the taps see into a capture. A full or failing disk ends the recording, never a feed.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use flate2::Compression;
use flate2::write::GzEncoder;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout_at;
use tracing::{error, info};

use super::capture::write_line;
use crate::clock;
use crate::io::tap::{TapReader, Tapped};

/// Everything older than this is on its way to the disk, so that a killed process loses no more.
const FLUSH_EVERY: Duration = Duration::from_secs(1);

/// A capture cannot be written.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// The name does not say in which format.
    #[error("{}: a capture's name must end with .jsonl, .gz or .zst", .0.display())]
    Name(PathBuf),
    /// It is there already.
    #[error("{}: exists already; choose another name, or --force to replace it", .0.display())]
    Exists(PathBuf),
    /// The disk failed.
    #[error("{}: {source}", .path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// A capture being written: always a new file.
pub struct CaptureWriter {
    path: PathBuf,
    out: Encoder,
    line: Vec<u8>,
}

enum Encoder {
    Plain(BufWriter<File>),
    Gz(GzEncoder<BufWriter<File>>),
    Zst(zstd::stream::write::Encoder<'static, BufWriter<File>>),
}

impl CaptureWriter {
    /// Creates the file; `force` replaces one that exists. The format follows from the name: `.jsonl`, `.gz`, `.zst`.
    ///
    /// # Errors
    /// The name tells no format, the file exists, or the disk fails.
    pub fn create(path: &Path, force: bool) -> Result<Self, RecordError> {
        let extension = path.extension().and_then(|extension| extension.to_str()).unwrap_or_default();
        if !matches!(extension, "jsonl" | "gz" | "zst") {
            return Err(RecordError::Name(path.to_owned()));
        }
        let opened = OpenOptions::new().write(true).create(force).create_new(!force).truncate(force).open(path);
        let file = opened.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => RecordError::Exists(path.to_owned()),
            _ => RecordError::Disk { path: path.to_owned(), source },
        })?;
        let file = BufWriter::with_capacity(256 * 1024, file);
        let out = match extension {
            "gz" => Encoder::Gz(GzEncoder::new(file, Compression::default())),
            "zst" => {
                let encoder = zstd::stream::write::Encoder::new(file, 0);
                Encoder::Zst(encoder.map_err(|source| RecordError::Disk { path: path.to_owned(), source })?)
            }
            _ => Encoder::Plain(file),
        };
        Ok(Self { path: path.to_owned(), out, line: Vec::new() })
    }

    /// Writes one line.
    ///
    /// # Errors
    /// The disk fails; the file is whole up to the last flush.
    pub fn write(&mut self, tapped: &Tapped) -> Result<(), RecordError> {
        self.line.clear();
        write_line(&mut self.line, tapped);
        let written = match &mut self.out {
            Encoder::Plain(out) => out.write_all(&self.line),
            Encoder::Gz(out) => out.write_all(&self.line),
            Encoder::Zst(out) => out.write_all(&self.line),
        };
        written.map_err(|source| self.disk(source))
    }

    /// Hands everything written so far to the operating system, so that a reader finds it.
    ///
    /// # Errors
    /// The disk fails.
    pub fn flush(&mut self) -> Result<(), RecordError> {
        let flushed = match &mut self.out {
            Encoder::Plain(out) => out.flush(),
            Encoder::Gz(out) => out.flush(),
            Encoder::Zst(out) => out.flush(),
        };
        flushed.map_err(|source| self.disk(source))
    }

    /// Ends the file properly.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(self) -> Result<(), RecordError> {
        let path = self.path;
        let finished = match self.out {
            Encoder::Plain(out) => Ok(out),
            Encoder::Gz(out) => out.finish(),
            Encoder::Zst(out) => out.finish(),
        };
        let flushed = finished.and_then(|mut out| out.flush());
        flushed.map_err(|source| RecordError::Disk { path, source })
    }

    fn disk(&self, source: io::Error) -> RecordError {
        RecordError::Disk { path: self.path.clone(), source }
    }
}

/// A recording under way.
#[derive(Debug)]
pub struct Recorder {
    lines: Arc<AtomicU64>,
    task: JoinHandle<Result<(), RecordError>>,
}

impl Recorder {
    /// Records until all taps are gone or the disk fails. Runs on a thread of its own, because disks block.
    pub fn start(reader: TapReader, writer: CaptureWriter) -> Self {
        let lines = Arc::new(AtomicU64::new(0));
        let (counted, handle) = (Arc::clone(&lines), Handle::current());
        let task = tokio::task::spawn_blocking(move || {
            let path = writer.path.clone();
            let recorded = handle.block_on(record(reader, writer, &counted));
            match &recorded {
                Ok(()) => info!(file = %path.display(), lines = counted.load(Ordering::Relaxed), "recording ended"),
                Err(error) => error!(%error, "recording stopped; feeds run on"),
            }
            recorded
        });
        Self { lines, task }
    }

    /// Lines written so far.
    pub fn lines(&self) -> u64 {
        self.lines.load(Ordering::Relaxed)
    }

    /// Whether it has ended, by itself or because the disk failed.
    pub fn has_ended(&self) -> bool {
        self.task.is_finished()
    }

    /// Waits for the end; gives the number of lines. All taps must be gone, or it waits for them.
    ///
    /// # Errors
    /// The disk failed.
    pub async fn join(self) -> Result<u64, RecordError> {
        // It cannot panic or be cancelled; if it ever is, what was counted was written.
        self.task.await.unwrap_or(Ok(()))?;
        Ok(self.lines.load(Ordering::Relaxed))
    }
}

async fn record(mut reader: TapReader, mut writer: CaptureWriter, lines: &AtomicU64) -> Result<(), RecordError> {
    let mut flush_at = clock::now().mono.after(FLUSH_EVERY);
    loop {
        let next = timeout_at(clock::instant_of(flush_at), reader.next()).await;
        match next {
            Ok(Some(tapped)) => {
                writer.write(&tapped)?;
                lines.fetch_add(1, Ordering::Relaxed);
            }
            Ok(None) => return writer.finish(),
            Err(_) => {}
        }
        let now = clock::now().mono;
        if now >= flush_at {
            writer.flush()?;
            flush_at = now.after(FLUSH_EVERY);
        }
    }
}
