"""Every text that training will see, for the tokenizer."""
import random

from data import dump, records
from prompts import AGAIN, GROUND, LOOK, VIEWS, box_text, wording


def lines(binary, count=3000):
    rng = random.Random(1)
    process = dump(binary, "train", 1 << 50, count)
    out = []
    for r in records(process.stdout):
        for qa in r["qas"]:
            q, a = wording(qa, rng)
            out += [q, a]
        for g in r.get("ground", ()):
            out += [GROUND.format(name="the " + g["name"]), GROUND.format(name=g["name"]), box_text(g["box"], g["name"])]
        if r["type"] == "look":
            out += [LOOK.format(q=r["qas"][0]["q"]) + VIEWS, AGAIN, box_text(r["look"], "region")]
    out += [f"<image_{i}>: " for i in range(1, 6)] * 20
    out += ["user\n", "assistant\n", "system\n"] * 50
    out += [f"{n}" for n in range(1000)] * 3
    process.kill()
    return out
