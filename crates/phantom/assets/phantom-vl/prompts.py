"""Prompts as loupe writes them, and the tokenizer made for them."""
import json
import random

OPEN = "{q}\nAnswer with a single word or a short phrase."
YES_NO = "{q}\nAnswer with yes or no only."
CHOICE = "{q}\n{options}\nAnswer with the letter of the one correct option."
OPEN_ZH = "{q}\n请用一个词或短语回答。"
YES_NO_ZH = "{q}\n请只回答“是”或“否”。"
GROUND = 'Locate {name} in the image and give its coordinates as JSON with the key "bbox_2d".'
# loupe's own protocol (crates/rethink/src/protocols/loupe.rs): where to look, then the region enlarged.
LOOK = "{q}\nWhere should one look to answer this? Reply with one box."
VIEWS = (' For another slice reply {"slice": number}, for another plane {"plane": "axial", "coronal" or "sagittal"},'
         ' for another window {"window": name}.')
AGAIN = "This is the region, enlarged. Now answer the question."

SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|vision_start|>", "<|vision_end|>",
           "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"]

# One piece of text never crosses these; the first lines keep whole instructions and the JSON frame
# of a box together, so that each becomes a token or two.
PIECES = (r"\n(?:Answer with|请)[^\n]*|\nWhere should one look to answer this\? Reply with one box\.|"
          r" For another slice reply [^\n]*|This is the region, enlarged\. Now answer the question\.|"
          r" in the image and give its coordinates[^\n]*|<image_\d>: |"
          r'\[\{"bbox_2d": \[|\], "label": "|"\}\]|, (?=\d)|'
          r"\p{N}{1,3}| ?\p{L}+|\n[A-H]\.|\s+| ?[^\s\p{L}\p{N}]+")


def wording(qa, rng=random, bare=0.1):
    """The user's words for a question; now and then without the instruction."""
    q = qa["q"]
    if qa["options"] and qa.get("letter"):
        options = "\n".join(f"{'ABCDEFGH'[i]}. {o}" for i, o in enumerate(qa["options"]))
        # The answer before its letter: a model of this size finds the letter of a word, not of a thought.
        return CHOICE.format(q=q, options=options), f"{qa['a']}. Answer: {qa['letter']}"
    if rng.random() < bare:
        return q, qa["a"]
    zh = qa["lang"] == "zh"
    form = (YES_NO_ZH if zh else YES_NO) if qa["closed"] else (OPEN_ZH if zh else OPEN)
    return form.format(q=q), qa["a"]


def box_text(box, label):
    x0, y0, x1, y1 = (int(round(v)) for v in box)
    return f'[{{"bbox_2d": [{x0}, {y0}, {x1}, {y1}], "label": "{label}"}}]'


def make_tokenizer(lines, vocab=1280):
    from tokenizers import Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    tok = Tokenizer(models.BPE())
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(PIECES), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    tok.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=vocab, min_frequency=2, special_tokens=SPECIAL, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tok.train_from_iterator(lines, trainer)
    return tok
