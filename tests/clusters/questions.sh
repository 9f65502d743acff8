# Read by the scripts beside it: `phantom_questions LOUPE FOLDER` makes three questions on each of twelve phantoms that come with the program,
# FOLDER/data.jsonl.
phantom_questions() {
    mkdir -p "$2"
    (
        cd "$2"
        "$1" phantom --quiet --out phantoms >/dev/null
        python3 - <<'PY'
import json, pathlib
images = sorted(p for p in pathlib.Path("phantoms").rglob("*.png"))[:12]
with open("data.jsonl", "w") as to:
    for n, image in enumerate(images):
        for q in ("Is a lesion present?", "Is a lung shown?", "What is shown?"):
            to.write(json.dumps({"id": f"{n}-{q[:12]}", "image": str(image), "question": q, "answer": "yes"}) + "\n")
print(len(images), "pictures,", 3 * len(images), "questions")
PY
    )
}
