//! Which samples of a large run are on its page: those that a reader looks for first.

use loupe_eval::{JudgedItem, Verdict};

/// Samples of a page that come with their pictures; pictures of more do not fit a page that goes through the mail.
pub(crate) const PICTURED: usize = 1000;

/// How soon a reader wants to see an item, and its first figure, the worst first.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Urgency(u8, f64);

impl Urgency {
    pub(crate) fn of(judged: &JudgedItem) -> Self {
        let Some((_, judgement)) = judged.verdicts.first() else { return Self(2, 0.0) };
        let rank = match judgement.verdict {
            Verdict::Wrong => 0,
            Verdict::Unparsed => 1,
            Verdict::Failed => 2,
            Verdict::Unscored => 3,
            Verdict::Correct => 4,
        };
        Self(rank, judgement.values.first().map_or(0.0, |v| v.value))
    }

    /// Of a sample of several runs: those they disagree about come first.
    pub(crate) fn of_several(right: &[bool]) -> Self {
        let all = right.iter().filter(|r| **r).count();
        Self(
            if all == 0 {
                1
            } else if all == right.len() {
                2
            } else {
                0
            },
            0.0,
        )
    }
}

/// Which items are on the page and which of them with their pictures.
#[derive(Debug, Default)]
pub(crate) struct Selection {
    urgencies: Vec<Urgency>,
    /// Place of each item in the order of urgency.
    places: Vec<usize>,
    samples: usize,
}

impl Selection {
    /// Of these items in dataset order at most `samples`.
    pub(crate) fn of(urgencies: Vec<Urgency>, samples: usize) -> Self {
        let mut order: Vec<usize> = (0..urgencies.len()).collect();
        let key = |n: &usize| urgencies.get(*n).copied().unwrap_or(Urgency(u8::MAX, 0.0));
        order.sort_by(|a, b| {
            let (a, b) = (key(a), key(b));
            a.0.cmp(&b.0).then(a.1.total_cmp(&b.1))
        });
        let mut places = vec![0; order.len()];
        for (place, item) in order.into_iter().enumerate() {
            if let Some(slot) = places.get_mut(item) {
                *slot = place;
            }
        }
        Self { urgencies, places, samples }
    }

    /// Its place in the order of urgency.
    pub(crate) fn place(&self, item: usize) -> usize {
        self.places.get(item).copied().unwrap_or(usize::MAX)
    }

    /// Is the item on the page?
    pub(crate) fn shows(&self, item: usize) -> bool {
        self.place(item) < self.samples
    }

    /// Are its pictures?
    pub(crate) fn pictures(&self, item: usize) -> bool {
        self.place(item) < PICTURED
    }

    /// What a page that does not show everything says.
    pub(crate) fn note(&self) -> String {
        let total = self.urgencies.len();
        let shown = total.min(self.samples);
        let mut words = String::new();
        if shown < total {
            words += &format!("; the page shows {shown} of {total} samples, those that are not right first");
        }
        if shown > PICTURED {
            words += &format!("; {PICTURED} of them with pictures");
        }
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_wrong_comes_first_and_the_set_s_order_decides_the_rest() {
        let of =
            |ranks: &[u8], samples| Selection::of(ranks.iter().map(|r| Urgency(*r, 0.0)).collect(), samples);
        let few = of(&[4, 0, 4, 1, 2], 3);
        assert_eq!((0..5).map(|n| few.shows(n)).collect::<Vec<_>>(), [false, true, false, true, true]);
        assert!(few.note().contains("3 of 5 samples"));
        let all = of(&[4, 0], 5);
        assert!(all.shows(0) && all.pictures(0) && all.note().is_empty() && !all.shows(2));
        // The lowest figure before others.
        let worst = Selection::of(vec![Urgency(3, 0.9), Urgency(3, 0.1)], 1);
        assert!(worst.shows(1) && !worst.shows(0));
        assert_eq!(Urgency::of_several(&[true, false]), Urgency(0, 0.0));
        assert_eq!(Urgency::of_several(&[true, true]), Urgency(2, 0.0));
        let many = of(&vec![0; PICTURED + 1], 5000);
        assert!(many.shows(PICTURED) && !many.pictures(PICTURED) && many.note().ends_with("with pictures"));
    }
}
