"""Writes punkt/ (a model trained on invented sentences) and word_tokenize.json: how nltk cuts invented texts with it.

pip install nltk==3.10.4
python word_tokenize.py ../fixtures
"""
import json, pathlib, random, sys
from nltk.tabdata import TabEncoder
from nltk.tokenize.destructive import NLTKWordTokenizer
from nltk.tokenize.punkt import PunktSentenceTokenizer, PunktTrainer

out = pathlib.Path(sys.argv[1]).resolve()
rng = random.Random(9)
nouns = "heart lung lobe opacity nodule effusion fracture rib Smith Kerley apex node".split()
verbs = "is are measures shows was".split()
starts = "The No There Mild Stable In Unchanged".split()


def sentence():
    words = [rng.choice(starts), *rng.choices(nouns, k=rng.randint(1, 3)), rng.choice(verbs), *rng.choices(nouns, k=rng.randint(1, 4))]
    for _ in range(rng.randint(0, 2)):
        words.insert(rng.randrange(1, len(words)), rng.choice(["approx.", "Dr.", "fig.", "no.", "vs.", "a.p.", "i.v.", "B.", "3.5", "cm."]))
    return " ".join(words) + rng.choice([".", ".", ".", "?", "!"])


trainer = PunktTrainer()
trainer.INCLUDE_ALL_COLLOCS = True
trainer.train(" ".join(sentence() for _ in range(3000)))
params = trainer.get_params()
params.collocations |= {("##number##", "cm"), ("b", "kerley")}
params.sent_starters |= {"there", "unchanged"}
folder, tabs = out / "punkt", TabEncoder()
folder.mkdir(exist_ok=True)
for name, text in [("abbrev_types.txt", tabs.list2txt(sorted(params.abbrev_types))),
                   ("collocations.tab", tabs.tups2tab(sorted(params.collocations))),
                   ("sent_starters.txt", tabs.list2txt(sorted(params.sent_starters))),
                   ("ortho_context.tab", tabs.ivdict2tab(dict(sorted(params.ortho_context.items()))))]:
    (folder / name).write_text(text)

pieces = nouns + verbs + starts + """approx. Dr. fig. vs. a.p. i.v. B. A. é. _. 3. 3.5 -2,000. 1,5 cm. no. pre-fig. ... .. . . . . -- --- - ? ! ?! ." .) .'' .] !" ." ( ) [ ] { } < >
" '' `` ` ' 'the the' 'tis 'twas isn't ISN'T they'll we've I'm He'D heart's nodes' d'ye cannot Cannot gimme lemme gonna gotta wanna more'n
, , ; : a:b a,b 3:4 x;y 50% $3.88 #1 & * R&D @home «lung» “heart” ‘rib’ ’s – — ‒ e.g. i.e. U.S. end.The end.2 wait...what … 右肺。 naïve. ÉTAT. état.
(no.) (see. 'quoted.' .. ..x a-- --b""".split()


def text():
    joins = [" ", " ", " ", " ", "", "\n", "  ", "\n\n", "\t", "\u00a0", "\x1f"]
    return "".join(rng.choice(pieces) + rng.choice(joins) for _ in range(rng.randint(1, rng.choice([3, 10, 30]))))


texts = ["", " ", ".", "...", "a", "'", "\"", "No. ", "Good muffins cost $3.88 (roughly 3,36 euros)\nin New York.  Please buy me\ntwo of them.\nThanks.",
         "She said \"stable.\" Then (it grew.) -- Yes.", "x.\n", "a,\n", "heart . . . lung . . Lung. . . ."]
texts += [text() for _ in range(700)] + [" ".join(sentence() for _ in range(4)) for _ in range(60)]
splitter, cutter = PunktSentenceTokenizer(params), NLTKWordTokenizer()
items = []
for t in texts:
    sentences = splitter.tokenize(t)
    items.append([t, sentences, [w for s in sentences for w in cutter.tokenize(s)]])
json.dump(items, open(out / "word_tokenize.json", "w"), ensure_ascii=False, indent=0)
print(len(items), sum(len(i[1]) > 1 for i in items), len(params.abbrev_types), params.abbrev_types, len(params.collocations), len(params.ortho_context))
