//! Small networks against the sums of their definition, written out voxel by voxel.
#![allow(clippy::unwrap_used, missing_docs)]

use super::*;
use serde_json::json;

/// Numbers that look random.
fn values(count: usize, seed: u64) -> Vec<f32> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1u64 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

/// Channels and dilations of a chain of 3³ convolutions that ends in a 1³ one.
struct Plan {
    channels: Vec<usize>,
    dilations: Vec<usize>,
    classes: usize,
    activation: &'static str,
    normalised: bool,
}

impl Plan {
    /// `model.json` and its shard in a folder.
    fn write(&self, dir: &Path) {
        let (mut layers, mut weights, mut shard) = (Vec::new(), Vec::new(), Vec::new());
        layers.push(json!({"class_name": "InputLayer", "config": {"name": "input"}}));
        let mut from = 1;
        let mut tensor = |name: String, shape: &[usize], seed: u64, weights: &mut Vec<serde_json::Value>| {
            let drawn = values(shape.iter().product(), seed);
            shard.extend(drawn.iter().flat_map(|v| v.to_le_bytes()));
            weights.push(json!({"name": name, "shape": shape, "dtype": "float32"}));
        };
        let sizes = self.channels.iter().zip(&self.dilations).map(|(c, d)| (*c, *d, 3));
        for (n, (to, dilation, side)) in sizes.chain([(self.classes, 1, 1)]).enumerate() {
            let last = n == self.channels.len();
            let mark = if self.normalised && !last { "_gn" } else { "" };
            let name = format!("conv{n}{mark}");
            let bias = !self.normalised || last;
            tensor(format!("{name}/kernel"), &[side, side, side, from, to], n as u64 * 2 + 1, &mut weights);
            if bias {
                tensor(format!("{name}/bias"), &[to], n as u64 * 2 + 2, &mut weights);
            }
            layers.push(json!({"class_name": "Conv3D", "config": {
                "name": name, "filters": to, "kernel_size": [side, side, side], "strides": [1, 1, 1],
                "dilation_rate": [dilation, dilation, dilation], "padding": "same", "activation": "linear", "use_bias": bias,
            }}));
            if !last {
                layers.push(json!({"class_name": "Activation",
                    "config": {"name": format!("a{n}"), "activation": self.activation}}));
            }
            from = to;
        }
        let file = json!({
            "modelTopology": {"model_config": {"config": {"layers": layers}}},
            "weightsManifest": [{"paths": ["group.bin"], "weights": weights}],
        });
        std::fs::write(dir.join(TOPOLOGY), file.to_string()).unwrap();
        std::fs::write(dir.join("group.bin"), shard).unwrap();
    }

    fn load(&self) -> MeshNet {
        let dir = tempfile::tempdir().unwrap();
        self.write(dir.path());
        MeshNet::load(&Checkpoint::directory(dir.path()), "meshnet").unwrap()
    }
}

/// The outputs of a network by the definition of its layers, in double precision: (class, slice, row, column).
fn by_definition(net: &MeshNet, input: &[f32], [slices, rows, columns]: [usize; 3]) -> Vec<Vec<f64>> {
    let mut channels: Vec<Vec<f64>> = vec![input.iter().map(|v| f64::from(*v)).collect()];
    for layer in &net.layers {
        let reach = (layer.side / 2) as i64;
        let mut out = vec![vec![0.0; slices * rows * columns]; layer.to];
        for (to, out) in out.iter_mut().enumerate() {
            #[expect(clippy::needless_range_loop, reason = "an index of two lists")]
            for at in 0..out.len() {
                let (k, j, i) = (at / (rows * columns), at / columns % rows, at % columns);
                let mut sum = f64::from(layer.bias[to]);
                for (from, channel) in channels.iter().enumerate() {
                    for x in -reach..=reach {
                        for y in -reach..=reach {
                            for z in -reach..=reach {
                                let step = layer.dilation as i64;
                                let place = [k as i64 + z * step, j as i64 + y * step, i as i64 + x * step];
                                let inside = place
                                    .iter()
                                    .zip([slices, rows, columns])
                                    .all(|(p, n)| *p >= 0 && *p < n as i64);
                                if !inside {
                                    continue;
                                }
                                let [k, j, i] = place.map(|p| p as usize);
                                let tap = [x, y, z].map(|t| (t + reach) as usize);
                                let weight = ((tap[0] * layer.side + tap[1]) * layer.side + tap[2])
                                    * layer.from
                                    + from;
                                let weight = layer.kernel[weight * layer.to + to];
                                sum += f64::from(weight) * channel[(k * rows + j) * columns + i];
                            }
                        }
                    }
                }
                out[at] = sum;
            }
            if layer.normalised {
                let n = out.len() as f64;
                let mean = out.iter().sum::<f64>() / n;
                let variance = out.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / n;
                out.iter_mut().for_each(|v| *v = (*v - mean) / (variance + 1e-5).sqrt());
            }
            for v in out.iter_mut() {
                *v = match layer.activation {
                    Activation::Linear => *v,
                    Activation::Relu => v.max(0.0),
                    Activation::Elu => {
                        if *v < 0.0 {
                            v.exp() - 1.0
                        } else {
                            *v
                        }
                    }
                    Activation::Gelu => 0.5 * *v * (1.0 + erf_f64(*v / 2f64.sqrt())),
                };
            }
        }
        channels = out;
    }
    channels
}

#[test]
fn every_published_kind_of_layer_is_what_its_definition_says() {
    let shape = [7, 6, 9];
    let input = values(7 * 6 * 9, 77);
    for (activation, normalised) in [("relu", false), ("elu", false), ("gelu", true), ("gelu", false)] {
        let plan = Plan { channels: vec![5, 7], dilations: vec![1, 2], classes: 11, activation, normalised };
        let net = plan.load();
        let outputs = by_definition(&net, &input, shape);
        let got = net.labels(Grid { shape, channels: vec![input.clone()] }, usize::MAX).unwrap();
        let mut close = 0;
        for (at, label) in got.iter().enumerate() {
            let mut order: Vec<(f64, usize)> = outputs.iter().enumerate().map(|(c, v)| (v[at], c)).collect();
            order.sort_by(|a, b| b.0.total_cmp(&a.0));
            // Where the two best are nearer than single precision tells, either is right.
            if order[0].0 - order[1].0 < 1e-4 {
                close += 1;
                continue;
            }
            assert_eq!(usize::from(*label), order[0].1, "{activation}, voxel {at}");
        }
        assert!(close < got.len() / 20, "{close} of {}", got.len());
    }
}

#[test]
fn tiles_give_the_labels_of_the_whole_with_any_number_of_classes() {
    let plan = Plan {
        channels: vec![6, 6, 6],
        dilations: vec![1, 4, 2],
        classes: 104,
        activation: "elu",
        normalised: false,
    };
    let (net, shape) = (plan.load(), [60, 8, 10]);
    let grid = || Grid { shape, channels: vec![values(60 * 8 * 10, 5)] };
    let whole = net.labels(grid(), usize::MAX).unwrap();
    assert!(whole.iter().collect::<std::collections::BTreeSet<_>>().len() > 20);
    let slice = 2 * 6 * 8 * 10 * 4;
    for slices in [1, 20, 31, 59] {
        assert_eq!(net.labels(grid(), slices * slice).unwrap(), whole, "{slices} slices fit");
    }
}

#[test]
fn an_unknown_activation_is_refused_by_its_name() {
    let plan =
        Plan { channels: vec![2], dilations: vec![1], classes: 2, activation: "swish", normalised: false };
    let dir = tempfile::tempdir().unwrap();
    plan.write(dir.path());
    let error = MeshNet::load(&Checkpoint::directory(dir.path()), "meshnet").unwrap_err().to_string();
    assert!(error.contains("swish") && error.contains("relu, elu, gelu"), "{error}");
}

#[test]
fn quantiles_are_those_of_the_sorted_values() {
    let ramp: Vec<f32> = (0..200).rev().map(|v| v as f32).collect();
    assert_eq!(quantiles(&ramp, 0.05, 0.95), Some((10.0, 189.0)));
    assert_eq!(quantiles(&[f32::NAN], 0.05, 0.95), None);
}
