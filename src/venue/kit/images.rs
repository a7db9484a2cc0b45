//! The REST calls that read an account's images: those of a kind one after the other, page by page, and all of them again
//! after a failure.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use crate::model::{AccountKind, Mono};
use crate::venue::HttpRequest;

/// How long one call may take once it has left.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);
/// How long after a failure an image is asked for again; each further time twice as long, up to [`RETRY_MAX`].
const RETRY: Duration = Duration::from_secs(15);
const RETRY_MAX: Duration = Duration::from_secs(300);
/// Most calls of one image.
const CALLS_MAX: u32 = 200;
/// Ids of these calls begin here, so that a session's others are told from them.
const FIRST_ID: u64 = 1 << 32;

/// A signed call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Call {
    /// Path and query.
    pub path: String,
    /// What it costs of the venue's budget.
    pub weight: u32,
}

/// The images under way, by kind.
#[derive(Clone, Debug, Default)]
pub struct Images {
    images: BTreeMap<AccountKind, Image>,
    made: u64,
}

#[derive(Clone, Debug, Default)]
struct Image {
    /// The call under way.
    id: Option<u64>,
    /// Calls that follow it.
    next: VecDeque<Call>,
    made: u32,
    retry: Option<Mono>,
    failures: u32,
}

impl Images {
    /// Begins an image: its first call. Whatever was under way of this kind is not waited for any more.
    pub fn begin(&mut self, kind: AccountKind, calls: Vec<Call>) -> Option<HttpRequest> {
        let image = self.images.entry(kind).or_default();
        *image = Image { failures: image.failures, next: calls.into(), ..Image::default() };
        self.next(kind)
    }

    fn next(&mut self, kind: AccountKind) -> Option<HttpRequest> {
        let image = self.images.get_mut(&kind)?;
        let Call { path, weight } = image.next.pop_front()?;
        let id = FIRST_ID + self.made;
        self.made += 1;
        (image.id, image.made) = (Some(id), image.made + 1);
        Some(HttpRequest { signed: true, ..HttpRequest::get(id, path, CALL_TIMEOUT, weight) })
    }

    /// The kind whose image this answer is a page of; `None` for answers that are not waited for.
    pub fn answered(&mut self, id: u64) -> Option<AccountKind> {
        let (kind, image) = self.images.iter_mut().find(|(_, image)| image.id == Some(id))?;
        image.id = None;
        Some(*kind)
    }

    /// A page was read, and another call may follow from it: the next call, or `None` when the image is whole.
    ///
    /// # Errors
    /// It does not end.
    pub fn page(&mut self, kind: AccountKind, more: Option<Call>) -> Result<Option<HttpRequest>, String> {
        let Some(image) = self.images.get_mut(&kind) else { return Ok(None) };
        if let Some(call) = more {
            image.next.push_front(call);
        }
        if image.next.is_empty() {
            image.failures = 0;
        } else if image.made >= CALLS_MAX {
            return Err(format!("it has more than {CALLS_MAX} pages"));
        }
        Ok(self.next(kind))
    }

    /// A page could not be read: how long until the image is asked for again.
    pub fn failed(&mut self, kind: AccountKind, now: Mono) -> Duration {
        let image = self.images.entry(kind).or_default();
        let wait = RETRY.saturating_mul(1 << image.failures.min(8)).min(RETRY_MAX);
        image.failures += 1;
        (image.next, image.retry) = (VecDeque::new(), Some(now.after(wait)));
        wait
    }

    /// The venue refused a call, and will refuse others: the image is asked for again then, and not before.
    pub fn refused(&mut self, kind: AccountKind, again: Mono) {
        self.images.insert(kind, Image { retry: Some(again), ..Image::default() });
    }

    /// An image that is whole is asked for once more then.
    pub fn again(&mut self, kind: AccountKind, at: Mono) {
        self.images.entry(kind).or_default().retry = Some(at);
    }

    /// The kinds that are to be asked for again now.
    pub fn due(&mut self, now: Mono) -> Vec<AccountKind> {
        let due = self.images.iter_mut().filter(|(_, image)| image.retry.is_some_and(|at| at <= now));
        due.map(|(kind, image)| {
            image.retry = None;
            *kind
        })
        .collect()
    }

    /// The connection is gone: nothing is waited for any more.
    pub fn disconnected(&mut self) {
        self.images.clear();
    }

    /// When to look again.
    pub fn next_timeout(&self) -> Option<Mono> {
        self.images.values().filter_map(|image| image.retry).min()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIND: AccountKind = AccountKind::Order;

    fn call(path: &str) -> Call {
        Call { path: path.to_owned(), weight: 3 }
    }

    fn at(seconds: u64) -> Mono {
        Mono(seconds * 1_000_000_000)
    }

    #[test]
    fn calls_follow_each_other_and_pages_go_before() {
        let mut images = Images::default();
        let first = images.begin(KIND, vec![call("/a"), call("/b")]).expect("a call");
        assert_eq!((&*first.path, first.weight, first.signed), ("/a", 3, true));
        assert_eq!(images.answered(first.id), Some(KIND));
        assert_eq!(images.answered(first.id), None, "once");
        let second = images.page(KIND, Some(call("/a?2"))).expect("pages").expect("a call");
        assert_eq!((&*second.path, images.answered(second.id)), ("/a?2", Some(KIND)));
        let third = images.page(KIND, None).expect("pages").expect("a call");
        assert_eq!((&*third.path, images.answered(third.id)), ("/b", Some(KIND)));
        assert_eq!(images.page(KIND, None), Ok(None), "whole");
    }

    #[test]
    fn failures_are_repeated_later_and_later_and_pages_end() {
        let mut images = Images::default();
        let waits: Vec<u64> = (0..7)
            .map(|_| {
                let request = images.begin(KIND, vec![call("/a")]).expect("a call");
                images.answered(request.id);
                images.failed(KIND, at(0)).as_secs()
            })
            .collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 300, 300]);
        assert_eq!((images.due(at(299)), images.next_timeout()), (vec![], Some(at(300))));
        assert_eq!((images.due(at(300)), images.due(at(300))), (vec![KIND], vec![]));
        let mut request = images.begin(KIND, vec![call("/a")]).expect("a call");
        let pages = (0..)
            .find(|_| {
                images.answered(request.id);
                match images.page(KIND, Some(call("/more"))) {
                    Ok(next) => request = next.expect("a call"),
                    Err(_) => return true,
                }
                false
            })
            .expect("an end");
        assert_eq!(pages, 199);
    }

    #[test]
    fn an_answer_of_before_is_not_waited_for() {
        let mut images = Images::default();
        let old = images.begin(KIND, vec![call("/a")]).expect("a call");
        let new = images.begin(KIND, vec![call("/a")]).expect("a call");
        assert_eq!((images.answered(old.id), images.answered(new.id)), (None, Some(KIND)));
        let last = images.begin(KIND, vec![call("/a")]).expect("a call");
        images.disconnected();
        assert_eq!(images.answered(last.id), None);
    }
}
