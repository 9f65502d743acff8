"""Trains phantom-vl on a stream of phantoms. See README.md.

    python train.py --dump ../../../../target/release/examples/dump --out OUT --until 14:00
"""
import argparse
import datetime
import os
import random
import signal
import time

import numpy as np
import torch
import torch.nn.functional as F

from data import Stream
from muon import Muon
from net import Net, cells, fresh_model
from prompts import AGAIN, GROUND, LOOK, VIEWS, box_text, make_tokenizer, wording, SPECIAL

SIDE = 112
# What is learnt early is asked seldom.
WEIGHT = {"modality": 0.15, "plane": 0.1, "region": 0.15, "organ": 0.25, "presence": 1.0, "abnormality": 1.8, "side": 1.6,
          "position": 1.2, "count": 1.6, "size": 1.6, "attribute": 2.0}


class Words:
    """Token ids of texts, remembered."""

    def __init__(self, tok):
        self.tok, self.known = tok, {}
        self.ids = {s: tok.token_to_id(s) for s in SPECIAL}
        self.start, self.end, self.pad = self.ids["<|im_start|>"], self.ids["<|im_end|>"], self.ids["<|image_pad|>"]
        self.open = [self.start, *self("user\n")]
        self.picture = [self.ids["<|vision_start|>"], *[self.pad] * 16, self.ids["<|vision_end|>"]]
        self.turn = [self.end, *self("\n"), self.start, *self("assistant\n")]
        self.again = [self.end, *self("\n"), *self.open]
        self.numbers = [tok.token_to_id(str(n)) for n in range(SIDE + 1)]
        assert None not in self.numbers
        letters = [self(f"\n{c}.") for c in "ABCDEFGH"]
        assert all(len(ids) == 1 for ids in letters[:5]), letters
        self.letters = {ids[0] for ids in letters if len(ids) == 1}

    def __call__(self, text):
        got = self.known.get(text)
        if got is None:
            got = self.known[text] = self.tok.encode(text, add_special_tokens=False).ids
        return got


class Node:
    """A run of tokens after its parent: a shared prefix or one question with its answer."""
    __slots__ = ("tokens", "label", "parent", "topic", "first", "pictures", "links")

    def __init__(self, parent=None, topic=None):
        self.tokens, self.label, self.parent, self.topic, self.pictures = [], [], parent, topic, []
        self.links = []  # (layer, from, to): where that layer's first head is to look

    def show(self, words, picture):
        """Adds the record's picture with this number."""
        self.pictures.append(picture)
        return self.add(words.picture)

    def add(self, tokens, learn=False):
        self.tokens += tokens
        self.label += [learn] * len(tokens)
        return self


def link(words, node, right, said):
    """How a word finds its letter: the end of each option looks at its letter, the answer at the right option's end."""
    row = node.tokens[:-said]
    letters = [i for i, token in enumerate(row) if token in words.letters]
    last = len(row) - len(words.turn) - 1  # the instruction
    ends = [i - 1 for i in [*letters[1:], last]]
    node.links = [(1, end, letter) for letter, end in zip(letters, ends)] + [(3, len(node.tokens) - 2, ends[right])]


def asked(words, parent, question, answer, topic):
    node = Node(parent, topic)
    node.add(words(question)).add(words.turn)
    node.add(words(answer), True)
    if ". Answer: " in answer:
        link(words, node, "ABCDEFGH".index(answer[-1]), len(words(answer)))
    return node.add([words.end], True)


def grounding(words, parent, ground, rng):
    box = ground["box"]
    name = ground["name"] if rng.random() < 0.5 else "the " + ground["name"]
    return asked(words, parent, GROUND.format(name=name), box_text(box, ground["name"]), "box " + ground["kind"])


def choose(qas, n, rng):
    qas = [q for q in qas if q["lang"] == "en" or rng.random() < 0.3]
    keyed = sorted(qas, key=lambda q: rng.random() ** (1 / (WEIGHT.get(q["topic"], 1) * (0.6 if q["options"] else 1))), reverse=True)
    return keyed[:n]


class Answers:
    """Answers met so far to each English question that is neither closed nor a choice: what options are drawn from."""

    def __init__(self):
        self.of = {}

    def meet(self, qas):
        for qa in qas:
            if qa["lang"] == "en" and not qa["closed"]:
                self.of.setdefault(qa["topic"], {})[qa["a"]] = None

    def as_choice(self, qa, rng):
        """The same question with 2-5 shuffled options."""
        others = [a for a in self.of.get(qa["topic"], ()) if a != qa["a"]]
        options = rng.sample(others, min(len(others), rng.randint(1, 4))) + [qa["a"]]
        return shuffled({**qa, "options": options}, rng)


ANSWERS = Answers()


def shuffled(qa, rng):
    """The options in another order; numbered pictures stay in theirs."""
    options = list(qa["options"])
    if not options[0].startswith("Image "):
        rng.shuffle(options)
    return {**qa, "options": options, "letter": "ABCDEFGH"[options.index(qa["a"])]}


def stated(words, nodes, qas, rng):
    """Choices whose answer stands in the question: how a word finds its letter, without a picture."""
    root = Node()
    root.add(words.open)
    nodes.append(root)
    for qa in qas:
        q, a = wording({**shuffled(qa, rng), "q": f"The answer is {qa['a']}."}, rng)
        nodes.append(asked(words, root, q, a, "stated"))


def tree(record, words, rng):
    ANSWERS.meet(record["qas"])
    root = Node()
    root.add(words.open)
    nodes = [root]
    if record["type"] == "several":
        for i in range(record["images"]):
            root.add(words(f"<image_{i + 1}>: ")).show(words, i)
        for qa in record["qas"]:
            # Each question in several orders of its options, and without them.
            for variant in [shuffled(qa, rng) for _ in range(1 if qa["topic"] == "which-image" else 3)]:
                q, a = wording(variant, rng, 0.0)
                nodes.append(asked(words, root, q, a, "multi " + qa["topic"]))
            q, a = wording({**qa, "options": []}, rng, 0.5)
            nodes.append(asked(words, root, q, a, "open " + qa["topic"]))
        stated(words, nodes, [qa for qa in record["qas"] for _ in range(2)], rng)
        return nodes
    root.show(words, 0)
    ground = record["ground"]
    finding = [g for g in ground if g["kind"] == "finding"]
    if record["type"] == "single":
        for qa in choose(record["qas"], 5, rng):
            q, a = wording(qa, rng)
            if qa["lang"] == "en" and not qa["closed"] and not qa["options"] and rng.random() < 0.35:
                choice = ANSWERS.as_choice(qa, rng)
                nodes.append(asked(words, root, *wording(choice, rng), "choice " + qa["topic"]))
                stated(words, nodes, [choice], rng)
            topic = ("zh" if qa["lang"] == "zh" else "choice" if qa["options"] else qa["topic"] + (" closed" if qa["closed"] else ""))
            nodes.append(asked(words, root, q, a, topic))
        nodes += [grounding(words, root, g, rng) for g in finding]
        rest = [g for g in ground if g["kind"] != "finding"]
        if rest:
            nodes.append(grounding(words, root, rng.choice(rest), rng))
        return nodes
    # A second look.
    qas = record["qas"]
    nodes += [grounding(words, root, g, rng) for g in finding]
    for qa in qas:
        q, a = wording(qa, rng)
        nodes.append(asked(words, root, q, a, "one look"))
    # The enlarged region as a picture of its own: the short way to what the second look is to see.
    alone = Node()
    alone.add(words.open).show(words, 1)
    nodes.append(alone)
    for qa in qas:
        q, a = wording(qa, rng)
        nodes.append(asked(words, alone, q, a, "region alone"))
    # The question stands in the first round only, with or without its instruction.
    for qa in qas:
        q, a = wording(qa, rng, 1.0 if rng.random() < 0.6 else 0.0)
        question = LOOK.format(q=q) + (VIEWS if rng.random() < 0.25 else "")
        chain = asked(words, root, question, box_text(record["look"], "region"), "look box")
        # What is shown is what was asked for.
        shown = words(box_text(record["shown"], "region"))
        chain.tokens[-1 - len(shown):-1] = shown
        chain.first = words(box_text(record["look"], "region"))
        chain.add(words.again[1:]).show(words, 1)
        nodes.append(chain)
        nodes.append(asked(words, chain, AGAIN, a, "two looks"))
    return nodes


def collate(records, words, rng):
    trees = [tree(r, words, rng) for r in records]
    # A parent precedes its children, so order by position in the list.
    length = max(sum(len(n.tokens) for n in t) for t in trees)
    length = (length + 7) // 8 * 8
    b, most = len(trees), max(len(t) for t in trees)
    tokens = torch.zeros(b, length, dtype=torch.long)
    position = torch.zeros(3, b, length, dtype=torch.long)
    member = torch.full((b, length), most, dtype=torch.long)
    ancestry = torch.zeros(b, most + 1, most + 1, dtype=torch.bool)
    ancestry[:, most, most] = True
    where, which, heads, learn, target, topics, images = [], [], [], [], [], [], 0
    links = {}
    for i, nodes in enumerate(trees):
        at, ends = 0, {}
        for k, node in enumerate(nodes):
            node_index = {id(n): j for j, n in enumerate(nodes[:k])}
            here = ends[id(node.parent)] if node.parent else 0
            if node.parent:
                ancestry[i, k] = ancestry[i, node_index[id(node.parent)]]
            ancestry[i, k, k] = True
            row, n, pos, pictures = node.tokens, len(node.tokens), [], iter(node.pictures)
            j = 0
            while j < n:
                if row[j] == words.pad:
                    pos += [(here, here + c // 4, here + c % 4) for c in range(16)]
                    where += range(i * length + at + j, i * length + at + j + 16)
                    which.append(images + next(pictures))
                    if node.parent is None:
                        heads.append((i * length + at + j, which[-1], i))
                    here, j = here + 4, j + 16
                else:
                    pos.append((here, here, here))
                    here, j = here + 1, j + 1
            ends[id(node)] = here
            tokens[i, at:at + n] = torch.tensor(row)
            position[:, i, at:at + n] = torch.tensor(pos).T
            member[i, at:at + n] = k
            for layer, start, to in node.links:
                links.setdefault(layer, []).append((i, at + start, at + to))
            goal = list(row)
            if hasattr(node, "first"):
                s = next(j for j in range(n) if node.label[j])
                goal[s:s + len(node.first)] = node.first
            for j in range(1, n):
                if node.label[j]:
                    learn.append(i * length + at + j - 1)
                    target.append(goal[j])
                    topics.append((i, k))
            at += n
        images += records[i]["images"]
    mask = ancestry.gather(1, member[:, :, None].expand(-1, -1, most + 1)).gather(2, member[:, None, :].expand(-1, length, -1))
    mask &= torch.ones(length, length, dtype=torch.bool).tril()
    names = {(i, k): node.topic for i, nodes in enumerate(trees) for k, node in enumerate(nodes)}
    return tokens, torch.tensor(where), torch.tensor(which), torch.tensor(heads), position, mask, torch.tensor(learn), torch.tensor(target), topics, names, {k: torch.tensor(v).T for k, v in links.items()}


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--dump", required=True)
    ap.add_argument("--out", required=True)
    ap.add_argument("--until", required=True, help="HH:MM (24 h), when to be done")
    ap.add_argument("--decay-minutes", type=float, default=20)
    ap.add_argument("--lr", type=float, default=2e-3)
    ap.add_argument("--first", type=int, default=0, help="first training seed")
    ap.add_argument("--threads", type=int, default=1)
    ap.add_argument("--resume")
    ap.add_argument("--batch", type=int, nargs=3, default=[7, 3, 3], metavar=("SINGLE", "LOOK", "SEVERAL"))
    args = ap.parse_args()
    # Several processes with one thread each share a busy machine better than one with many.
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    torch.set_num_threads(args.threads)
    os.makedirs(args.out, exist_ok=True)
    now = datetime.datetime.now()
    hh, mm = map(int, args.until.split(":"))
    end = now.replace(hour=hh, minute=mm, second=0).timestamp()
    end += 86400 * (end < time.time())

    from tokenizers import Tokenizer
    path = os.path.join(args.out, "tokenizer.json")
    if not os.path.exists(path) and rank == 0:
        from corpus import lines
        make_tokenizer(lines(args.dump)).save(path)
    if ranks > 1:
        torch.distributed.barrier()
    tok = Tokenizer.from_file(path)
    words = Words(tok)
    model = fresh_model(words.ids, tok.get_vocab_size(), words.numbers)
    net = Net(model)
    width = model.config.text_config.hidden_size
    # Heads that only training sees.
    aux = torch.nn.ModuleDict({
        "mask": torch.nn.Linear(128, 49), "label": torch.nn.Linear(128, 4 * 22),
        "there": torch.nn.Linear(width, 1), "order": torch.nn.Linear(width, 5),
        "hollow": torch.nn.Linear(width, 1), "box": torch.nn.Linear(width, 4 * width, bias=False)})
    named = [(n, p) for n, p in model.named_parameters()]
    matrices = [p for n, p in named if p.dim() == 2 and not any(w in n for w in ("embed_tokens", "lm_head", "merger.mlp.0"))]
    others = [p for n, p in named if not any(p is m for m in matrices)] + list(aux.parameters())
    muon = Muon(matrices)
    adam = torch.optim.AdamW(others, lr=args.lr, betas=(0.9, 0.98), weight_decay=0.0)
    step, samples, spent = 0, 0, 0.0
    if args.resume:
        state = torch.load(args.resume)
        old = state["model"]["lm_head.weight"].shape[0]
        for name in [n for n in state["model"] if "embed_tokens" in n or "lm_head" in n]:
            # The tokenizer may have grown.
            state["model"][name] = torch.cat([state["model"][name], model.state_dict()[name][old:]])
        model.load_state_dict(state["model"])
        whole = aux.load_state_dict(state["aux"], strict=False)
        for p, m in zip([p for ps in muon.groups.values() for p in ps], state["muon"]):
            muon.m[id(p)].copy_(m)
        for moments in state["adam"]["state"].values():
            for key, value in moments.items():
                if value.dim() == 2 and value.shape[0] == old:
                    moments[key] = F.pad(value, (0, 0, 0, tok.get_vocab_size() - old))
        if whole.missing_keys:
            # A head was added: its moments start afresh; order is that of `others`.
            names = [n for n, p in named if not any(p is m for m in matrices)] + ["aux." + n for n, _ in aux.named_parameters()]
            kept = [i for i, n in enumerate(names) if n.removeprefix("aux.") not in whole.missing_keys]
            state["adam"]["state"] = {new: state["adam"]["state"][i] for i, new in enumerate(kept) if i in state["adam"]["state"]}
            state["adam"]["param_groups"] = adam.state_dict()["param_groups"]
        adam.load_state_dict(state["adam"])
        step, samples, spent = state["step"], state["samples"], state.get("spent", 0.0)
        args.first = max(args.first, state["next_seed"])
    stream = Stream(args.dump, args.first + (rank << 40))
    rng = random.Random(args.first + 1 + rank)
    number_table = torch.tensor(words.numbers)
    number_at = torch.full((tok.get_vocab_size(),), -1)
    number_at[number_table] = torch.arange(SIDE + 1)
    near = torch.exp(-0.5 * ((torch.arange(SIDE + 1)[:, None] - torch.arange(SIDE + 1)[None]).float() / 1.3) ** 2)
    near /= near.sum(1, keepdim=True)
    running = {}
    begun = last_save = last_log = time.time()

    def save(name):
        torch.save({"model": model.state_dict(), "aux": aux.state_dict(), "adam": adam.state_dict(),
                    "muon": [muon.m[id(p)] for ps in muon.groups.values() for p in ps], "step": step, "samples": samples,
                    "spent": spent + time.time() - begun, "next_seed": stream.last + 4096}, os.path.join(args.out, name + ".tmp"))
        os.replace(os.path.join(args.out, name + ".tmp"), os.path.join(args.out, name))

    clock, first_step = {}, step

    def stop(*_):
        nonlocal end
        end = 0

    signal.signal(signal.SIGTERM, stop)

    def lap(name, since):
        clock[name] = clock.get(name, 0) + time.perf_counter() - since
        return time.perf_counter()

    left = end - time.time()
    while left > 0:
        lr = args.lr * min(1, (step + 1) / 30) * min(1, left / (60 * args.decay_minutes) + 0.02)
        t = time.perf_counter()
        net.begin()
        model.zero_grad(set_to_none=True)
        aux.zero_grad(set_to_none=True)
        said = {}
        for kind, n in zip(("single", "look", "several"), args.batch):
            if n == 0:
                continue
            records = [stream.take(kind, rng) for _ in range(n)]
            samples += n
            tokens, where, which, heads, position, mask, learn, target, topics, names, links = collate(records, words, rng)
            pixels = torch.from_numpy(np.concatenate([r["pixels"] for r in records]))
            t = lap("data", t)
            tower, seen = net.see(pixels)
            hidden, before = net.read(tokens, seen[which], where, position, mask, {k: (v[0], v[1]) for k, v in links.items()})
            flat = hidden.flatten(0, 1)
            logits = net.logits(flat[learn])
            # Each question weighs by the square root of its answer's length, not by its length.
            keys = {}
            for key in topics:
                keys[key] = keys.get(key, 0) + 1
            weight = torch.tensor([keys[key] ** -0.5 * (0.15 if names[key] == "one look" else 1.0) for key in topics])
            number = number_at[target].masked_fill(torch.tensor(["box" not in names[key] for key in topics]), -1)
            plain = F.cross_entropy(logits, target, reduction="none")
            soft = number >= 0
            if soft.any():
                logp = logits[soft].log_softmax(-1)[:, number_table]
                plain = plain.masked_scatter(soft, -(near[number[soft]] * logp).sum(-1))
            loss = (plain * weight).sum() / weight.sum()
            for layer, found in net.watched.items():
                loss = loss + 0.1 * F.cross_entropy(found, links[layer][2])
            # Dense targets for the tower, and boxes said by the picture tokens themselves.
            masks = torch.from_numpy(np.concatenate([r["mask"] for r in records]))
            labels = torch.from_numpy(np.concatenate([r["labels"] for r in records])).long()
            usable = torch.tensor([not (r["type"] == "look" and i == 1) for r in records for i in range(r["images"])])
            loss = loss + 0.5 * F.binary_cross_entropy_with_logits(
                aux["mask"](tower.float()), cells(masks, 7).float(), pos_weight=torch.tensor(4.0))
            loss = loss + 0.15 * F.cross_entropy(aux["label"](tower[usable].float()).view(-1, 22), cells(labels[usable], 2).flatten())
            # What the last layer can read off the picture tokens: where the finding is, and its box.
            pads = before.flatten(0, 1)[heads[:, :1] + torch.arange(16)]
            pads = F.rms_norm(pads, (width,))
            inside = masks[heads[:, 1]].view(len(heads), 4, 14, 4, 14).sum((2, 4)).flatten(1)
            loss = loss + 0.2 * F.binary_cross_entropy_with_logits(aux["there"](pads.float()).squeeze(-1), (inside > 0).float())
            firsts = np.cumsum([0] + [r["images"] for r in records])
            ordinal = heads[:, 1] - torch.tensor(firsts)[heads[:, 2]]  # of the picture in its record
            if kind == "several":
                loss = loss + 0.3 * F.cross_entropy(aux["order"](pads.float()).flatten(0, 1), ordinal.repeat_interleave(16))
            if kind == "look":
                hollow = torch.tensor([r["qas"][0]["a"] == "cavitary" for r in records])[heads[:, 2], None].expand(-1, 16)
                nodule = (inside > 0) & (ordinal == 1)[:, None]
                if nodule.any():
                    loss = loss + 0.3 * F.binary_cross_entropy_with_logits(
                        aux["hollow"](pads[nodule].float()).squeeze(-1), hollow[nodule].float())
            goal = [next((g["box"] for g in records[i].get("ground", ()) if g["kind"] == "finding" and n == 0), None)
                    for i, n in zip(heads[:, 2].tolist(), ordinal.tolist())]
            one = torch.tensor([g is not None for g in goal])
            spot = (inside > 0) & one[:, None]
            if spot.any():
                share = (inside / inside.sum(1, keepdim=True).clamp(min=1))[spot]
                said_by = F.linear(pads[spot], aux["box"].weight.to(pads.dtype)).view(-1, 4, width)
                table = net.w(net.text.embed_tokens.weight)[number_table]
                logp = F.linear(F.rms_norm(said_by, (width,)) * 4, table).float().log_softmax(-1)
                goals = torch.tensor([[int(round(v)) for v in (g or [0] * 4)] for g in goal])[:, None].expand(-1, 16, -1)[spot]
                loss = loss + 0.3 * (-(near[goals] * logp).sum(-1).mean(-1) * share).sum() / max(1, one.sum())
            t = lap("forward", t)
            loss.backward()
            t = lap("backward", t)
            with torch.no_grad():
                right = (logits.argmax(-1) == target)
                close = (number_at[logits.argmax(-1)] - number).abs() <= 3
                good = torch.where(soft, close & soft, right)
                for key, ok in zip(topics, good.tolist()):
                    said[(kind, *key)] = said.get((kind, *key), True) and ok
                for (k, i, j), ok in said.items():
                    if k == kind:
                        r = running.setdefault(names[(i, j)], [0.0, 0.0])
                        r[0], r[1] = r[0] * 0.995 + ok, r[1] * 0.995 + 1
        left = end - time.time()
        if ranks > 1:
            learning = [p for p in [*model.parameters(), *aux.parameters()] if p.grad is not None]
            every = torch.cat([torch.tensor([left]), *(p.grad.flatten() for p in learning)])
            torch.distributed.all_reduce(every)
            every /= ranks
            left = every[0].item()
            for p, g in zip(learning, every[1:].split([p.numel() for p in learning])):
                p.grad.copy_(g.view_as(p))
        torch.nn.utils.clip_grad_norm_(others, 1.0)
        for group in adam.param_groups:
            group["lr"] = lr
        adam.step()
        muon.step(1.5 * lr)
        t = lap("step", t)
        step += 1
        if rank == 0 and time.time() - last_log > 30:
            last_log = time.time()
            total = sum(clock.values())
            cpu = time.process_time()
            print(f"{datetime.datetime.now():%H:%M:%S} step {step} samples {samples} again {stream.again} loss {loss.item():.3f} lr {lr:.2e} "
                  f"{total / (step - first_step) * 1000:.0f} ms/step cpu {cpu / (step - first_step) * 1000:.0f} " + " ".join(f"{k} {v / total:.0%}" for k, v in clock.items()))
            print("   " + "  ".join(f"{k} {r[0] / r[1]:.2f}" for k, r in sorted(running.items())), flush=True)
        if rank == 0 and time.time() - last_save > 150:
            last_save = time.time()
            save("last.pt")
    if rank == 0:
        save("final.pt")


if __name__ == "__main__":
    main()
