//! What the operating system says about this process, read from `/proc`.

use std::fs;

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Clock ticks a second in `/proc/self/stat`: the same on every architecture this is built for.
const TICKS_PER_SECOND: f64 = 100.0;

/// The process's use of memory, files and processors; absent where `/proc` does not say.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Process {
    /// Memory that is really occupied, in bytes.
    pub resident_bytes: Option<u64>,
    /// Open file descriptors: sockets, files and pipes.
    pub open_fds: Option<u64>,
    /// Processor time used since the start, in seconds, over all threads.
    pub cpu_seconds: Option<f64>,
}

impl Process {
    /// Reads it now.
    pub fn read() -> Self {
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
        let open = fs::read_dir("/proc/self/fd").ok().map(Iterator::count);
        Self {
            resident_bytes: resident_bytes(&status),
            // Less the one that reading the list takes.
            open_fds: open.map(|open| open.saturating_sub(1) as u64),
            cpu_seconds: cpu_seconds(&stat),
        }
    }
}

/// Raises the limit of open files to what the system lets this process have: each client takes one. Many shells and
/// service managers start programs with 1,024, for the sake of those that use `select`.
pub fn raise_open_files() {
    let limit = getrlimit(Resource::Nofile);
    if limit.current < limit.maximum || limit.maximum.is_none() {
        let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
        if let Err(error) = setrlimit(Resource::Nofile, raised) {
            tracing::debug!(%error, "limit of open files not raised");
        }
    }
}

/// The line `VmRSS:   123 kB` of `/proc/self/status`.
fn resident_bytes(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kilobytes: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    kilobytes.checked_mul(1024)
}

/// Fields 14 and 15 of `/proc/self/stat`, counted after the name, which may contain anything.
fn cpu_seconds(stat: &str) -> Option<f64> {
    let (_, after_name) = stat.rsplit_once(')')?;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let (user, system): (u64, u64) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
    Some(user.saturating_add(system) as f64 / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_files_are_read_by_field() {
        assert_eq!(resident_bytes("Name:\tx\nVmHWM:\t  20 kB\nVmRSS:\t   12 kB\n"), Some(12 * 1024));
        assert_eq!(cpu_seconds("7 (a) b) R 1 7 7 0 -1 0 1 2 3 4 150 50 9 9 20"), Some(2.0));
        for odd in ["", "VmRSS:", "VmRSS: x kB", "VmRSS: 99999999999999999999 kB"] {
            assert_eq!(resident_bytes(odd), None, "{odd}");
            assert_eq!(cpu_seconds(odd), None, "{odd}");
        }
    }

    #[test]
    fn this_process_has_memory_and_files() {
        let now = Process::read();
        assert!(now.resident_bytes > Some(100_000) && now.open_fds > Some(2) && now.cpu_seconds.is_some(), "{now:?}");
    }
}
