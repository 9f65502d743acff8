//! Computed prefixes and picture features by content, within a memory bound; the least recently
//! used go first.

use super::architecture::Features;
use crate::layers::kv::{Piece, Segment};
use std::collections::HashMap;
use std::sync::Arc;

/// A prefix that continues a stored one by less than this is computed instead: rows that share the
/// same stored prefix run together, which is worth more than a few tokens.
pub(crate) const LEAST_GAIN: usize = 16;

/// Content of one prompt token: the id of a text token, or digest and place of a picture token.
pub(crate) type Key = u128;

type NodeId = u64;

/// Where a stored run of tokens continues.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Place {
    node: NodeId,
    /// Tokens of the node's own run that precede.
    tokens: usize,
}

struct Node {
    parent: Option<Place>,
    keys: Vec<Key>,
    segment: Arc<Segment>,
    children: Vec<NodeId>,
    used: u64,
}

/// Most runs and features that are stored. What is asked again is asked soon, because samples come grouped by
/// picture; more than this would be kept of small models alone, and would only be in the way.
const MOST_STORED: usize = 256;

/// What a tensor takes besides its numbers, and a node besides its tensors.
const TENSOR_BYTES: u64 = 256;
const NODE_BYTES: u64 = 256;

/// Bytes that a stored run takes, with everything that finds it again.
fn node_bytes(keys: &[Key], segment: &Segment) -> u64 {
    let tensors = 2 * segment.layers.len() as u64;
    segment.bytes() + size_of_val(keys) as u64 + tensors * TENSOR_BYTES + NODE_BYTES
}

/// A computed beginning of a prompt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Prefix {
    /// Runs from the beginning of the prompt, each with its node where it is stored.
    parts: Vec<(Piece, Option<NodeId>)>,
    /// Tokens in all of them.
    pub(crate) tokens: usize,
}

impl Prefix {
    /// Keys and values, in order.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        self.parts.iter().map(|(piece, _)| piece.clone()).collect()
    }

    /// Is it the same memory up to the same token? Rows with the same prefix run together.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.tokens == other.tokens && self.begins(other)
    }

    /// Does `other` begin with the same memory up to the end of this one?
    pub(crate) fn begins(&self, other: &Self) -> bool {
        let last = self.parts.len().saturating_sub(1);
        let pairs = self.parts.iter().zip(&other.parts).enumerate();
        self.parts.len() <= other.parts.len()
            && pairs.into_iter().all(|(n, ((a, _), (b, _)))| {
                let far = if n < last { a.tokens == b.tokens } else { a.tokens <= b.tokens };
                far && Arc::ptr_eq(&a.segment, &b.segment)
            })
    }

    /// Gives up tokens at the end until `tokens` are left.
    pub(crate) fn shorten(&mut self, tokens: usize) {
        while self.tokens > tokens {
            let Some((last, _)) = self.parts.last_mut() else { return };
            let cut = (self.tokens - tokens).min(last.tokens);
            last.tokens -= cut;
            self.tokens -= cut;
            if last.tokens == 0 {
                self.parts.pop();
            }
        }
    }

    /// Does the cache hold all of it?
    pub(crate) fn is_stored(&self) -> bool {
        self.parts.iter().all(|(_, node)| node.is_some())
    }

    /// The segments, for counting what they hold.
    pub(crate) fn segments(&self) -> impl Iterator<Item = &Arc<Segment>> {
        self.parts.iter().map(|(piece, _)| &piece.segment)
    }

    fn push(&mut self, segment: Arc<Segment>, node: Option<NodeId>) {
        self.tokens += segment.tokens;
        self.parts.push((Piece { tokens: segment.tokens, segment }, node));
    }

    /// Where a run that continues it is stored: at the root, behind a node, or (`Err`) nowhere.
    fn end(&self) -> Result<Option<Place>, ()> {
        match self.parts.last() {
            None => Ok(None),
            Some((piece, Some(node))) => Ok(Some(Place { node: *node, tokens: piece.tokens })),
            // Without its beginning a run cannot be found again.
            Some((_, None)) => Err(()),
        }
    }
}

/// The store.
pub(crate) struct PrefixCache {
    limit: u64,
    bytes: u64,
    clock: u64,
    next: NodeId,
    nodes: HashMap<NodeId, Node>,
    roots: Vec<NodeId>,
    features: HashMap<[u8; 32], (Features, u64)>,
}

fn common(a: &[Key], b: &[Key]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

impl PrefixCache {
    /// A store of at most `limit` bytes; nothing is kept when it is 0.
    pub(crate) fn new(limit: u64) -> Self {
        Self {
            limit,
            bytes: 0,
            clock: 0,
            next: 0,
            nodes: HashMap::new(),
            roots: Vec::new(),
            features: HashMap::new(),
        }
    }

    /// Is anything ever stored?
    pub(crate) fn is_on(&self) -> bool {
        self.limit > 0
    }

    /// The longest stored prefix of a prompt. Its last run is left out where it gains less than [`LEAST_GAIN`]; short runs
    /// on the way to a long one count with it.
    pub(crate) fn find(&mut self, keys: &[Key]) -> Prefix {
        self.clock += 1;
        let mut found = Prefix::default();
        let mut path = Prefix::default();
        let mut base = 0;
        for (id, at, reach) in self.furthest(&self.roots, 0, keys, 0) {
            let Some(node) = self.nodes.get(&id) else { break };
            if let Some((last, _)) = path.parts.last_mut() {
                last.tokens = at - base;
            }
            base = at;
            path.parts.push((Piece { segment: Arc::clone(&node.segment), tokens: reach - at }, Some(id)));
            path.tokens = reach;
            if reach >= found.tokens + LEAST_GAIN {
                found = path.clone();
            }
        }
        for id in found.parts.iter().filter_map(|(_, id)| *id) {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.used = self.clock;
            }
        }
        found
    }

    /// From run to run as far as the prompt goes: each run on the way that reaches furthest, with where it starts and ends
    /// in the prompt. `candidates` continue a run that starts at `base` and is matched up to `matched`.
    fn furthest(
        &self,
        candidates: &[NodeId],
        base: usize,
        keys: &[Key],
        matched: usize,
    ) -> Vec<(NodeId, usize, usize)> {
        let way = |id: &NodeId| {
            let node = self.nodes.get(id)?;
            let at = base + node.parent.map_or(0, |p| p.tokens);
            let own = if at <= matched { common(&node.keys, keys.get(at..)?) } else { 0 };
            (own > 0).then(|| {
                let mut way = vec![(*id, at, at + own)];
                way.extend(self.furthest(&node.children, at, keys, at + own));
                way
            })
        };
        let end = |way: &Vec<(NodeId, usize, usize)>| way.last().map_or(0, |(_, _, reach)| *reach);
        candidates.iter().filter_map(way).max_by_key(end).unwrap_or_default()
    }

    /// The prefix with a run behind it, which is stored when there is room.
    pub(crate) fn extend(&mut self, prefix: &Prefix, keys: Vec<Key>, segment: Segment) -> Prefix {
        let segment = Arc::new(segment);
        let node = prefix.end().ok().and_then(|end| self.insert(end, keys, Arc::clone(&segment)));
        let mut longer = prefix.clone();
        longer.push(segment, node);
        longer
    }

    /// Stores a run that continues `parent`.
    fn insert(&mut self, parent: Option<Place>, keys: Vec<Key>, segment: Arc<Segment>) -> Option<NodeId> {
        let bytes = node_bytes(&keys, &segment);
        if bytes > self.limit || keys.is_empty() || keys.len() != segment.tokens {
            return None;
        }
        let id = self.next;
        match parent {
            Some(place) => self.nodes.get_mut(&place.node)?.children.push(id),
            None => self.roots.push(id),
        }
        self.next += 1;
        self.bytes += bytes;
        self.clock += 1;
        let node = Node { parent, keys, segment, children: Vec::new(), used: self.clock };
        self.nodes.insert(id, node);
        self.shrink(self.limit);
        if self.bytes > self.limit {
            self.drop_node(id);
        }
        self.nodes.contains_key(&id).then_some(id)
    }

    /// Bytes of everything stored.
    pub(crate) fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Stored features of a picture.
    pub(crate) fn features(&mut self, key: &[u8; 32]) -> Option<Features> {
        self.clock += 1;
        let (features, used) = self.features.get_mut(key)?;
        *used = self.clock;
        Some(features.clone())
    }

    /// Stores the features of a picture.
    pub(crate) fn keep_features(&mut self, key: [u8; 32], features: &Features) {
        if features.bytes() > self.limit {
            return;
        }
        self.clock += 1;
        self.bytes += features.bytes();
        if let Some((old, _)) = self.features.insert(key, (features.clone(), self.clock)) {
            self.bytes -= old.bytes();
        }
        self.shrink(self.limit);
    }

    fn stored(&self) -> usize {
        self.nodes.len() + self.features.len()
    }

    /// Drops the least recently used until at most `limit` bytes and [`MOST_STORED`] things are left, where that frees memory: a run
    /// goes only after what continues it, and not while rows still read it.
    pub(crate) fn shrink(&mut self, limit: u64) {
        while self.bytes > limit || self.stored() > MOST_STORED {
            let free = |n: &&Node| n.children.is_empty() && Arc::strong_count(&n.segment) == 1;
            let leaves = self.nodes.iter().filter(|(_, n)| free(n));
            let node = leaves.min_by_key(|(_, n)| n.used).map(|(id, n)| (*id, n.used));
            let feature = self.features.iter().min_by_key(|(_, f)| f.1).map(|(k, f)| (*k, f.1));
            match (node, feature) {
                (Some((id, used)), other) if other.is_none_or(|(_, u)| used < u) => self.drop_node(id),
                (_, Some((key, _))) => {
                    if let Some((features, _)) = self.features.remove(&key) {
                        self.bytes -= features.bytes();
                    }
                }
                _ => return,
            }
        }
    }

    fn drop_node(&mut self, id: NodeId) {
        let Some(node) = self.nodes.remove(&id) else { return };
        self.bytes -= node_bytes(&node.keys, &node.segment);
        let siblings = match node.parent.and_then(|p| self.nodes.get_mut(&p.node)) {
            Some(parent) => &mut parent.children,
            None => &mut self.roots,
        };
        siblings.retain(|s| *s != id);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use super::*;
    use candle_core::{DType, Device, Tensor};

    fn run(tokens: usize) -> Segment {
        let t = || Tensor::zeros((1, tokens, 2), DType::F32, &Device::Cpu).unwrap();
        Segment { layers: vec![(t(), t())], tokens }
    }

    fn keys(from: u128, n: usize) -> Vec<Key> {
        (0..n as u128).map(|i| from + i).collect()
    }

    fn lengths(prefix: &Prefix) -> Vec<usize> {
        prefix.pieces().iter().map(|p| p.tokens).collect()
    }

    #[test]
    fn finds_the_longest_prefix_through_branches() {
        let mut cache = PrefixCache::new(1 << 20);
        let root = cache.extend(&Prefix::default(), keys(0, 100), run(100));
        let mut part = root.clone();
        part.shorten(80);
        assert!(part.begins(&root) && !root.begins(&part) && !part.is(&root));
        cache.extend(&part, keys(500, 40), run(40));
        cache.extend(&root, keys(700, 40), run(40));

        let mut prompt = keys(0, 80);
        prompt.extend(keys(500, 30));
        assert_eq!(cache.find(&prompt).tokens, 110);
        let mut prompt = keys(0, 100);
        prompt.extend(keys(700, 40));
        prompt.extend(keys(900, 40));
        let found = cache.find(&prompt);
        assert_eq!((found.tokens, lengths(&found)), (140, vec![100, 40]));
        assert!(root.begins(&found));
        // A continuation that gains too little is left alone.
        let mut prompt = keys(0, 100);
        prompt.extend(keys(700, 5));
        assert_eq!(cache.find(&prompt).tokens, 100);
        assert_eq!(cache.find(&keys(1, 50)).tokens, 0);
    }

    #[test]
    fn memory_stays_within_the_bound_and_leaves_go_first() {
        let one = node_bytes(&keys(0, 64), &run(64));
        let mut cache = PrefixCache::new(3 * one);
        let root = cache.extend(&Prefix::default(), keys(0, 64), run(64));
        for i in 1..10u128 {
            cache.extend(&root, keys(1000 * i, 64), run(64));
            assert!(cache.bytes <= 3 * one);
        }
        assert_eq!(cache.find(&keys(0, 64)).tokens, 64);
        let longer = |from: u128| [keys(0, 64), keys(from, 64)].concat();
        assert_eq!(cache.find(&longer(9000)).tokens, 128);
        assert_eq!(cache.find(&longer(1000)).tokens, 64);
        let mut off = PrefixCache::new(0);
        let computed = off.extend(&Prefix::default(), keys(0, 64), run(64));
        // What is not stored can still be continued by those who hold it.
        assert_eq!((computed.tokens, off.bytes, off.find(&keys(0, 64)).tokens), (64, 0, 0));
    }

    #[test]
    fn small_runs_are_not_kept_for_ever() {
        let mut cache = PrefixCache::new(u64::MAX);
        for i in 0..2 * MOST_STORED as u128 {
            drop(cache.extend(&Prefix::default(), keys(1000 * i, 8), run(8)));
        }
        assert_eq!(cache.stored(), MOST_STORED);
        assert_eq!(cache.bytes(), MOST_STORED as u64 * node_bytes(&keys(0, 8), &run(8)));
    }

    #[test]
    fn what_rows_read_is_not_dropped() {
        let one = node_bytes(&keys(0, 64), &run(64));
        let mut cache = PrefixCache::new(4 * one);
        let read = cache.extend(&Prefix::default(), keys(0, 64), run(64));
        drop(cache.extend(&Prefix::default(), keys(1000, 64), run(64)));
        cache.shrink(0);
        assert_eq!(cache.bytes, one);
        drop(read);
        cache.shrink(0);
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn a_short_run_on_the_way_hides_nothing_behind_it() {
        let mut cache = PrefixCache::new(1 << 30);
        // What many prompts share is a run of its own, however short.
        let root = cache.extend(&Prefix::default(), keys(0, 8), run(8));
        let one = cache.extend(&root, keys(500, 60), run(60));
        cache.extend(&one, keys(900, 4), run(4));
        // Another root begins alike and reaches further by itself, but not with what follows.
        let alike: Vec<Key> = [keys(0, 8), keys(500, 3)].concat();
        cache.extend(&Prefix::default(), alike, run(11));
        let prompt: Vec<Key> = [keys(0, 8), keys(500, 60), keys(700, 9)].concat();
        assert_eq!(cache.find(&prompt).tokens, 68);
        let longer: Vec<Key> = [keys(0, 8), keys(500, 60), keys(900, 4)].concat();
        assert_eq!(cache.find(&longer).tokens, 68, "four tokens are computed with the rest");
        assert_eq!(cache.find(&keys(0, 8)).tokens, 0);
    }

    #[test]
    fn shortening_gives_up_the_end() {
        let mut cache = PrefixCache::new(1 << 20);
        let root = cache.extend(&Prefix::default(), keys(0, 50), run(50));
        cache.extend(&root, keys(500, 50), run(50));
        let mut found = cache.find(&[keys(0, 50), keys(500, 50)].concat());
        found.shorten(60);
        assert_eq!(lengths(&found), [50, 10]);
        found.shorten(50);
        assert_eq!((lengths(&found), found.tokens), (vec![50], 50));
    }
}
