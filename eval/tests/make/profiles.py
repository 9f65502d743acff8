"""Writes profiles_choice.json and profiles_text.json: what the harnesses' own functions say about invented questions.

Needs checkouts, at the commits named in eval/src/profiles, of MedEvalKit, VLMEvalKit, lmms-eval, MedVLThinker, MedFrameQA,
MedXpertQA, DeepTumorVQA, MultiMedEval, MedPLIB and KARMA-OpenMedEvalKit side by side in one folder, and
pip install nltk==3.10.4 rouge==1.0.1 mathruler==0.1.0 pylatexenc sympy numpy
python profiles.py FOLDER ../fixtures
"""
import ast, collections, copy, difflib, json, math, os, random, re, string, sys
import numpy as np
from mathruler.grader import extract_boxed_content
from nltk.translate.bleu_score import sentence_bleu
from rouge import Rouge

root, out = sys.argv[1:3]


def functions(path, *names, **extra):
    """The named functions, classes and constants of a file, run by themselves."""
    space = dict(re=re, os=os, json=json, random=random, np=np, string=string, math=math, difflib=difflib, collections=collections,
                 Counter=collections.Counter, defaultdict=collections.defaultdict, cp=copy, Any=object, Dict=dict, Iterable=list, Literal=dict,
                 sentence_bleu=sentence_bleu, Rouge=Rouge, extract_boxed_content=extract_boxed_content, **extra)
    tree = ast.parse(open(f"{root}/{path}").read())
    keep = []
    for node in ast.walk(tree):
        own = [node.name] if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else [t.id for t in node.targets if isinstance(t, ast.Name)] if isinstance(node, ast.Assign) else []
        if set(own) & set(names):
            node.decorator_list = []
            keep.append(node)
    exec(compile(ast.Module(keep, []), path, "exec", dont_inherit=True), space)
    return type("Functions", (), {k: staticmethod(v) if callable(v) else v for k, v in space.items() if k in names})


class Drawn(Exception):
    pass


def drawn(*_):
    raise Drawn


MEK = functions("MedEvalKit/utils/utils.py", "tokenize", "bleu", "rouge", "str_similarity", "find_most_similar_index", "judge_multi_choice", "parse_response", "judge_close_end_vqa", "judge_judgement",
                "judge_open_end_vqa", "calculate_f1", "get_content_between_a_b", "extract")
dice = type("random", (), {"choice": staticmethod(drawn)})
MMMU = functions("MedEvalKit/utils/MMMU/eval_utils.py", "parse_multi_choice_response", extract=MEK.extract)
MMMU.parse_multi_choice_response.__globals__["random"] = dice
LMMS = functions("lmms-eval/lmms_eval/tasks/_task_utils/mmmu_mcq_utils.py", "parse_mmmu_multi_choice_response")
LMMS.parse_mmmu_multi_choice_response.__globals__["random"] = dice
SLAKE = functions("lmms-eval/lmms_eval/tasks/slake/utils.py", "EN_YES", "EN_NO", "ZH_YES", "ZH_NO", "ZH_PUNCTUATION", "normalize_answer", "_normalize_medical_aliases", "_normalize_yes_no")
VLM = functions("VLMEvalKit/vlmeval/utils/matching_util.py", "_VERBOSE_ANSWER_RE", "can_infer_option", "can_infer_text", "can_infer", logger=type("L", (), {"info": staticmethod(lambda *_: None)}))
FRAME = functions("MedFrameQA/src/eval_process.py", "parse_multi_choice_response", print=lambda *_: None)
THINK = functions("MedVLThinker/eval/run_offline_inference_v2.py", "extract_answer", "grade_answer")
REGRADE = functions("MedVLThinker/analysis/regrade_eval_results.py", "_extract_answer", "extract_answer", "grade_answer")
XPERT = functions("MedXpertQA/eval/utils.py", "answer_cleansing")
TUMOR = functions("DeepTumorVQA/src/deeptumorvqa/eval/metrics.py", "_THINK_RE", "_THINK_OPEN_RE", "_LETTER_RE", "strip_think", "extract_letter")
MEDQ = functions("VLMEvalKit/vlmeval/dataset/medqbench_mcq.py", "_extract_option_letter", pd=type("pd", (), {"isna": staticmethod(lambda x: x is None)}))
NORMAL = ("contractions", "manual_map", "articles", "period_strip", "comma_strip", "punct")
MME = functions("MultiMedEval/multimedeval/utils.py", "clean_str", *NORMAL)
GLOSS = functions("MedPLIB/model/eval/glossary.py", "normalize_word", *NORMAL)
SPLIT = functions("MedPLIB/model/eval/eval_utils.py", "split_sentence")
LLAVA = functions("MedPLIB/model/eval/evaluate_metrics.py", "calculate_exactmatch", "calculate_f1score", normalize_word=GLOSS.normalize_word, split_sentence=SPLIT.split_sentence, print=lambda *_: None)
KARMA = functions("KARMA-OpenMedEvalKit/karma/metrics/common_metrics.py", "TokenisedF1Metric", BaseMetric=object)
KARMA_F1 = KARMA.TokenisedF1Metric.__new__(KARMA.TokenisedF1Metric)
rng = random.Random(11)


def letter(call, *args):
    try:
        return call(*args) or ""
    except Drawn:
        return "?"


def accepted(options, judge):
    return "".join(k for k in options if judge(k))


def choice(options, reply):
    """Letter read by each harness, "?" for a random one; for graders, the letters that would be right."""
    letters = list(options)
    vlm = {}
    for name, verbose in (("vlmevalkit-exact", None), ("vlmevalkit-exact-verbose", "1")):
        os.environ.pop("VERBOSE", None)
        if verbose:
            os.environ["VERBOSE"] = verbose
        vlm[name] = letter(lambda: VLM.can_infer(reply, dict(options)) or "")
    cut = {k: f"{k}. {v}".split(". ")[1] for k, v in options.items()}
    return {
        "medevalkit-mcq": accepted(options, lambda k: MEK.judge_multi_choice([f"{a}. {b}" for a, b in options.items()], k, reply)),
        "medevalkit-mmmu": letter(MMMU.parse_multi_choice_response, reply, letters, options),
        "lmms-eval-mmmu": letter(LMMS.parse_mmmu_multi_choice_response, reply, letters, options),
        **vlm,
        "medframeqa": letter(FRAME.parse_multi_choice_response, reply, letters, cut, ""),
        "medvlthinker": accepted(options, lambda k: THINK.grade_answer(THINK.extract_answer(reply), options[k], k)),
        "medvlthinker-regrade": accepted(options, lambda k: REGRADE.grade_answer(REGRADE.extract_answer(reply), options[k], k)),
        "medvlthinker-regrade-llava-med": accepted(options, lambda k: REGRADE.grade_answer(REGRADE.extract_answer(reply), options[k], k, True)),
        "medxpertqa": accepted(options, lambda k: XPERT.answer_cleansing("zero_shot", "Therefore, among {start} through {end}, the answer is", reply, "medxpertqa", "zs", {"options": letters, "label": [k]}) == [k]),
        "deeptumorvqa-mc": TUMOR.extract_letter(reply),
        "medq-bench": accepted(options, lambda k: str(MEDQ._extract_option_letter(None, reply)).upper() == k),
    }


def text(gold, reply):
    row = {}
    try:
        row["medevalkit-open"] = {k: float(v) for k, v in MEK.judge_open_end_vqa(gold, reply).items()}
    except Exception as e:
        row["medevalkit-open"] = type(e).__name__
    row["medevalkit-yes-no"] = MEK.judge_judgement(gold, reply)
    row["medevalkit-closed"] = MEK.judge_close_end_vqa(gold, reply)
    row["lmms-eval-slake"] = SLAKE.normalize_answer(reply) == SLAKE.normalize_answer(gold)
    row["clean"] = MME.clean_str(reply)
    g, r = GLOSS.normalize_word(gold.lower()), GLOSS.normalize_word(reply.lower())
    row["llava-med"] = [float(LLAVA.calculate_exactmatch(r, g)), *map(float, LLAVA.calculate_f1score(r, g))]
    row["llava-med-closed"] = g == r
    row["karma"] = float(KARMA_F1.evaluate([reply], [gold.lower()]))
    return row


findings = """pneumonia;pleural effusion;Left lower lobe;right upper lobe of the lung;a fracture. Displaced;normal;Abnormal;no abnormality;CT;T2-weighted MRI;
3.5 cm;A;B;Both A and C;the appendix;Enlarged heart (cardiomegaly);Kerley B lines;liver, spleen and kidney;adenocarcinoma;none of the above;X-ray""".replace("\n", "").split(";")
forms = ["{l}", "{l}.", "({l})", "{l}. {t}", "{t}", "The correct answer is {l}.", "**Answer: {l}**", "Answer: {l}\n\nOption A is unlikely because of its place, and C does not fit.",
         "Option A is unlikely and D can be excluded.\nAnswer: {l}", "Based on this, the answer is \\boxed{{{l}}}", "\\boxed{{\\text{{{l}}}}}", "<think>It may be A or D at first.</think><answer>{l}</answer>",
         "<think>Option A is tempting.</think><answer>{l}. {t}</answer>", "Therefore, among A through E, the answer is {l}.", "{s}", "I'm sorry, but I cannot give a diagnosis from this image.", "",
         "Based on the image, a mass is present.", "I don't know", "I think that {t} is the most likely finding in this patient", "Final Answer: ({l})", "{l}) {t}", "{l}: {t}", "{l} - {t}", "**{l}**",
         "The answer is {l}, since {t} is seen. A second look is advised.", "{l}\n\n{t}", "It is {t}.\n\n{l}. because", "Answer: The Cause is {l}", "答案:{l}", "option {s}", "Cannot determine the answer", "Z",
         "So I select option A", "<answer>{l}\n{t}</answer>", "<answer>\n", "\\boxed{{", "answer: {t}\nanswer: {l}", "{l}{l}", " {l} or {w}", "({w}) is wrong, ({l}) is right", "The Answer is: {t}"]
choices = []
for _ in range(14):
    options = dict(zip("ABCDE", rng.sample(findings, rng.choice([4, 5, 5]))))
    for form in forms:
        l = rng.choice(list(options))
        w = rng.choice([k for k in options if k != l])
        reply = form.format(l=l, t=options[l], s=l.lower(), w=w)
        choices.append({"options": options, "reply": reply, "read": choice(options, reply)})
json.dump(choices, open(f"{out}/profiles_choice.json", "w"), ensure_ascii=False, indent=0)

golds = findings + ["yes", "no", "Yes", "No", "右肺", "是的", "不是", "two", "Don't know", "1,000 ml", "left-sided", "ring-enhancing lesion"]
shapes = ["{g}", "{g}.", "The answer is {g}.", "{u}", "yes, {g} is seen; no doubt", "No, there is no {g}.", "\\boxed{{{g}}}", "<answer>{g}</answer> <answer>x</answer>", "no", "There is an abnormality that I cannot determine.",
          "", "...", "**Answer**: {g}\n", "Final answer is {g}", "{g} {g}", "dont think so, its {g} - right-sided. " + "x." * 40, "answer: a\nAnswer: The {g}", "（{g}） ({g})", "nope", "{g} and the pleura\nin 2 places"]
rows = []
for gold in golds:
    for shape in rng.sample(shapes, 9) + [shapes[rng.randrange(3)]]:
        reply = shape.format(g=gold, u=gold.upper())
        rows.append({"gold": gold, "reply": reply, "read": text(gold, reply)})
json.dump(rows, open(f"{out}/profiles_text.json", "w"), ensure_ascii=False, indent=0)
