//! Tickers that arrive as changes, merged into the whole.

use crate::venue::TickerField;

/// The last known text of each field, in the enum's order. Buffers are kept, so merging allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct MergedTicker {
    fields: Vec<(TickerField, String)>,
}

impl MergedTicker {
    /// Forgets everything: a snapshot begins.
    pub fn clear(&mut self) {
        self.fields.clear();
    }

    /// Sets one field; an empty text means that the venue has no value for it now.
    pub fn set(&mut self, field: TickerField, text: &str) {
        match self.fields.binary_search_by_key(&field, |(field, _)| *field) {
            Ok(at) if text.is_empty() => {
                self.fields.remove(at);
            }
            Ok(at) => {
                self.fields[at].1.clear();
                self.fields[at].1.push_str(text);
            }
            Err(_) if text.is_empty() => {}
            Err(at) => self.fields.insert(at, (field, text.to_owned())),
        }
    }

    /// All fields known.
    pub fn fields(&self) -> &[(TickerField, String)] {
        &self.fields
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_key_means_unchanged_and_an_empty_one_unknown() {
        let mut ticker = MergedTicker::default();
        ticker.set(TickerField::Mark, "2");
        ticker.set(TickerField::Last, "1");
        ticker.set(TickerField::Last, "3");
        ticker.set(TickerField::Index, "");
        assert_eq!(ticker.fields(), [(TickerField::Last, "3".into()), (TickerField::Mark, "2".into())]);
        ticker.set(TickerField::Mark, "");
        assert_eq!(ticker.fields(), [(TickerField::Last, "3".into())]);
    }
}
