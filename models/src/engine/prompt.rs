//! An ask as the network sees it: tokens, positions, pictures.

use crate::chat::template::ChatTemplate;
use crate::chat::tokens::Tokens;
use crate::engine::architecture::{Architecture, Shown};
use crate::engine::cache::Key;
use loupe_core::{Ask, ModelError, Part, Picture};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// A picture at its place in the prompt.
pub(crate) struct Placed {
    pub(crate) picture: Arc<Picture>,
    pub(crate) shown: Shown,
    /// Of the pixels and of everything that decides the features.
    pub(crate) digest: [u8; 32],
    /// First token.
    pub(crate) start: usize,
}

/// An ask as the network sees it.
pub(crate) struct Prompt {
    pub(crate) ids: Vec<u32>,
    /// Content of each token.
    pub(crate) keys: Vec<Key>,
    pub(crate) positions: Vec<[u32; 3]>,
    /// Position of the first generated token.
    pub(crate) next: u32,
    pub(crate) pictures: Vec<Placed>,
    /// How each picture of the ask is shown, in the ask's order.
    pub(crate) shown: Vec<Shown>,
}

impl Prompt {
    /// Renders, tokenises and lays out an ask.
    pub(crate) fn new(
        ask: &Ask,
        arch: &dyn Architecture,
        tokens: &Tokens,
        template: &ChatTemplate,
        fingerprint: &[u8],
    ) -> Result<Self, ModelError> {
        let mut order = Vec::new();
        for (turn, t) in ask.turns.iter().enumerate() {
            for part in &t.parts {
                let Part::Picture(index) = part else { continue };
                if *index >= ask.pictures.len() {
                    return Err(ModelError::NoSuchPicture { turn, index: *index, count: ask.pictures.len() });
                }
                order.push(*index);
            }
        }
        let show = |(index, picture): (usize, &Arc<Picture>)| {
            arch.show(picture).map_err(|problem| ModelError::Picture { index, problem })
        };
        let shown: Vec<Shown> = ask.pictures.iter().enumerate().map(show).collect::<Result<_, _>>()?;
        let protect = |text: &str| tokens.protect(text);
        let text = template.render(&ask.turns, &protect).map_err(ModelError::Template)?;
        let short = tokens.encode(&text).map_err(ModelError::Template)?;
        let marks = short.iter().filter(|id| **id == arch.picture_token()).count();
        if marks != order.len() {
            let problem = format!("it wrote {marks} picture marks for {} pictures", order.len());
            return Err(ModelError::Template(problem));
        }
        let total: usize = order.iter().map(|i| shown[*i].tokens).sum::<usize>() + short.len() - marks;
        let limit = arch.decoder().config.context;
        if total >= limit {
            return Err(ModelError::TooLong { tokens: total, limit });
        }
        if total == 0 {
            return Err(ModelError::Template("it wrote an empty prompt".into()));
        }
        let mut prompt = Self {
            ids: Vec::with_capacity(total),
            keys: Vec::with_capacity(total),
            positions: Vec::with_capacity(total),
            next: 0,
            pictures: Vec::new(),
            shown,
        };
        let mut order = order.into_iter();
        for id in short {
            match (id == arch.picture_token()).then(|| order.next()).flatten() {
                Some(index) => prompt.push_picture(&ask.pictures[index], index, arch, fingerprint),
                None => prompt.push_text(id),
            }
        }
        Ok(prompt)
    }

    fn push_text(&mut self, id: u32) {
        self.ids.push(id);
        self.keys.push(Key::from(id));
        self.positions.push([self.next; 3]);
        self.next += 1;
    }

    fn push_picture(
        &mut self,
        picture: &Arc<Picture>,
        index: usize,
        arch: &dyn Architecture,
        fingerprint: &[u8],
    ) {
        let shown = self.shown[index].clone();
        let mut hash = Sha256::new();
        hash.update(picture.content_key());
        hash.update(fingerprint);
        let digest: [u8; 32] = hash.finalize().into();
        let mut half = [0u8; 16];
        half.copy_from_slice(&digest[..16]);
        let base = Key::from_le_bytes(half);
        let start = self.ids.len();
        self.ids.extend(std::iter::repeat_n(arch.picture_token(), shown.tokens));
        self.keys.extend((0..shown.tokens as Key).map(|i| base.wrapping_add(i)));
        let (positions, next) = arch.positions(&shown, self.next);
        self.positions.extend(positions);
        self.next = next;
        self.pictures.push(Placed { picture: Arc::clone(picture), shown, digest, start });
    }

    /// Tokens that stand for pictures.
    pub(crate) fn picture_tokens(&self) -> usize {
        self.pictures.iter().map(|p| p.shown.tokens).sum()
    }
}
