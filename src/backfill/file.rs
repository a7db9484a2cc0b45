//! The file of a back-fill: lines of JSON, compressed as its name says, that can be gone on with wherever it broke off.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

/// Longest line that is read.
const MAX_LINE: u64 = 1 << 20;

/// The file cannot be used. What is in it is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The name does not say in which format.
    #[error("{}: the name must end with .jsonl, .jsonl.gz or .jsonl.zst", .0.display())]
    Name(PathBuf),
    /// Somebody else writes it.
    #[error("{}: another back-fill is writing it", .0.display())]
    Taken(PathBuf),
    /// It cannot be opened.
    #[error("{}: cannot be opened: {source}", .path.display())]
    Open {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It holds something else.
    #[error("{}: line {line} is no record of this stream: {text:?}; move the file away or choose another", .path.display())]
    Foreign {
        /// Which file.
        path: PathBuf,
        /// Its first line that is not, counted from 1.
        line: u64,
        /// How that begins.
        text: String,
    },
    /// It is not compressed as its name says, or no longer.
    #[error(
        "{}: cannot be decompressed as its name says, {lines} records from its begin on: {why}; move the file away or choose another",
        .path.display()
    )]
    Garbled {
        /// Which file.
        path: PathBuf,
        /// Whole records before that.
        lines: u64,
        /// What the decoder says.
        why: String,
    },
    /// The disk failed.
    #[error("{}: {source}", .path.display())]
    Disk {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FileError {
    /// Whether another file has to be named.
    pub const fn is_of_the_name(&self) -> bool {
        !matches!(self, Self::Taken(_) | Self::Disk { .. })
    }
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
    is_new: bool,
}

/// The records that a file holds already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The first line.
    pub first: Vec<u8>,
    /// The last whole line.
    pub last: Vec<u8>,
}

/// What a file holds.
#[derive(Default)]
struct Held {
    ends: Option<Ends>,
    /// Whole lines.
    lines: u64,
    /// Their bytes.
    bytes: u64,
    /// What is behind them.
    tail: Tail,
}

/// What is behind the whole lines.
#[derive(Default)]
enum Tail {
    #[default]
    Nothing,
    /// The begin of a line; empty where a compressed file just ends too early.
    Torn(Vec<u8>),
    /// A line of something else.
    Foreign(Vec<u8>),
    /// The decoder cannot read it.
    Garbled(String),
}

impl PastFile {
    /// Opens a file, new or with what an earlier run left: gives its first and last whole lines. Every one must begin with
    /// `begin`. A last one that was not written whole is cut off.
    ///
    /// # Errors
    /// The name tells no format, it holds something else, somebody else writes it, or the disk fails.
    pub fn open(path: &Path, begin: &str) -> Result<(Self, Option<Ends>), FileError> {
        let disk = |source| FileError::Disk { path: path.to_owned(), source };
        let format = format_of(path).ok_or_else(|| FileError::Name(path.to_owned()))?;
        let (mut file, is_new) = opened(path).map_err(|source| FileError::Open { path: path.to_owned(), source })?;
        file.try_lock().map_err(|_| FileError::Taken(path.to_owned()))?;
        let held = hold(&file, format, begin, &mut |_| Ok(())).map_err(disk)?;
        let torn = is_torn(path, begin, &held, file.metadata().map_err(disk)?.len())?;
        match (torn, format) {
            (true, Format::Plain) => file.set_len(held.bytes).map_err(disk)?,
            (true, _) => file = rewritten(path, &file, format, begin).map_err(disk)?,
            (false, _) => {}
        }
        file.seek(SeekFrom::End(0)).map_err(disk)?;
        // Another member of a compressed file: together they are read as one.
        let out = Encoder::new(file, format).map_err(disk)?;
        Ok((Self { path: path.to_owned(), out, is_new }, held.ends))
    }

    /// Takes a file away that was made for nothing.
    pub fn discard(self) {
        drop(self.out);
        if self.is_new {
            // What is left then is an empty file, which the next run takes.
            let _ = std::fs::remove_file(&self.path);
        }
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

fn format_of(path: &Path) -> Option<Format> {
    let name = path.file_name()?.to_str()?;
    let formats = [(".jsonl", Format::Plain), (".jsonl.gz", Format::Gz), (".jsonl.zst", Format::Zst)];
    formats.into_iter().find(|(end, _)| name.ends_with(end)).map(|(_, format)| format)
}

/// The file, and whether it was not there before.
fn opened(path: &Path) -> io::Result<(File, bool)> {
    let mut options = OpenOptions::new();
    options.read(true).write(true);
    match options.clone().create_new(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok((options.open(path)?, false)),
        other => Ok((other?, true)),
    }
}

/// Whether the end of a file is to be cut off, because a record was not written whole.
fn is_torn(path: &Path, begin: &str, held: &Held, bytes: u64) -> Result<bool, FileError> {
    let path = path.to_owned();
    let foreign = |line: &[u8]| {
        let text = String::from_utf8_lossy(line).chars().take(100).collect::<String>().trim_end().to_owned();
        FileError::Foreign { path: path.clone(), line: held.lines + 1, text }
    };
    match &held.tail {
        Tail::Nothing => Ok(false),
        Tail::Torn(line) if line.is_empty() && held.lines == 0 && bytes > 0 => {
            let why = "it ends before the first record".to_owned();
            Err(FileError::Garbled { path, lines: 0, why })
        }
        Tail::Torn(line) => match line.starts_with(begin.as_bytes()) || begin.as_bytes().starts_with(line) {
            true => Ok(true),
            false => Err(foreign(line)),
        },
        Tail::Foreign(line) => Err(foreign(line)),
        Tail::Garbled(why) => Err(FileError::Garbled { path, lines: held.lines, why: why.clone() }),
    }
}

/// Reads a file from its first byte, and shows each whole line.
fn hold(file: &File, format: Format, begin: &str, show: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<Held> {
    let mut file = file;
    file.seek(SeekFrom::Start(0))?;
    let raw = BufReader::with_capacity(256 * 1024, file);
    let mut reader: Box<dyn BufRead> = match format {
        Format::Plain => Box::new(raw),
        Format::Gz => Box::new(BufReader::new(MultiGzDecoder::new(raw))),
        Format::Zst => Box::new(BufReader::new(zstd::stream::read::Decoder::with_buffer(raw)?)),
    };
    let mut held = Held::default();
    let mut line = Vec::new();
    // An empty file is no whole member of a compressed one either.
    if file.metadata()?.len() == 0 {
        return Ok(held);
    }
    loop {
        line.clear();
        let tail = match reader.by_ref().take(MAX_LINE).read_until(b'\n', &mut line) {
            Ok(0) => Tail::Nothing,
            Ok(bytes) if line.last() == Some(&b'\n') && line.starts_with(begin.as_bytes()) && is_json(&line) => {
                show(&line)?;
                held.bytes += bytes as u64;
                held.lines += 1;
                line.pop();
                match &mut held.ends {
                    Some(ends) => std::mem::swap(&mut ends.last, &mut line),
                    none => *none = Some(Ends { first: line.clone(), last: line.clone() }),
                }
                continue;
            }
            Ok(_) if line.last() == Some(&b'\n') => Tail::Foreign(line),
            Ok(_) => Tail::Torn(line),
            // What broke off in the middle of being written ends too early, and has nothing wrong before that.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Tail::Torn(line),
            Err(error) if format == Format::Plain => return Err(error),
            Err(error) => Tail::Garbled(error.to_string()),
        };
        return Ok(Held { tail, ..held });
    }
}

fn is_json(line: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(line).is_ok()
}

/// Writes the whole lines of a torn file anew, and puts that in its place.
fn rewritten(path: &Path, torn: &File, format: Format, begin: &str) -> io::Result<File> {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    let part = PathBuf::from(name);
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open(&part)?;
    file.try_lock().map_err(|_| io::ErrorKind::ResourceBusy)?;
    let mut out = Encoder::new(file.try_clone()?, format)?;
    hold(torn, format, begin, &mut |line| out.out().write_all(line))?;
    out.finish()?;
    file.sync_all()?;
    std::fs::rename(&part, path)?;
    Ok(file)
}

#[cfg(test)]
mod tests {
    use super::*;

    const BEGIN: &str = "{\"number\":";

    fn lines(path: &Path) -> Vec<String> {
        let file = File::open(path).unwrap();
        let mut lines = Vec::new();
        let held = hold(&file, format_of(path).unwrap(), BEGIN, &mut |line| {
            lines.push(String::from_utf8_lossy(line).trim_end().to_owned());
            Ok(())
        });
        assert!(matches!(held.unwrap().tail, Tail::Nothing), "{}", path.display());
        lines
    }

    fn line(number: u64) -> String {
        format!("{{\"number\":{number},\"text\":\"{}\"}}", number * 7_919_777_777)
    }

    fn write(path: &Path, numbers: std::ops::Range<u64>) {
        let (mut file, _) = PastFile::open(path, BEGIN).unwrap();
        numbers.for_each(|number| file.write(line(number).as_bytes()).unwrap());
        file.finish().unwrap();
    }

    /// Wherever a file is cut off behind its first record, it is gone on with behind its last whole line.
    #[test]
    fn a_file_that_broke_off_anywhere_is_gone_on_with() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["a.jsonl", "a.jsonl.gz", "a.jsonl.zst"] {
            let path = folder.path().join(name);
            let (mut file, ends) = PastFile::open(&path, BEGIN).unwrap();
            assert_eq!(ends, None);
            for number in 0..200 {
                file.write(line(number).as_bytes()).unwrap();
                if number % 20 == 0 {
                    file.flush().unwrap();
                }
            }
            assert!(matches!(PastFile::open(&path, BEGIN), Err(FileError::Taken(_))), "{name}");
            file.finish().unwrap();
            // A second member, as a run that goes on writes it.
            write(&path, 200..300);
            let whole = std::fs::read(&path).unwrap();
            let mut most = 0;
            for cut in (0..=whole.len()).step_by(whole.len() / 37) {
                std::fs::write(&path, &whole[..cut]).unwrap();
                let (mut file, ends) = PastFile::open(&path, BEGIN).unwrap();
                let next = ends.map_or(0, |ends| {
                    let number =
                        |line: &[u8]| serde_json::from_slice::<serde_json::Value>(line).unwrap()["number"].as_u64();
                    assert_eq!(number(&ends.first), Some(0));
                    number(&ends.last).unwrap() + 1
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
        for name in ["a.csv", "a.gz", "jsonl", "a.jsonl.xz"] {
            assert!(matches!(PastFile::open(&folder.path().join(name), BEGIN), Err(FileError::Name(_))), "{name}");
        }
    }

    /// Whatever is not its own is refused, and left byte for byte.
    #[test]
    fn a_file_of_something_else_is_refused_and_left_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let written = |name: &str| {
            let path = folder.path().join(name);
            write(&path, 0..500);
            let bytes = std::fs::read(&path).unwrap();
            std::fs::remove_file(path).unwrap();
            bytes
        };
        let (plain, gz, zst) = (written("p.jsonl"), written("p.jsonl.gz"), written("p.jsonl.zst"));
        let joined = |parts: &[&[u8]]| parts.concat();
        let random: Vec<u8> = (0..5_000_u32).map(|at| (at.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
        let cases: [(&str, Vec<u8>); 17] = [
            ("note.jsonl", b"buy milk\n".to_vec()),
            ("note2.jsonl", b"buy milk".to_vec()),
            ("table.jsonl", b"time,open\n1,2\n3,4\n".to_vec()),
            ("random.jsonl", random.clone()),
            ("random.jsonl.gz", random.clone()),
            ("random.jsonl.zst", random),
            ("note.jsonl.gz", b"buy milk\n".to_vec()),
            ("note.jsonl.zst", b"buy milk\n".to_vec()),
            ("blank.jsonl", joined(&[b"\n", &plain])),
            ("other.jsonl", b"{\"a\":1}\n".to_vec()),
            ("plain.jsonl.gz", plain.clone()),
            ("plain.jsonl.zst", plain.clone()),
            ("gzip.jsonl", gz.clone()),
            ("zstd.jsonl.gz", zst),
            ("appended.jsonl", joined(&[&plain, b"buy milk\n"])),
            ("appended2.jsonl", joined(&[&plain, b"buy milk"])),
            ("appended.jsonl.gz", joined(&[&gz, b"buy milk, and bread\n"])),
        ];
        for (name, bytes) in cases {
            let path = folder.path().join(name);
            std::fs::write(&path, &bytes).unwrap();
            let error = PastFile::open(&path, BEGIN).err().unwrap_or_else(|| panic!("{name} was taken"));
            assert!(error.is_of_the_name(), "{name}: {error:?}");
            let said = error.to_string();
            assert!(said.contains(name) && said.contains("move the file away or choose another"), "{said}");
            assert_eq!(std::fs::read(&path).unwrap(), bytes, "{name}");
        }
        let nothing = folder.path().join("empty.jsonl.gz");
        std::fs::write(&nothing, b"").unwrap();
        write(&nothing, 0..0);
        write(&nothing, 0..2);
        assert_eq!(lines(&nothing).len(), 2, "files without a record are taken");
        assert!(matches!(PastFile::open(&folder.path().join("no/a.jsonl"), BEGIN), Err(FileError::Open { .. })));
    }

    #[test]
    fn a_file_that_was_made_for_nothing_goes() {
        let folder = tempfile::tempdir().unwrap();
        let (new, old) = (folder.path().join("new.jsonl.gz"), folder.path().join("old.jsonl"));
        std::fs::write(&old, b"").unwrap();
        for path in [&new, &old] {
            PastFile::open(path, BEGIN).unwrap().0.discard();
        }
        assert_eq!((new.exists(), old.exists()), (false, true));
    }
}
