"""Reports an hour: `loupe reports` against a loop over `transformers`, same checkpoint, prompts, pictures and token counts.

    python make_checkpoint.py /tmp/bench400
    cargo build --release
    python reports.py /tmp/bench400 ../../target/release/loupe [--shape own|priors|same] [--studies 24] [--rounds 2]

Three shapes of work, 448² pictures, 48 new tokens, greedy:
    own     every study has a picture of its own: nothing is shared but the system turn
    priors  studies of 8 patients in the order of their dates, each with the one before as prior: every picture is shown twice
    same    every picture is reported on under 6 indications, as in a study of prompts: the pictures are shared
`transformers` takes one study at a time, as the scripts do that people run today. Both sides are whole processes, loading included; they run
in turns and the minimum of the rounds counts. Replies are compared: the share that is the same word for word is printed.
"""
import argparse
import json
import os
import pathlib
import resource
import subprocess
import sys
import tempfile
import time

os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
NEW, SIDE = 48, 448
SYSTEM = "You are a radiologist. You write what the images show, and nothing that they do not show."
ASK = "Write the findings section of the report of this study in full sentences. Say where each finding lies and how large it is."
TEMPLATE = ("{% block system %}" + SYSTEM + "{% endblock %}{% block findings %}{% for image in priors %}{{ image }}{% endfor %}"
            "{% for image in images %}{{ image }}{% endfor %}Indication: {{ indication }}. " + ASK + "{% endblock %}")
INDICATIONS = ["cough", "pain", "fever", "follow-up", "a fall", "screening"]


def studies(shape, count):
    """(id, pictures with priors first, number of priors, indication)"""
    if shape == "own":
        return [(f"s{i:04}", [i], 0, INDICATIONS[i % 6]) for i in range(count)]
    if shape == "same":
        return [(f"s{i:04}", [i // 6], 0, INDICATIONS[i % 6]) for i in range(count)]
    out = []
    for i in range(count):
        patient, date = divmod(i, max(1, count // 8))
        own = patient * 1000 + date
        out.append((f"s{i:04}", [own - 1, own] if date else [own], int(date > 0), INDICATIONS[i % 6]))
    return out


def draw(path, seed):
    import numpy as np
    from PIL import Image
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(path)


def transformers_side(checkpoint, work, dtype, threads):
    import torch
    import transformers as tf
    from PIL import Image
    torch.set_num_threads(threads)
    kind = {"f32": torch.float32, "bf16": torch.bfloat16}[dtype]
    model = tf.AutoModelForImageTextToText.from_pretrained(checkpoint, dtype=kind).eval()
    processor = tf.AutoProcessor.from_pretrained(checkpoint)
    replies = {}
    with torch.no_grad():
        for name, pictures, _, indication in work["studies"]:
            images = [Image.open(os.path.join(work["images"], f"{p}.png")).convert("RGB") for p in pictures]
            content = [{"type": "image"} for _ in images] + [{"type": "text", "text": f"Indication: {indication}. {ASK}"}]
            talk = [{"role": "system", "content": [{"type": "text", "text": SYSTEM}]}, {"role": "user", "content": content}]
            text = processor.apply_chat_template(talk, add_generation_prompt=True, tokenize=False)
            inputs = processor(text=[text], images=images, return_tensors="pt")
            out = model.generate(**inputs, max_new_tokens=NEW, do_sample=False)
            replies[name] = processor.batch_decode(out[:, inputs["input_ids"].shape[1]:], skip_special_tokens=True)[0].strip()
    print(json.dumps(replies))


def timed(command, **more):
    start = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True, **more)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, command))}\n{done.stderr[-2000:]}")
    return time.perf_counter() - start, done.stdout


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("loupe")
    p.add_argument("--shape", choices=["own", "priors", "same"], action="append")
    p.add_argument("--studies", type=int, default=24)
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--dtype", default="f32", choices=["f32", "bf16"])
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--work", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.work:
        return transformers_side(a.checkpoint, json.loads(pathlib.Path(a.work).read_text()), a.dtype, a.threads)
    for shape in a.shape or ["own", "priors", "same"]:
        with tempfile.TemporaryDirectory() as folder:
            folder = pathlib.Path(folder)
            (folder / "images").mkdir()
            rows, work = [], studies(shape, a.studies)
            for picture in {picture for _, pictures, _, _ in work for picture in pictures}:
                draw(folder / "images" / f"{picture}.png", picture)
            for name, pictures, priors, indication in work:
                paths = [f"images/{picture}.png" for picture in pictures]
                rows.append(json.dumps({"study_id": name, "images": paths[priors:], "prior_images": paths[:priors], "indication": indication}))
            (folder / "worklist.jsonl").write_text("\n".join(rows) + "\n")
            (folder / "template.jinja").write_text(TEMPLATE)
            (folder / "work.json").write_text(json.dumps({"studies": work, "images": str(folder / "images")}))
            ours, theirs, said = [], [], {}
            for round_ in range(a.rounds):
                out = folder / f"batch{round_}"
                command = [a.loupe, "reports", folder / "worklist.jsonl", "--model", a.checkpoint, "--template", folder / "template.jinja",
                           "-o", out, "--max-new-tokens", NEW, "--dtype", a.dtype, "--no-page", "--quiet"]
                seconds, _ = timed([str(part) for part in command], env={**os.environ, "RAYON_NUM_THREADS": str(a.threads)})
                ours.append(seconds)
                lines = [json.loads(line) for line in (out / "reports.jsonl").read_text().splitlines()]
                said = {line["study_id"]: line["raw"][0].strip() for line in lines}
                command = [sys.executable, __file__, a.checkpoint, a.loupe, "--dtype", a.dtype, "--threads", a.threads, "--work", folder / "work.json"]
                seconds, printed = timed([str(part) for part in command])
                theirs.append(seconds)
            replies = json.loads(printed.strip().splitlines()[-1])
            same = sum(said[name] == replies[name] for name in replies)
            hour = [3600 * len(work) / min(all_) for all_ in (ours, theirs)]
            print(f"{shape:7} {len(work)} studies  loupe {hour[0]:.0f} an hour  transformers {hour[1]:.0f} an hour  {hour[0] / hour[1]:.2f}x  "
                  f"same words {same} of {len(work)}  (peak of both {resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024:.0f} MiB)", flush=True)


if __name__ == "__main__":
    main()
