"""A tokenizer.model as Llama's, and the tokens that SentencePiece finds, for `src/checkpoint/sentencepiece.rs`.

    python make_sentencepiece.py        (sentencepiece 0.2.3)
"""
import io, json, pathlib
import sentencepiece as spm

HERE = pathlib.Path(__file__).parent / "sentencepiece"
CORPUS = ["what is shown in this chest x ray image", "is there a fracture ? yes no left right", "[INST] look again [/INST]",
          "the heart is enlarged . no pleural effusion or pneumothorax", "left lower lobe opacity , likely atelectasis"] * 4
TEXTS = ["is there a fracture?", "left  lower   lobe", " a space before", "trailing ", "[INST] what is shown? [/INST]", "\nline\n\nends", "é ü 中 🫀",
         "pneumothorax123", "x", "a\tb", "ATELECTASIS"]

HERE.mkdir(exist_ok=True)
model = io.BytesIO()
spm.SentencePieceTrainer.train(sentence_iterator=iter(CORPUS), model_writer=model, model_type="bpe", vocab_size=400, byte_fallback=True,
                               normalization_rule_name="identity", remove_extra_whitespaces=False, add_dummy_prefix=True, unk_id=0, bos_id=1, eos_id=2,
                               split_digits=True, character_coverage=0.99995, minloglevel=2)
(HERE / "tokenizer.model").write_bytes(model.getvalue())
sp = spm.SentencePieceProcessor(model_proto=model.getvalue())
(HERE / "expected.json").write_text(json.dumps({t: sp.encode(t) for t in TEXTS}, ensure_ascii=False, indent=1) + "\n")
print(len(model.getvalue()), sp.get_piece_size(), {t: sp.encode(t, out_type=str) for t in TEXTS[:4]})
