//! Random numbers and elementary functions that are the same on every platform.
//!
//! Only `+ − × ÷ sqrt` and integers are used: those are exactly specified by IEEE 754, whereas the
//! `sin` or `exp` of a system library may differ in the last bit.

/// SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Debug, Clone)]
pub struct Rng(u64);

/// The finaliser of SplitMix64: a good 64-bit mixing function.
pub(crate) fn mix(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

impl Rng {
    /// A generator for `seed` and a purpose, so that two purposes never share their numbers.
    pub fn new(seed: u64, purpose: u64) -> Self {
        Self(mix(seed ^ mix(purpose.wrapping_add(0x9e37_79b9_7f4a_7c15))))
    }

    /// 64 random bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    /// Uniform in `[0, 1)`, with 24 random bits.
    pub fn unit(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / 16_777_216.0
    }

    /// Uniform in `[low, high)`.
    pub fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// Uniform in `0..n`; 0 when `n` is 0.
    pub fn below(&mut self, n: usize) -> usize {
        // The high half of a product: no division, and a bias below 2⁻⁵⁰ for the small `n` used here.
        ((u128::from(self.bits()) * n as u128) >> 64) as usize
    }

    /// True with probability `p`.
    pub fn chance(&mut self, p: f32) -> bool {
        self.unit() < p
    }

    /// −1 or +1.
    pub fn sign(&mut self) -> f32 {
        if self.bits() >> 63 == 0 { -1.0 } else { 1.0 }
    }

    /// Sum of twelve uniforms less six: mean 0, variance 1, never beyond ±6.
    pub fn normal(&mut self) -> f32 {
        let mut sum = 0.0;
        for _ in 0..12 {
            sum += self.unit();
        }
        sum - 6.0
    }

    /// One of the items; `None` only of an empty slice.
    pub fn pick<'a, T>(&mut self, items: &'a [T]) -> Option<&'a T> {
        items.get(self.below(items.len()))
    }

    /// Fisher–Yates shuffle.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.below(i + 1));
        }
    }
}

/// Sine and cosine of an angle in turns (1 = 360°), to about 1e-6.
pub(crate) fn sin_cos_turns(turns: f32) -> (f32, f32) {
    let t = turns - turns.floor();
    let quarter = (t * 4.0).floor();
    // Angle from the middle of the quadrant, in −π/4..π/4, where short Taylor series are exact enough.
    let x = (t - (quarter + 0.5) * 0.25) * core::f32::consts::TAU;
    let x2 = x * x;
    let s = x * (1.0 - x2 / 6.0 * (1.0 - x2 / 20.0 * (1.0 - x2 / 42.0)));
    let c = 1.0 - x2 / 2.0 * (1.0 - x2 / 12.0 * (1.0 - x2 / 30.0 * (1.0 - x2 / 56.0)));
    let (s, c) = ((s + c) * core::f32::consts::FRAC_1_SQRT_2, (c - s) * core::f32::consts::FRAC_1_SQRT_2);
    match quarter as u8 {
        0 => (s, c),
        1 => (c, -s),
        2 => (-s, -c),
        _ => (-c, s),
    }
}

/// Four roughly normal numbers (sum of four bytes each is too coarse in the tails for nothing but
/// noise) from two words of random bits; mean 0, variance 1.
pub(crate) fn noise_pair(bits: u64) -> (f32, f32) {
    let sum = |word: u32| {
        let b = word.to_le_bytes();
        f32::from(u16::from(b[0]) + u16::from(b[1]) + u16::from(b[2]) + u16::from(b[3]))
    };
    // Four bytes: mean 510, variance 4 · (256² − 1) / 12.
    let scale = |s: f32| (s - 510.0) / 147.8;
    (scale(sum(bits as u32)), scale(sum((bits >> 32) as u32)))
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests {
    use super::*;

    #[test]
    fn first_numbers_are_those_of_splitmix64() {
        // Reference values of the published algorithm for state 0.
        let mut rng = Rng(0);
        assert_eq!(rng.bits(), 0xe220_a839_7b1d_cdaf);
        assert_eq!(rng.bits(), 0x6e78_9e6a_a1b9_65f4);
    }

    #[test]
    fn sine_and_cosine_agree_with_the_library() {
        for i in -50..150 {
            let t = i as f32 / 37.0;
            let (s, c) = sin_cos_turns(t);
            let a = f64::from(t) * core::f64::consts::TAU;
            assert!((f64::from(s) - a.sin()).abs() < 5e-6, "{t}");
            assert!((f64::from(c) - a.cos()).abs() < 5e-6, "{t}");
        }
    }

    #[test]
    fn moments_are_as_said() {
        let mut rng = Rng::new(7, 1);
        let n = 40_000;
        let (mut sum, mut squares, mut fine, mut fine2) = (0.0f64, 0.0f64, 0.0f64, 0.0f64);
        for _ in 0..n {
            let v = f64::from(rng.normal());
            sum += v;
            squares += v * v;
            let (a, _) = noise_pair(rng.bits());
            fine += f64::from(a);
            fine2 += f64::from(a) * f64::from(a);
        }
        let n = f64::from(n);
        assert!((sum / n).abs() < 0.02 && (squares / n - 1.0).abs() < 0.03);
        assert!((fine / n).abs() < 0.02 && (fine2 / n - 1.0).abs() < 0.03);
    }
}
