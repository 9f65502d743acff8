"""Reference values of MedCLIP from `transformers` and torchvision, for `tests/main/pairs.rs`.

    HF_HUB_OFFLINE=1 python make_medclip.py        (torch 2.15, torchvision 0.29, transformers 5.24)

As `make_siglip.py`: only configurations and reference values are stored. The towers are put together as the package
medclip 0.0.3 does: Swin or ResNet with a projection; of BERT the mean over the tokens of the states behind the first,
the second and the last layer, projected. Names are those of its files, which transformers 4 wrote. One state dict is
stored whole, as published: pytorch_model.bin with vocab.txt of its BERT beside it.
"""
import functools, json, math, pathlib
import numpy as np
import torch
import torchvision
import transformers as tf
from PIL import Image
from safetensors.torch import save_file
from encoder_tokenizers import wordpiece
from make_qwen import picture, weight
from make_siglip import TEXTS

HERE = pathlib.Path(__file__).parent
WHOLE = HERE / "medclip" / "published"
SIDE, MEAN, DEVIATION = 224, 0.5862785803043838, 0.27950088968644304
torch.set_num_threads(1)
# Trainers break ties as they please, and every case is read with one tokenizer.
words = functools.cache(wordpiece)
SWIN = [(".attention.q_proj.", ".attention.self.query."), (".attention.k_proj.", ".attention.self.key."), (".attention.v_proj.", ".attention.self.value."),
        (".attention.o_proj.", ".attention.output.dense."), (".attention.relative_position_bias.", ".attention.self."),
        (".mlp.fc1.", ".intermediate.dense."), (".mlp.fc2.", ".output.dense.")]


class Text(torch.nn.Module):
    def __init__(self, bert, width):
        super().__init__()
        self.model = tf.BertModel(bert)
        self.projection_head = torch.nn.Linear(bert.hidden_size, width, bias=False)

    def forward(self, ids):
        states = self.model(ids, output_hidden_states=True).hidden_states
        return self.projection_head(torch.stack([states[1], states[2], states[-1]]).mean(2).mean(0))


class Swin(torch.nn.Module):
    def __init__(self, sizes, width):
        super().__init__()
        self.model = tf.SwinModel(tf.SwinConfig(image_size=SIDE, **sizes))
        self.projection_head = torch.nn.Linear(self.model.config.hidden_size, width, bias=False)

    def forward(self, x):
        return self.projection_head(self.model(x).pooler_output)


class ResNet(torch.nn.Module):
    def __init__(self, sizes, width):
        super().__init__()
        self.model = torchvision.models.resnet.ResNet(torchvision.models.resnet.Bottleneck, sizes, width_per_group=4)
        self.model.fc = torch.nn.Linear(2048, width, bias=False)

    def forward(self, x):
        return self.model(x)


class MedClip(torch.nn.Module):
    def __init__(self, vision, text):
        super().__init__()
        self.vision_model, self.text_model = vision, text
        self.logit_scale = torch.nn.Parameter(torch.tensor(0.0))


def published(name):
    if name.startswith("vision_model"):
        for ours, theirs in SWIN:
            name = name.replace(ours, theirs)
    return name


def fill(model, scale):
    """Parameters and running averages by rule, under the names of the files."""
    norms = {n for n, m in model.named_modules() if isinstance(m, (torch.nn.LayerNorm, torch.nn.BatchNorm2d))}
    rules = {}
    for name, p in list(model.named_parameters()) + [(n, b) for n, b in model.named_buffers() if "running_" in n]:
        module, _, leaf = name.rpartition(".")
        if leaf == "running_var":
            rule = [list(p.shape), 0.5, 1.0]
        elif module in norms:
            rule = [list(p.shape), 0.4, 1.0 if leaf == "weight" else 0.0]
        elif name == "logit_scale":
            rule = [list(p.shape), 0.2, scale]
        elif p.dim() > 1:
            rule = [list(p.shape), round((0.3 if "embeddings.weight" in name else 0.7 / p[0].numel() ** 0.5) * 12 ** 0.5, 6), 0.0]
        else:
            rule = [list(p.shape), 0.2, 0.0]
        rules[published(name)] = rule
        with torch.no_grad():
            p.copy_(weight(published(name), *rule))
    return rules


def pixels(image):
    """As `MedCLIPFeatureExtractor`: grey, in the middle of a black square of at least 224, bicubic."""
    x, y = image.size
    size = max(SIDE, x, y)
    square = Image.new("L", (size, size), 0)
    square.paste(image, (int((size - x) / 2), int((size - y) / 2)))
    square = square.resize((SIDE, SIDE), Image.BICUBIC)
    plane = (np.asarray(square, dtype=np.float32) / 255 - MEAN) / DEVIATION
    return torch.tensor(plane, dtype=torch.float32).repeat(3, 1, 1)


def answers(model, t, sizes):
    unit = lambda x: x / x.norm(dim=-1, keepdim=True)
    with torch.no_grad():
        images = unit(model.vision_model(torch.stack([pixels(picture(*s)) for s in sizes])))
        texts = unit(torch.cat([model.text_model(torch.tensor([t.encode(text).ids])) for text in TEXTS]))
        logits = images @ texts.T * torch.clamp(model.logit_scale, 0, 4.6052).exp()
    return dict(image_embeds=images, text_embeds=texts, logits_per_image=logits)


def store(model, t, sizes):
    WHOLE.mkdir(exist_ok=True)
    # Half the size; the network computes with what is stored.
    with torch.no_grad():
        for p in model.parameters():
            p.copy_(p.half().float())
    stored = {published(k): v.half() if v.is_floating_point() else v for k, v in model.state_dict().items()}
    # Buffers that transformers 4 saved.
    stored["text_model.model.embeddings.position_ids"] = torch.arange(90)[None]
    for n, m in model.named_modules():
        if hasattr(m, "relative_position_bias_table"):
            side = (math.isqrt(len(m.relative_position_bias_table)) + 1) // 2
            stored[published(n + ".relative_position_index").replace(".attention.relative_position_bias.", ".attention.self.")] = torch.zeros(side ** 2, side ** 2, dtype=torch.long)
    torch.save(stored, WHOLE / "pytorch_model.bin")
    vocab = sorted(t.get_vocab(), key=t.get_vocab().get)
    (WHOLE / "vocab.txt").write_text("\n".join(vocab) + "\n")
    ref = answers(model, t, sizes)
    expected = dict(image_embed=ref["image_embeds"][-1].tolist(), texts=TEXTS, text_embeds=ref["text_embeds"].tolist())
    (WHOLE / "expected.json").write_text(json.dumps(expected) + "\n")


def case(name, vision, text, width, sizes, scale=2.0, whole=False):
    t = words()
    bert = tf.BertConfig(vocab_size=t.get_vocab_size(), max_position_embeddings=90, **text)
    model = MedClip(vision(width), Text(bert, width)).float().eval()
    rules = fill(model, scale)
    if whole:
        return store(model, t, sizes)
    folder = HERE / "medclip"
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    facts = dict(weights={k: v for k, v in rules.items() if not k.startswith("text_model.model.pooler.")}, pictures=sizes, texts=TEXTS)
    (folder / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    ref = answers(model, t, sizes)
    save_file({k: v.contiguous().clone() for k, v in ref.items()}, folder / f"{name}.safetensors")
    (folder / "tokenizer" / "tokenizer.json").write_text(json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
    print(name, {k: tuple(v.shape) for k, v in ref.items()})
if __name__ == "__main__":
    swin = lambda **sizes: lambda width: Swin(sizes, width)
    resnet = lambda sizes: lambda width: ResNet(sizes, width)
    one, rows = dict(hidden_size=64, num_attention_heads=1, intermediate_size=64), [(233, 157, 1), (301, 340, 2), (48, 51, 3)]
    case("swin", swin(embed_dim=8, depths=[2, 1, 2, 1], num_heads=[1, 2, 2, 4], window_size=7, mlp_ratio=2.0), dict(num_hidden_layers=3, **one), 24, rows)
    # 14 and 7 places are no multiple of 4.
    case("swin_windows_do_not_divide", swin(embed_dim=12, depths=[1, 2, 2, 2], num_heads=[2, 1, 4, 4], window_size=4, mlp_ratio=1.0),
         dict(hidden_size=128, num_attention_heads=2, intermediate_size=96, num_hidden_layers=2), 32, rows, scale=6.0)
    case("published", swin(embed_dim=4, depths=[1, 2, 1, 1], num_heads=[1, 1, 2, 2], window_size=2, mlp_ratio=1.0),
         dict(hidden_size=64, num_attention_heads=1, intermediate_size=16, num_hidden_layers=2), 16, rows, whole=True)
    case("resnet", resnet([1, 2, 1, 1]), dict(num_hidden_layers=2, **one), 16, rows[1:], scale=-1.0)
