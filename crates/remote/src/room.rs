//! How many requests are under way at a time, and how long to wait before one is sent again.

use std::time::{Duration, Instant};

/// Requests at the beginning.
const AT_FIRST: f64 = 8.0;
/// Least time between two reductions: one storm counts once.
const STORM: Duration = Duration::from_millis(500);
/// First pause of a request that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause that the client chooses itself.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Room that grows while the server keeps up and halves when it says that it does not (additive increase,
/// multiplicative decrease, after doubling at first, as in RFC 5681).
#[derive(Debug, Clone)]
pub(crate) struct Room {
    now: f64,
    most: f64,
    /// Has the server ever been too busy?
    careful: bool,
    reduced: Option<Instant>,
}

impl Room {
    /// At most so many requests.
    pub(crate) fn new(most: usize) -> Self {
        let most = most.max(1) as f64;
        Self { now: AT_FIRST.min(most), most, careful: false, reduced: None }
    }

    /// Requests that may be under way.
    pub(crate) fn requests(&self) -> usize {
        (self.now as usize).max(1)
    }

    /// A reply came.
    pub(crate) fn kept_up(&mut self) {
        let more = if self.careful { 1.0 / self.now } else { 1.0 };
        self.now = (self.now + more).min(self.most);
    }

    /// The server was too busy.
    pub(crate) fn too_much(&mut self, at: Instant) {
        if self.reduced.is_some_and(|last| at.duration_since(last) < STORM) {
            return;
        }
        (self.careful, self.reduced) = (true, Some(at));
        self.now = (self.now / 2.0).max(1.0);
    }
}

/// Numbers that differ between clients, so that they do not all come back at the same time. Nothing that a result
/// depends on is drawn from it.
#[derive(Debug)]
pub(crate) struct Jitter(u64);

impl Jitter {
    pub(crate) fn new() -> Self {
        use std::hash::{BuildHasher, Hasher};
        Self(std::collections::hash_map::RandomState::new().build_hasher().finish() | 1)
    }

    /// From 0 to 1 (xorshift64*).
    fn share(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1u64 << 53) as f64
    }

    /// The pause before try `tries` + 1: what the server asks for and a little more, or twice as long each time,
    /// half of it by chance.
    pub(crate) fn pause(&mut self, tries: u32, asked: Option<Duration>) -> Duration {
        match asked {
            Some(asked) => {
                asked + Duration::from_millis(50).mul_f64(self.share()) + asked.mul_f64(0.1 * self.share())
            }
            None => {
                let whole =
                    FIRST_PAUSE.saturating_mul(1 << tries.saturating_sub(1).min(16)).min(LONGEST_PAUSE);
                whole.mul_f64(0.5 + 0.5 * self.share())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn room_grows_with_replies_and_halves_once_a_storm() {
        let mut room = Room::new(32);
        assert_eq!(room.requests(), 8);
        (0..100).for_each(|_| room.kept_up());
        assert_eq!(room.requests(), 32);
        let now = Instant::now();
        (0..20).for_each(|_| room.too_much(now));
        assert_eq!(room.requests(), 16);
        (0..16).for_each(|_| room.kept_up());
        assert!((16..=17).contains(&room.requests()), "{}", room.requests());
        for n in 1..20 {
            room.too_much(now + STORM * n);
        }
        assert_eq!(room.requests(), 1);
        assert_eq!(Room::new(0).requests(), 1);
    }

    #[test]
    fn pauses_grow_and_keep_what_the_server_asks_for() {
        let mut jitter = Jitter::new();
        for tries in 1..40 {
            let pause = jitter.pause(tries, None);
            let whole = FIRST_PAUSE.saturating_mul(1 << (tries - 1).min(16)).min(LONGEST_PAUSE);
            assert!(pause >= whole / 2 && pause <= whole, "{tries}: {pause:?}");
            let asked = jitter.pause(tries, Some(Duration::from_secs(2)));
            assert!(asked >= Duration::from_secs(2) && asked < Duration::from_millis(2300), "{asked:?}");
        }
    }
}
