//! Keys and values of tokens already seen: shared segments and the growing part of each row.

use super::sight::Masks;
use candle_core::{Error, Result, Tensor};
use std::ops::Range;
use std::sync::Arc;

/// Columns that are made room for when a buffer is full: each time, everything is copied.
pub(crate) const GROWTH: usize = 64;

/// Keys and values of a run of tokens, one pair a layer, each (kv heads, tokens, head dimension).
#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) layers: Vec<(Tensor, Tensor)>,
    pub(crate) tokens: usize,
}

impl Segment {
    /// Bytes that keys and values take.
    pub(crate) fn bytes(&self) -> u64 {
        self.layers.iter().map(|(k, v)| size(k) + size(v)).sum()
    }
}

fn size(t: &Tensor) -> u64 {
    (t.elem_count() * t.dtype().size_in_bytes()) as u64
}

/// The first `tokens` of a segment.
#[derive(Debug, Clone)]
pub(crate) struct Piece {
    pub(crate) segment: Arc<Segment>,
    pub(crate) tokens: usize,
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
    /// Is what each token of the coming call sees computed as in a call of its own? On the processor sums are then the same to the bit.
    pub(crate) one_by_one: bool,
    /// Tokens of the coming call that stand for one picture each, by row: first and number within the call.
    pub(crate) pictures: Vec<Vec<(usize, usize)>>,
    /// What is seen in the coming call, as far as it was worked out.
    pub(crate) masks: Masks,
    /// Columns that hold the tokens of each row, in order.
    filled: Vec<Vec<Range<usize>>>,
    own: Vec<Option<(Tensor, Tensor)>>,
    /// Columns in use.
    pub(crate) columns: usize,
    /// Columns to make room for when the buffers are made.
    reserve: usize,
}

impl Group {
    /// Rows of the given lengths after `prefix`; `reserve` further columns are expected.
    pub(crate) fn new(prefix: Vec<Piece>, tokens: Vec<usize>, layers: usize, reserve: usize) -> Self {
        let own = (0..layers).map(|_| None).collect();
        let (pictures, filled) = (vec![Vec::new(); tokens.len()], vec![Vec::new(); tokens.len()]);
        let masks = Masks::new();
        Self { prefix, tokens, one_by_one: false, pictures, masks, filled, own, columns: 0, reserve }
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
        (0..self.rows()).any(|row| self.length(row) < self.columns)
    }

    /// Tokens of `row` in the columns in use.
    pub(crate) fn length(&self, row: usize) -> usize {
        self.filled[row].iter().map(Range::len).sum()
    }

    /// For each column in use: which token of `row` it holds, counted without the prefix; `None` for a hole.
    pub(crate) fn held(&self, row: usize) -> Vec<Option<usize>> {
        let mut out = vec![None; self.columns];
        for (token, column) in self.filled[row].iter().cloned().flatten().enumerate() {
            out[column] = Some(token);
        }
        out
    }

    /// Bytes of the buffers.
    pub(crate) fn bytes(&self) -> u64 {
        self.own.iter().flatten().map(|(k, v)| size(k) + size(v)).sum()
    }

    /// Appends `step` columns of keys and values, each (kv heads, rows, step, head dimension), and
    /// returns the columns in use including them. Nothing counts as appended before [`Group::advance`].
    pub(crate) fn append(&mut self, layer: usize, k: &Tensor, v: &Tensor) -> Result<(Tensor, Tensor)> {
        let (heads, rows, step, dim) = k.dims4()?;
        let need = self.columns + step;
        let room = match &self.own[layer] {
            Some((k, _)) => k.dim(2)?,
            None => 0,
        };
        if room < need {
            if self.columns == 0 && self.reserve == 0 {
                self.own[layer] = Some((k.contiguous()?, v.contiguous()?));
                return Ok((k.clone(), v.clone()));
            }
            let capacity = need + if room == 0 { self.reserve } else { GROWTH };
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
            return Err(Error::Msg("no room for keys and values".into()));
        };
        keys.slice_set(&k.contiguous()?, 2, self.columns)?;
        values.slice_set(&v.contiguous()?, 2, self.columns)?;
        Ok((keys.narrow(2, 0, need)?, values.narrow(2, 0, need)?))
    }

    /// Ends a call: every layer has appended its columns.
    pub(crate) fn advance(&mut self) {
        for (filled, tokens) in self.filled.iter_mut().zip(&self.tokens) {
            match filled.last_mut() {
                Some(last) if last.end == self.columns => last.end += tokens,
                _ => filled.push(self.columns..self.columns + tokens),
            }
        }
        self.columns += self.step();
        self.tokens.fill(1);
        self.one_by_one = false;
        self.pictures.iter_mut().for_each(Vec::clear);
        self.masks.clear();
    }

    /// Forgets the last `tokens` of `row`. Columns behind what all rows hold are free again, others become holes.
    pub(crate) fn give_up(&mut self, row: usize, mut tokens: usize) {
        while let Some(last) = self.filled[row].last_mut().filter(|_| tokens > 0) {
            let cut = tokens.min(last.len());
            last.end -= cut;
            tokens -= cut;
            if last.start == last.end {
                self.filled[row].pop();
            }
        }
        let ends = self.filled.iter().filter_map(|filled| filled.last());
        self.columns = ends.map(|last| last.end).max().unwrap_or(0);
    }

    /// Are there so many holes in every row that moving the rows together is worth a copy?
    fn is_sparse(&self) -> bool {
        let longest = (0..self.rows()).map(|row| self.length(row)).max().unwrap_or(0);
        self.columns > longest + GROWTH
    }

    /// Keys and values of tokens `from..to` of `row`, counted without the prefix, as a segment that owns its
    /// memory: a view would keep the whole group's buffer alive.
    pub(crate) fn segment(&self, row: usize, from: usize, to: usize) -> Result<Segment> {
        let mut columns: Vec<Range<usize>> = Vec::new();
        let mut at = 0;
        for run in &self.filled[row] {
            let (start, end) = (from.max(at), to.min(at + run.len()));
            if start < end {
                columns.push(run.start + start - at..run.start + end - at);
            }
            at += run.len();
        }
        let take = |t: &Tensor| -> Result<Tensor> {
            let t = t.narrow(1, row, 1)?.squeeze(1)?;
            let parts = columns.iter().map(|c| t.narrow(1, c.start, c.len())?.force_contiguous());
            Tensor::cat(&parts.collect::<Result<Vec<_>>>()?, 1)
        };
        let layers = self.own.iter().flatten().map(|(k, v)| Ok((take(k)?, take(v)?)));
        Ok(Segment { layers: layers.collect::<Result<_>>()?, tokens: columns.iter().map(Range::len).sum() })
    }

    /// One group of the given rows of groups with the same prefix, with room for `reserve` further columns.
    /// Holes are left out, so that each row begins in the first column.
    pub(crate) fn gather(mut parts: Vec<(Self, Vec<usize>)>, reserve: usize) -> Result<Self> {
        if let [(only, rows)] = parts.as_slice()
            && rows.iter().copied().eq(0..only.rows())
            && !only.is_sparse()
        {
            return Ok(parts.swap_remove(0).0);
        }
        let lengths: Vec<usize> =
            parts.iter().flat_map(|(group, rows)| rows.iter().map(|r| group.length(*r))).collect();
        let columns = lengths.iter().copied().max().unwrap_or(0);
        let capacity = columns + reserve;
        let layers = parts.first().map_or(0, |(group, _)| group.own.len());
        // Where each column of each row comes from; behind the end of a row, from anywhere.
        let index = |group: &Self, rows: &[usize], room: usize| -> Vec<u32> {
            let line = |row: &usize| {
                let start = row * room;
                let mut line: Vec<u32> =
                    group.filled[*row].iter().cloned().flatten().map(|c| (start + c) as u32).collect();
                line.resize(capacity, start as u32);
                line
            };
            rows.iter().flat_map(line).collect()
        };
        // Layers differ in their room only after a call that failed half way.
        let mut indices: Vec<Option<(usize, Tensor)>> = parts.iter().map(|_| None).collect();
        let mut own = Vec::with_capacity(layers);
        for layer in 0..layers {
            let mut keys = Vec::with_capacity(parts.len());
            let mut values = Vec::with_capacity(parts.len());
            for ((group, rows), known) in parts.iter_mut().zip(&mut indices) {
                // Layer by layer, so that little is there twice.
                let Some((k, v)) = group.own[layer].take() else {
                    return Err(Error::Msg("a row without keys and values cannot be moved".into()));
                };
                let (heads, all, room, dim) = k.dims4()?;
                let index = match known.take().filter(|(of, _)| *of == room) {
                    Some((_, index)) => index,
                    None => Tensor::new(index(group, rows, room), k.device())?,
                };
                let take = |t: &Tensor| {
                    let flat = t.reshape((heads, all * room, dim))?.index_select(&index, 1)?;
                    flat.reshape((heads, rows.len(), capacity, dim))
                };
                keys.push(take(&k)?);
                values.push(take(&v)?);
                *known = Some((room, index));
            }
            own.push(Some((Tensor::cat(&keys, 1)?, Tensor::cat(&values, 1)?)));
        }
        let filled = lengths.iter().map(|n| std::iter::once(0..*n).collect()).collect();
        let prefix = parts.into_iter().next().map(|(group, _)| group.prefix).unwrap_or_default();
        let pictures = vec![Vec::new(); lengths.len()];
        let (masks, tokens) = (Masks::new(), vec![1; lengths.len()]);
        Ok(Self { prefix, tokens, one_by_one: false, pictures, masks, filled, own, columns, reserve })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use candle_core::Device;

    /// A value that tells layer, row and token.
    fn value(row: usize, token: usize) -> f32 {
        (row * 100 + token) as f32
    }

    /// One call; the rows' tokens are told by their values.
    fn call(group: &mut Group, names: &[usize], tokens: &[usize]) {
        group.tokens = tokens.to_vec();
        let step = group.step();
        let before: Vec<usize> = (0..names.len()).map(|r| group.length(r)).collect();
        let cell = |r: usize, c: usize| if c < tokens[r] { value(names[r], before[r] + c) } else { -1.0 };
        let values: Vec<f32> = (0..2)
            .flat_map(|_| (0..names.len()).flat_map(|r| (0..step).map(move |c| (r, c))))
            .map(|(r, c)| cell(r, c))
            .collect();
        let k = Tensor::from_vec(values, (2, names.len(), step, 1), &Device::Cpu).unwrap();
        for layer in 0..2 {
            group.append(layer, &k, &(&k * 2.0).unwrap()).unwrap();
        }
        group.advance();
    }

    /// What is stored of a row: its own tokens in order.
    fn check(group: &Group, row: usize, name: usize, length: usize) {
        let segment = group.segment(row, 0, usize::MAX).unwrap();
        assert_eq!((segment.tokens, group.length(row)), (length, length));
        let wanted: Vec<f32> = (0..length).map(|t| value(name, t)).collect();
        for (k, v) in &segment.layers {
            for head in 0..2 {
                let of = |t: &Tensor| t.get(head).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
                assert_eq!(of(k), wanted);
                assert_eq!(of(v), wanted.iter().map(|v| v * 2.0).collect::<Vec<_>>());
            }
        }
        let held: Vec<usize> = group.held(row).into_iter().flatten().collect();
        assert_eq!(held, (0..length).collect::<Vec<_>>());
    }

    #[test]
    fn rows_of_any_lengths_join_leave_and_go_on() {
        let mut one = Group::new(Vec::new(), vec![3, 5], 2, 4);
        call(&mut one, &[0, 1], &[3, 5]);
        call(&mut one, &[0, 1], &[1, 1]);
        assert!(one.is_ragged());
        call(&mut one, &[0, 1], &[4, 2]);
        (0..2).for_each(|r| check(&one, r, r, 8));
        let mut other = Group::new(Vec::new(), vec![2], 2, 0);
        call(&mut other, &[2], &[2]);
        call(&mut other, &[2], &[70]);
        let mut all = Group::gather(vec![(one, vec![1]), (other, vec![0])], 9).unwrap();
        assert_eq!((all.rows(), all.columns), (2, 72));
        call(&mut all, &[1, 2], &[1, 1]);
        (0..70).for_each(|_| call(&mut all, &[1, 2], &[1, 1]));
        check(&all, 0, 1, 8 + 71);
        check(&all, 1, 2, 72 + 71);
        let part = all.segment(0, 7, 10).unwrap();
        let keys = part.layers[0].0.get(0).unwrap().flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(keys, [107.0, 108.0, 109.0]);
        let alone = Group::gather(vec![(all, vec![0])], 1).unwrap();
        assert_eq!((alone.columns, alone.is_ragged()), (79, false));
        check(&alone, 0, 1, 79);
    }

    #[test]
    fn what_was_given_up_is_overwritten_or_a_hole() {
        let mut one = Group::new(Vec::new(), vec![3], 2, 4);
        call(&mut one, &[0], &[3]);
        call(&mut one, &[0], &[5]);
        one.give_up(0, 4);
        assert_eq!((one.columns, one.is_ragged()), (4, false));
        call(&mut one, &[0], &[2]);
        check(&one, 0, 0, 6);
        let mut two = Group::new(Vec::new(), vec![2, 2], 2, 4);
        call(&mut two, &[0, 1], &[2, 2]);
        for n in 0..40 {
            // In turns one row is given eight tokens too many.
            call(&mut two, &[0, 1], &[1 + 8 * (n % 2), 9 - 8 * (n % 2)]);
            two.give_up(1 - n % 2, 8);
            check(&two, 0, 0, 2 + n + 1);
            check(&two, 1, 1, 2 + n + 1);
            assert_eq!(two.columns, 2 + n + 1);
        }
        for n in 0..40 {
            call(&mut two, &[0, 1], &[1 + 7 * (n % 2), 8 - 7 * (n % 2)]);
            two = Group::gather(vec![(two, vec![0, 1])], 4).unwrap();
            assert!(two.columns <= two.length(0).max(two.length(1)) + GROWTH);
        }
        (0..2).for_each(|r| check(&two, r, r, 42 + 20 * 9));
        two.give_up(0, usize::MAX);
        two.give_up(1, usize::MAX);
        assert_eq!(two.columns, 0);
    }

    #[test]
    fn a_segment_holds_no_more_memory_than_it_says() {
        let mut group = Group::new(Vec::new(), vec![4; 8], 2, 50);
        call(&mut group, &[0, 1, 2, 3, 4, 5, 6, 7], &[4; 8]);
        let segment = group.segment(3, 0, 4).unwrap();
        for (k, _) in &segment.layers {
            let (storage, layout) = k.storage_and_layout();
            let candle_core::Storage::Cpu(storage) = &*storage else { unreachable!() };
            assert_eq!(storage.as_slice::<f32>().unwrap().len(), layout.shape().elem_count());
        }
        assert_eq!(segment.bytes(), 2 * 2 * 2 * 4 * 4);
    }
}
