//! Keys and values of tokens already seen: shared segments and the growing part of each row.

use candle_core::{Result, Tensor};
use std::sync::Arc;

/// Keys and values of a run of tokens, one pair a layer, each (kv heads, tokens, head dimension).
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) layers: Vec<(Tensor, Tensor)>,
    pub(crate) tokens: usize,
}

impl Segment {
    /// Bytes that keys and values take.
    pub(crate) fn bytes(&self) -> u64 {
        let size = |t: &Tensor| (t.elem_count() * t.dtype().size_in_bytes()) as u64;
        self.layers.iter().map(|(k, v)| size(k) + size(v)).sum()
    }
}

/// The first `tokens` of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) segment: Arc<Segment>,
    pub(crate) tokens: usize,
}

/// Rows that continue the same prefix. Their own keys and values lie in one buffer a layer of
/// shape (kv heads, rows, columns, head dimension): the first call fills columns 0 to the longest
/// row (shorter rows leave a hole), later calls one column each.
#[derive(Debug)]
pub(crate) struct Group {
    /// What all rows continue, in order.
    pub(crate) prefix: Vec<Piece>,
    /// Tokens of each row in the coming call.
    pub(crate) tokens: Vec<usize>,
    /// Tokens of each row in the first call.
    first: Vec<usize>,
    /// Where the columns of the first call end, for all rows.
    hole_end: usize,
    own: Vec<Option<(Tensor, Tensor)>>,
    /// Columns in use.
    pub(crate) columns: usize,
    /// Columns to make room for when the buffers are made.
    reserve: usize,
}

impl Group {
    /// Rows of the given lengths after `prefix`; `reserve` further tokens are expected.
    pub(crate) fn new(prefix: Vec<Piece>, tokens: Vec<usize>, layers: usize, reserve: usize) -> Self {
        let own = (0..layers).map(|_| None).collect();
        let hole_end = tokens.iter().copied().max().unwrap_or(0);
        Self { prefix, first: tokens.clone(), hole_end, tokens, own, columns: 0, reserve }
    }

    pub(crate) fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// Columns of the coming call: the longest row.
    pub(crate) fn step(&self) -> usize {
        self.tokens.iter().copied().max().unwrap_or(0)
    }

    /// Is there a column that is a hole in some row?
    pub(crate) fn is_ragged(&self) -> bool {
        self.first.iter().any(|n| *n != self.hole_end)
    }

    /// Does `row` see `column` (earlier than its own)?
    pub(crate) fn sees(&self, row: usize, column: usize) -> bool {
        column < self.first[row] || column >= self.hole_end
    }

    /// Appends `step` columns of keys and values, each (kv heads, rows, step, head dimension), and
    /// returns the columns in use including them.
    pub(crate) fn append(&mut self, layer: usize, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let (heads, rows, step, dim) = k.dims4()?;
        let need = self.columns + step;
        let room = match &self.own[layer] {
            Some((k, _)) => k.dim(2)?,
            None => 0,
        };
        if room < need {
            if room == 0 && self.reserve == 0 {
                self.own[layer] = Some((k.contiguous()?, v.contiguous()?));
                return Ok((k.clone(), v.clone()));
            }
            let capacity = need + if room == 0 { self.reserve } else { need / 2 + 8 };
            let grow = |old: Option<&Tensor>| -> Result<Tensor> {
                let new = Tensor::zeros((heads, rows, capacity, dim), k.dtype(), k.device())?;
                if let Some(old) = old {
                    new.slice_set(&old.narrow(2, 0, self.columns)?.contiguous()?, 2, 0)?;
                }
                Ok(new)
            };
            let old = self.own[layer].as_ref();
            self.own[layer] = Some((grow(old.map(|o| &o.0))?, grow(old.map(|o| &o.1))?));
        }
        let Some((keys, values)) = &self.own[layer] else {
            return Err(candle_core::Error::Msg("no room for keys and values".into()));
        };
        keys.slice_set(&k.contiguous()?, 2, self.columns)?;
        values.slice_set(&v.contiguous()?, 2, self.columns)?;
        Ok((keys.narrow(2, 0, need)?, values.narrow(2, 0, need)?))
    }

    /// Ends a call: every layer has appended its columns.
    pub(crate) fn advance(&mut self) {
        self.columns += self.step();
        self.tokens.fill(1);
    }

    /// Keys and values of `row` alone, holes left out, as a segment.
    pub(crate) fn segment(&self, row: usize) -> Result<Segment> {
        let later = self.columns.saturating_sub(self.hole_end);
        let take = |t: &Tensor| -> Result<Tensor> {
            let t = t.narrow(1, row, 1)?.squeeze(1)?;
            let first = t.narrow(1, 0, self.first[row])?;
            if later == 0 {
                // `copy` because a view would keep the whole group's buffer alive.
                return first.copy();
            }
            Tensor::cat(&[&first.contiguous()?, &t.narrow(1, self.hole_end, later)?.contiguous()?], 1)
        };
        let layers = self.own.iter().flatten().map(|(k, v)| Ok((take(k)?, take(v)?)));
        Ok(Segment { layers: layers.collect::<Result<_>>()?, tokens: self.first[row] + later })
    }

    /// Keeps only the given rows.
    pub(crate) fn keep(&mut self, rows: &[usize]) -> Result<()> {
        if rows.len() == self.rows() {
            return Ok(());
        }
        let index: Vec<u32> = rows.iter().map(|r| *r as u32).collect();
        for slot in self.own.iter_mut().flatten() {
            let index = Tensor::new(index.as_slice(), slot.0.device())?;
            *slot = (slot.0.index_select(&index, 1)?, slot.1.index_select(&index, 1)?);
        }
        self.tokens = rows.iter().map(|r| self.tokens[*r]).collect();
        self.first = rows.iter().map(|r| self.first[*r]).collect();
        Ok(())
    }
}
