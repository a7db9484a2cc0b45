//! Books on images fetched by REST: deltas wait for the image, the image for deltas, and another image takes a live book's
//! place before the market leaves the levels of the first.

use std::collections::VecDeque;

use super::super::image::{Joined, Kept, is_older, meets};
use super::super::reach::Reach;
use super::{BookSync, Loss, SyncRule, SyncUpdate, Verdict};

impl BookSync {
    /// Whether the rule needs a REST image and none is in place.
    pub fn wants_image(&self) -> bool {
        self.rule.is_from_image() && !self.live && !self.waiting.has_image()
    }

    /// Whether the best `levels` of both sides are known: an image has `depth` levels of what may be more, and the market
    /// may have moved to where it had none.
    pub fn knows(&self, levels: usize, depth: usize) -> bool {
        !self.live || !self.rule.is_from_image() || self.reach.covers(&self.book, levels, depth)
    }

    /// A new image will come while the book stays live: deltas are kept for it from now on.
    pub fn refresh(&mut self) {
        if self.live {
            self.waiting.clear();
            self.refreshing = true;
        }
    }

    pub(super) fn with_image(&mut self, update: SyncUpdate<'_>) -> Verdict {
        if update.snapshot {
            if self.live {
                return if self.refreshing { self.refreshed(Some(update)) } else { Verdict::Ignored };
            }
            let is_repeat = self.waiting.is_repeated_by(update);
            self.waiting.set_image(update);
            return match self.align() {
                Verdict::Buffered if is_repeat => self.adopt_image(),
                verdict => verdict,
            };
        }
        if !self.live {
            self.stats.ignored += self.waiting.keep(self.rule, update);
            return if self.waiting.has_image() { self.align() } else { Verdict::Buffered };
        }
        if self.is_image {
            return self.first_after_image(update);
        }
        // Bybit begins anew with 1 when its service restarts.
        let restarts = self.rule == SyncRule::IncrementFromImage && update.seq == 1;
        let verdict = if restarts { self.lose_to_gap(1) } else { self.next_of_image(update) };
        if self.refreshing && verdict == Verdict::Changed {
            self.waiting.keep(self.rule, update);
            return if self.waiting.has_image() { self.refreshed(None) } else { verdict };
        }
        if matches!(verdict, Verdict::Lost(Loss::Gap { .. })) {
            self.stats.ignored += self.waiting.keep(self.rule, update);
        }
        verdict
    }

    /// Two images of the same content, and nothing on the stream: a quiet book, which is what they say.
    fn adopt_image(&mut self) -> Verdict {
        let Some(image) = self.waiting.take_image() else { return Verdict::Buffered };
        self.reach = Reach::of(image.as_update(true));
        let verdict = self.replace(image.as_update(true));
        self.is_image = self.live;
        verdict
    }

    /// The new image of a live book came, or a delta after it: they take the book's place once they meet. An image that is
    /// too old is let go; the book stays as it is.
    fn refreshed(&mut self, image: Option<SyncUpdate<'_>>) -> Verdict {
        if let Some(image) = image {
            self.waiting.set_image(image);
        }
        match self.waiting.join(self.rule).0 {
            Joined::Waiting if image.is_none() => Verdict::Changed,
            Joined::Waiting => Verdict::Ignored,
            Joined::TooOld => {
                self.refreshing = false;
                if image.is_none() { Verdict::Changed } else { Verdict::Ignored }
            }
            Joined::Ready(image, deltas) => {
                self.refreshing = false;
                self.join(&image, &deltas)
            }
        }
    }

    /// The first delta for a book that was taken from images alone.
    fn first_after_image(&mut self, update: SyncUpdate<'_>) -> Verdict {
        let image = SyncUpdate { seq: self.seq, cross_seq: self.cross_seq, ..update };
        if is_older(self.rule, update, image) {
            return self.old(update.seq);
        }
        if meets(self.rule, update, image) {
            self.is_image = false;
            return self.change(update);
        }
        let verdict = self.lose_to_gap(update.seq);
        self.stats.ignored += self.waiting.keep(self.rule, update);
        verdict
    }

    fn next_of_image(&mut self, update: SyncUpdate<'_>) -> Verdict {
        match self.rule {
            SyncRule::RangeFromImage => self.next_range(update),
            SyncRule::LinkedRangeFromImage => self.next_linked(update),
            _ => self.next(update),
        }
    }

    /// Joins the image and the deltas that wait, if they meet.
    fn align(&mut self) -> Verdict {
        let (joined, useless) = self.waiting.join(self.rule);
        self.stats.ignored += useless;
        let (image, deltas) = match joined {
            Joined::Waiting => return Verdict::Buffered,
            Joined::TooOld => return Verdict::ImageWanted,
            Joined::Ready(image, deltas) => (image, deltas),
        };
        self.join(&image, &deltas)
    }

    /// Puts the book together from an image and the deltas that follow on it.
    fn join(&mut self, image: &Kept, deltas: &VecDeque<Kept>) -> Verdict {
        self.reach = Reach::of(image.as_update(true));
        let mut verdict = self.replace(image.as_update(true));
        for (at, delta) in deltas.iter().enumerate() {
            if verdict != Verdict::Replaced {
                break;
            }
            let delta = delta.as_update(false);
            // The first was found to follow on the image, whose number need not be one that a delta names.
            let next = match at {
                0 if delta.seq < self.seq => continue,
                0 if self.rule != SyncRule::IncrementFromImage => self.change(delta),
                _ if delta.seq <= self.seq => continue,
                _ => self.next_of_image(delta),
            };
            if next != Verdict::Changed {
                verdict = next;
            }
        }
        verdict
    }
}
