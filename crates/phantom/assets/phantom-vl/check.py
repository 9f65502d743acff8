"""The training's order of computation gives the logits of `transformers`: python check.py MODEL_DIR"""
import sys

import numpy as np
import torch
from PIL import Image
from transformers import AutoProcessor, Qwen2_5_VLForConditionalGeneration

from net import Net


def main(folder):
    torch.manual_seed(0)
    model = Qwen2_5_VLForConditionalGeneration.from_pretrained(folder, dtype=torch.float32).eval()
    processor = AutoProcessor.from_pretrained(folder)
    rng = np.random.default_rng(0)
    images = [Image.fromarray(rng.integers(0, 255, (112, 112, 3), np.uint8)) for _ in range(2)]
    talk = [{"role": "user", "content": [{"type": "text", "text": "<image_1>: "}, {"type": "image"},
                                         {"type": "text", "text": "<image_2>: "}, {"type": "image"},
                                         {"type": "text", "text": "Which image is abnormal?"}]}]
    text = processor.apply_chat_template(talk, add_generation_prompt=True, tokenize=False)
    inputs = processor(text=[text], images=images, return_tensors="pt")
    with torch.no_grad():
        theirs = model(**inputs).logits[0]
        net = Net(model)
        net.begin(torch.float32)
        ids = inputs["input_ids"]
        _, seen = net.see(torch.from_numpy(np.stack([np.asarray(i) for i in images])))
        pad = model.config.image_token_id
        where, position, here, j, row = [], [], 0, 0, ids[0].tolist()
        while j < len(row):
            if row[j] == pad:
                position += [(here, here + c // 4, here + c % 4) for c in range(16)]
                where += range(j, j + 16)
                here, j = here + 4, j + 16
            else:
                position.append((here,) * 3)
                here, j = here + 1, j + 1
        mask = torch.ones(1, len(row), len(row), dtype=torch.bool).tril()
        ours = net.logits(net.read(ids, seen, torch.tensor(where), torch.tensor(position).T[:, None], mask)[0])[0]
    worst = (theirs - ours).abs().max().item()
    print(f"{len(row)} tokens, largest logit {theirs.abs().max():.3f}, largest difference {worst:.2e}")
    assert worst < 1e-3


if __name__ == "__main__":
    main(sys.argv[1])
