"""From the start of the program to 16 tokens about a picture: `loupe ask` against `transformers`, whole processes, same checkpoint.

    python make_checkpoint.py /tmp/3b --shape 3b --dtype bf16        (7.5 GB)
    cargo build --release
    python first_answer.py /tmp/3b ../../target/release/loupe [--dtype bf16] [--rounds 2]
    python first_answer.py embedded ../../target/release/loupe        the built-in model, which stands alone

The weights lie in the page cache: they are read once before, which is timed too. The tools run in turns and the fastest round counts. The first
run of `loupe` also hashes the weights, and keeps the hash beside the folder; so it is told apart from the others.
"""
import argparse, json, os, pathlib, subprocess, sys, tempfile, time
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
NEW, SIDE = 16, 448
QUESTION = "is there a lesion in the left lung?"


def transformers_side(checkpoint, picture, dtype):
    import torch
    import transformers as tf
    from PIL import Image
    torch.set_num_threads(os.cpu_count())
    model = tf.AutoModelForImageTextToText.from_pretrained(checkpoint, dtype={"bf16": torch.bfloat16, "f32": torch.float32}[dtype]).eval()
    loaded = time.time()
    processor = tf.AutoProcessor.from_pretrained(checkpoint)
    turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": QUESTION}]}]
    text = processor.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
    x = processor(text=[text], images=[[Image.open(picture)]], return_tensors="pt")
    with torch.no_grad():
        model.generate(**x, max_new_tokens=NEW, min_new_tokens=NEW, do_sample=False)
    print(json.dumps(dict(loaded=loaded, prompt_tokens=x["input_ids"].shape[1])))


def timed(command):
    """Seconds, peak MiB, words."""
    began = time.time()
    with tempfile.TemporaryFile("w+") as out:
        child = subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT, text=True)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.time() - began
        out.seek(0)
        words = out.read()
    if status:
        sys.exit(f"{command[0]} failed:\n{words}")
    return dict(seconds=seconds, began=began, peak_mib=usage.ru_maxrss / 1024, words=words)


def read_once(folder):
    began = time.time()
    for file in sorted(pathlib.Path(folder).glob("*.safetensors")):
        with open(file, "rb", buffering=0) as f:
            while f.read(1 << 24):
                pass
    return time.time() - began


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("loupe")
    p.add_argument("--dtype", default="bf16", choices=["bf16", "f32"])
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--picture", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.picture:
        return transformers_side(a.checkpoint, a.picture, a.dtype)
    import numpy as np
    from PIL import Image
    embedded = a.checkpoint == "embedded"
    with tempfile.TemporaryDirectory() as folder:
        picture = os.path.join(folder, "picture.png")
        Image.fromarray(np.random.default_rng(1).integers(0, 255, (SIDE, SIDE, 3), np.uint8)).save(picture)
        ask = [a.loupe, "ask", picture, QUESTION, "--json", "--max-new-tokens", str(NEW)]
        ask += [] if embedded else ["--model", a.checkpoint, "--dtype", a.dtype]
        read = [] if embedded else [read_once(a.checkpoint), read_once(a.checkpoint)]
        first, ours, theirs = timed(ask), [], []
        for _ in range(a.rounds):
            ours.append(timed(ask))
            if not embedded:
                theirs.append(timed([sys.executable, __file__, a.checkpoint, a.loupe, "--dtype", a.dtype, "--picture", picture]))
    mine = min(ours, key=lambda r: r["seconds"])
    print(f"loupe: {mine['seconds']:.2f} s ({first['seconds']:.2f} s the first time), peak {mine['peak_mib']:.0f} MiB")
    if embedded:
        return
    other = min(theirs, key=lambda r: r["seconds"])
    said = json.loads(other["words"].strip().splitlines()[-1])
    print(f"transformers: {other['seconds']:.2f} s, {said['loaded'] - other['began']:.2f} s of it until the model was there, "
          f"{said['prompt_tokens']} prompt tokens, peak {other['peak_mib']:.0f} MiB")
    print(f"reading the weights once, in the page cache: {read[-1]:.2f} s")
    print(f"ratio {other['seconds'] / mine['seconds']:.2f}; peak memory ratio {mine['peak_mib'] / other['peak_mib']:.2f}")


if __name__ == "__main__":
    main()
