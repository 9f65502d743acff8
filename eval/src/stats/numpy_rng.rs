//! numpy's `default_rng`: `SeedSequence`, PCG64 (XSL-RR 128/64) and bounded integers, to the bit.
//!
//! Published bootstrap intervals name a numpy seed; repeating them needs the same stream
//! (O'Neill 2014 for the generator, Lemire 2019 for the bounds, numpy's `bit_generator.pyx` and
//! `distributions.c` for the details).

/// A generator equal to `numpy.random.default_rng(seed)` for seeds below 2³².
#[derive(Debug, Clone)]
pub struct NumpyRng {
    state: u128,
    increment: u128,
    spare: Option<u32>,
}

const MULTIPLIER: u128 = 0x2360_ed05_1fc6_5da4_4385_df64_9fcc_f645;

impl NumpyRng {
    /// `numpy.random.default_rng(seed)`.
    pub fn new(seed: u32) -> Self {
        let w = seed_words(seed);
        let wide = |high: u64, low: u64| (u128::from(high) << 64) | u128::from(low);
        let increment = (wide(w[2], w[3]) << 1) | 1;
        let mut rng = Self { state: 0, increment, spare: None };
        rng.step();
        rng.state = rng.state.wrapping_add(wide(w[0], w[1]));
        rng.step();
        rng
    }

    fn step(&mut self) {
        self.state = self.state.wrapping_mul(MULTIPLIER).wrapping_add(self.increment);
    }

    /// 64 random bits.
    pub fn next_u64(&mut self) -> u64 {
        self.step();
        let (high, low) = ((self.state >> 64) as u64, self.state as u64);
        (high ^ low).rotate_right((self.state >> 122) as u32)
    }

    /// 32 random bits: the lower half of 64, then the upper one.
    pub fn next_u32(&mut self) -> u32 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let both = self.next_u64();
        self.spare = Some((both >> 32) as u32);
        both as u32
    }

    /// `integers(0, n)` for 1 ≤ n < 2³² (Lemire's method on 32 bits); 0 for n = 0.
    pub fn below(&mut self, n: u32) -> u32 {
        if n < 2 {
            return 0; // numpy draws nothing for a single value
        }
        let mut wide = u64::from(self.next_u32()) * u64::from(n);
        if (wide as u32) < n {
            let threshold = n.wrapping_neg() % n;
            while (wide as u32) < threshold {
                wide = u64::from(self.next_u32()) * u64::from(n);
            }
        }
        (wide >> 32) as u32
    }

    /// `random()`: a double in [0, 1) from 53 bits.
    pub fn unit(&mut self) -> f64 {
        (self.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }
}

/// `SeedSequence(seed).generate_state(4, uint64)`.
fn seed_words(seed: u32) -> [u64; 4] {
    const POOL: usize = 4;
    const INIT_A: u32 = 0x43b0_d7e5;
    const MULT_A: u32 = 0x931e_8875;
    const INIT_B: u32 = 0x8b51_f9dd;
    const MULT_B: u32 = 0x58f3_8ded;
    const MIX_L: u32 = 0xca01_f9dd;
    const MIX_R: u32 = 0x4973_f715;
    let mut constant = INIT_A;
    let mut hash = |value: u32| {
        let value = value ^ constant;
        constant = constant.wrapping_mul(MULT_A);
        let value = value.wrapping_mul(constant);
        value ^ (value >> 16)
    };
    let mix = |x: u32, y: u32| {
        let mixed = MIX_L.wrapping_mul(x).wrapping_sub(MIX_R.wrapping_mul(y));
        mixed ^ (mixed >> 16)
    };
    let mut pool = [seed, 0, 0, 0].map(&mut hash);
    for from in 0..POOL {
        for to in (0..POOL).filter(|&to| to != from) {
            pool[to] = mix(pool[to], hash(pool[from]));
        }
    }
    let mut constant = INIT_B;
    let mut words = [0u32; 8];
    for (word, value) in words.iter_mut().zip(pool.iter().cycle()) {
        let value = value ^ constant;
        constant = constant.wrapping_mul(MULT_B);
        let value = value.wrapping_mul(constant);
        *word = value ^ (value >> 16);
    }
    [0, 1, 2, 3].map(|i| u64::from(words[2 * i]) | (u64::from(words[2 * i + 1]) << 32))
}
