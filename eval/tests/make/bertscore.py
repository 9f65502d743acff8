"""Writes bertscore.json: what the package says of invented texts whose vectors follow a formula.

pip install bert_score==0.3.13 "transformers<5"     (5 has no `build_inputs_with_special_tokens`, which empty texts need)
python bertscore.py ../fixtures

The encoder is a fake, repeated in ../bertscore.rs: a word is its place in a list, the vector of a token depends on the word, its
position and the layer. Everything after the encoder is the package.
"""
import json, math, random, sys, tempfile
import torch
from bert_score import BERTScorer, score

CLS, SEP, PAD, FIRST = 0, 1, 2, 3
WIDTH, LAYERS, LONGEST = 20, 3, 16
WORDS = """the left right lower upper lobe lung opacity nodule no acute effusion is are heart size normal enlarged mildly stable
fracture of ribs and bilateral pleural""".split()


class Tokenizer:
    sep_token_id, cls_token_id, pad_token_id, model_max_length = SEP, CLS, PAD, LONGEST

    def build_inputs_with_special_tokens(self, ids):
        return [CLS, *ids, SEP]

    def encode(self, text, add_special_tokens, max_length, truncation):
        ids = [FIRST + WORDS.index(w) if w in WORDS else FIRST + len(WORDS) for w in text.split()]
        return [CLS, *ids[:max_length - 2], SEP]


class Model(torch.nn.Module):
    def __init__(self, layer):
        super().__init__()
        self.layer, self.place = layer, torch.nn.Parameter(torch.zeros(1))

    def forward(self, x, attention_mask=None, output_hidden_states=False):
        value = lambda i, p, c: math.sin((i + 1) * (c + 1) * 0.37) + 0.5 * math.cos((p + self.layer) * (c + 1) * 0.11) + 0.3
        return (torch.tensor([[[value(i, p, c) for c in range(WIDTH)] for p, i in enumerate(row)] for row in x.tolist()]),)


# The package's name `score` is the function; its module is found by name.
for module in (sys.modules["bert_score.score"], sys.modules["bert_score.scorer"]):
    module.get_tokenizer = lambda *_: Tokenizer()
    module.get_model = lambda _, layer, *rest: Model(layer)

rng = random.Random(11)
sentence = lambda most: " ".join(rng.choice(WORDS) for _ in range(rng.randint(1, most)))


def changed(text):
    words = text.split(" ")
    for _ in range(rng.randint(0, len(words))):
        words[rng.randrange(len(words))] = rng.choice(WORDS + ["cyst"])
    return " ".join(words[rng.randint(0, len(words) // 2):])


pairs = [(["no acute effusion"], "no acute effusion"), (["the the the"], "the"), (["heart"], ""), ([""], "heart"), ([""], " \n"),
         (["heart", ""], "heart size"), ([" heart\x1f"], "\u00a0heart\u2003"), (["stable", "no", "the heart is normal"], "heart")]
for _ in range(40):
    reference = sentence(rng.choice([4, 10, 30]))
    pairs.append(([reference] + [sentence(9) for _ in range(rng.choice([0, 0, 1, 2]))], changed(reference)))
always = [(["the lung"], "the lung is"), (["the lung is the"], "lung"), (["lung the"], "is")]
baseline = "LAYER,P,R,F\n" + "".join(f"{n},{0.3 + 0.05 * n:.7f},{0.31 + 0.05 * n:.7f},{0.305 + 0.05 * n:.7f}\n" for n in range(LAYERS + 1))

cases = []
with tempfile.NamedTemporaryFile("w", suffix=".tsv") as file:
    file.write(baseline)
    file.flush()
    for rows, layer, idf, rescaled in [(pairs, 0, "none", False), (pairs, 2, "none", True), (pairs, 3, "references", False),
                                       (pairs, 1, "replies", True), (always, 2, "references", False)]:
        references, replies = [r for r, _ in rows], [h for _, h in rows]
        settings = dict(model_type="fake", num_layers=layer, lang="en", nthreads=0,
                        rescale_with_baseline=rescaled, baseline_path=file.name)
        if idf == "replies":
            scores = BERTScorer(idf=True, idf_sents=replies, **settings).score(replies, references)
        else:
            scores = score(replies, references, idf=idf == "references", **settings)
        numbers = [[None if math.isnan(v) else v for v in row] for row in torch.stack(scores, 1).tolist()]
        cases.append(dict(pairs=[[r, h] for r, h in rows], layer=layer, idf=idf, rescaled=rescaled, scores=numbers))
json.dump(dict(words=WORDS, baseline=baseline, cases=cases), open(f"{sys.argv[1]}/bertscore.json", "w"), indent=0)
