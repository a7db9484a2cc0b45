//! The file of a back-fill: lines of JSON, compressed as its name says, that can be gone on with wherever it broke off.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Longest line that is read.
const MAX_LINE: u64 = 1 << 20;

/// The file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The name does not say in which format.
    #[error("{}: the name must end with .jsonl, .jsonl.gz or .jsonl.zst", .0.display())]
    Name(PathBuf),
    /// Somebody else writes it.
    #[error("{}: another back-fill is writing it", .0.display())]
    Taken(PathBuf),
    /// The disk failed.
    #[error("{}: {source}", .path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Format {
    Plain,
    Gz,
    Zst,
}

enum Encoder {
    Plain(BufWriter<File>),
    Gz(GzEncoder<BufWriter<File>>),
    Zst(zstd::stream::write::Encoder<'static, BufWriter<File>>),
}

impl Encoder {
    fn new(file: File, format: Format) -> io::Result<Self> {
        let file = BufWriter::with_capacity(256 * 1024, file);
        Ok(match format {
            Format::Plain => Self::Plain(file),
            Format::Gz => Self::Gz(GzEncoder::new(file, Compression::default())),
            Format::Zst => Self::Zst(zstd::stream::write::Encoder::new(file, 0)?),
        })
    }

    fn out(&mut self) -> &mut dyn Write {
        match self {
            Self::Plain(out) => out,
            Self::Gz(out) => out,
            Self::Zst(out) => out,
        }
    }

    fn finish(self) -> io::Result<()> {
        match self {
            Self::Plain(out) => Ok(out),
            Self::Gz(out) => out.finish(),
            Self::Zst(out) => out.finish(),
        }?
        .flush()
    }
}

/// A file being written.
pub struct PastFile {
    path: PathBuf,
    out: Encoder,
}

/// What a file holds.
struct Held {
    /// The last whole line.
    last: Option<Vec<u8>>,
    /// Bytes of all whole lines.
    bytes: u64,
    /// Whether something behind them is not whole.
    torn: bool,
}

impl PastFile {
    /// Opens a file, new or with what an earlier run left: gives its last whole line. What was not written whole is cut off.
    ///
    /// # Errors
    /// The name tells no format, somebody else writes it, or the disk fails.
    pub fn open(path: &Path) -> Result<(Self, Option<Vec<u8>>), FileError> {
        let disk = |source| FileError::Disk { path: path.to_owned(), source };
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("jsonl") => Format::Plain,
            Some("gz") => Format::Gz,
            Some("zst") => Format::Zst,
            _ => return Err(FileError::Name(path.to_owned())),
        };
        let mut file =
            OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path).map_err(disk)?;
        file.try_lock().map_err(|_| FileError::Taken(path.to_owned()))?;
        let held = hold(&file, format, &mut |_| Ok(())).map_err(disk)?;
        match (held.torn, format) {
            (true, Format::Plain) => file.set_len(held.bytes).map_err(disk)?,
            (true, _) => file = rewritten(path, &file, format).map_err(disk)?,
            (false, _) => {}
        }
        file.seek(SeekFrom::End(0)).map_err(disk)?;
        // Another member of a compressed file: together they are read as one.
        let out = Encoder::new(file, format).map_err(disk)?;
        Ok((Self { path: path.to_owned(), out }, held.last))
    }

    /// Writes one line.
    ///
    /// # Errors
    /// The disk fails.
    pub fn write(&mut self, line: &[u8]) -> Result<(), FileError> {
        let out = self.out.out();
        let written = out.write_all(line).and_then(|()| out.write_all(b"\n"));
        written.map_err(|source| FileError::Disk { path: self.path.clone(), source })
    }

    /// Hands all of it to the operating system.
    ///
    /// # Errors
    /// The disk fails.
    pub fn flush(&mut self) -> Result<(), FileError> {
        self.out.out().flush().map_err(|source| FileError::Disk { path: self.path.clone(), source })
    }

    /// Ends the file properly.
    ///
    /// # Errors
    /// The disk fails.
    pub fn finish(self) -> Result<(), FileError> {
        self.out.finish().map_err(|source| FileError::Disk { path: self.path, source })
    }
}

/// Reads a file from its begin, and shows each whole line.
fn hold(file: &File, format: Format, show: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Held> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let raw = BufReader::with_capacity(256 * 1024, file);
    let mut reader: Box<dyn BufRead> = match format {
        Format::Plain => Box::new(raw),
        Format::Gz => Box::new(BufReader::new(MultiGzDecoder::new(raw))),
        Format::Zst => Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(raw)?)),
    };
    let mut held = Held { last: None, bytes: 0, torn: false };
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line);
        match read {
            Ok(0) => return Ok(held),
            Ok(bytes) if line.last() == Some(&b'\n') && is_json(&line) => {
                show(&line)?;
                held.bytes += bytes as u64;
                line.pop();
                held.last = Some(std::mem::take(&mut line));
            }
            // A compressed file that ends in the middle is an error of its reader.
            Ok(_) | Err(_) => return Ok(Held { torn: true, ..held }),
        }
    }
}

fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// Writes the whole lines of a torn file anew, and puts that in its place.
fn rewritten(path: &Path, torn: &File, format: Format) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&part)?;
    file.try_lock().map_err(|_| io::ErrorKind::ResourceBusy)?;
    let mut out = Encoder::new(file.try_clone()?, format)?;
    hold(torn, format, &mut |line| out.out().write_all(line))?;
    out.finish()?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(path: &Path) -> Vec<String> {
        let file = File::open(path).unwrap();
        let format = match path.extension().and_then(|extension| extension.to_str()) {
            Some("gz") => Format::Gz,
            Some("zst") => Format::Zst,
            _ => Format::Plain,
        };
        let mut lines = Vec::new();
        let held = hold(&file, format, &mut |line| {
            lines.push(String::from_utf8_lossy(line).trim_end().to_owned());
            Ok(())
        });
        assert!(!held.unwrap().torn, "{}", path.display());
        lines
    }

    fn line(number: u64) -> String {
        format!("{{\"number\":{number},\"text\":\"{}\"}}", number * 7_919_777_777)
    }

    /// Wherever a file is cut off, it is gone on with behind its last whole line.
    #[test]
    fn a_file_that_broke_off_anywhere_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"] {
            let path = folder.path().join(name);
            let (mut file, last) = PastFile::open(&path).unwrap();
            assert_eq!(last, None);
            for number in 0..200 {
                file.write(line(number).as_bytes()).unwrap();
                if number % 20 == 0 {
                    file.flush().unwrap();
                }
            }
            assert!(matches!(PastFile::open(&path), Err(FileError::Taken(_))), "{name}");
            file.finish().unwrap();
            let whole = std::fs::read(&path).unwrap();
            let mut most = 0;
            for cut in (0..=whole.len()).step_by(whole.len() / 37) {
                std::fs::write(&path, &whole[..cut]).unwrap();
                let (mut file, last) = PastFile::open(&path).unwrap();
                let next = last.map_or(0, |last| {
                    let last: serde_json::Value = serde_json::from_slice(&last).unwrap();
                    last["number"].as_u64().unwrap() + 1
                });
                most = most.max(next);
                for number in next..next + 3 {
                    file.write(line(number).as_bytes()).unwrap();
                }
                file.finish().unwrap();
                assert_eq!(lines(&path), (0..next + 3).map(line).collect::<Vec<_>>(), "{name} cut at {cut}");
            }
            assert!(most > 150, "{name}: what was flushed is kept, {most}");
        }
        assert!(matches!(PastFile::open(&folder.path().join("a.csv")), Err(FileError::Name(_))));
    }
}
