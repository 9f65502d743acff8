"""The mean of the weights of two checkpoints: python average.py A B OUT"""
import sys

import torch


def main(a, b, out):
    a, b = torch.load(a), torch.load(b)
    b["model"] = {k: (a["model"][k] + b["model"][k]) / 2 for k in b["model"]}
    torch.save(b, out)


if __name__ == "__main__":
    main(*sys.argv[1:])
