//! Attribution by an information bottleneck (M2IB; Wang et al., "Visual Explanations of Image-Text Representations via
//! Multi-Modal Information Bottleneck Attribution", NeurIPS 2023), with the numbers of its authors' code.
//!
//! Behind one layer of a tower stands a number alpha for every place and channel. λ = sigmoid(alpha) of the value x passes,
//! and noise of deviation 1 − λ fills up: t = λ x + (1 − λ) ε. What of x then still passes is the divergence of t from
//! plain noise, −½ (1 + ln (1 − λ)² − (λ x)² − (1 − λ)²) nats. Adam makes β times its mean, less the mean cosine of the
//! text with what the tower makes of several draws, small.

use crate::random::SplitMix;
use candle_core::{DType, Result, Tensor, Var};
use candle_nn::ops::sigmoid;
use loupe_core::Bottleneck;

/// What alpha begins with: λ = 0.993.
const OPEN: f64 = 5.0;
const RATE: f64 = 1.0;
/// Adam's, of PyTorch.
const MOMENTS: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// Alpha with the moments of its gradient. All in 64 bits: 1 − λ has few digits left in 32.
struct Gate {
    alpha: Var,
    first: Tensor,
    second: Tensor,
    steps: i32,
}

/// What is let through at this step.
struct Opened {
    /// λ x.
    mean: Tensor,
    /// 1 − λ.
    deviation: Tensor,
}

impl Gate {
    fn new(like: &Tensor) -> Result<Self> {
        let zeros = like.zeros_like()?;
        Ok(Self {
            alpha: Var::from_tensor(&(&zeros + OPEN)?)?,
            first: zeros.clone(),
            second: zeros,
            steps: 0,
        })
    }

    fn open(&self, x: &Tensor) -> Result<Opened> {
        let alpha = self.alpha.as_tensor();
        Ok(Opened { mean: (x * sigmoid(alpha)?)?, deviation: sigmoid(&alpha.neg()?)? })
    }

    /// A step of Adam.
    fn step(&mut self, gradient: &Tensor) -> Result<()> {
        let [a, b] = MOMENTS;
        self.steps += 1;
        self.first = ((&self.first * a)? + (gradient * (1.0 - a))?)?;
        self.second = ((&self.second * b)? + (gradient.sqr()? * (1.0 - b))?)?;
        let first = (&self.first / (1.0 - a.powi(self.steps)))?;
        let second = ((&self.second / (1.0 - b.powi(self.steps)))?.sqrt()? + EPSILON)?;
        let moved = (self.alpha.as_tensor() - ((first / second)? * RATE)?)?;
        self.alpha.set(&moved.detach())
    }
}

impl Opened {
    /// What passes, by place and channel.
    fn capacity(&self) -> Result<Tensor> {
        let variance = self.deviation.sqr()?;
        ((self.mean.sqr()? + &variance)? - (variance.log()? + 1.0)?)? * 0.5
    }
}

/// The information that passes at each place, in nats: of `x` (places, channels) towards `text` (1, width); `behind` makes
/// a vector (1, width) of what takes the place of `x`.
pub(crate) fn capacities(
    x: &Tensor,
    text: &Tensor,
    how: &Bottleneck,
    behind: impl Fn(Tensor) -> Result<Tensor>,
) -> Result<Vec<f32>> {
    let (places, channels) = x.dims2()?;
    let (own, device) = (x.dtype(), x.device());
    let x = x.to_dtype(DType::F64)?.detach();
    let text = text.to_dtype(DType::F64)?.detach();
    let text = text.broadcast_div(&text.sqr()?.sum_all()?.sqrt()?)?;
    let mut gate = Gate::new(&x)?;
    let mut noise = SplitMix(how.seed);
    // The map is that of the last step before its change, so that the change is not made.
    for _ in 1..how.steps {
        let wide = (gate.open(&x)?.capacity()?.mean_all()? * how.beta)?;
        let mut sum = gradient(&wide, &gate)?;
        // One draw after the other: their memory is needed once.
        for _ in 0..how.draws {
            let Opened { mean, deviation } = gate.open(&x)?;
            let drawn = Tensor::from_vec(noise.normal(places * channels), (places, channels), device)?;
            let t = (mean + (deviation * drawn.to_dtype(DType::F64)?)?)?;
            let vector = behind(t.to_dtype(own)?)?.to_dtype(DType::F64)?;
            let length = vector.sqr()?.sum_all()?.sqrt()?;
            let cosine = ((vector * &text)?.sum_all()? / length)?;
            sum = (sum + gradient(&(cosine / -(how.draws as f64))?, &gate)?)?;
        }
        gate.step(&sum)?;
    }
    let passed = gate.open(&x)?.capacity()?.detach().sum(1)?;
    passed.to_dtype(DType::F32)?.to_vec1::<f32>()
}

fn gradient(of: &Tensor, gate: &Gate) -> Result<Tensor> {
    let found = of.backward()?;
    let missing = || candle_core::Error::Msg("no gradient reaches the bottleneck".into());
    Ok(found.get(gate.alpha.as_tensor()).ok_or_else(missing)?.detach())
}
