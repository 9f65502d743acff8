"""Writes a training checkpoint as a plain Hugging Face directory: python export.py CHECKPOINT OUT"""
import json
import os
import sys

import torch

from train import MEAN, SIDE, STD, fresh_model


def main(checkpoint, out):
    model = fresh_model()
    model.load_state_dict(torch.load(checkpoint)["model"])
    model.half().eval().save_pretrained(out)
    edge = {"height": SIDE, "width": SIDE}
    with open(os.path.join(out, "preprocessor_config.json"), "w") as f:
        json.dump({
            "image_processor_type": "SamImageProcessor", "processor_class": "SamProcessor", "do_resize": True,
            "size": {"longest_edge": SIDE}, "resample": 2, "do_rescale": True, "rescale_factor": 1 / 255,
            "do_normalize": True, "image_mean": MEAN.flatten().tolist(), "image_std": STD.flatten().tolist(),
            "do_pad": True, "pad_size": edge, "mask_size": {"longest_edge": SIDE // 2},
            "mask_pad_size": {"height": SIDE // 2, "width": SIDE // 2}, "do_convert_rgb": True}, f, indent=2)
        f.write("\n")
    print({f: os.path.getsize(os.path.join(out, f)) for f in sorted(os.listdir(out))})


if __name__ == "__main__":
    main(*sys.argv[1:])
