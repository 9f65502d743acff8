"""Random weights under which every part of a network shows in its logits; `transformers` begins with smaller ones, under
which most of a network is lost beside the embeddings."""
import torch


@torch.no_grad()
def spread(model):
    """Matrices keep the size of what goes through them; biases, norms and scales get something added."""
    for parameter in model.parameters():
        if parameter.ndim > 1:
            parameter.normal_(std=parameter[0].numel() ** -0.5)
        else:
            parameter.add_(torch.randn_like(parameter), alpha=0.1)
    return model
