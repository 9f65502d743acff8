//! An ask as the network sees it: tokens, positions, pictures.

use super::architecture::{Architecture, PromptPicture, Span};
use super::cache::Key;
use super::options::Options;
use crate::chat::template::ChatTemplate;
use crate::chat::tokens::{Encoded, FEATURES, Tokens};
use loupe_core::{Ask, ModelError, Part, Picture, Turn};
use std::ops::Range;
use std::sync::Arc;

/// A picture at its places in the prompt.
pub(crate) struct PlacedPicture<P> {
    pub(crate) picture: Arc<Picture>,
    pub(crate) shown: Arc<P>,
}

/// Tokens that are features of a picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FeatureSpan {
    /// In the prompt.
    pub(crate) tokens: Range<usize>,
    /// Which of [`Prompt::pictures`].
    pub(crate) picture: usize,
    /// The first of them among the features of the picture.
    pub(crate) first: usize,
}

/// An ask as the network sees it.
pub(crate) struct Prompt<P> {
    pub(crate) ids: Vec<u32>,
    /// Content of each token.
    pub(crate) keys: Vec<Key>,
    pub(crate) positions: Vec<[u32; 3]>,
    /// Position of the first generated token.
    pub(crate) next: u32,
    /// In the order of the turns.
    pub(crate) pictures: Vec<PlacedPicture<P>>,
    /// Tokens that are features, in order.
    pub(crate) spans: Vec<FeatureSpan>,
    /// Width and height that the box dialect measures in, of each picture of the ask.
    pub(crate) frames: Vec<[usize; 2]>,
    /// The options whose probabilities are wanted.
    pub(crate) options: Options,
}

impl<P: PromptPicture> Prompt<P> {
    /// Renders, tokenises and lays out an ask; `context` is the most tokens of prompt and reply.
    pub(crate) fn new<A: Architecture<Picture = P>>(
        ask: &Ask,
        arch: &A,
        tokens: &Tokens,
        template: &ChatTemplate,
        context: usize,
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
        // Before the template and the tokenizer see it: what cannot fit need not be read.
        let bytes: usize = ask.turns.iter().map(|turn| turn.words().len()).sum();
        if let Some(least) = tokens.too_long(bytes, context) {
            return Err(ModelError::TooLong { tokens: least, limit: context });
        }
        let gathered = arch.takes_volumes().then(|| gathered(&ask.turns));
        let volume = gathered.as_ref().is_some_and(|turns| is_volume(turns, &ask.pictures, &order));
        let turns = gathered.as_deref().filter(|_| volume).unwrap_or(&ask.turns);
        let of = |(index, shown): (usize, Result<P, String>)| {
            shown.map(Arc::new).map_err(|problem| ModelError::Picture { index, problem })
        };
        let shown = arch.show_all(&ask.pictures, volume).into_iter().enumerate().map(of);
        let shown: Vec<Arc<P>> = shown.collect::<Result<_, _>>()?;
        let protect = |text: &str| tokens.protect(text);
        let text = template.render(turns, &protect, volume).map_err(ModelError::Template)?;
        let marks = text.matches(arch.mark()).count();
        if marks != order.len() {
            let problem = format!("it wrote {marks} picture marks for {} pictures", order.len());
            return Err(ModelError::Template(problem));
        }
        let text = with_spans(&text, arch.mark(), order.iter().map(|i| shown[*i].as_ref()));
        let encoded = tokens.encode(&text).map_err(ModelError::Template)?;
        let features: usize = order.iter().map(|i| shown[*i].features()).sum();
        let words = encoded.iter().filter(|e| matches!(e, Encoded::Token(_))).count();
        if words + features >= context {
            return Err(ModelError::TooLong { tokens: words + features, limit: context });
        }
        if words + features == 0 {
            return Err(ModelError::Template("it wrote an empty prompt".into()));
        }
        let mut prompt = Self {
            ids: Vec::with_capacity(words + features),
            keys: Vec::with_capacity(words + features),
            positions: Vec::with_capacity(words + features),
            next: 0,
            pictures: order
                .iter()
                .map(|i| PlacedPicture {
                    picture: Arc::clone(&ask.pictures[*i]),
                    shown: Arc::clone(&shown[*i]),
                })
                .collect(),
            spans: Vec::new(),
            frames: shown.iter().map(|s| s.frame()).collect(),
            options: Options::read(ask, |option| continuation(tokens, &text, &encoded, option))?,
        };
        let spans = prompt.feature_spans();
        let mut spans = spans.into_iter();
        for part in encoded {
            match part {
                Encoded::Token(id) => prompt.push_text(id),
                Encoded::Features => {
                    let Some((picture, span, first)) = spans.next() else {
                        return Err(ModelError::Template("it wrote a mark of features by itself".into()));
                    };
                    prompt.push_features(arch, picture, span, first);
                }
            }
        }
        Ok(prompt)
    }

    /// Picture, span and first feature of every feature span, in order.
    fn feature_spans(&self) -> Vec<(usize, usize, usize)> {
        let mut out = Vec::new();
        for (picture, placed) in self.pictures.iter().enumerate() {
            let mut first = 0;
            for (span, part) in placed.shown.spans().iter().enumerate() {
                if let Span::Features { tokens } = part {
                    out.push((picture, span, first));
                    first += tokens;
                }
            }
        }
        out
    }

    fn push_text(&mut self, id: u32) {
        self.ids.push(id);
        self.keys.push(Key::from(id));
        self.positions.push([self.next; 3]);
        self.next += 1;
    }

    fn push_features<A: Architecture<Picture = P>>(
        &mut self,
        arch: &A,
        picture: usize,
        span: usize,
        first: usize,
    ) {
        let shown = Arc::clone(&self.pictures[picture].shown);
        let Some(Span::Features { tokens }) = shown.spans().get(span) else { return };
        let mut half = [0u8; 16];
        half.copy_from_slice(&shown.digest()[..16]);
        let base = Key::from_le_bytes(half).wrapping_add(first as Key);
        let start = self.ids.len();
        self.ids.extend(std::iter::repeat_n(arch.feature_token(), *tokens));
        self.keys.extend((0..*tokens as Key).map(|i| base.wrapping_add(i)));
        let (positions, next) = arch.positions(&shown, span, self.next);
        self.positions.extend(positions);
        self.next = next;
        self.spans.push(FeatureSpan { tokens: start..start + tokens, picture, first });
    }

    /// Tokens that stand for pictures.
    pub(crate) fn picture_tokens(&self) -> usize {
        self.spans.iter().map(|s| s.tokens.len()).sum()
    }
}

impl<P> Prompt<P> {
    /// The last place at or before `tokens` where the prompt may be cut: not within features.
    pub(crate) fn cut(&self, tokens: usize) -> usize {
        cut(&self.spans, tokens)
    }

    /// The first place at or after `tokens` where the prompt may be cut.
    pub(crate) fn cut_after(&self, tokens: usize) -> usize {
        within(&self.spans, tokens).map_or(tokens, |s| s.tokens.end)
    }
}

/// The last place at or before `tokens` that is not within features.
pub(crate) fn cut(spans: &[FeatureSpan], tokens: usize) -> usize {
    within(spans, tokens).map_or(tokens, |s| s.tokens.start)
}

fn within(spans: &[FeatureSpan], tokens: usize) -> Option<&FeatureSpan> {
    spans.iter().find(|s| s.tokens.start < tokens && tokens < s.tokens.end)
}

/// The turns without the blanks that stand between two pictures.
fn gathered(turns: &[Turn]) -> Vec<Turn> {
    let is_picture = |part: Option<&Part>| matches!(part, Some(Part::Picture(_)));
    let gather = |turn: &Turn| {
        let parts: Vec<&Part> = turn.parts.iter().filter(|p| !is_blank(p)).collect();
        let mut kept = Vec::with_capacity(turn.parts.len());
        let mut at = 0usize;
        for part in &turn.parts {
            // Neighbours among what is not blank.
            let between = is_picture(at.checked_sub(1).and_then(|n| parts.get(n).copied()))
                && is_picture(parts.get(at).copied());
            if !is_blank(part) {
                at += 1;
            } else if between {
                continue;
            }
            kept.push(part.clone());
        }
        Turn { parts: kept, ..turn.clone() }
    };
    turns.iter().map(gather).collect()
}

fn is_blank(part: &Part) -> bool {
    matches!(part, Part::Text(text) if text.trim().is_empty())
}

/// Are the pictures, in the `order` of the turns, slices of one volume that stand side by side? They lie in one plane, one
/// behind the other, and were windowed alike.
fn is_volume(turns: &[Turn], pictures: &[Arc<Picture>], order: &[usize]) -> bool {
    let in_order = order.len() > 1 && order.iter().copied().eq(0..pictures.len());
    let together = turns.iter().any(|turn| {
        let longest = turn.parts.chunk_by(|a, b| matches!((a, b), (Part::Picture(_), Part::Picture(_))));
        longest.map(<[Part]>::len).max() == Some(order.len())
    });
    let view = |p: &Arc<Picture>| {
        let origin = &p.origin;
        (origin.source.clone(), origin.plane, origin.window, p.width(), p.height())
    };
    let first = pictures.first().map(view);
    let is_alike = pictures.iter().all(|p| p.origin.plane.is_some() && Some(view(p)) == first);
    let numbers: Option<Vec<usize>> = pictures.iter().map(|p| p.origin.slice).collect();
    let in_a_row = numbers.is_some_and(|n| n.is_sorted_by(|a, b| a < b) || n.is_sorted_by(|a, b| a > b));
    in_order && together && is_alike && in_a_row
}

/// Tokens of `reply` behind a rendered text, as both are tokenised together.
fn continuation(
    tokens: &Tokens,
    text: &str,
    encoded: &[Encoded],
    reply: &str,
) -> Result<Vec<u32>, ModelError> {
    let reply = tokens.protect(reply);
    let together = tokens.encode(&format!("{text}{reply}")).map_err(ModelError::Template)?;
    let rest = match together.strip_prefix(encoded) {
        Some(rest) => rest.to_vec(),
        // Its first letters became one token with the end of the prompt, which the model is given as it is.
        None => tokens.encode_behind(&reply).map_err(ModelError::Template)?,
    };
    Ok(rest.iter().filter_map(|e| if let Encoded::Token(id) = e { Some(*id) } else { None }).collect())
}

/// The text with the spans of pictures in place of their marks.
fn with_spans<'a, P: PromptPicture + 'a>(
    text: &str,
    mark: &str,
    pictures: impl Iterator<Item = &'a P>,
) -> String {
    let mut out = String::with_capacity(text.len());
    let mut parts = text.split(mark);
    out.push_str(parts.next().unwrap_or_default());
    for (picture, rest) in pictures.zip(parts) {
        for span in picture.spans() {
            match span {
                Span::Words(words) => out.push_str(words),
                Span::Features { .. } => out.push(FEATURES),
            }
        }
        out.push_str(rest);
    }
    out
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;
    use loupe_core::{Plane, Role, Window};

    #[test]
    fn slices_of_one_volume_stand_side_by_side_with_blanks_between() {
        let slice = |number: usize| {
            let mut slice = Picture::new(4, 4, 1, vec![0u8; 16]).unwrap();
            slice.origin.source = Some("v.nii".to_owned());
            (slice.origin.slice, slice.origin.plane) = (Some(number), Some(Plane::Axial));
            Arc::new(slice)
        };
        let turns = |between: &str| {
            let mut parts = vec![Part::Text("\n".to_owned())];
            for n in 0..3 {
                parts.extend([Part::Picture(n), Part::Text(between.to_owned())]);
            }
            parts.push(Part::Text("Report.".to_owned()));
            vec![Turn { role: Role::User, parts }]
        };
        let judged =
            |turns: &[Turn], pictures: &[Arc<Picture>]| is_volume(&gathered(turns), pictures, &[0, 1, 2]);
        let volume = [slice(0), slice(2), slice(4)];
        assert!(judged(&turns("\n"), &volume) && judged(&turns(""), &volume));
        assert!(!judged(&turns("Next:"), &volume), "words stand between");
        let left = gathered(&turns("\n"));
        assert_eq!(left[0].parts.iter().filter(|p| is_blank(p)).count(), 2, "before and behind they stay");
        let mut windowed = slice(4).as_ref().clone();
        windowed.origin.window = Some(Window::linear(40.0, 400.0));
        for others in [
            [slice(0), slice(0), slice(1)],
            [slice(0), slice(2), slice(1)],
            [slice(0), slice(2), windowed.into()],
        ] {
            assert!(!judged(&turns(""), &others), "the same slice twice, out of order, another window");
        }
    }
}
