//! Distribution functions, to about 1e-13: normal, Student's t, beta, gamma, F, χ², the latter two also non-central.

use std::f64::consts::PI;

/// ln Γ(x) for x > 0 (Lanczos, g = 7, n = 9).
pub fn ln_gamma(x: f64) -> f64 {
    const C: [f64; 9] = [
        0.999_999_999_999_809_9,
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        return (PI / (PI * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let t = x + 7.5;
    let sum = C.iter().enumerate().skip(1).fold(C[0], |s, (i, c)| s + c / (x + i as f64));
    0.5 * (2.0 * PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

/// ln Γ(a + b) − ln Γ(a), without losing digits when `a` is large (Stirling's series).
fn ln_gamma_ratio(a: f64, b: f64) -> f64 {
    if a < 20.0 {
        return ln_gamma(a + b) - ln_gamma(a);
    }
    let rest = |x: f64| {
        (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * x * x)) / (x * x)) / (x * x)) / x
    };
    (a - 0.5) * (b / a).ln_1p() + b * (a + b).ln() - b + rest(a + b) - rest(a)
}

/// Regularised incomplete beta I_x(a, b) (continued fraction, modified Lentz).
pub fn beta_cdf(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    if x > (a + 1.0) / (a + b + 2.0) {
        return 1.0 - beta_cdf(1.0 - x, b, a);
    }
    let front =
        (ln_gamma_ratio(a.max(b), a.min(b)) - ln_gamma(a.min(b)) + a * x.ln() + b * (-x).ln_1p()).exp();
    let (mut c, mut d) = (1.0, tiny(1.0 - (a + b) * x / (a + 1.0)).recip());
    let mut h = d;
    for m in 1..10_000 {
        let m = f64::from(m);
        for numerator in [
            m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m)),
            -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0)),
        ] {
            d = tiny(1.0 + numerator * d).recip();
            c = tiny(1.0 + numerator / c);
            h *= d * c;
        }
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    (front * h / a).clamp(0.0, 1.0)
}

fn tiny(v: f64) -> f64 {
    if v.abs() < 1e-300 { 1e-300 } else { v }
}

/// The x with I_x(a, b) = p.
pub fn beta_quantile(p: f64, a: f64, b: f64) -> f64 {
    invert(p, 0.0, 1.0, |x| beta_cdf(x, a, b))
}

/// Bisection to the last bit for an increasing function.
fn invert(p: f64, mut lo: f64, mut hi: f64, cdf: impl Fn(f64) -> f64) -> f64 {
    for _ in 0..200 {
        let mid = 0.5 * (lo + hi);
        if mid <= lo || mid >= hi {
            break;
        }
        if cdf(mid) < p { lo = mid } else { hi = mid }
    }
    0.5 * (lo + hi)
}

/// Upper regularised incomplete gamma Q(a, x): series below a + 1, continued fraction above.
pub fn gamma_upper(a: f64, x: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let front = (a * x.ln() - x - ln_gamma(a)).exp();
    if x < a + 1.0 {
        let (mut term, mut sum, mut n) = (1.0 / a, 1.0 / a, a);
        for _ in 0..10_000 {
            n += 1.0;
            term *= x / n;
            sum += term;
            if term < sum * 1e-17 {
                break;
            }
        }
        return 1.0 - front * sum;
    }
    let mut b = x + 1.0 - a;
    let (mut c, mut d) = (1e300, b.recip());
    let mut h = d;
    for i in 1..10_000 {
        let i = f64::from(i);
        let numerator = -i * (i - a);
        b += 2.0;
        d = tiny(numerator * d + b).recip();
        c = tiny(b + numerator / c);
        h *= d * c;
        if (d * c - 1.0).abs() < 1e-16 {
            break;
        }
    }
    front * h
}

/// P(X > x) of the χ² distribution.
pub fn chi2_sf(x: f64, df: f64) -> f64 {
    gamma_upper(df / 2.0, x / 2.0)
}

/// The x with P(X > x) = `tail` of the χ² distribution.
pub fn chi2_upper(tail: f64, df: f64) -> f64 {
    let mut hi = df.max(1.0);
    while chi2_sf(hi, df) > tail && hi < 1e300 {
        hi *= 2.0;
    }
    invert(-tail, 0.0, hi, |x| -chi2_sf(x, df))
}

/// P(X > x) of Fisher's F distribution; `df2` may be infinite, when df1·X has the χ² distribution.
pub fn f_sf(x: f64, df1: f64, df2: f64) -> f64 {
    if x <= 0.0 {
        1.0
    } else if df2.is_finite() {
        beta_cdf(df2 / (df2 + df1 * x), df2 / 2.0, df1 / 2.0)
    } else {
        chi2_sf(df1 * x, df1)
    }
}

/// The x with P(X > x) = `tail` of the F distribution; `df2` may be infinite.
pub fn f_upper(tail: f64, df1: f64, df2: f64) -> f64 {
    if !df2.is_finite() {
        return chi2_upper(tail, df1) / df1;
    }
    // x = (df2/df1)·(1 − b)/b with b of a beta distribution.
    let b = beta_quantile(tail, df2 / 2.0, df1 / 2.0);
    df2 / df1 * (1.0 - b) / b
}

/// P(X > x) of the non-central F distribution: central ones mixed with Poisson weights of mean
/// `noncentrality`/2. `df2` may be infinite, when df1·X has the non-central χ² distribution.
pub fn noncentral_f_sf(x: f64, df1: f64, df2: f64, noncentrality: f64) -> f64 {
    if x <= 0.0 {
        return 1.0;
    }
    let half = (noncentrality / 2.0).max(0.0);
    let weight = |j: f64| {
        if half > 0.0 { (j * half.ln() - half - ln_gamma(j + 1.0)).exp() } else { f64::from(j == 0.0) }
    };
    let tail = |j: f64| {
        if df2.is_finite() {
            beta_cdf(df2 / (df2 + df1 * x), df2 / 2.0, df1 / 2.0 + j)
        } else {
            gamma_upper(df1 / 2.0 + j, df1 * x / 2.0)
        }
    };
    // Outwards from the largest weight, until what is left is less than the last digit.
    let middle = half.floor();
    let (mut sum, mut seen) = (0.0, 0.0);
    let mut add = |j: f64| {
        let w = weight(j);
        sum += w * tail(j);
        seen += w;
        w > 1e-17
    };
    let mut j = middle;
    while add(j) {
        j += 1.0;
    }
    let mut j = middle - 1.0;
    while j >= 0.0 && add(j) {
        j -= 1.0;
    }
    if seen > 0.0 { (sum / seen).clamp(0.0, 1.0) } else { 1.0 }
}

/// P(Z > z) of the standard normal distribution.
pub fn normal_sf(z: f64) -> f64 {
    if z < 0.0 { 1.0 - normal_sf(-z) } else { 0.5 * gamma_upper(0.5, z * z / 2.0) }
}

/// P(Z ≤ z).
pub fn normal_cdf(z: f64) -> f64 {
    normal_sf(-z)
}

/// The z with P(Z ≤ z) = p; infinite at 0 and 1.
pub fn normal_quantile(p: f64) -> f64 {
    if p <= 0.0 {
        return f64::NEG_INFINITY;
    }
    if p >= 1.0 {
        return f64::INFINITY;
    }
    if p < 0.5 {
        return -upper_normal_quantile(p);
    }
    upper_normal_quantile(1.0 - p)
}

/// z ≥ 0 with P(Z > z) = q ≤ 1/2.
fn upper_normal_quantile(q: f64) -> f64 {
    invert(-q, 0.0, 40.0, |z| -normal_sf(z))
}

/// P(T ≤ t) of Student's distribution.
pub fn t_cdf(t: f64, df: f64) -> f64 {
    if !df.is_finite() {
        return normal_cdf(t);
    }
    let tail = 0.5 * beta_cdf(df / (df + t * t), df / 2.0, 0.5);
    if t > 0.0 { 1.0 - tail } else { tail }
}

/// P(|T| > |t|).
pub fn t_two_sided(t: f64, df: f64) -> f64 {
    if !df.is_finite() {
        return 2.0 * normal_sf(t.abs());
    }
    beta_cdf(df / (df + t * t), df / 2.0, 0.5)
}

/// The t with P(T ≤ t) = p.
pub fn t_quantile(p: f64, df: f64) -> f64 {
    if !df.is_finite() {
        return normal_quantile(p);
    }
    if p < 0.5 {
        return -t_quantile(1.0 - p, df);
    }
    // t² = df·y/x with x = 1 − y of beta distributions; the smaller of the two is found, so that no
    // digits are lost in the difference.
    let tail = 2.0 * (1.0 - p);
    if tail < 0.5 {
        let x = beta_quantile(tail, df / 2.0, 0.5);
        (df * (1.0 - x) / x).sqrt()
    } else {
        let y = beta_quantile(1.0 - tail, 0.5, df / 2.0);
        (df * y / (1.0 - y)).sqrt()
    }
}

/// ln of the binomial coefficient.
pub fn ln_choose(n: f64, k: f64) -> f64 {
    ln_gamma(n + 1.0) - ln_gamma(k + 1.0) - ln_gamma(n - k + 1.0)
}

/// P(X = k) for X ~ Binomial(n, 1/2).
pub fn fair_binomial(k: u64, n: u64) -> f64 {
    (ln_choose(n as f64, k as f64) - n as f64 * std::f64::consts::LN_2).exp()
}

/// P(X ≤ k) for X ~ Binomial(n, 1/2).
pub fn fair_binomial_cdf(k: u64, n: u64) -> f64 {
    if k >= n { 1.0 } else { beta_cdf(0.5, (n - k) as f64, (k + 1) as f64) }
}
