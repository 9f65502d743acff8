"""Writes docs/reference/terminal.md: what each command says on terminals of 80 and of 140 columns.

    python tests/pages/terminal.py LOUPE FOLDER

FOLDER is scratch; the demonstration is made there once (`loupe demo --studies 16`). The commands run in it one after another, with the
built-in model and synthetic studies; seconds differ from machine to machine.
"""

import os
import random
import re
import shutil
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[2] / "docs/reference/terminal.md"
CT = "loupe-demo/data/studies/0000-ct-chest"
VQA = "vqa-rad=loupe-demo/data/vqa-rad"

# What a person types, in this order; later ones stand on what earlier ones wrote.
COMMANDS = [
    ("The demonstration", ["demo --studies 16"]),
    ("Asking", [f'ask {CT}/slice.png "Is there a nodule?"', f'ask {CT}/slice.png "Is there a nodule?" --options yes,no']),
    ("Segmenting and measuring", [f"segment {CT}/slice.png --box 60,90,120,150 --output segmented", f"measure {CT}/volume.nii {CT}/labels.nii"]),
    ("Evaluating", [f"eval --data {VQA} --limit 40 --logprobs 1 --output sure", "score loupe-demo/runs/vqa-rad", "score loupe-demo/runs/segment-box --no-page"]),
    ("Shards", [f"eval --data {VQA} --limit 40 --shard 1/2 --output half-1", f"eval --data {VQA} --limit 40 --shard 2/2 --output half-2", "merge half-1 half-2 --output whole --no-page"]),
    ("Comparing", ["compare loupe-demo/runs/one-look loupe-demo/runs/two-looks --page looks.html", "compare loupe-demo/runs/vqa-rad loupe-demo/runs/vqa-rad-blank", "leaderboard loupe-demo/runs/vqa-rad loupe-demo/runs/vqa-rad-swapped loupe-demo/runs/vqa-rad-blank"]),
    ("A suite", ["suite suite.toml --check", "suite suite.toml"]),
    ("Exporting", ["export loupe-demo/runs/grounding --to coco --output coco", "export sure --to csv --output sure.csv", "export sure --to latex"]),
    ("Reports", ["phantom --out worklist --studies 4 --reports", "reports worklist/worklist.jsonl --output reports"]),
    ("A reader study", ["study build loupe-demo/study/study.toml --output blinded", "study analyse readings.csv --output results --baseline unaided"]),
    ("Images", [f"inspect {CT}/dicom", f"render {CT}/volume.nii --slice 50% --window lung --output slice.png", f"prepare {CT}/volume.nii --slices even:4 --window lung --output prepared", f"deidentify {CT}/dicom --output clean"]),
    ("Sets, lists and the machine", [f"data check {VQA}:test", "list windows", "list protocols", "doctor"]),
    ("When something is wrong", [f"eval --data vqa-rda=loupe-demo/data/vqa-rad", f"eval --data {VQA}:tst", f"score loupe-demo/runs/vqa-rad --profile strickt", "export sure --to parket", "ask nowhere.png hello", "ask loupe-demo/data/studies hello", f"ask {CT}/slice.png hello --model google/medgemma-4b-it"]),
]

SUITE = """output = "july"
max_new_tokens = 16

[[models]]
name = "built-in"

[[sets]]
name = "rad"
data = "vqa-rad=loupe-demo/data/vqa-rad"
split = "test"
limit = 30

[[sets]]
name = "slake"
data = "slake=loupe-demo/data/slake"
split = "test"
limit = 30

[[templates]]
name = "loupe"
"""


def readings() -> str:
    """Four readers of forty cases with and without help, drawn with one seed."""
    draw = random.Random(7)
    lines = ["reader,case,arm,truth,rating,seconds"]
    for reader in range(4):
        for case in range(40):
            truth = case % 2
            for arm, gain in (("unaided", 14), ("aided", 24)):
                rating = min(100, max(0, round(draw.gauss(50 + (gain if truth else -gain), 20))))
                lines.append(f"r{reader + 1},c{case:02},{arm},{truth},{rating},{round(draw.uniform(20, 60) * (0.8 if arm == 'aided' else 1))}")
    return "\n".join(lines) + "\n"


def said(loupe: str, folder: Path, words: str, columns: int) -> str:
    """What the command says, with paths outside of the folder by their end alone."""
    import shlex

    env = {**os.environ, "COLUMNS": str(columns), "NO_COLOR": "1"}
    done = subprocess.run([loupe, *shlex.split(words)], cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    text = re.sub(r"\x1b\[[0-9;]*m", "", done.stdout).replace(str(folder.resolve()) + "/", "").rstrip()
    return text + (f"\n[exit code {done.returncode}]" if done.returncode else "")


def main(loupe: str, folder: Path) -> None:
    loupe = os.path.abspath(loupe)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "suite.toml").write_text(SUITE)
    (folder / "readings.csv").write_text(readings())
    out = ["# On the terminal\n", "What commands say on terminals of 80 and of 140 columns; `tests/pages/terminal.py` wrote this page. Bars of progress are not on it.\n"]
    for title, commands in COMMANDS:
        out.append(f"## {title}\n")
        for words in commands:
            shown = {}
            for columns in (80, 140):
                first = words.split()[0]
                if columns == 140 and first in ("demo", "eval", "suite", "reports", "merge", "segment", "phantom", "render", "prepare", "deidentify") and "--check" not in words:
                    # What runs a model or writes a folder is done once, and says the same at any width.
                    continue
                if columns == 80 and first == "deidentify":
                    shutil.rmtree(folder / "clean", ignore_errors=True)
                made = re.search(r"--output (\w+)$|--output (\w+) ", words)
                if columns == 140 and first in ("export", "study") and made:
                    shutil.rmtree(folder / (made[1] or made[2]), ignore_errors=True)
                shown[columns] = said(loupe, folder, words, columns)
                print(f"{columns:3} {words}", flush=True)
            out.append(f"    $ loupe {words}\n")
            narrow = shown[80]
            wide = shown.get(140, narrow)
            for name, text in [("", narrow)] if wide == narrow else [("80 columns", narrow), ("140 columns", wide)]:
                if name:
                    out.append(f"{name}:\n")
                out.append("```text\n" + text + "\n```\n")
    PAGE.write_text("\n".join(out), encoding="utf-8")
    print(f"{PAGE}: {PAGE.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
