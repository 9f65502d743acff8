"""The plain Qwen2.5-VL model, run for training on whole batches of 112 × 112 pictures.

The parameters are those of `transformers`' Qwen2_5_VLForConditionalGeneration; only the order of
computation differs (all pictures have one window, many questions share a picture). `check.py`
asserts that both give the same logits.
"""
import torch
import torch.nn.functional as F
from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration


def config(ids, vocab):
    return Qwen2_5_VLConfig(
        text_config=dict(
            model_type="qwen2_5_vl_text", vocab_size=vocab, hidden_size=128, intermediate_size=352, num_hidden_layers=4,
            num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=4096, rms_norm_eps=1e-6,
            rope_theta=10000.0, tie_word_embeddings=True, bos_token_id=None, eos_token_id=ids["<|im_end|>"],
            pad_token_id=ids["<|endoftext|>"], use_sliding_window=False, max_window_layers=4,
            rope_scaling={"rope_type": "default", "type": "default", "mrope_section": [4, 6, 6]},
        ),
        vision_config=dict(
            depth=4, hidden_size=128, intermediate_size=320, num_heads=4, out_hidden_size=128, patch_size=14,
            spatial_merge_size=2, temporal_patch_size=2, window_size=112, fullatt_block_indexes=[1, 3],
            hidden_act="silu", in_channels=3, tokens_per_second=2,
        ),
        image_token_id=ids["<|image_pad|>"], video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"], vision_end_token_id=ids["<|vision_end|>"],
        tie_word_embeddings=True,
    )


def patches(pixels):
    """(n, 112, 112, 3) u8 -> (n, 64, 588) in merge order, each patch channel first."""
    n = pixels.shape[0]
    x = pixels.float().div_(127.5).sub_(1.0)
    x = x.view(n, 4, 2, 14, 4, 2, 14, 3).permute(0, 1, 4, 2, 5, 7, 3, 6)
    return x.reshape(n, 64, 588)


def cells(grid, k):
    """(n, 8k, 8k) -> (n, 64, k*k) in the order of the patches."""
    n = grid.shape[0]
    return grid.view(n, 4, 2, k, 4, 2, k).permute(0, 1, 4, 2, 5, 3, 6).reshape(n, 64, k * k)


def rotate(x, cos, sin):
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat((-b, a), -1) * sin


def attend(q, k, v, bias=None):
    """Plain attention: on a CPU its backward pass is several times faster than the fused kernel's."""
    shape = q.shape
    s = torch.bmm(q.flatten(0, 1) * shape[-1] ** -0.5, k.flatten(0, 1).mT).view(*shape[:2], shape[2], -1)
    if bias is not None:
        s = s + bias
    return torch.bmm(s.softmax(-1).flatten(0, 1), v.flatten(0, 1)).view(shape)


class Net:
    def __init__(self, model):
        self.model = model
        self.tower, self.text = model.model.visual, model.model.language_model
        vc = model.config.vision_config
        self.vh = vc.num_heads
        dim = vc.hidden_size // vc.num_heads
        inv = 1.0 / (10000.0 ** (torch.arange(0, dim // 2, 2).float() / (dim // 2)))
        at = torch.arange(64)
        gh, gw, mh, mw = at // 16, at // 4 % 4, at // 2 % 2, at % 2
        h, w = (gh * 2 + mh).float(), (gw * 2 + mw).float()
        emb = torch.cat((h[:, None] * inv, w[:, None] * inv), -1)
        emb = torch.cat((emb, emb), -1)
        self.vcos, self.vsin = emb.cos(), emb.sin()
        tc = model.config.text_config
        self.th, self.tkv, self.td = tc.num_attention_heads, tc.num_key_value_heads, tc.hidden_size // tc.num_attention_heads
        self.tinv = 1.0 / (10000.0 ** (torch.arange(0, self.td, 2).float() / self.td))
        self.section = [4, 6, 6]
        self.dtype = torch.bfloat16
        self.cast = {}

    def begin(self, dtype=torch.bfloat16):
        """Weights in the dtype of the computation, once a step."""
        self.dtype = dtype
        self.cast = {id(p): p.to(dtype) for p in self.model.parameters()}

    def w(self, p):
        return self.cast[id(p)]

    def lin(self, layer, x):
        return F.linear(x, self.w(layer.weight), None if layer.bias is None else self.w(layer.bias))

    def norm(self, layer, x):
        return F.rms_norm(x, (x.shape[-1],), self.w(layer.weight), 1e-6)

    def see(self, pixels):
        """Patch features before merging and picture tokens: (n, 64, 128), (n, 16, 128)."""
        conv = self.w(self.tower.patch_embed.proj.weight)
        x = F.linear(patches(pixels).to(self.dtype), conv.sum(2).flatten(1))
        n = x.shape[0]
        cos, sin = self.vcos.to(self.dtype), self.vsin.to(self.dtype)
        for block in self.tower.blocks:
            q, k, v = self.lin(block.attn.qkv, self.norm(block.norm1, x)).view(n, 64, 3, self.vh, -1).permute(2, 0, 3, 1, 4)
            a = attend(rotate(q, cos, sin), rotate(k, cos, sin), v)
            x = x + self.lin(block.attn.proj, a.transpose(1, 2).reshape(n, 64, -1))
            y = self.norm(block.norm2, x)
            x = x + self.lin(block.mlp.down_proj, F.silu(self.lin(block.mlp.gate_proj, y)) * self.lin(block.mlp.up_proj, y))
        m = self.norm(self.tower.merger.ln_q, x).view(n, 16, -1)
        m = self.lin(self.tower.merger.mlp[2], F.gelu(self.lin(self.tower.merger.mlp[0], m)))
        return x, m

    def read(self, tokens, seen, where, positions, mask, watch=None):
        """Hidden states at the end and before the last layer. `where`: flat indices of the picture tokens;
        positions (3, b, t). `watch`: {layer: (rows, from)}; `self.watched` then has, for each, what the first head
        of that layer gives the other tokens of the row, before the softmax."""
        self.watched = {}
        b, t = tokens.shape
        x = F.embedding(tokens, self.w(self.text.embed_tokens.weight)).flatten(0, 1)
        x = x.index_copy(0, where, seen.flatten(0, 1)).view(b, t, -1)
        freqs = positions[..., None].float() * self.tinv
        emb = torch.cat((freqs, freqs), -1)
        parts = emb.split(self.section * 2, -1)
        emb = torch.cat([p[i % 3] for i, p in enumerate(parts)], -1)
        cos, sin = emb.cos()[:, None].to(self.dtype), emb.sin()[:, None].to(self.dtype)
        mask = torch.zeros(mask.shape, dtype=self.dtype).masked_fill_(~mask, -1e4)[:, None]
        group = self.th // self.tkv
        for depth, layer in enumerate(self.text.layers):
            before = x
            y = self.norm(layer.input_layernorm, x)
            q = self.lin(layer.self_attn.q_proj, y).view(b, t, self.th, -1).transpose(1, 2)
            k = self.lin(layer.self_attn.k_proj, y).view(b, t, self.tkv, -1).transpose(1, 2)
            v = self.lin(layer.self_attn.v_proj, y).view(b, t, self.tkv, -1).transpose(1, 2)
            q, k = rotate(q, cos, sin), rotate(k, cos, sin)
            k, v = k.repeat_interleave(group, 1), v.repeat_interleave(group, 1)
            if watch and depth in watch:
                row, at = watch[depth]
                scores = torch.bmm(k[row, 0], q[row, 0, at][:, :, None])[..., 0] * q.shape[-1] ** -0.5
                self.watched[depth] = (scores + mask[row, 0, at]).float()
            a = attend(q, k, v, mask)
            x = x + self.lin(layer.self_attn.o_proj, a.transpose(1, 2).reshape(b, t, -1))
            y = self.norm(layer.post_attention_layernorm, x)
            x = x + self.lin(layer.mlp.down_proj, F.silu(self.lin(layer.mlp.gate_proj, y)) * self.lin(layer.mlp.up_proj, y))
        return self.norm(self.text.norm, x), before

    def logits(self, hidden):
        return F.linear(hidden, self.w(self.text.embed_tokens.weight)).float()


def fresh_model(ids, vocab, numbers):
    torch.manual_seed(20)
    model = Qwen2_5_VLForConditionalGeneration(config(ids, vocab))
    with torch.no_grad():
        for name, p in model.named_parameters():
            if p.dim() >= 2:
                fan = p.flatten(1).shape[1]
                torch.nn.init.normal_(p, std=0.02 if "embed_tokens" in name else fan ** -0.5)
                if "down_proj" in name or "o_proj" in name or "attn.proj" in name:
                    p.mul_(0.3)
        # Near numbers start with near embeddings, so that a coordinate that is almost right is learnt as such.
        table = model.model.language_model.embed_tokens.weight
        n = torch.arange(len(numbers)).float()
        waves = torch.stack([f(n * 6.283 / period) for period in (300, 150, 75, 40, 20, 10) for f in (torch.sin, torch.cos)], 1)
        mix = torch.randn(waves.shape[1], table.shape[1]) * 0.02 * 0.5
        table[torch.tensor(numbers)] = table[torch.tensor(numbers)] * 0.4 + waves @ mix
    return model
