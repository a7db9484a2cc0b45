//! Who may connect with CURVE: keys in a file or a folder, read when the gateway starts and whenever it is told to.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::zmtp::{AllowList, Clients, ListChange, PUBLIC_END, PublicKey};

/// The longest list read, in bytes.
const LONGEST_FILE: u64 = 1024 * 1024;
/// Keys of one list.
const KEYS_MAX: usize = 10_000;

/// A list of client keys that is kept in a file, and can be read again.
#[derive(Clone, Debug)]
pub struct KeyList {
    /// Its place in the config.
    pub path: &'static str,
    /// The file or folder.
    pub file: PathBuf,
    /// Who may connect now.
    pub allowed: AllowList,
}

/// What reading a list again did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyListChange {
    /// The list's place in the config.
    pub path: &'static str,
    /// Keys on it now.
    pub keys: usize,
    /// What is different from before.
    pub change: ListChange,
}

/// Reads all lists again; all of them change, or none.
///
/// # Errors
/// What is wrong with which file. The old lists stay.
pub fn reload(lists: &[KeyList]) -> Result<Vec<KeyListChange>, String> {
    let read = lists.iter().map(|list| {
        let keys = read(&list.file).map_err(|what| format!("{}: {what}; the old lists stay", list.path))?;
        Ok((list, keys))
    });
    let read = read.collect::<Result<Vec<_>, String>>()?;
    let replaced = read.into_iter().map(|(list, keys)| {
        let count = keys.len();
        KeyListChange { path: list.path, keys: count, change: list.allowed.replace(Clients::Listed(keys)) }
    });
    Ok(replaced.collect())
}

/// The keys of a file with one a line, or of the `.key` files of a folder. A list without keys is taken for a mistake:
/// nobody could connect.
pub(super) fn read(path: &Path) -> Result<BTreeSet<PublicKey>, String> {
    let shown = path.display();
    let meta = std::fs::metadata(path).map_err(|error| format!("{shown} cannot be read: {error}"))?;
    let keys = if meta.is_dir() { read_folder(path) } else { read_file(path, meta.len()) };
    let keys = keys.map_err(|what| format!("{shown}: {what}"))?;
    match keys.len() {
        0 => Err(format!("{shown} has no keys, so nobody could connect")),
        count if count > KEYS_MAX => Err(format!("{shown} has {count} keys; at most {KEYS_MAX} are possible")),
        _ => Ok(keys),
    }
}

fn read_folder(path: &Path) -> Result<BTreeSet<PublicKey>, String> {
    let unreadable = |error: std::io::Error| format!("cannot be read: {error}");
    let mut keys = BTreeSet::new();
    for entry in std::fs::read_dir(path).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file.extension().is_some_and(|end| end == PUBLIC_END) {
            keys.insert(PublicKey::read(&file).map_err(|error| error.to_string())?);
        }
    }
    Ok(keys)
}

fn read_file(path: &Path, length: u64) -> Result<BTreeSet<PublicKey>, String> {
    if length > LONGEST_FILE {
        return Err(format!("is longer than {LONGEST_FILE} bytes"));
    }
    let text = std::fs::read_to_string(path).map_err(|error| format!("cannot be read: {error}"))?;
    let mut keys = BTreeSet::new();
    for (number, line) in (1..).zip(text.lines()) {
        // No key begins with `#`: it would stand for more than 32 bits.
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let (key, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        if !rest.trim_start().is_empty() && !rest.trim_start().starts_with('#') {
            return Err(format!("line {number}: only one key, and after it a # comment"));
        }
        keys.insert(key.parse().map_err(|error| format!("line {number}: {error}"))?);
    }
    Ok(keys)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::zmtp::KeyPair;

    fn key() -> PublicKey {
        KeyPair::generate().unwrap().public()
    }

    #[test]
    fn a_file_has_one_key_a_line_and_comments() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("clients");
        let (a, b) = (key(), key());
        std::fs::write(&path, format!("# desk\n{a}\n\n  {b}  # bob\n{a}\n")).unwrap();
        assert_eq!(read(&path), Ok([a, b].into()));
        for (text, wanted) in [
            ("# nobody\n".to_owned(), "nobody could connect"),
            (format!("{a}\nkey\n"), "line 2: a key has 40 characters"),
            (format!("{a} {b}\n"), "line 1: only one key"),
        ] {
            std::fs::write(&path, text).unwrap();
            let text = read(&path).unwrap_err();
            assert!(text.contains(wanted) && text.contains("clients"), "{text}");
        }
        assert!(read(&dir.path().join("missing")).unwrap_err().contains("missing"));
    }

    #[test]
    fn a_folder_has_certificates() {
        let dir = tempfile::tempdir().unwrap();
        let pair = KeyPair::generate().unwrap();
        let (public, _) = pair.write(dir.path(), "alice").unwrap();
        std::fs::write(dir.path().join("bob.key"), key().to_string()).unwrap();
        assert_eq!(read(dir.path()).unwrap().len(), 2);
        std::fs::write(&public, "metadata\ncurve\n").unwrap();
        assert!(read(dir.path()).unwrap_err().contains("alice.key"));
    }

    #[test]
    fn all_lists_change_or_none() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (key(), key());
        let list = |path, name: &str, keys: &[PublicKey]| {
            let file = dir.path().join(name);
            let text: String = keys.iter().map(|key| format!("{key}\n")).collect();
            std::fs::write(&file, text).unwrap();
            KeyList { path, allowed: AllowList::new(Clients::Listed(read(&file).unwrap())), file }
        };
        let lists = [list("bus.auth.clients", "one", &[a]), list("control.auth.clients", "two", &[a])];
        std::fs::write(&lists[0].file, b.to_string()).unwrap();
        std::fs::write(&lists[1].file, "oops").unwrap();
        let text = reload(&lists).unwrap_err();
        assert!(text.starts_with("control.auth.clients: ") && text.ends_with("the old lists stay"), "{text}");
        assert!(lists[0].allowed.allows(&a) && !lists[0].allowed.allows(&b));
        std::fs::write(&lists[1].file, format!("{a}\n{b}\n")).unwrap();
        let changes = reload(&lists).unwrap();
        assert_eq!(changes[0].change, ListChange { added: vec![b], removed: vec![a] });
        assert_eq!((changes[1].keys, &changes[1].change.removed[..]), (2, &[][..]));
        assert!(!lists[0].allowed.allows(&a) && lists[1].allowed.allows(&a));
    }
}
