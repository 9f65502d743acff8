"""Samples a minute: loupe against `transformers` generate, same checkpoint, prompts and token counts.

    python make_checkpoint.py /tmp/bench400          (make_florence2.py for Florence-2, make_family.py for other families,
                                                     hulu_med.py with --checkout for Hulu-Med)
    cargo build --release -p loupe-models --example throughput
    python vqa_throughput.py /tmp/bench400 target/release/examples/throughput [--shape slake|vqa-rad|single] [--dtype f32]

Three shapes of work: 1, 7 (VQA-RAD) and 22 (SLAKE) questions an image, on 448² images with prompts of about 285 tokens and 8
new tokens. `transformers` gets the best of batch sizes 1, 7 and 22. The tools run in turns, each in a process of its own so
that peak memory is its own; the minimum of the rounds counts, loading is not timed.
"""
import argparse, json, os, pathlib, resource, subprocess, sys, tempfile, time
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
NEW, SIDE = 8, 448
TYPES = {"f32": "float32", "bf16": "bfloat16"}
SHAPES = {"single": 1, "vqa-rad": 7, "slake": 22}


def question(i):
    return f"is there a lesion in the left lung {i:02d}?"


def noise(image):
    import numpy as np
    from PIL import Image
    n = image["width"] * image["height"] * 3
    out, state = bytearray(n), image["seed"]
    for i in range(n):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        out[i] = state >> 56
    return Image.fromarray(np.frombuffer(bytes(out), np.uint8).reshape(image["height"], image["width"], 3))


def authors_side(checkpoint, checkout, work, dtype, batch, threads):
    """Hulu-Med, which `transformers` has not."""
    import torch
    from hulu_med import Side
    torch.set_num_threads(threads)
    side = Side(checkpoint, checkout, getattr(torch, TYPES[dtype]))
    pairs = pairs_of(work)
    start, tokens = time.perf_counter(), 0
    with torch.no_grad():
        for at in range(0, len(pairs), batch):
            images, questions = zip(*pairs[at:at + batch])
            tokens += side.answer(images, questions, NEW)
    report(len(pairs), time.perf_counter() - start, tokens)


def report(answers, seconds, tokens):
    print(json.dumps(dict(answers=answers, seconds=seconds, prompt_tokens=tokens,
                          peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))


def pairs_of(work):
    """Pictures with their questions."""
    return [(picture, q) for image in work["images"] for picture in [noise(image)] for q in image["questions"]]


def torch_answers(model, proc, pairs, batch, new):
    """Answers all in batches on the model's device; the tokens of their prompts."""
    import torch
    florence = model.config.model_type == "florence2"
    proc.tokenizer.padding_side = "left"
    tokens = 0
    with torch.no_grad():
        for at in range(0, len(pairs), batch):
            part = pairs[at:at + batch]
            texts = [q for _, q in part] if florence else [proc.apply_chat_template([{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": q}]}],
                                              add_generation_prompt=True, tokenize=False) for _, q in part]
            # One list an answer: Gemma 3's processor takes no other.
            x = proc(text=texts, images=[p if florence else [p] for p, _ in part], padding=True, return_tensors="pt").to(model.device)
            model.generate(**x, max_new_tokens=new, min_new_tokens=new, do_sample=False)
            tokens += int(x["attention_mask"].sum())
    return tokens


def transformers_side(checkpoint, work, dtype, batch, threads):
    import torch, transformers as tf
    torch.set_num_threads(threads)
    florence = tf.AutoConfig.from_pretrained(checkpoint).model_type == "florence2"
    kind = tf.Florence2ForConditionalGeneration if florence else tf.AutoModelForImageTextToText
    model = kind.from_pretrained(checkpoint, dtype=getattr(torch, TYPES[dtype])).eval()
    proc = tf.AutoProcessor.from_pretrained(checkpoint)
    pairs = pairs_of(work)
    start = time.perf_counter()
    tokens = torch_answers(model, proc, pairs, batch, NEW)
    report(len(pairs), time.perf_counter() - start, tokens)


def run(command):
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("throughput")
    p.add_argument("--shape", choices=SHAPES, action="append")
    p.add_argument("--dtype", default="f32")
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--images", type=int, default=1)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--batches", type=int, nargs="*", default=[1, 7, 22])
    p.add_argument("--checkout", help="of ZJUI-AI4H/Hulu-Med, for a checkpoint of hulu_med.py")
    p.add_argument("--work", help=argparse.SUPPRESS)
    p.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.work and a.checkout:
        return authors_side(a.checkpoint, a.checkout, json.loads(pathlib.Path(a.work).read_text()), a.dtype, a.batch, a.threads)
    if a.work:
        return transformers_side(a.checkpoint, json.loads(pathlib.Path(a.work).read_text()), a.dtype, a.batch, a.threads)
    for shape in a.shape or SHAPES:
        images = [dict(width=SIDE, height=SIDE, seed=i + 1, questions=[question(q) for q in range(SHAPES[shape])])
                  for i in range(a.images)]
        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
            json.dump(dict(new_tokens=NEW, images=images), f)
            f.flush()
            ours, theirs = [], {}
            for _ in range(a.rounds):
                ours.append(run([a.throughput, a.checkpoint, f.name, a.dtype]))
                for batch in [b for b in a.batches if b <= max(SHAPES[shape], 1) * a.images]:
                    theirs.setdefault(batch, []).append(run([
                        sys.executable, __file__, a.checkpoint, a.throughput, "--work", f.name, "--batch", str(batch),
                        "--dtype", a.dtype, "--threads", str(a.threads)] + (["--checkout", a.checkout] if a.checkout else [])))
        rate = lambda r: 60 * r["answers"] / r["seconds"]
        mine = max(ours, key=rate)
        best = {b: max(r, key=rate) for b, r in theirs.items()}
        print(f"{shape}, {a.dtype}: loupe {rate(mine):.1f} samples/min, peak {mine['peak_mib']:.0f} MiB, "
              f"{mine['prompt_tokens'] / mine['answers']:.0f} prompt tokens")
        for b, r in best.items():
            print(f"  transformers batch {b}: {rate(r):.1f} samples/min, peak {r['peak_mib']:.0f} MiB, "
                  f"{r['prompt_tokens'] / r['answers']:.0f} prompt tokens")
        top = max(best.values(), key=rate)
        print(f"  ratio {rate(mine) / rate(top):.2f} to the best; peak memory ratio {mine['peak_mib'] / top['peak_mib']:.2f}")


if __name__ == "__main__":
    main()
