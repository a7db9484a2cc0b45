//! Key files: pyzmq's certificates (`NAME.key` with the public key, `NAME.key_secret` with both), or a bare key.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use thiserror::Error;
use zeroize::Zeroizing;

use super::keys::{KeyError, KeyPair, PublicKey, SecretKey};

/// The longest key file read: certificates have a few lines.
const LONGEST_FILE: u64 = 64 * 1024;
/// Ends of the names of certificate files.
pub const PUBLIC_END: &str = "key";
const SECRET_END: &str = "key_secret";

/// Why a key file was not read or written.
#[derive(Debug, Error)]
pub enum KeyFileError {
    /// The operating system refused.
    #[error("{}: {source}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// What the operating system said.
        source: io::Error,
    },
    /// The file is there already. Keys are never overwritten.
    #[error("{}: exists already, and keys are not overwritten; choose another --name, or move the file away", .0.display())]
    Exists(PathBuf),
    /// What is in the file is no key.
    #[error("{}: {source}", path.display())]
    Key {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        source: KeyError,
    },
}

impl PublicKey {
    /// Reads the public key of a certificate, or a bare key.
    ///
    /// # Errors
    /// [`KeyError`], without the text.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        match value(text, "public-key") {
            Some(key) => key.parse(),
            None if is_certificate(text) => Err(KeyError::Missing("public-key")),
            None => text.trim().parse(),
        }
    }

    /// Reads a file: a certificate, public or secret, or a bare key.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        read(path, Self::from_text)
    }
}

impl KeyPair {
    /// Reads a secret certificate, or a bare secret key.
    ///
    /// # Errors
    /// [`KeyError`], without the text; also when the certificate's keys do not belong together.
    pub fn from_text(text: &str) -> Result<Self, KeyError> {
        let secret = match value(text, "secret-key") {
            Some(key) => SecretKey::from_z85(key)?,
            None if is_certificate(text) => return Err(KeyError::Missing("secret-key")),
            None => SecretKey::from_z85(text.trim())?,
        };
        let pair = Self::from_secret(secret);
        match value(text, "public-key").map(str::parse::<PublicKey>).transpose()? {
            Some(public) if public != pair.public() => Err(KeyError::Pair),
            _ => Ok(pair),
        }
    }

    /// Reads a file: a secret certificate, or a bare secret key.
    ///
    /// # Errors
    /// [`KeyFileError`] names the file.
    pub fn read(path: &Path) -> Result<Self, KeyFileError> {
        read(path, Self::from_text)
    }

    /// Writes `NAME.key` (mode 0644) and `NAME.key_secret` (mode 0600) into `dir`, which is made (mode 0700) if it is
    /// missing. Returns both paths.
    ///
    /// # Errors
    /// [`KeyFileError`]; nothing is left behind, and no file that was there is changed.
    pub fn write(&self, dir: &Path, name: &str) -> Result<(PathBuf, PathBuf), KeyFileError> {
        let in_dir = |source| KeyFileError::Io { path: dir.to_owned(), source };
        DirBuilder::new().recursive(true).mode(0o700).create(dir).map_err(in_dir)?;
        let (public, secret) = (dir.join(format!("{name}.{PUBLIC_END}")), dir.join(format!("{name}.{SECRET_END}")));
        let public_key = self.public().to_string();
        let shown = format!("{PUBLIC_NOTE}\nmetadata\ncurve\n    public-key = \"{public_key}\"\n");
        let secret_key = self.secret().to_z85();
        let kept = Zeroizing::new(format!(
            "{SECRET_NOTE}\nmetadata\ncurve\n    public-key = \"{public_key}\"\n    secret-key = \"{}\"\n",
            *secret_key
        ));
        write_new(&public, 0o644, &shown)?;
        if let Err(error) = write_new(&secret, 0o600, &kept) {
            // A public key without its secret is worth nothing.
            std::fs::remove_file(&public).ok();
            return Err(error);
        }
        Ok((public, secret))
    }
}

const PUBLIC_NOTE: &str = "# A public key of CURVE (ZeroMQ), in the layout of pyzmq. It may be shown to anyone.";
const SECRET_NOTE: &str = "# A key pair of CURVE (ZeroMQ), in the layout of pyzmq. Whoever has this file is its owner: \
                           keep it secret.";

/// Whether every user of this machine may read the file. A group may be meant to.
///
/// # Errors
/// The file's metadata cannot be read.
pub fn is_readable_by_all(path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::PermissionsExt;
    Ok(std::fs::metadata(path)?.permissions().mode() & 0o007 != 0)
}

fn read<T>(path: &Path, from_text: impl FnOnce(&str) -> Result<T, KeyError>) -> Result<T, KeyFileError> {
    let failed = |source| KeyFileError::Io { path: path.to_owned(), source };
    let mut text = Zeroizing::new(String::new());
    File::open(path).and_then(|file| file.take(LONGEST_FILE).read_to_string(&mut text)).map_err(failed)?;
    from_text(&text).map_err(|source| KeyFileError::Key { path: path.to_owned(), source })
}

fn write_new(path: &Path, mode: u32, text: &str) -> Result<(), KeyFileError> {
    let opened = OpenOptions::new().write(true).create_new(true).mode(mode).open(path);
    let written = opened.and_then(|mut file| {
        let written = file.write_all(text.as_bytes()).and_then(|()| file.sync_all());
        written.inspect_err(|_| std::fs::remove_file(path).unwrap_or_default())
    });
    written.map_err(|source| match source.kind() {
        io::ErrorKind::AlreadyExists => KeyFileError::Exists(path.to_owned()),
        _ => KeyFileError::Io { path: path.to_owned(), source },
    })
}

/// Whether the text has the section that certificates have.
fn is_certificate(text: &str) -> bool {
    lines(text).any(|line| line == "curve")
}

/// The value of `NAME = "VALUE"` in a certificate.
fn value<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    lines(text).find_map(|line| {
        let rest = line.strip_prefix(name)?.trim_start().strip_prefix('=')?;
        Some(rest.trim().trim_matches(['"', '\'']))
    })
}

fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines().map(str::trim).filter(|line| !line.starts_with('#'))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    // As pyzmq's zmq.auth.create_certificates writes it.
    const PYZMQ: &str = "#   ****  Generated on 2026-11-21 10:00:00.000000 by pyzmq  ****\n\
        #   ZeroMQ CURVE **Secret** Certificate\n#   DO NOT PROVIDE THIS FILE TO OTHER USERS nor change its permissions.\n\n\
        metadata\ncurve\n    public-key = \"rq:rM>}U?@Lns47E1%kR.o@n%FcmmsL/@{H8]yf7\"\n    \
        secret-key = \"JTKVSB%%)wK0E.X)V>+}o?pNmC{O&4W4b!Ni{Lh6\"\n";

    #[test]
    fn certificates_and_bare_keys_are_read() {
        let pair = KeyPair::from_text(PYZMQ).unwrap();
        assert_eq!(PublicKey::from_text(PYZMQ), Ok(pair.public()));
        assert_eq!(KeyPair::from_text(&format!("{}\n", *pair.secret().to_z85())).as_ref(), Ok(&pair));
        assert_eq!(PublicKey::from_text(&format!(" {}\n", pair.public())), Ok(pair.public()));
    }

    #[test]
    fn what_is_missing_or_does_not_fit_is_named() {
        let public_only = PYZMQ.replace("secret-key", "metadata");
        assert_eq!(KeyPair::from_text(&public_only), Err(KeyError::Missing("secret-key")));
        assert_eq!(PublicKey::from_text("metadata\ncurve\n"), Err(KeyError::Missing("public-key")));
        assert_eq!(KeyPair::from_text(&PYZMQ.replace("public-key = \"rq", "public-key = \"rr")), Err(KeyError::Pair));
        assert_eq!(PublicKey::from_text("# nothing\n"), Err(KeyError::Length(9)));
        let missing = KeyPair::read(Path::new("/nowhere/x.key_secret")).unwrap_err().to_string();
        assert!(missing.starts_with("/nowhere/x.key_secret: "), "{missing}");
    }

    #[test]
    fn files_are_private_and_never_overwritten() {
        let dir = tempfile::tempdir().unwrap();
        let inner = dir.path().join("keys");
        let pair = KeyPair::generate().unwrap();
        let (public, secret) = pair.write(&inner, "gateway").unwrap();
        let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&inner), mode(&secret)), (0o700, 0o600));
        assert!(!is_readable_by_all(&secret).unwrap() && is_readable_by_all(&public).unwrap());
        assert_eq!((PublicKey::read(&public).unwrap(), KeyPair::read(&secret).unwrap()), (pair.public(), pair.clone()));
        let text = std::fs::read_to_string(&public).unwrap();
        assert!(!text.contains(&**pair.secret().to_z85()));

        let other = KeyPair::generate().unwrap();
        assert!(matches!(other.write(&inner, "gateway"), Err(KeyFileError::Exists(path)) if path == public));
        std::fs::remove_file(&public).unwrap();
        assert!(matches!(other.write(&inner, "gateway"), Err(KeyFileError::Exists(path)) if path == secret));
        assert!(!public.exists());
        assert_eq!(KeyPair::read(&secret).unwrap(), pair);
    }
}
