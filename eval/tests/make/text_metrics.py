"""Writes text_metrics.json and porter.tsv: what the packages say about invented sentences.

pip install nltk==3.10.4 rouge==1.0.1 rouge_score==0.1.2 sacrebleu==2.6.0 pycocoevalcap==1.2 torchmetrics==1.9.0
python text_metrics.py ../fixtures
"""
import json, random, sys, warnings
from nltk.stem.porter import PorterStemmer
from nltk.translate.bleu_score import SmoothingFunction, corpus_bleu, sentence_bleu
import sacrebleu
from pycocoevalcap.bleu.bleu import Bleu
from pycocoevalcap.cider.cider import Cider
from pycocoevalcap.rouge.rouge import Rouge as CocoRouge
from rouge import Rouge
from rouge_score.rouge_scorer import RougeScorer
from torchmetrics.functional.text import bleu_score, rouge_score as tm_rouge

warnings.filterwarnings("ignore")
out = sys.argv[1]
rng = random.Random(7)
words = """the left right lower upper lobe lung opacity nodule measuring 3.5 cm no acute effusion is are seen heart size normal
normally enlarged enlargement mildly unchanged stable fracture ribs pleural thickening (possibly) consistent with 10-mm T2-weighted
hyperintense lesions lesion's granulomatous calcification, differential: atelectasis/pneumonia "mass" & <5mm >2 50% +3 bilateral""".split()


def sentence():
    n = rng.randint(1, 14)
    return " ".join(rng.choice(words) for _ in range(n)) + rng.choice(["", ".", ".", "?"])


pairs = [("No acute disease.", "No acute disease."), ("CT", "ct scan"), ("yes", "no"), ("left lung", "Left. Lung."),
         ("右肺", "右肺 上叶"), ("x-ray", "The answer is X-Ray."), ("3.5 cm", "3,5 cm"), ("a", "a a a a a a")]
for _ in range(52):
    ref = " ".join(sentence() for _ in range(rng.randint(1, 4)))
    if rng.random() < 0.3:
        ref = ref.replace(". ", ".\n")
    hyp = ref.split(" ")
    for _ in range(rng.randint(0, len(hyp))):
        at = rng.randrange(len(hyp))
        hyp[at] = rng.choice(words)
    if rng.random() < 0.5:
        hyp = hyp[: rng.randint(1, len(hyp))]
    if rng.random() < 0.3:
        rng.shuffle(hyp)
    pairs.append((ref, " ".join(hyp)))

tok = lambda t: t.lower().replace(".", " .").split(" ")
ws = lambda t: t.lower().split()
dotted = lambda t: t.lower().replace(".", " .").split()
coco = lambda t: " ".join(dotted(t))
gts = {i: [coco(r)] for i, (r, _) in enumerate(pairs)}
res = {i: [coco(h)] for i, (_, h) in enumerate(pairs)}
cider, ciders = Cider().compute_score(gts, res)
items = []
for (ref, hyp), cid in zip(pairs, ciders):
    row = {"ref": ref, "hyp": hyp, "metrics": {}}
    m = row["metrics"]
    for n in (1, 2, 3, 4):
        m[f"bleu{n}_nltk"] = sentence_bleu([tok(ref)], tok(hyp), weights=[1 / n] * n)
    m["bleu4_nltk_method1"] = sentence_bleu([ws(ref)], ws(hyp), smoothing_function=SmoothingFunction().method1)
    m["bleu_sacrebleu_sentence"] = sacrebleu.sentence_bleu(hyp, [ref]).score
    for stem in (False, True):
        s = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"], use_stemmer=stem).score(ref, hyp)
        for ours, theirs in (("rouge1", "rouge1"), ("rouge2", "rouge2"), ("rouge_l", "rougeL"), ("rouge_lsum", "rougeLsum")):
            m[ours + ("_stem" if stem else "")] = s[theirs].fmeasure
    s = Rouge().get_scores(hyp.lower(), ref.lower())[0]
    for ours, theirs in (("rouge1_sets", "rouge-1"), ("rouge2_sets", "rouge-2"), ("rouge_l_sets", "rouge-l")):
        m[ours] = s[theirs]["f"]
    m["rouge_l_coco"] = float(CocoRouge().calc_score([coco(hyp)], [coco(ref)]))
    for n in (1, 2, 4):
        m[f"bleu{n}_torchmetrics"] = bleu_score([hyp], [[ref]], n_gram=n).item()
    s = tm_rouge(hyp, ref, rouge_keys=("rouge1", "rougeL"))
    m["rouge1_torchmetrics"], m["rouge_l_torchmetrics"] = s["rouge1_fmeasure"].item(), s["rougeL_fmeasure"].item()
    row["cider_d"] = float(cid)
    items.append(row)
bleu, _ = Bleu(4).compute_score(gts, res, verbose=0)
corpus = {f"bleu{n + 1}_coco": b for n, b in enumerate(bleu)}
corpus["cider_d"] = float(cider)
corpus["bleu4_nltk_corpus"] = corpus_bleu([[dotted(r)] for r, _ in pairs], [dotted(h) for _, h in pairs])
corpus["bleu_sacrebleu"] = sacrebleu.corpus_bleu([h for _, h in pairs], [[r for r, _ in pairs]]).score
json.dump({"items": items, "corpus": corpus}, open(f"{out}/text_metrics.json", "w"), ensure_ascii=False, indent=0)

roots = """heart cardi pleur atelect fibr calcif opac lung lob arter ven nod lesion mass fractur oper relat condition ration
organ vital hope good adjust gyroscop defens irrit replac depend adopt homolog commun activ angular effect bowdler feed plaster
motor sing conflat troubl size hop tan fall hiss fizz fail fil happ sk d l t cr trac conform radical differ vile analog vietnam
predic feudal decis callous formal sensit sensib triplic electr control roll prob rat ceas""".split()
tails = """s es ed ing ies ied y e er ers eed ation ational ations ally alli fulli logi ology ization izer ator alism iveness fulness ousness aliti
iviti biliti icate ative alize iciti ical ful ness al ance ence ic able ible ant ement ment ent ion tion sion ou ism ate iti ous ive
ize ll lly bly atic eli entli ousli enci anci abli""".split() + [""]
vocabulary = sorted({r + t for r in roots for t in tails} | set("""sky skies dying lying tying news innings inning outing
outings cannings canning howe proceed exceed succeed flies dies mules denied agreed owned humbled sized meeting stating siezing
itemization sensational traditional reference colonizer plotted say syzygy toy yy by""".split()))
stem = PorterStemmer().stem
with open(f"{out}/porter.tsv", "w") as f:
    f.write("# nltk 3.10.4 PorterStemmer, default mode: word, stem\n")
    for w in rng.sample(vocabulary, 1400) + ["sky", "skies", "news", "dies", "flies", "inning"]:
        f.write(f"{w}\t{stem(w)}\n")
