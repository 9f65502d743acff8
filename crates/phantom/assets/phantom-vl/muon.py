"""The optimiser of both trainings."""
import torch


class Muon:
    """Orthogonalised momentum for matrices (Jordan et al., 2024), scaled to AdamW's step (Liu et al., 2025)."""

    def __init__(self, params, momentum=0.95, decay=0.01):
        self.groups, self.momentum, self.decay = {}, momentum, decay
        for p in params:
            self.groups.setdefault(tuple(p.shape), []).append(p)
        self.m = {id(p): torch.zeros_like(p) for ps in self.groups.values() for p in ps}

    @torch.no_grad()
    def step(self, lr):
        for shape, ps in self.groups.items():
            us = []
            for p in ps:
                m, grad = self.m[id(p)], torch.zeros_like(p) if p.grad is None else p.grad
                m.lerp_(grad, 1 - self.momentum)
                us.append(grad.lerp(m, self.momentum))
            x = torch.stack(us).bfloat16()
            flip = shape[0] > shape[1]
            if flip:
                x = x.mT.contiguous()
            x = x / (x.norm(dim=(1, 2), keepdim=True) + 1e-7)
            for _ in range(5):
                a = x @ x.mT
                x = 3.4445 * x + (-4.7750 * a + 2.0315 * a @ a) @ x
            if flip:
                x = x.mT
            scale = 0.2 * max(shape) ** 0.5
            for p, u in zip(ps, x.float()):
                p.mul_(1 - lr * self.decay)
                p.add_(u, alpha=-lr * scale)
