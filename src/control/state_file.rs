//! What was opened and subscribed to at run time, kept in a file over a restart. No secret is ever in it.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::registry::{Registry, RunningFeed};
use super::subscribe::{self, spelled};
use super::wished::Owner;
use crate::config::at_run_time;
use crate::config::credentials::GivenTexts;
use crate::config::schema::Feed;
use crate::model::Stream;

/// The version of the format.
const VERSION: u32 = 1;
/// The longest file read, in bytes.
const LONGEST: u64 = 64 << 20;
/// Least time between two writes.
const PAUSE: Duration = Duration::from_millis(200);

/// The file's content.
#[derive(Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct State {
    version: u32,
    /// Feeds that were opened.
    feeds: Vec<Opened>,
    /// What clients wish for, of any feed.
    wishes: Vec<Wish>,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Opened {
    name: String,
    /// As `feeds.NAME` of the config, without symbols and channels.
    settings: Value,
    /// Its credentials were given as text, which is not kept.
    #[serde(default)]
    credentials_not_kept: bool,
}

#[derive(Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    feed: String,
    symbol: String,
    channel: String,
    /// The names of those who wish it.
    clients: Vec<String>,
    /// Whether somebody without a name wishes it.
    #[serde(default)]
    nameless: bool,
}

impl State {
    fn of(registry: &Registry) -> Self {
        let mut state = Self { version: VERSION, ..Self::default() };
        for feed in registry.list() {
            if !feed.is_of_config() {
                state.feeds.push(Opened::of(&feed));
            }
            for (stream, owners) in feed.wished().all() {
                state.wishes.extend(Wish::of(feed.name(), stream, &owners));
            }
        }
        state
    }
}

impl Opened {
    fn of(feed: &RunningFeed) -> Self {
        let plan = &feed.plan;
        let bare = Feed { symbols: Vec::new(), channels: Vec::new(), ..plan.settings.clone() };
        Self {
            name: plan.name.clone(),
            // What came from JSON can be written as it.
            settings: serde_json::to_value(bare).unwrap_or_default(),
            credentials_not_kept: plan.signer.is_some()
                && plan.settings.credentials.is_none()
                && plan.settings.account.is_none(),
        }
    }
}

impl Wish {
    /// `None` if only the config wishes it.
    fn of(feed: &str, stream: &Stream, owners: &[&Owner]) -> Option<Self> {
        let named = |owner: &&Owner| match owner {
            Owner::Client(name) => Some(name.to_string()),
            _ => None,
        };
        let clients: Vec<String> = owners.iter().filter_map(named).collect();
        let nameless = owners.iter().any(|owner| matches!(owner, Owner::Connection(_) | Owner::Nobody));
        let (symbol, channel) = spelled(stream);
        let (feed, symbol) = (feed.to_owned(), symbol.to_owned());
        (nameless || !clients.is_empty()).then_some(Self { feed, symbol, channel, clients, nameless })
    }

    fn owners(&self) -> impl Iterator<Item = Owner> {
        let named = self.clients.iter().map(|name| Owner::Client(name.as_str().into()));
        named.chain(self.nameless.then_some(Owner::Nobody))
    }
}

/// Reads the file; `None` when there is none. One that cannot be read or understood is put aside.
fn read(path: &Path) -> Option<State> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return None,
        Err(error) => return put_aside(path, &error.to_string()),
    };
    let mut text = Vec::new();
    match file.take(LONGEST + 1).read_to_end(&mut text) {
        Ok(read) if read as u64 > LONGEST => return put_aside(path, &format!("longer than {LONGEST} bytes")),
        Ok(_) => {}
        Err(error) => return put_aside(path, &error.to_string()),
    }
    match serde_json::from_slice::<State>(&text) {
        Ok(state) if state.version == VERSION => Some(state),
        Ok(state) => put_aside(path, &format!("its version is {}, not {VERSION}", state.version)),
        Err(error) => put_aside(path, &error.to_string()),
    }
}

/// The gateway starts without what was in it, and whoever looks for it finds it.
fn put_aside(path: &Path, why: &str) -> Option<State> {
    let aside = beside(path, ".damaged");
    let moved = fs::rename(path, &aside);
    let (file, aside) = (path.display(), aside.display());
    match moved {
        Ok(()) => error!(%file, %aside, why, "State file is damaged and was put aside; starting without it"),
        Err(error) => error!(%file, %error, why, "State file is damaged; starting without it"),
    }
    None
}

fn beside(path: &Path, end: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(end);
    PathBuf::from(name)
}

/// Writes the file so that it is whole at every moment: the old one or the new one.
fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    let temporary = beside(path, ".new");
    let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
    // It may have been left behind with another mode.
    file.set_permissions(fs::Permissions::from_mode(0o600))?;
    file.write_all(text)?;
    file.sync_all()?;
    fs::rename(&temporary, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

/// Opens and subscribes to what the file says. A feed that the config names now is as the config says; what was wished
/// for of it at run time is wished for again.
pub async fn restore(registry: &Arc<Registry>, path: &Path) {
    let file = path.to_owned();
    // Lost only when the runtime ends.
    let Some(state) = tokio::task::spawn_blocking(move || read(&file)).await.ok().flatten() else { return };
    let (feeds, wishes) = (state.feeds.len(), state.wishes.len());
    for opened in state.feeds {
        reopen(registry, opened);
    }
    let mut by_owner: BTreeMap<(String, Owner), Vec<Stream>> = BTreeMap::new();
    for wish in &state.wishes {
        match stream_of(registry, wish) {
            Ok(stream) => wish
                .owners()
                .for_each(|owner| by_owner.entry((wish.feed.clone(), owner)).or_default().push(stream.clone())),
            Err(why) => {
                let Wish { feed, symbol, channel, .. } = wish;
                error!(feed, symbol, channel, why, "A stream of the state file cannot be subscribed to");
            }
        }
    }
    for ((name, owner), streams) in by_owner {
        if let Some(feed) = registry.find(&name) {
            wish_again(registry, &feed, &streams, &owner).await;
        }
    }
    info!(file = %path.display(), feeds, wishes, "State file read");
}

fn reopen(registry: &Registry, Opened { name, settings, credentials_not_kept }: Opened) {
    if registry.find(&name).is_some() {
        info!(feed = name, "The config has a feed that was opened at run time: the config holds");
        return;
    }
    let settings = match settings {
        Value::Object(settings) => settings,
        _ => serde_json::Map::new(),
    };
    let opened = match at_run_time::feed(&name, settings, GivenTexts::default(), registry.accounts()) {
        Ok(plan) => registry.add(plan, false, &[]).map(|_| ()),
        Err(problems) => Err(super::reply::Failure::problems(&problems).message),
    };
    match opened {
        Err(why) => error!(feed = name, why, "A feed of the state file cannot be opened"),
        Ok(()) if credentials_not_kept => {
            warn!(
                feed = name,
                "A feed was opened without its credentials, which were given as text: close it and open it again"
            );
        }
        Ok(()) => {}
    }
}

fn stream_of(registry: &Registry, wish: &Wish) -> Result<Stream, String> {
    let feed = registry.find(&wish.feed).ok_or("its feed is not there")?;
    let symbols: Vec<String> = Some(wish.symbol.clone()).filter(|symbol| !symbol.is_empty()).into_iter().collect();
    let read = at_run_time::streams(&feed.plan, &symbols, std::slice::from_ref(&wish.channel));
    let (mut streams, _) = read.map_err(|problems| super::reply::Failure::problems(&problems).message)?;
    streams.pop().ok_or_else(|| "it makes no stream".to_owned())
}

/// For all at once; where something speaks against one, for each alone.
async fn wish_again(registry: &Arc<Registry>, feed: &Arc<RunningFeed>, streams: &[Stream], owner: &Owner) {
    if subscribe::subscribe(registry, feed, streams, owner, Duration::ZERO).await.is_ok() {
        return;
    }
    for stream in streams {
        let one = std::slice::from_ref(stream);
        if let Err(failure) = subscribe::subscribe(registry, feed, one, owner, Duration::ZERO).await {
            error!(feed = feed.name(), %stream, why = failure.message, "A stream of the state file cannot be subscribed to");
        }
    }
}

/// Writes the file whenever something has changed.
pub struct StateFile {
    writing: JoinHandle<()>,
    ending: watch::Sender<bool>,
    failures: Arc<AtomicU64>,
}

impl StateFile {
    /// Starts keeping the file up to date.
    pub fn keep(path: PathBuf, registry: Arc<Registry>) -> Self {
        let failures = Arc::new(AtomicU64::new(0));
        let (ending, ends) = watch::channel(false);
        let writing = tokio::spawn(keep(path, registry, Arc::clone(&failures), ends));
        Self { writing, ending, failures }
    }

    /// Writes that failed since the start.
    pub fn failures(&self) -> Arc<AtomicU64> {
        Arc::clone(&self.failures)
    }

    /// Writes what has changed last, and ends.
    pub async fn finish(self) {
        self.ending.send_replace(true);
        let _ = self.writing.await;
    }
}

async fn keep(path: PathBuf, registry: Arc<Registry>, failures: Arc<AtomicU64>, mut ends: watch::Receiver<bool>) {
    let mut changes = registry.changes();
    let mut written = None;
    loop {
        // At first as well: what was restored may differ from what was read.
        changes.mark_unchanged();
        save(&path, &registry, &mut written, &failures).await;
        let next = async {
            sleep(PAUSE).await;
            // The sender lives in the registry.
            let _ = changes.changed().await;
        };
        tokio::select! {
            () = next => {}
            _ = ends.wait_for(|ends| *ends) => break,
        }
    }
    save(&path, &registry, &mut written, &failures).await;
}

/// Writes the file, unless it would be as it was written last.
async fn save(path: &Path, registry: &Registry, written: &mut Option<Vec<u8>>, failures: &AtomicU64) {
    // It has strings and numbers only, so writing it cannot fail.
    let text = serde_json::to_vec_pretty(&State::of(registry)).unwrap_or_default();
    if written.as_ref() == Some(&text) {
        return;
    }
    let (file, content) = (path.to_owned(), text.clone());
    let saved = tokio::task::spawn_blocking(move || write(&file, &content)).await;
    match saved.map_err(io::Error::other).flatten() {
        Ok(()) => *written = Some(text),
        Err(error) => {
            failures.fetch_add(1, Ordering::Relaxed);
            error!(file = %path.display(), %error, "State file not written");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_is_for_its_owner_only_and_whole() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        fs::write(beside(&path, ".new"), "left behind by a process that was killed while it wrote").unwrap();
        write(&path, b"one").unwrap();
        write(&path, b"two").unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_damaged_file_is_put_aside_and_a_missing_one_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("state.json");
        assert_eq!(read(&path), None);
        let unknown = r#"{"version":1,"feeds":[],"wishes":[],"more":1}"#;
        for text in ["", "{", r#"{"version":2,"feeds":[],"wishes":[]}"#, "[]", "\u{0}\u{0}", unknown] {
            fs::write(&path, text).unwrap();
            assert_eq!(read(&path), None, "{text:?}");
            assert!(!path.exists(), "{text:?}");
            assert_eq!(fs::read_to_string(beside(&path, ".damaged")).unwrap(), text);
        }
        let empty = State { version: VERSION, ..State::default() };
        write(&path, &serde_json::to_vec(&empty).unwrap()).unwrap();
        assert_eq!(read(&path), Some(empty));
    }
}
