//! Computed prefixes and picture features by content, within a memory bound; the least recently
//! used go first.

use crate::layers::kv::{Piece, Segment};
use candle_core::Tensor;
use std::collections::HashMap;
use std::sync::Arc;

/// A prefix that continues a stored one by less than this is computed instead: rows that share the
/// same stored prefix run together, which is worth more than a few tokens.
const LEAST_GAIN: usize = 16;

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

/// A stored prefix of a prompt.
#[derive(Debug, Clone, Default)]
pub(crate) struct Found {
    /// Runs from the beginning of the prompt.
    places: Vec<Place>,
    /// Tokens in all of them.
    pub(crate) tokens: usize,
}

impl Found {
    /// The runs' nodes, whatever their lengths.
    pub(crate) fn nodes(&self) -> Vec<u64> {
        self.places.iter().map(|p| p.node).collect()
    }

    /// Gives up tokens at the end until `tokens` are left.
    pub(crate) fn shorten(&mut self, tokens: usize) {
        while self.tokens > tokens {
            let Some(last) = self.places.last_mut() else { return };
            let cut = (self.tokens - tokens).min(last.tokens);
            last.tokens -= cut;
            self.tokens -= cut;
            if last.tokens == 0 {
                self.places.pop();
            }
        }
    }

    /// Where the next run continues.
    pub(crate) fn end(&self) -> Option<Place> {
        self.places.last().copied()
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
    features: HashMap<[u8; 32], (Tensor, u64)>,
}

fn common(a: &[Key], b: &[Key]) -> usize {
    a.iter().zip(b).take_while(|(x, y)| x == y).count()
}

fn size(t: &Tensor) -> u64 {
    (t.elem_count() * t.dtype().size_in_bytes()) as u64
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

    /// The longest stored prefix of a prompt.
    pub(crate) fn find(&mut self, keys: &[Key]) -> Found {
        self.clock += 1;
        let mut found = Found::default();
        let mut candidates = &self.roots;
        let mut base = 0;
        // From run to run: where several continue alike, the one that reaches furthest.
        while let Some((id, at, reach)) = self.furthest(candidates, base, keys, found.tokens) {
            if reach < found.tokens + LEAST_GAIN {
                break;
            }
            if let Some(last) = found.places.last_mut() {
                last.tokens = at - base;
            }
            base = at;
            found.places.push(Place { node: id, tokens: reach - at });
            found.tokens = reach;
            let Some(node) = self.nodes.get(&id) else { break };
            candidates = &node.children;
        }
        let ids: Vec<NodeId> = found.nodes();
        for id in ids {
            if let Some(node) = self.nodes.get_mut(&id) {
                node.used = self.clock;
            }
        }
        found
    }

    /// Of `candidates`, whose parent's run starts at `base` and is matched up to `matched`: the one
    /// whose own run matches furthest, with where it starts and ends in the prompt.
    fn furthest(
        &self,
        candidates: &[NodeId],
        base: usize,
        keys: &[Key],
        matched: usize,
    ) -> Option<(NodeId, usize, usize)> {
        let reach = |id: &NodeId| {
            let node = self.nodes.get(id)?;
            let at = base + node.parent.map_or(0, |p| p.tokens);
            let own = if at <= matched { common(&node.keys, keys.get(at..)?) } else { 0 };
            (own > 0).then_some((*id, at, at + own))
        };
        candidates.iter().filter_map(reach).max_by_key(|(_, _, reach)| *reach)
    }

    /// Keys and values of a stored prefix.
    pub(crate) fn pieces(&self, found: &Found) -> Vec<Piece> {
        let piece = |p: &Place| {
            let node = self.nodes.get(&p.node)?;
            Some(Piece { segment: Arc::clone(&node.segment), tokens: p.tokens })
        };
        found.places.iter().filter_map(piece).collect()
    }

    /// Stores a run that continues `parent`.
    pub(crate) fn insert(
        &mut self,
        parent: Option<Place>,
        keys: Vec<Key>,
        segment: Arc<Segment>,
    ) -> Option<Place> {
        let tokens = keys.len();
        if segment.bytes() > self.limit || tokens == 0 || tokens != segment.tokens {
            return None;
        }
        let id = self.next;
        match parent {
            Some(place) => self.nodes.get_mut(&place.node)?.children.push(id),
            None => self.roots.push(id),
        }
        self.next += 1;
        self.bytes += segment.bytes();
        self.clock += 1;
        let node = Node { parent, keys, segment, children: Vec::new(), used: self.clock };
        self.nodes.insert(id, node);
        self.shrink();
        self.nodes.contains_key(&id).then_some(Place { node: id, tokens })
    }

    /// Stored features of a picture.
    pub(crate) fn features(&mut self, key: &[u8; 32]) -> Option<Tensor> {
        self.clock += 1;
        let (tensor, used) = self.features.get_mut(key)?;
        *used = self.clock;
        Some(tensor.clone())
    }

    /// Stores the features of a picture.
    pub(crate) fn keep_features(&mut self, key: [u8; 32], features: &Tensor) {
        if size(features) > self.limit {
            return;
        }
        self.clock += 1;
        self.bytes += size(features);
        if let Some((old, _)) = self.features.insert(key, (features.clone(), self.clock)) {
            self.bytes -= size(&old);
        }
        self.shrink();
    }

    /// Drops the least recently used until the bound holds; a run goes only after what continues it.
    fn shrink(&mut self) {
        while self.bytes > self.limit {
            let leaves = self.nodes.iter().filter(|(_, n)| n.children.is_empty());
            let node = leaves.min_by_key(|(_, n)| n.used).map(|(id, n)| (*id, n.used));
            let feature = self.features.iter().min_by_key(|(_, f)| f.1).map(|(k, f)| (*k, f.1));
            match (node, feature) {
                (Some((id, used)), other) if other.is_none_or(|(_, u)| used < u) => self.drop_node(id),
                (_, Some((key, _))) => {
                    if let Some((tensor, _)) = self.features.remove(&key) {
                        self.bytes -= size(&tensor);
                    }
                }
                _ => return,
            }
        }
    }

    fn drop_node(&mut self, id: NodeId) {
        let Some(node) = self.nodes.remove(&id) else { return };
        self.bytes -= node.segment.bytes();
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
    use candle_core::{DType, Device};

    fn run(tokens: usize) -> Arc<Segment> {
        let t = || Tensor::zeros((1, tokens, 2), DType::F32, &Device::Cpu).unwrap();
        Arc::new(Segment { layers: vec![(t(), t())], tokens })
    }

    fn keys(from: u128, n: usize) -> Vec<Key> {
        (0..n as u128).map(|i| from + i).collect()
    }

    #[test]
    fn finds_the_longest_prefix_through_branches() {
        let mut cache = PrefixCache::new(1 << 20);
        let root = cache.insert(None, keys(0, 100), run(100)).unwrap();
        let mut at = root;
        at.tokens = 80;
        cache.insert(Some(at), keys(500, 40), run(40)).unwrap();
        cache.insert(Some(root), keys(700, 40), run(40)).unwrap();

        let mut prompt = keys(0, 80);
        prompt.extend(keys(500, 30));
        assert_eq!(cache.find(&prompt).tokens, 110);
        let mut prompt = keys(0, 100);
        prompt.extend(keys(700, 40));
        prompt.extend(keys(900, 40));
        let found = cache.find(&prompt);
        assert_eq!(found.tokens, 140);
        assert_eq!(cache.pieces(&found).iter().map(|p| p.tokens).collect::<Vec<_>>(), [100, 40]);
        // A continuation that gains too little is left alone.
        let mut prompt = keys(0, 100);
        prompt.extend(keys(700, 5));
        assert_eq!(cache.find(&prompt).tokens, 100);
        assert_eq!(cache.find(&keys(1, 50)).tokens, 0);
    }

    #[test]
    fn memory_stays_within_the_bound_and_leaves_go_first() {
        let one = run(64).bytes();
        let mut cache = PrefixCache::new(3 * one);
        let root = cache.insert(None, keys(0, 64), run(64)).unwrap();
        for i in 1..10u128 {
            cache.insert(Some(root), keys(1000 * i, 64), run(64));
            assert!(cache.bytes <= 3 * one);
        }
        assert_eq!(cache.find(&keys(0, 64)).tokens, 64);
        let mut last = keys(0, 64);
        last.extend(keys(9000, 64));
        assert_eq!(cache.find(&last).tokens, 128);
        let mut first = keys(0, 64);
        first.extend(keys(1000, 64));
        assert_eq!(cache.find(&first).tokens, 64);
        let mut off = PrefixCache::new(0);
        assert!(off.insert(None, keys(0, 64), run(64)).is_none());
    }

    #[test]
    fn shortening_gives_up_the_end() {
        let mut cache = PrefixCache::new(1 << 20);
        let root = cache.insert(None, keys(0, 50), run(50)).unwrap();
        cache.insert(Some(root), keys(500, 50), run(50)).unwrap();
        let mut prompt = keys(0, 50);
        prompt.extend(keys(500, 50));
        let mut found = cache.find(&prompt);
        found.shorten(60);
        assert_eq!(cache.pieces(&found).iter().map(|p| p.tokens).collect::<Vec<_>>(), [50, 10]);
        found.shorten(50);
        assert_eq!((found.nodes().len(), found.tokens), (1, 50));
    }
}
