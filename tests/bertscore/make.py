"""Writes two tiny random checkpoints, replies to invented reports, and what the package bert_score says of them.

pip install bert_score==0.3.13 "transformers<5"     (written with transformers 4.57.6, torch 2.15)
python make.py

The package reads the slow tokenizers' vocabularies, which are written to a temporary folder; loupe reads tokenizer.json.
"""
import json, math, os, pathlib, random, shutil, sys, tempfile
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import torch
import transformers as tf
from bert_score import BERTScorer, score

HERE = pathlib.Path(__file__).parent
sys.path.append(str(HERE.parent.parent / "models/tests/parity"))
from encoder_tokenizers import CORPUS, byte_level, wordpiece

torch.manual_seed(1)
rng = random.Random(3)
words = " ".join(CORPUS).split() + "Right upper LUNG mass 3.5 cm; (b/l) is-stable? naïve".split()
sentence = lambda most: " ".join(rng.choice(words) for _ in range(rng.randint(1, most)))


def changed(text):
    own = text.split(" ")
    for _ in range(rng.randint(0, len(own))):
        own[rng.randrange(len(own))] = rng.choice(words)
    return " ".join(own[rng.randint(0, len(own) // 2):])


pairs = [("The heart is enlarged.", "the heart is enlarged ."), ("no pleural effusion", ""), ("lungs are clear", "  lungs are clear\n")]
for _ in range(37):
    reference = sentence(rng.choice([4, 12, 40]))
    pairs.append((reference, rng.choice([changed(reference), sentence(12)])))
lines = [json.dumps(dict(id=n, answer=r, response=h), ensure_ascii=False) for n, (r, h) in enumerate(pairs)]
(HERE / "replies.jsonl").write_text("\n".join(lines) + "\n")
baseline = HERE / "baseline.tsv"
baseline.write_text("LAYER,P,R,F\n0,0.21,0.22,0.215\n1,0.3125,0.324,0.3177\n2,0.41,0.42,0.4155\n")


def special(cls, sep, pad, unk, mask):
    return dict(cls_token=cls, sep_token=sep, pad_token=pad, unk_token=unk, mask_token=mask)


KINDS = dict(
    roberta=(tf.RobertaModel, tf.RobertaConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=2, intermediate_size=24, max_position_embeddings=34,
        type_vocab_size=1, layer_norm_eps=1e-5, pad_token_id=1, initializer_range=0.6), byte_level(),
        dict(tokenizer_class="RobertaTokenizer", model_max_length=32, bos_token="<s>", eos_token="</s>",
             **special("<s>", "</s>", "<pad>", "<unk>", "<mask>"))),
    bert=(tf.BertModel, tf.BertConfig(
        hidden_size=16, num_hidden_layers=2, num_attention_heads=4, intermediate_size=24, max_position_embeddings=40,
        initializer_range=0.6), wordpiece(),
        dict(tokenizer_class="BertTokenizer", model_max_length=30, do_lower_case=True,
             **special("[CLS]", "[SEP]", "[PAD]", "[UNK]", "[MASK]"))),
)
replies = [h for _, h in pairs]
references = [r for r, _ in pairs]
cases = []
for kind, (model_class, config, tokenizer, settings) in KINDS.items():
    config.vocab_size = tokenizer.get_vocab_size()
    folder = HERE / kind
    shutil.rmtree(folder, ignore_errors=True)
    model_class(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    (folder / "tokenizer_config.json").write_text(json.dumps(settings) + "\n")
    with tempfile.TemporaryDirectory() as slow:
        shutil.copytree(folder, slow, dirs_exist_ok=True)
        os.remove(f"{slow}/tokenizer.json")
        tokenizer.model.save(slow)
        for layer, idf, rescaled in [(1, "none", False), (2, "references", True), (1, "replies", True)]:
            # In a larger batch the package fills up texts with zeros, which win over negative similarities.
            common = dict(model_type=slow, num_layers=layer, lang="en", nthreads=0, rescale_with_baseline=rescaled,
                          baseline_path=str(baseline), batch_size=1)
            if idf == "replies":
                scores = BERTScorer(idf=True, idf_sents=replies, **common).score(replies, references, batch_size=1)
            else:
                scores = score(replies, references, idf=idf == "references", **common)
            numbers = [[None if math.isnan(v) else v for v in row] for row in torch.stack(scores, 1).tolist()]
            cases.append(dict(encoder=kind, layer=layer, idf=idf, rescaled=rescaled, scores=numbers))
(HERE / "expected.json").write_text(json.dumps(cases).replace("}, {", "},\n{") + "\n")
print([[round(v, 3) for v in c["scores"][0] + c["scores"][5] + c["scores"][9]] for c in cases])
