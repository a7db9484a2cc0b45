//! Tickers that arrive as changes, merged into the whole.

use crate::venue::TickerField;

/// The last known text of each field, in the enum's order. Buffers are kept, so merging allocates nothing.
#[derive(Clone, Debug, Default)]
pub struct MergedTicker {
    fields: Vec<(TickerField, String)>,
    params: Vec<(String, String)>,
}

impl MergedTicker {
    /// Forgets everything: a snapshot begins.
    pub fn clear(&mut self) {
        self.fields.clear();
        self.params.clear();
    }

    /// Sets what the venue says beyond the fields, by the venue's own name; an empty text means that it has no value now.
    pub fn set_param(&mut self, name: &str, text: &str) {
        match self.params.binary_search_by(|(known, _)| known.as_str().cmp(name)) {
            Ok(at) if text.is_empty() => {
                self.params.remove(at);
            }
            Ok(at) => {
                self.params[at].1.clear();
                self.params[at].1.push_str(text);
            }
            Err(_) if text.is_empty() => {}
            Err(at) => self.params.insert(at, (name.to_owned(), text.to_owned())),
        }
    }

    /// All that is known beyond the fields, by name.
    pub fn params(&self) -> &[(String, String)] {
        &self.params
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
        ticker.set_param("b", "1");
        ticker.set_param("a", "2");
        ticker.set_param("b", "");
        assert_eq!(ticker.params(), [("a".into(), "2".into())]);
    }
}
