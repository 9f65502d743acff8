"""Prompt look-up beside plain decoding, on replies that repeat a text of their prompt: tokens a second and how many were accepted.

    python make_checkpoint.py /tmp/bench400
    cargo build --release -p loupe-models --example decode_speed
    python lookup.py /tmp/bench400 target/release/examples/decode_speed [--dtype bf16 f32 q8_0] [--batch 1 4 16] [--lookup 5 8]

Random weights say nothing that stands in their prompt, so that the checkpoint is changed (and kept beside the other as FOLDER-chain): its layers
compute all they did but add nothing, and its output head maps each word to the next one of a fixed chain. The reply is then the
chain, whatever the prompt says, and the prompt holds it as an earlier report would: the same, or with every 16th or every 6th word another one. Two
more kinds show what it costs where nothing is to be gained: a prompt that has nothing of the reply, and one that has each two words of
it with a wrong one behind them, so that all that is looked up is wrong.

The two ways run in turns, each in a process of its own; the median of all rounds counts, loading is not part of it. Replies are compared.
"""
import argparse, json, pathlib, shutil, statistics, tempfile
from vqa_throughput import run

WORDS, NEW = 4000, 256
word = "w{:04}".format


def make(plain, chain):
    """The checkpoint whose replies are the chain."""
    import torch, transformers as tf
    from safetensors.torch import load_file, save_file
    shutil.copytree(plain, chain, ignore=shutil.ignore_patterns("*.safetensors*"))
    tok = tf.AutoTokenizer.from_pretrained(plain)
    assert tok.add_tokens([word(n) for n in range(WORDS)]) == WORDS
    tok.save_pretrained(chain)
    ids = tok.convert_tokens_to_ids([word(n) for n in range(WORDS)])
    begin = tok.encode("\n", add_special_tokens=False)
    tensors = {}
    for file in sorted(plain.glob("*.safetensors")):
        tensors.update(load_file(file))
    for name, tensor in tensors.items():
        if "visual" not in name and name.endswith(("self_attn.o_proj.weight", "mlp.down_proj.weight")):
            tensor.zero_()
    table = next(tensor for name, tensor in tensors.items() if name.endswith("embed_tokens.weight"))
    unit = table / table.norm(dim=1, keepdim=True)
    head = torch.zeros_like(table)
    head[ids[1:]] = unit[ids[:-1]]
    head[ids[0]] = unit[ids[-1]] + unit[begin[-1]]
    tensors["lm_head.weight"] = head
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, chain / "model.safetensors", {"format": "pt"})
    config = json.loads((chain / "config.json").read_text())
    config["tie_word_embeddings"] = False
    if "text_config" in config:
        config["text_config"]["tie_word_embeddings"] = False
    (chain / "config.json").write_text(json.dumps(config))


def prompt(kind, n):
    """One of several prompts of a kind; all are of about the same length."""
    said = list(range(NEW + 1))
    other = [NEW + 100 + (7 * i + 13 * n) % (WORDS - NEW - 100) for i in said]
    if kind == "nothing in common":
        said = other
    elif kind == "all of it wrong":
        said = [w for i in range(0, NEW, 3) for w in (i, i + 1, other[i])]
        said += [w for i in range(1, NEW, 3) for w in (i, i + 1, other[i])]
    elif kind != "the same":
        every = int(kind.split()[1])
        said = [other[i] if i % every == every - 1 else i for i in said]
    return f"{n} " + "".join(map(word, said)) + " is there a lesion"


KINDS = ["the same", "every 16 words another", "every 6 words another", "nothing in common", "all of it wrong"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint", type=pathlib.Path)
    p.add_argument("program")
    p.add_argument("--dtype", nargs="*", default=["bf16", "f32", "q8_0"])
    p.add_argument("--batch", type=int, nargs="*", default=[1, 4, 16])
    p.add_argument("--lookup", type=int, nargs="*", default=[5, 8])
    p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--turns", type=int, default=2)
    p.add_argument("--json", type=pathlib.Path, help="all figures, for the record")
    a = p.parse_args()
    chain = a.checkpoint.with_name(a.checkpoint.name + "-chain")
    if not chain.exists():
        make(a.checkpoint, chain)
    rows = []
    for dtype in a.dtype:
        for batch in a.batch:
            print(f"{dtype}, batch {batch}, {NEW} tokens")
            for kind in KINDS:
                sides = {lookup: [] for lookup in [0, *a.lookup]}
                for _ in range(a.turns):
                    for lookup, runs in sides.items():
                        work = dict(new_tokens=NEW, rounds=a.rounds, prompt_lookup=lookup,
                                    prompts=[prompt(kind, n) for n in range(batch)])
                        with tempfile.NamedTemporaryFile("w", suffix=".json") as f:
                            json.dump(work, f)
                            f.flush()
                            runs.append(run([a.program, str(chain), f.name, dtype]))
                said = [one["ids"] for runs in sides.values() for one in runs]
                assert all(ids == said[0] for ids in said), "a reply differs"
                rate = {lookup: statistics.median([v for one in runs for v in one["decode"]]) for lookup, runs in sides.items()}
                print(f"  {kind}: plain {rate[0]:.1f} tokens/s")
                for lookup in a.lookup:
                    last = sides[lookup][-1]
                    rows.append(dict(dtype=dtype, batch=batch, kind=kind, plain=rate[0], lookup=lookup, rate=rate[lookup],
                                     proposed=last["proposed"], accepted=last["accepted"], tokens=batch * (NEW + 1)))
                    print(f"    look-up {lookup}: {rate[lookup]:.1f} tokens/s, ratio {rate[lookup] / rate[0]:.2f}; "
                          f"{last['accepted']} of {last['proposed']} proposed tokens accepted, {batch * (NEW + 1)} in all", flush=True)
    if a.json:
        a.json.write_text(json.dumps(rows, indent=1))


if __name__ == "__main__":
    main()
