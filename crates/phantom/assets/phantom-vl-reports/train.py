"""Trains the adapter with which phantom-vl writes reports. See README.md.

    python train.py --dump ../../../../target/release/examples/dump --out OUT --until 14:00

Needs torch, transformers, tokenizers, safetensors. One thread.
"""
import argparse
import datetime
import json
import os
import queue
import random
import re
import sys
import threading
import time

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from tokenizers import Tokenizer
from transformers import Qwen2_5_VLForConditionalGeneration

HERE = os.path.dirname(os.path.abspath(__file__))
BASE = os.path.join(HERE, "../phantom-vl")
sys.path.insert(0, BASE)
from data import dump, records  # noqa: E402
from net import Net  # noqa: E402

RANK, ALPHA = 16, 32
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
# What a report is scored by; everything else in it is nearly always the same.
KEYS = re.compile(r"\b(left|right|\d+|nodule|mass|effusion|pneumothorax|haemorrhage|fracture|infarct|cyst|stone|tumour|exudate|grown|smaller|new|"
                  r"unchanged|resolved|grew|shrank|appeared|Left|Right|Normal|hollow)\b|(?:^|\. |: |\n)(\w+)|in the (\w+)")
SIZE = re.compile(r"of (\d+) mm")


class Writer:
    """Prompts and replies as tokens: the words of the report template `phantom` (crates/run/src/report_prompt/published)."""

    def __init__(self, tok):
        self.tok, self.known = tok, {}
        self.pad = tok.token_to_id("<|image_pad|>")
        self.picture = [tok.token_to_id("<|vision_start|>"), *[self.pad] * 16, tok.token_to_id("<|vision_end|>")]
        self.start, self.end = tok.token_to_id("<|im_start|>"), tok.token_to_id("<|im_end|>")
        self.numbers = [tok.token_to_id(str(n)) for n in range(113)]
        assert None not in self.numbers

    def words(self, text):
        got = self.known.get(text)
        if got is None:
            got = self.known[text] = self.tok.encode(text, add_special_tokens=False).ids
        return got

    def prompt(self, record, indication):
        row = [self.start, *self.words("user\n")]
        if record["images"] == 2:
            row += [*self.words("<image_1>: "), *self.picture, *self.words("<image_2>: "), *self.picture]
        else:
            row += self.picture
        row += self.words(f"\nIndication: {record['indication']}\nWrite the report." if indication else "\nWrite the report.")
        return row + [self.end, *self.words("\n"), self.start, *self.words("assistant\n")]

    def reply(self, record):
        """Tokens, their weights, and which are sizes."""
        text = f"Findings: {record['findings']}\n\nImpression: {record['impression']}"
        key, size = np.zeros(len(text), bool), np.zeros(len(text), bool)
        for marks, pattern in ((key, KEYS), (size, SIZE)):
            for found in pattern.finditer(text):
                group = next((g for g in (1, 2, 3) if g <= (found.re.groups) and found.group(g)), 0)
                marks[found.start(group):found.end(group)] = True
        encoded = self.tok.encode(text, add_special_tokens=False)
        weight = [2.0 if key[a:b].any() else 0.5 for a, b in encoded.offsets]
        sizes = [bool(size[a:b].any()) and text[a:b].strip().isdigit() for a, b in encoded.offsets]
        return encoded.ids + [self.end], weight + [0.5], sizes + [False]


class Examples:
    """Studies from the generator; what was seen is used again, since rendering is not free."""

    def __init__(self, binary, first, see, keep):
        self.see, self.kept, self.keep, self.last, self.fresh = see, [], keep, first, 0
        self.waiting = queue.Queue(256)
        self.process = dump(binary, "reports", first, 1 << 40)
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        for record in records(self.process.stdout):
            self.waiting.put(record)

    def take(self, n, fresh, rng):
        """`n` studies, of which at least `fresh` were never seen; with the number of those, which come first."""
        new = []
        while len(new) < fresh or (len(self.kept) + len(new) < n):
            record = self.waiting.get()
            self.last = record["seed"]
            new.append(record)
        features = self.see(np.concatenate([r.pop("pixels") for r in new])) if new else None
        at = 0
        for record in new:
            record["features"] = features[at:at + record["images"]]
            at += record["images"]
            record.pop("mask"), record.pop("labels")
        old = rng.sample(self.kept, n - len(new))
        self.fresh += len(new)
        self.kept += new
        if len(self.kept) > self.keep:
            self.kept = self.kept[-self.keep:]
        return new + old, len(new)


def positions(row, pad):
    out, here, j = [], 0, 0
    while j < len(row):
        if row[j] == pad:
            out += [(here, here + c // 4, here + c % 4) for c in range(16)]
            here, j = here + 4, j + 16
        else:
            out.append((here,) * 3)
            here, j = here + 1, j + 1
    return out


def collate(examples, writer, rng):
    rows, learn, target, weight, size, owner = [], [], [], [], [], []
    for i, record in enumerate(examples):
        prompt = writer.prompt(record, rng.random() < 0.9)
        reply, weights, sizes = writer.reply(record)
        learn += [(i, len(prompt) - 1 + j) for j in range(len(reply))]
        target += reply
        weight += weights
        size += sizes
        owner += [i] * len(reply)
        rows.append(prompt + reply)
    longest = (max(map(len, rows)) + 7) // 8 * 8
    tokens = torch.zeros(len(rows), longest, dtype=torch.long)
    place = torch.zeros(3, len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        tokens[i, :len(row)] = torch.tensor(row)
        place[:, i, :len(row)] = torch.tensor(positions(row, writer.pad)).T
    where = (tokens.flatten() == writer.pad).nonzero()[:, 0]
    seen = torch.cat([r["features"] for r in examples])
    learn = torch.tensor([i * longest + j for i, j in learn])
    return tokens, seen, where, place, learn, torch.tensor(target), torch.tensor(weight), torch.tensor(size), torch.tensor(owner)


class Adapter:
    """Low-rank changes of the language part's matrices (Hu et al. 2021), as peft names them."""

    def __init__(self, net):
        self.net, self.parts = net, {}
        generator = torch.Generator().manual_seed(17)
        for name, module in net.model.named_modules():
            if "language_model.layers" in name and name.split(".")[-1] in TARGETS:
                out, inner = module.weight.shape
                a = torch.randn(RANK, inner, generator=generator) * inner ** -0.5
                self.parts[name] = (module.weight, a.requires_grad_(), torch.zeros(out, RANK).requires_grad_())

    def begin(self):
        for weight, a, b in self.parts.values():
            self.net.cast[id(weight)] = (weight + (ALPHA / RANK) * (b @ a)).to(self.net.dtype)

    def tensors(self):
        out = {}
        for name, (_, a, b) in self.parts.items():
            for factor, value in (("lora_A", a), ("lora_B", b)):
                out[f"base_model.model.{name}.{factor}.weight"] = value.detach()
        return out

    def load(self, tensors):
        for name, (_, a, b) in self.parts.items():
            for factor, value in (("lora_A", a), ("lora_B", b)):
                value.data.copy_(tensors[f"base_model.model.{name}.{factor}.weight"])


def export(adapter, out):
    """Writes the folder that peft and loupe read."""
    os.makedirs(out, exist_ok=True)
    path = os.path.join(out, "adapter_model.safetensors")
    save_file({k: v.half().contiguous() for k, v in adapter.tensors().items()}, path + ".tmp", {"format": "pt"})
    os.replace(path + ".tmp", path)
    config = {"base_model_name_or_path": "phantom-vl", "bias": "none", "inference_mode": True, "lora_alpha": ALPHA, "lora_dropout": 0.0,
              "modules_to_save": None, "peft_type": "LORA", "r": RANK, "target_modules": TARGETS, "task_type": "CAUSAL_LM", "use_rslora": False}
    # The tower has modules of the same names.
    config["target_modules"] = r".*language_model\.layers\.\d+\.(self_attn|mlp)\.(" + "|".join(TARGETS) + ")"
    with open(os.path.join(out, "adapter_config.json"), "w") as f:
        f.write(json.dumps(config, indent=2) + "\n")


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--dump", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--until", required=True, help="HH:MM (24 h), when to be done")
    ap.add_argument("--decay-minutes", type=float, default=15)
    ap.add_argument("--lr", type=float, default=3e-3)
    ap.add_argument("--batch", type=int, default=16)
    ap.add_argument("--fresh", type=int, default=6, help="studies of a batch that were never seen")
    ap.add_argument("--keep", type=int, default=12000)
    ap.add_argument("--first", type=int, default=1 << 40, help="first training seed; those below taught the base model")
    ap.add_argument("--resume")
    ap.add_argument("--pause", help="wait while this file is there and not empty")
    args = ap.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    now = datetime.datetime.now()
    hours, minutes = map(int, args.until.split(":"))
    end = now.replace(hour=hours, minute=minutes, second=0).timestamp()
    end += 86400 * (end < time.time())

    writer = Writer(Tokenizer.from_file(os.path.join(BASE, "tokenizer.json")))
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(BASE, dtype=torch.float32)
    model.requires_grad_(False)
    net = Net(model)
    net.begin(torch.float32)
    adapter = Adapter(net)
    factors = [value for _, a, b in adapter.parts.values() for value in (a, b)]
    # The second factor starts from nothing and learns faster (Hayou et al. 2024).
    adam = torch.optim.AdamW([{"params": factors[0::2], "scale": 1.0}, {"params": factors[1::2], "scale": 2.0}],
                             lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0)
    step, spent = 0, 0.0
    if args.resume:
        state = torch.load(args.resume)
        adapter.load(state["adapter"])
        adam.load_state_dict(state["adam"])
        step, spent, args.first = state["step"], state["spent"], state["next_seed"]

    def see(pixels):
        with torch.no_grad():
            return net.see(torch.from_numpy(pixels))[1]

    examples = Examples(args.dump, args.first, see, args.keep)
    rng = random.Random(step)
    table = torch.tensor(writer.numbers)
    number_at = torch.full((model.config.text_config.vocab_size,), -1)
    number_at[table] = torch.arange(len(table))
    n = torch.arange(len(table)).float()
    # Right within an eighth of the size is nearly as good.
    near = torch.exp(-0.5 * ((n[:, None] - n[None]) / (n[:, None] / 12).clamp(min=0.8)) ** 2)
    near /= near.sum(1, keepdim=True)
    running, last_log, last_save = {}, time.time(), time.time()
    begun = time.process_time()

    def save(name):
        path = os.path.join(args.out, name)
        torch.save({"adapter": adapter.tensors(), "adam": adam.state_dict(), "step": step, "next_seed": examples.last + 4096,
                    "spent": spent + time.process_time() - begun}, path + ".tmp")
        os.replace(path + ".tmp", path)
        export(adapter, os.path.join(args.out, "adapter"))

    def note(name, right, all_):
        entry = running.setdefault(name, [0.0, 0.0])
        entry[0], entry[1] = entry[0] * 0.97 + right, entry[1] * 0.97 + all_

    os.makedirs(args.out, exist_ok=True)
    left = end - time.time()
    while left > 0:
        while args.pause and os.path.exists(args.pause) and os.path.getsize(args.pause):
            time.sleep(5)
        rate = args.lr * min(1, (step + 1) / 20) * min(1, left / (60 * args.decay_minutes) + 0.02)
        batch, new = examples.take(args.batch, args.fresh, rng)
        tokens, seen, where, place, learn, target, weight, size, owner = collate(batch, writer, rng)
        adapter.begin()
        mask = torch.ones(1, tokens.shape[1], tokens.shape[1], dtype=torch.bool).tril()
        hidden, _ = net.read(tokens, seen, where, place, mask)
        logits = net.logits(hidden.flatten(0, 1)[learn])
        each = F.cross_entropy(logits, target, reduction="none")
        if size.any():
            goal = near[number_at[target[size]]]
            each = each.masked_scatter(size, -(goal * logits[size].log_softmax(-1)[:, table]).sum(-1))
        loss = (each * weight).sum() / weight.sum()
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(factors, 1.0)
        for group in adam.param_groups:
            group["lr"] = rate * group["scale"]
        adam.step()
        step += 1
        with torch.no_grad():
            # Of studies that were never seen before.
            unseen = owner < new
            said = logits.argmax(-1)
            right = said == target
            key = (weight > 1) & ~size & unseen
            note("keys", right[key].sum().item(), key.sum().item())
            rest = (weight < 1) & unseen
            note("rest", right[rest].sum().item(), rest.sum().item())
            sized = size & unseen
            if sized.any():
                true, guess = number_at[target[sized]], number_at[said[sized]]
                close = (guess >= 0) & ((guess - true).abs() <= (true / 4).clamp(min=2))
                note("size", close.sum().item(), len(true))
            for i in range(new):
                own = (owner == i) & ~size
                note("whole", float(right[own].all()), 1)
            note("loss", loss.item(), 1)
        left = end - time.time()
        if time.time() - last_log > 30:
            last_log = time.time()
            cpu = time.process_time() - begun
            print(f"{datetime.datetime.now():%H:%M:%S} step {step} fresh {examples.fresh} rate {rate:.1e} cpu {spent + cpu:.0f} s  "
                  + "  ".join(f"{k} {a / max(b, 1e-9):.3f}" for k, (a, b) in running.items()), flush=True)
        if time.time() - last_save > 120:
            last_save = time.time()
            save("last.pt")
    save("final.pt")
    examples.process.kill()


if __name__ == "__main__":
    main()
