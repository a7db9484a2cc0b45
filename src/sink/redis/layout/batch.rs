//! Commands for Redis, one after the other in one buffer, so that a burst of frames costs few allocations.

use std::fmt::Write as _;

/// A command that keeps the newest entries of a sorted set and drops the rest with their hashes. Keys: the set. Arguments:
/// how many to keep, then what the names of an entry's hashes begin with.
pub const TRIM: &str = "local gone = redis.call('ZRANGE', KEYS[1], 0, -(tonumber(ARGV[1]) + 1))
for _, id in ipairs(gone) do
  for at = 2, #ARGV do redis.call('DEL', ARGV[at] .. id) end
end
if #gone > 0 then redis.call('ZREMRANGEBYRANK', KEYS[1], 0, #gone - 1) end
return #gone";

/// Commands and their arguments.
#[derive(Debug, Default)]
pub struct Batch {
    bytes: Vec<u8>,
    /// Where each argument ends.
    ends: Vec<usize>,
    /// The first argument of each command.
    starts: Vec<usize>,
}

/// A command whose arguments are being added.
pub struct Arguments<'a>(&'a mut Batch);

impl Batch {
    /// Begins a command.
    pub fn command(&mut self, name: &str) -> Arguments<'_> {
        self.starts.push(self.ends.len());
        Arguments(self).arg(name)
    }

    /// Adds a command whose arguments are at hand.
    pub fn simple(&mut self, name: &str, arguments: &[&str]) {
        let command = self.command(name);
        arguments.iter().fold(command, |command, argument| command.arg(argument));
    }

    /// Adds [`TRIM`].
    pub fn trim(&mut self, set: &str, most: u32, rows: &[&str]) {
        let command = self.command("EVAL").arg(TRIM).arg("1").arg(set).number(most.into());
        rows.iter().fold(command, |command, row| command.arg(row));
    }

    /// Adds another batch's commands.
    pub fn append(&mut self, other: &Self) {
        for command in other.commands() {
            self.starts.push(self.ends.len());
            for argument in command {
                self.bytes.extend_from_slice(argument);
                self.ends.push(self.bytes.len());
            }
        }
    }

    /// Commands.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Bytes of all arguments.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Forgets the commands and keeps the memory.
    pub fn clear(&mut self) {
        self.bytes.clear();
        self.ends.clear();
        self.starts.clear();
    }

    /// Each command as its arguments, the first of which is its name.
    pub fn commands(&self) -> impl Iterator<Item = impl Iterator<Item = &[u8]>> {
        let ends = self.starts.iter().skip(1).copied().chain([self.ends.len()]);
        self.starts.iter().zip(ends).map(|(start, end)| (*start..end).map(|at| self.argument(at)))
    }

    fn argument(&self, at: usize) -> &[u8] {
        let start = if at == 0 { 0 } else { self.ends[at - 1] };
        &self.bytes[start..self.ends[at]]
    }
}

impl Arguments<'_> {
    /// Adds an argument.
    pub fn arg(self, text: impl AsRef<[u8]>) -> Self {
        self.0.bytes.extend_from_slice(text.as_ref());
        self.0.ends.push(self.0.bytes.len());
        self
    }

    /// Adds an integer.
    pub fn number(self, value: u64) -> Self {
        let mut text = itoa::Buffer::new();
        self.arg(text.format(value))
    }
}

/// A text as a JSON string, its quotes included.
pub fn json_text(out: &mut String, text: &str) {
    out.push('"');
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            c if (c as u32) < 0x20 => {
                // Writing to a String cannot fail.
                let _ = write!(out, "\\u{:04x}", c as u32);
            }
            c => out.push(c),
        }
    }
    out.push('"');
}

#[cfg(test)]
impl Batch {
    /// Every command as one line.
    pub(in crate::sink::redis) fn lines(&self) -> Vec<String> {
        let text = |argument: &[u8]| String::from_utf8_lossy(argument).into_owned();
        self.commands().map(|command| command.map(text).collect::<Vec<_>>().join(" ").replace(TRIM, "TRIM")).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_keep_their_arguments_apart() {
        let mut batch = Batch::default();
        batch.simple("SET", &["", "a b"]);
        batch.command("INCRBY").arg("n").number(7);
        batch.trim("set", 10, &["row:"]);
        let counts: Vec<_> = batch.commands().map(Iterator::count).collect();
        assert_eq!((counts, batch.len(), batch.bytes()), (vec![3, 3, 6], 3, 3 + 3 + 6 + 1 + 1 + 4 + TRIM.len() + 10));
        assert_eq!(batch.lines(), ["SET  a b", "INCRBY n 7", "EVAL TRIM 1 set 10 row:"]);
        batch.clear();
        assert!(batch.is_empty() && batch.lines().is_empty());
    }

    #[test]
    fn texts_are_json() {
        let mut out = String::new();
        json_text(&mut out, "a\"\\\n\u{1}é");
        assert_eq!(serde_json::from_str::<String>(&out).unwrap(), "a\"\\\n\u{1}é");
    }
}
