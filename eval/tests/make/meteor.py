"""Writes wordnet/ (a small invented database in the format of WordNet's files) and meteor.json: what nltk makes of it.

pip install nltk==3.10.4
python meteor.py ../fixtures
"""
import json, pathlib, random, sys, warnings
import nltk.data
from nltk.corpus.reader.wordnet import WordNetCorpusReader
from nltk.stem.porter import PorterStemmer
from nltk.translate.meteor_score import meteor_score

warnings.filterwarnings("ignore")
out = pathlib.Path(sys.argv[1]).resolve()
folder = out / "wordnet"
folder.mkdir(exist_ok=True)
LICENCE = "".join(f"  {n} {line}\n" for n, line in enumerate(
    ["Invented words for tests in the format of WordNet 3.0 Copyright: none.", "They say nothing about the English language."], 1))
# Sets of synonyms; a bar begins the words of a satellite of the set before it.
SETS = {
    "noun": ["lung organ", "fluid liquid pleural_effusion", "heart pump heart_muscle", "mass lump node", "spot dot focus", "focus centre",
             "vertebra bone", "ox cattle", "man person", "abdoman belly", "branch limb", "lobe part", "mas crowd", "box case", "shelf rack",
             "quiz test", "dish plate", "bus coach", "body form", "Doctor medic Dr.", "scan picture CT", "thing object scan", "é accent"],
    "verb": ["scan look", "see spot", "ble leak", "ring sound", "form make", "carry bear", "us employ", "test check", "s hiss", "enlarge expand grow"],
    "adj": ["larg big", "great(a) big", "alone(p) single | sole", "che thin", "liv quick", "norm usual | typic common", "acut(ip) sharp", "fine good | smooth"],
    "adv": ["mildli slightli", "well good", "alone solely", "too also"],
}
EXCEPTIONS = {"noun": ["foci focus", "vertebrae vertebra", "oxen ox", "men man", "fluid liquid_body gas", "lice louse mass"],
              "verb": ["saw see", "grown grow enlarge"], "adj": ["better good fine", "best fine"], "adv": ["best well"]}
KINDS = {"noun": "n", "verb": "v", "adj": "a", "adv": "r"}
(folder / "lexnames").write_text("00\tall\t1\n")
for part, sets in SETS.items():
    data, index, head = LICENCE, {}, None
    for line in sets:
        for n, words in enumerate(line.split(" | ")):
            place, words = len(data.encode()), words.split()
            kind = "s" if n else KINDS[part]
            head = head if n else place
            pointers = f"001 & {head:08d} a 0000" if n else "000"
            frames = " 01 + 08 00" if part == "verb" else ""
            data += f"{place:08d} 00 {kind} {len(words):02x} {' '.join(w + ' 0' for w in words)} {pointers}{frames} | an invented meaning  \n"
            for word in words:
                index.setdefault(word.split("(")[0].lower(), []).append(place)
    (folder / f"data.{part}").write_text(data)
    (folder / f"index.{part}").write_text(LICENCE + "".join(
        f"{word} {KINDS[part]} {len(at)} 2 @ ~ {len(at)} 0 {' '.join(f'{a:08d}' for a in at)}  \n" for word, at in sorted(index.items())))
    (folder / f"{part}.exc").write_text("".join(line + "\n" for line in EXCEPTIONS[part]))



class Reader(WordNetCorpusReader):
    def map_wn(self, version=""):
        """Other languages are mapped to this database by a file that it does not have."""


nltk.data.path.append(str(out))
wordnet = Reader(str(folder), None)
listed = sorted({w.split("(")[0] for s in SETS.values() for line in s for w in line.replace(" |", "").split()})
irregular = [w for e in EXCEPTIONS.values() for line in e for w in line.split()]
others = """the no of and is are lungs masses abdomen chest liver bleed ring singing boxes shelves quizzes dishes branches buses bodies
scanned scanning larger largest thinner uses carries CT. mild effusion effusions enlarged enlarging normally é éé naïveté œdèmes Ödeme ödemes
右肺 右肺s caféing éd opacity opacities sees formed tests""".split()
vocabulary = listed + irregular + others
rng = random.Random(5)
synonyms = {w: sorted({l.name() for s in wordnet.synsets(w.lower()) for l in s.lemmas() if "_" not in l.name()})
            for w in sorted({w.lower() for w in vocabulary})}
stems = {w: PorterStemmer().stem(w) for w in sorted({w.lower() for w in vocabulary if not w.isascii()}
         | {"é" * 140 + "ing", "".join(chr(0x4E00 + i) for i in range(200)) + "ational"})}


def sentence(most):
    few = rng.sample(vocabulary, rng.choice([3, 8, 40]))
    return " ".join(rng.choice(few) for _ in range(rng.randint(0, most)))


def changed(text):
    words = text.split()
    for at in range(len(words)):
        near = synonyms.get(words[at].lower()) or [words[at]]
        words[at] = rng.choice([words[at], words[at].upper(), words[at] + "s", rng.choice(near), rng.choice(vocabulary)])
    if rng.random() < 0.4:
        rng.shuffle(words)
    return rng.choice([" ", "  ", "\n", "\x1f "]).join(words[:rng.choice([3, 100])])


pairs = [([""], ""), (["heart"], ""), ([""], "heart"), ([" \n"], "\x1c"), (["heart"], "HEART"), (["lung lung lung"], "lung lung"),
         (["lung organ"], "organ lung"), (["liquid"], "fluid"), (["focus spot"], "foci dot"), (["Doctor"], "medic"), (["medic"], "doctor")]
for _ in range(500):
    references = [sentence(rng.choice([3, 12, 30])) for _ in range(rng.choice([1, 1, 1, 2, 3]))]
    pairs.append((references, rng.choice([changed(references[-1]), sentence(12)])))
items = [[r, h, meteor_score([x.split() for x in r], h.split(), wordnet=wordnet)] for r, h in pairs]
json.dump(dict(synonyms=synonyms, stems=stems, items=items), open(out / "meteor.json", "w"), ensure_ascii=False, indent=0)
print(len(items), sum(i[2] > 0 for i in items), sum(len(s) > 0 for s in synonyms.values()))
