"""Small tokenizers, for make_encoders.py, make_clip.py, make_medclip.py and tests/bertscore/make.py."""
import json

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

CORPUS = ["the heart is enlarged . no pleural effusion or pneumothorax", "left lower lobe opacity , likely atelectasis",
          "lungs are clear without focal consolidation"] * 3


def wordpiece():
    t = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    t.normalizer = normalizers.BertNormalizer(lowercase=True)
    t.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    t.decoder = decoders.WordPiece()
    t.train_from_iterator(CORPUS, trainers.WordPieceTrainer(
        vocab_size=90, special_tokens=["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"], show_progress=False))
    cls, sep = t.token_to_id("[CLS]"), t.token_to_id("[SEP]")
    t.post_processor = processors.BertProcessing(("[SEP]", sep), ("[CLS]", cls))
    return t


def byte_level():
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator([" " + c for c in CORPUS], trainers.BpeTrainer(
        vocab_size=310, special_tokens=["<s>", "<pad>", "</s>", "<unk>", "<mask>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    return t


def clip_pairs():
    """The parts of CLIP's: small letters, ends of words marked, a frame of two tokens."""
    t = Tokenizer(models.BPE(continuing_subword_prefix="", end_of_word_suffix="</w>", fuse_unk=False, unk_token="<|endoftext|>"))
    t.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()])
    t.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"), "removed", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False)])
    t.decoder = decoders.ByteLevel()
    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    t.train_from_iterator(CORPUS, trainers.BpeTrainer(vocab_size=340, initial_alphabet=letters, end_of_word_suffix="</w>", show_progress=False))
    described = json.loads(t.to_str())
    vocab = described["model"]["vocab"]
    for letter in letters:
        vocab.setdefault(letter + "</w>", len(vocab))
    for special in ["<|startoftext|>", "<|endoftext|>"]:
        vocab[special] = len(vocab)
        described["added_tokens"].append(dict(id=vocab[special], content=special, single_word=False, lstrip=False, rstrip=False,
                                              normalized=True, special=True))
    t = Tokenizer.from_str(json.dumps(described))
    begin, end = vocab["<|startoftext|>"], vocab["<|endoftext|>"]
    t.post_processor = processors.RobertaProcessing(("<|endoftext|>", end), ("<|startoftext|>", begin), trim_offsets=False, add_prefix_space=False)
    return t, begin, end
