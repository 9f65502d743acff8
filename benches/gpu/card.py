"""The measuring side of check.sh: one card, one process for torch, one each time for loupe.

Parts run in the order of their worth; each writes its figures at once, an error is a figure too. What is held against what:
prompts and replies against the bytes a second that the card copies (read and written) and against its rate of matrix products, both
measured here; logits against torch in f32 on the same card.
"""
import argparse, gc, json, lzma, os, pathlib, shutil, site, statistics, subprocess, sys, tempfile, time
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
COMPARE = pathlib.Path(__file__).parents[1] / "compare"
sys.path.insert(0, str(COMPARE))
import torch
import transformers as tf
from safetensors.torch import load_file
from tokens import finish, prompts, torch_rates
from vqa_throughput import NEW, pairs_of, question, torch_answers

BATCHES = [1, 8, 32]
TYPES = {"f32": torch.float32, "bf16": torch.bfloat16}
# Seconds that a part takes at most on a card of the size it is meant for; it is not begun with less.
PARTS = {"card": 10, "parity": 70, "3b": 90, "suite": 60, "7b": 120}
WANTED = {"decode": 0.7, "prefill": 0.5, "suite": 5.0}


class Check:
    def __init__(self, a):
        self.a, self.began = a, time.monotonic()
        self.device = torch.device("cuda:0" if a.device == "cuda" else a.device)
        self.is_cuda = self.device.type == "cuda"
        # The operations of a GPU are tried on the processor where there is none.
        self.own_device = str(self.device) if self.is_cuda else "cpu-plain"
        self.work = pathlib.Path(tempfile.mkdtemp(prefix="loupe-card-"))
        self.figures = dict(
            card=torch.cuda.get_device_name(self.device) if self.is_cuda else "cpu", torch=torch.__version__,
            transformers=tf.__version__, tiny=a.tiny, parts={}, not_run=[], failed=[], targets={})
        if self.is_cuda:
            query = ["nvidia-smi", "--query-gpu=driver_version,memory.total", "--format=csv,noheader", "-i", str(self.device.index)]
            self.figures["driver"] = subprocess.run(query, capture_output=True, text=True).stdout.strip()

    def left(self):
        return self.a.limit - (time.monotonic() - self.began)

    def part(self, name, needs, work):
        """Runs a part; nothing that goes wrong in it ends the others."""
        if self.left() < (needs if not self.a.tiny else 1):
            self.figures["not_run"].append(name)
            print(f"{name}: not begun, {self.left():.0f} s are left", flush=True)
            return
        began = time.monotonic()
        try:
            found = work()
        except Exception as error:
            told = getattr(error, "stderr", None) or ""
            told = told if isinstance(told, str) else told.decode(errors="replace")
            found = dict(error=f"{type(error).__name__}: {error}", told=told[-2000:])
            self.figures["failed"].append(name)
        found["seconds"] = round(time.monotonic() - began, 1)
        self.figures["parts"][name] = found
        self.write()
        print(f"{name}: {json.dumps(found)}", flush=True)
        gc.collect()
        if self.is_cuda:
            torch.cuda.empty_cache()

    def write(self):
        self.figures["seconds"] = round(time.monotonic() - self.began, 1)
        (self.a.out / "figures.json").write_text(json.dumps(self.figures, indent=1) + "\n")

    def aim(self, name, value, wanted):
        """What the card should give; not meeting it is told and is no failure."""
        self.figures["targets"][name] = dict(value=round(value, 3), wanted=wanted, met=value >= wanted)

    def run(self, command):
        environment = dict(os.environ)
        # torch's own wheels bring the libraries that the program was linked with.
        found = [str(p) for root in site.getsitepackages() for p in pathlib.Path(root).glob("nvidia/*/lib")]
        environment["LD_LIBRARY_PATH"] = os.pathsep.join(filter(None, [os.environ.get("LD_LIBRARY_PATH"), *found]))
        done = subprocess.run([str(c) for c in command], check=True, capture_output=True, text=True, env=environment,
                              timeout=max(self.left(), 1))
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def ours(self, program, checkpoint, work, *more):
        file = self.work / "work.json"
        file.write_text(json.dumps(work))
        return self.run([self.program(program), checkpoint, file, *more])

    def program(self, name):
        if (self.a.built / name).exists():
            return self.a.built / name
        path = self.work / "programs" / name
        if not path.exists():
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(lzma.decompress((self.a.built / f"{name}.xz").read_bytes()))
            path.chmod(0o755)
        return path

    # What the card can do.

    def card(self):
        size = (2 << 30) if self.is_cuda else (64 << 20)
        source = torch.ones(size, dtype=torch.uint8, device=self.device)
        target = torch.empty_like(source)
        copy = 2 * size / self.median(lambda: target.copy_(source))
        rates = {}
        side = 8192 if self.is_cuda else 512
        for name, dtype in TYPES.items():
            a, b = (torch.randn(side, side, device=self.device).to(dtype) for _ in range(2))
            rates[name] = 2 * side**3 / self.median(lambda: a @ b)
        self.copy, self.matrix = copy, rates["bf16"]
        return dict(copied_gb_s=copy / 1e9, matrix_tflops={k: v / 1e12 for k, v in rates.items()})

    def median(self, work, rounds=12):
        times = []
        for _ in range(rounds):
            finish(self.device)
            began = time.perf_counter()
            work()
            finish(self.device)
            times.append(time.perf_counter() - began)
        return statistics.median(times[2:])

    # The same logits as torch.

    def parity(self, family):
        folder = self.make(family)
        images = [dict(width=448, height=336, seed=1, questions=[question(0)])]
        picture, asked = pairs_of(dict(images=images))[0]
        found, exact, good = {}, None, True
        for name, dtype in TYPES.items():
            dump = self.work / "dump"
            dump.mkdir(exist_ok=True)
            self.ours("throughput", folder, dict(new_tokens=16, images=images), name, self.own_device, dump)
            own = load_file(dump / "dump.safetensors")
            shutil.rmtree(dump)
            model = tf.AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype).to(self.device).eval()
            proc = tf.AutoProcessor.from_pretrained(folder)
            chat = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": asked}]}]
            text = proc.apply_chat_template(chat, add_generation_prompt=True, tokenize=False)
            x = proc(text=[text], images=[[picture]], return_tensors="pt").to(self.device)
            with torch.no_grad():
                logits = model(**x).logits[0, -1].float().cpu()
                ids = model.generate(**x, max_new_tokens=16, min_new_tokens=16, do_sample=False)[0, x["input_ids"].shape[1]:].tolist()
            if name == "f32":
                exact = logits
            cosine = lambda a: float(torch.nn.functional.cosine_similarity(a.double(), exact.double(), dim=0))
            mine = own["logits"].flatten()
            same = sum(a == b for a, b in zip(own["generated_ids"].flatten().tolist(), ids))
            prompts_equal = own["input_ids"].flatten().tolist() == x["input_ids"][0].tolist()
            figures = dict(prompts_equal=prompts_equal, tokens_equal=f"{same} of {len(ids)}",
                           largest_difference=float((mine - logits).abs().max()), largest_logit=float(logits.abs().max()),
                           off_f32=1 - cosine(mine), torch_off_f32=1 - cosine(logits))
            if name == "f32":
                held = same == len(ids) and figures["largest_difference"] <= 2e-4 * max(1.0, figures["largest_logit"])
            else:
                # Rounded as often as torch, if not in the same places.
                held = figures["off_f32"] <= 2 * figures["torch_off_f32"] + 1e-4
            figures["holds"] = held and prompts_equal
            good = good and figures["holds"]
            found[name] = figures
            del model
        shutil.rmtree(folder)
        if not good:
            self.figures["failed"].append(f"parity of {family}")
        return found

    def make(self, family):
        folder = self.work / family
        if family == "qwen2.5-vl":
            self.run([sys.executable, COMPARE / "make_checkpoint.py", folder, "--shape", "tiny" if self.a.tiny else "400m",
                      "--device", self.device])
        else:
            self.run([sys.executable, COMPARE / "make_family.py", family, folder, *(["--tiny"] if self.a.tiny else [])])
        return folder

    # How fast.

    def speed(self, shape):
        folder = self.work / shape
        began = time.monotonic()
        self.run([sys.executable, COMPARE / "make_checkpoint.py", folder, "--shape", "tiny" if self.a.tiny else shape, "--dtype", "bf16",
                  "--device", self.device])
        found = dict(made_s=round(time.monotonic() - began, 1))
        words, new, rounds = (8, 4, 2) if self.a.tiny else (170, 64, 5)
        works = [dict(new_tokens=new, rounds=rounds, prompts=prompts(batch, words)) for batch in BATCHES]
        ours = self.ours("decode_speed", folder, works, "bf16", self.own_device)
        began = time.monotonic()
        model = self.torch_model(folder)
        found["load_s"] = dict(loupe=ours[0]["load_s"], torch=time.monotonic() - began)
        weights = matrices(model)
        for batch, own in zip(BATCHES, ours):
            theirs = torch_rates(model, batch, own["prompt_tokens"] // batch, rounds, new)
            middle = lambda rates: {what: statistics.median(rates[what]) for what in ("prefill", "decode")}
            own, tokens, theirs = middle(own), own["prompt_tokens"] // batch, middle(theirs)
            figures = dict(prompt_tokens=tokens, loupe=own, torch=theirs,
                           of_matrix_rate=own["prefill"] * 2 * weights / self.matrix,
                           of_copy_rate=own["decode"] / batch * 2 * weights / self.copy)
            found[f"batch {batch}"] = figures
            if batch == 1:
                self.aim(f"{shape}, decode at batch 1 by weight bytes over copy bandwidth", figures["of_copy_rate"], WANTED["decode"])
        most = max(found[f"batch {batch}"]["of_matrix_rate"] for batch in BATCHES)
        self.aim(f"{shape}, prefill by matrix rate, best batch", most, WANTED["prefill"])
        if shape == "3b":
            del model
            self.part("suite of 3b", PARTS["suite"], lambda: self.suite(folder))
        shutil.rmtree(folder)
        return found

    def torch_model(self, folder):
        # `device_map` would need accelerate.
        model = tf.AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.bfloat16).to(self.device)
        finish(self.device)
        return model.eval()

    def suite(self, folder):
        side, count, batch = (112, 1, 2) if self.a.tiny else (448, 8, 16)
        asked = 3 if self.a.tiny else 22
        images = [dict(width=side, height=side, seed=i + 1, questions=[question(q) for q in range(asked)]) for i in range(count)]
        [own] = self.ours("throughput", folder, dict(new_tokens=NEW, images=images), "bf16", self.own_device)
        model, proc, pairs = self.torch_model(folder), tf.AutoProcessor.from_pretrained(folder), pairs_of(dict(images=images))
        # What a first batch sets up is no part of the rate.
        torch_answers(model, proc, pairs[:batch], batch, NEW)
        finish(self.device)
        began = time.perf_counter()
        torch_answers(model, proc, pairs, batch, NEW)
        finish(self.device)
        theirs = time.perf_counter() - began
        rate = lambda seconds: 60 * len(pairs) / seconds
        self.aim("suite of 3b by transformers at batch 16", theirs / own["seconds"], WANTED["suite"])
        return dict(samples=len(pairs), loupe_samples_min=rate(own["seconds"]), transformers_samples_min=rate(theirs),
                    reused_share=own["reused_tokens"] / own["prompt_tokens"])


def matrices(model):
    """Weights that a token goes through: those of the layers and of the output head."""
    text = model.model.language_model
    return sum(p.numel() for p in text.layers.parameters() if p.ndim > 1) + model.lm_head.weight.numel()


def main():
    p = argparse.ArgumentParser()
    p.add_argument("--device", default="cuda")
    p.add_argument("--tiny", action="store_true")
    p.add_argument("--built", type=pathlib.Path, required=True)
    p.add_argument("--out", type=pathlib.Path, required=True)
    p.add_argument("--limit", type=float, default=480)
    check = Check(p.parse_args())
    try:
        check.part("card", PARTS["card"], check.card)
        for family in ["qwen2.5-vl", "gemma3"]:
            check.part(f"parity of {family}", PARTS["parity"], lambda: check.parity(family))
        for shape in ["3b", "7b"]:
            check.part(f"speed of {shape}", PARTS[shape], lambda: check.speed(shape))
    finally:
        shutil.rmtree(check.work, ignore_errors=True)
        check.write()
    figures = check.figures
    for name, aim in figures["targets"].items():
        print(f"{'met ' if aim['met'] else 'MISS'} {name}: {aim['value']} (wanted {aim['wanted']})")
    listed = lambda what: ", ".join(figures[what]) or "nothing"
    print(f"{figures['seconds']:.0f} s; failed: {listed('failed')}; not run: {listed('not_run')}")
    sys.exit(1 if figures["failed"] else 0)


if __name__ == "__main__":
    main()
