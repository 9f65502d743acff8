"""Tokens a second of prompts and replies in words: loupe against `transformers` and llama.cpp, same weights and token counts.

    python make_checkpoint.py /tmp/bench400
    cargo build --release -p loupe-models --example decode_speed
    python tokens.py /tmp/bench400 target/release/examples/decode_speed [--dtype f32 bf16] [--batch 1 8 64]
    python make_gguf.py /tmp/bench400 /tmp/q8_0.gguf q8_0
    python tokens.py /tmp/bench400 target/release/examples/decode_speed --dtype q8_0 --batch 1 --gguf /tmp/q8_0.gguf
    python tokens.py /tmp/bench400 target/release/examples/decode_speed --dtype stored --batch 1 --gguf /tmp/q4_k.gguf

A prompt of about 512 tokens (batch 1) or 32 tokens (larger batches), then 64 tokens one by one. The tools run in turns, each in
a process of its own; the median of all rounds counts. Loading is not part of the rates. `transformers` takes no part where a type
is quantised, llama.cpp only at batch 1 and with a file of that type (`llama_cpp.mjs` says how it is installed). With `--dtype stored` loupe
reads that file too.
"""
import argparse, json, os, pathlib, resource, statistics, subprocess, sys, tempfile, time
from vqa_throughput import run
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
NEW = 64


def prompts(batch, words=None):
    words = words or (170 if batch == 1 else 8)
    return [f"{n} " + " ".join(["is there a lesion in the left lung"[i % 9:] for i in range(words)])[:words * 9] for n in range(batch)]


def finish(device):
    """Waits for what was begun on a GPU."""
    import torch
    if str(device).startswith("cuda"):
        torch.cuda.synchronize(device)


def torch_rates(model, batch, tokens, rounds, new):
    """Tokens a second of prompts and of replies."""
    import torch
    prefill, decode, vocabulary = [], [], model.config.get_text_config().vocab_size
    with torch.no_grad():
        for _ in range(rounds):
            ids = torch.randint(300, min(20000, vocabulary), (batch, tokens), device=model.device)
            finish(model.device)
            began = time.perf_counter()
            out = model(input_ids=ids, use_cache=True, logits_to_keep=1)
            finish(model.device)
            prefill.append(batch * tokens / (time.perf_counter() - began))
            began = time.perf_counter()
            for _ in range(new):
                ids = out.logits[:, -1:].argmax(-1)
                out = model(input_ids=ids, past_key_values=out.past_key_values, use_cache=True)
            finish(model.device)
            decode.append(batch * new / (time.perf_counter() - began))
    return dict(prefill=prefill, decode=decode)


def transformers_side(checkpoint, dtype, batch, tokens, rounds, threads):
    import torch, transformers as tf
    torch.set_num_threads(threads)
    began = time.perf_counter()
    model = tf.Qwen2_5_VLForConditionalGeneration.from_pretrained(checkpoint, dtype=getattr(torch, {
        "f32": "float32", "bf16": "bfloat16", "f16": "float16"}[dtype])).eval()
    load_s = time.perf_counter() - began
    print(json.dumps(torch_rates(model, batch, tokens, rounds, NEW) | dict(
        load_s=load_s, peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("program")
    p.add_argument("--dtype", nargs="*", default=["f32", "bf16"])
    p.add_argument("--batch", type=int, nargs="*", default=[1, 8, 64])
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--turns", type=int, default=2)
    p.add_argument("--alone", action="store_true", help="without transformers")
    p.add_argument("--gguf", help="the same weights for llama.cpp")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--tokens", type=int, help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.tokens:
        return transformers_side(a.checkpoint, a.dtype[0], a.batch[0], a.tokens, a.rounds, a.threads)
    for dtype in a.dtype:
        for batch in a.batch:
            sides = {"loupe": [], "transformers": [], "llama.cpp": []}
            with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
                json.dump(dict(new_tokens=NEW, rounds=a.rounds, prompts=prompts(batch)), f)
                f.flush()
                for _ in range(a.turns):
                    ours = run([a.program, a.gguf if dtype == "stored" else a.checkpoint, f.name, dtype])
                    sides["loupe"].append(ours)
                    tokens = str(ours["prompt_tokens"] // batch)
                    if not a.alone and dtype != "stored" and not dtype.startswith("q"):
                        sides["transformers"].append(run([
                            sys.executable, __file__, a.checkpoint, a.program, "--dtype", dtype, "--batch", str(batch),
                            "--tokens", tokens, "--rounds", str(a.rounds), "--threads", str(a.threads)]))
                    if a.gguf and batch == 1:
                        script = str(pathlib.Path(__file__).with_name("llama_cpp.mjs"))
                        sides["llama.cpp"].append(run([
                            "node", script, a.gguf, tokens, str(NEW), str(a.rounds), str(a.threads)]))
            middle = {name: {what: statistics.median([v for r in runs for v in r[what]]) for what in ("prefill", "decode")}
                      for name, runs in sides.items() if runs}
            print(f"{dtype}, batch {batch}, prompts of {ours['prompt_tokens'] // batch} tokens")
            for name, rates in middle.items():
                peak = max(r["peak_mib"] for r in sides[name])
                load = min(r["load_s"] for r in sides[name])
                print(f"  {name}: prefill {rates['prefill']:.1f}, decode {rates['decode']:.1f} tokens/s, "
                      f"load {load:.1f} s, peak {peak:.0f} MiB")
            for name in list(middle)[1:]:
                ratio = {what: middle["loupe"][what] / middle[name][what] for what in ("prefill", "decode")}
                print(f"  ratio to {name}: prefill {ratio['prefill']:.2f}, decode {ratio['decode']:.2f}", flush=True)


if __name__ == "__main__":
    main()
