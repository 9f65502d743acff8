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

/// Columns that one call appended, or several calls without a hole.
#[derive(Debug, Clone)]
struct Stretch {
    /// First column.
    start: usize,
    /// Columns.
    width: usize,
    /// Tokens of each row; what is left of the width is a hole.
    lengths: Vec<usize>,
}

impl Stretch {
    fn is_full(&self) -> bool {
        self.lengths.iter().all(|n| *n == self.width)
    }
}

/// Rows that continue the same prefix. Their own keys and values lie in one buffer a layer of shape
/// (kv heads, rows, columns, head dimension); each call appends as many columns as its longest row has
/// tokens, and shorter rows leave a hole.
#[derive(Debug)]
pub(crate) struct Group {
    /// What all rows continue, in order.
    pub(crate) prefix: Vec<Piece>,
    /// Tokens of each row in the coming call; at least one.
    pub(crate) tokens: Vec<usize>,
    /// Tokens of the coming call that stand for one picture each, by row: first and number within the call.
    pub(crate) pictures: Vec<Vec<(usize, usize)>>,
    /// What the columns in use hold, in order.
    stretches: Vec<Stretch>,
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
        let pictures = vec![Vec::new(); tokens.len()];
        Self { prefix, tokens, pictures, stretches: Vec::new(), own, columns: 0, reserve }
    }

    pub(crate) fn rows(&self) -> usize {
        self.tokens.len()
    }

    /// Columns of the coming call: the longest row.
    pub(crate) fn step(&self) -> usize {
        self.tokens.iter().copied().max().unwrap_or(0)
    }

    /// Tokens of the prefix.
    pub(crate) fn shared(&self) -> usize {
        self.prefix.iter().map(|p| p.tokens).sum()
    }

    /// Is there a column in use that is a hole in some row?
    pub(crate) fn is_ragged(&self) -> bool {
        !self.stretches.iter().all(Stretch::is_full)
    }

    /// Tokens of `row` in the columns in use.
    pub(crate) fn length(&self, row: usize) -> usize {
        self.stretches.iter().filter_map(|s| s.lengths.get(row)).sum()
    }

    /// For each column in use: which token of `row` it holds, counted without the prefix; `None` for a hole.
    pub(crate) fn held(&self, row: usize) -> Vec<Option<usize>> {
        let mut out = Vec::with_capacity(self.columns);
        let mut before = 0;
        for stretch in &self.stretches {
            let n = stretch.lengths.get(row).copied().unwrap_or(0);
            out.extend((0..stretch.width).map(|c| (c < n).then_some(before + c)));
            before += n;
        }
        out
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
        let stretch = Stretch { start: self.columns, width: self.step(), lengths: self.tokens.clone() };
        self.columns += stretch.width;
        match self.stretches.last_mut() {
            // Calls of one token each would make a list as long as the reply.
            Some(last) if last.is_full() && stretch.is_full() => {
                last.width += stretch.width;
                last.lengths.fill(last.width);
            }
            _ => self.stretches.push(stretch),
        }
        self.tokens.fill(1);
        self.pictures.iter_mut().for_each(Vec::clear);
    }

    /// Keys and values of `row` alone, holes left out, as a segment that owns its memory: a view would keep
    /// the whole group's buffer alive.
    pub(crate) fn segment(&self, row: usize) -> Result<Segment> {
        let take = |t: &Tensor| -> Result<Tensor> {
            let t = t.narrow(1, row, 1)?.squeeze(1)?;
            let parts = self.stretches.iter().filter(|s| s.lengths[row] > 0);
            let parts = parts.map(|s| t.narrow(1, s.start, s.lengths[row])?.contiguous());
            let parts = parts.collect::<Result<Vec<_>>>()?;
            match parts.as_slice() {
                [one] => one.copy(),
                all => Tensor::cat(all, 1),
            }
        };
        let layers = self.own.iter().flatten().map(|(k, v)| Ok((take(k)?, take(v)?)));
        Ok(Segment { layers: layers.collect::<Result<_>>()?, tokens: self.length(row) })
    }

    /// Keeps only the given rows, in that order.
    pub(crate) fn keep(&mut self, rows: &[usize]) -> Result<()> {
        if rows.iter().copied().eq(0..self.rows()) {
            return Ok(());
        }
        let index: Vec<u32> = rows.iter().map(|r| *r as u32).collect();
        for slot in self.own.iter_mut().flatten() {
            let index = Tensor::new(index.as_slice(), slot.0.device())?;
            *slot = (slot.0.index_select(&index, 1)?, slot.1.index_select(&index, 1)?);
        }
        self.tokens = rows.iter().map(|r| self.tokens[*r]).collect();
        self.pictures = rows.iter().map(|r| self.pictures[*r].clone()).collect();
        for stretch in &mut self.stretches {
            stretch.lengths = rows.iter().map(|r| stretch.lengths[*r]).collect();
        }
        Ok(())
    }
}
