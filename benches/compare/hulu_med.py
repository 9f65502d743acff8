"""A random Hulu-Med checkpoint of about 400 million parameters for `vqa_throughput.py`, and its answers by the code of its authors.

    python hulu_med.py HULU_MED OUT_FOLDER [--tiny]        (about 1.6 GB, f32)

The first argument is a checkout of ZJUI-AI4H/Hulu-Med, as for `models/tests/parity/make_hulu_med.py`, from which tower, projector and processor
are taken; the text model is that of `transformers`, 28 layers of width 896. An image of 448 pixels is 1024 tokens.
"""
import json, pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "models" / "tests" / "parity"))
BUDGET = dict(min_tokens=16, max_tokens=16384)


def network(parity, settings):
    import transformers as tf
    own = {k: v for k, v in settings.items() if not k.startswith(("vision_encoder", "mm_", "model_type", "architectures"))}
    model = tf.Qwen2ForCausalLM(tf.Qwen2Config(**own)).float().eval()
    vision = settings["vision_encoder_config"]
    seen = parity.Config(**{k: v for k, v in vision.items() if k != "model_type"})
    seen._attn_implementation = "sdpa"
    model.model.vision_encoder = parity.Tower(seen).eval()
    model.model.mm_projector = parity.Projector(vision["hidden_size"], settings["hidden_size"], "mlp2x_gelu")
    return model


def authors(checkout):
    sys.argv[1:] = [str(checkout)]
    import make_hulu_med
    return make_hulu_med


class Side:
    """Answers batches as `vqa_throughput.py` asks for them."""

    def __init__(self, checkpoint, checkout, dtype):
        import transformers as tf
        from safetensors.torch import load_file
        self.parity, folder = authors(checkout), pathlib.Path(checkpoint)
        self.model = network(self.parity, json.loads((folder / "config.json").read_text()))
        self.model.load_state_dict(load_file(folder / "model.safetensors"), strict=False)
        self.model.tie_weights()
        self.model = self.model.to(dtype)
        self.tok = tf.AutoTokenizer.from_pretrained(checkpoint)
        vision = json.loads((folder / "config.json").read_text())["vision_encoder_config"]
        self.processor = self.parity.Processor(patch_size=vision["patch_size"], image_mean=[0.5] * 3, image_std=[0.5] * 3, **BUDGET)
        self.image = self.tok.convert_tokens_to_ids("<image>")

    def answer(self, images, questions, new):
        import torch
        x = self.processor(images=[[image] for image in images], merge_size=1, return_tensors="pt")
        grids, merges = x["grid_sizes"], x["merge_sizes"]
        dtype = self.model.dtype
        features = self.model.model.mm_projector(self.model.model.vision_encoder(x["pixel_values"].to(dtype), grids, merges))
        counts, rows, at = grids.prod(dim=1).tolist(), [], 0
        for question, count in zip(questions, counts):
            turns = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": question}]}]
            text = self.tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False, image_token="<image>")
            ids = self.tok(text.replace("<image>", "<image>" * count), return_tensors="pt")["input_ids"][0]
            embeds = self.model.get_input_embeddings()(ids).clone()
            embeds[ids == self.image] = features[at:at + count].to(embeds.dtype)
            rows.append(embeds)
            at += count
        longest = max(len(row) for row in rows)
        padded, mask = torch.zeros(len(rows), longest, rows[0].shape[1], dtype=dtype), torch.zeros(len(rows), longest, dtype=torch.long)
        for n, row in enumerate(rows):
            padded[n, longest - len(row):], mask[n, longest - len(row):] = row, 1
        self.model.generate(inputs_embeds=padded, attention_mask=mask, max_new_tokens=new, min_new_tokens=new, do_sample=False, pad_token_id=0)
        return int(mask.sum())


if __name__ == "__main__":
    import torch
    from safetensors.torch import save_file
    checkout, out, tiny = sys.argv[1], pathlib.Path(sys.argv[2]), "--tiny" in sys.argv
    parity = authors(checkout)
    tok = parity.tokenizer(parity.TEMPLATE)
    tok.add_special_tokens({"additional_special_tokens": ["<image>"]})
    text = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=1600) if tiny else \
        dict(hidden_size=896, intermediate_size=3328, num_hidden_layers=28, num_attention_heads=14, num_key_value_heads=2, vocab_size=32000)
    vision = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2, patch_size=14) if tiny else \
        dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12, patch_size=14)
    settings = dict(text, max_position_embeddings=32768, rms_norm_eps=1e-6, rope_theta=1e6, tie_word_embeddings=True, hidden_act="silu", bos_token_id=None,
                    eos_token_id=None, architectures=["HulumedQwen2ForCausalLM"], model_type="hulumed_qwen2", mm_projector_type="mlp2x_gelu",
                    use_token_compression=True, image_token_index=tok.convert_tokens_to_ids("<image>"), vision_encoder=None,
                    vision_encoder_config=dict(vision, model_type="hulumed_vision_encoder", hidden_act="gelu_pytorch_tanh", num_channels=3))
    torch.manual_seed(0)
    model = network(parity, settings)
    print(sum(p.numel() for p in model.parameters()) / 1e6, "million parameters")
    out.mkdir(parents=True, exist_ok=True)
    save_file({k: v.contiguous() for k, v in model.state_dict().items() if k != "lm_head.weight"}, out / "model.safetensors", metadata=dict(format="pt"))
    (out / "config.json").write_text(json.dumps(settings, indent=1))
    (out / "preprocessor_config.json").write_text(json.dumps(dict(
        patch_size=14, image_mean=[0.5] * 3, image_std=[0.5] * 3, image_processor_type="HulumedImageProcessor", resample=3, do_resize=True, **BUDGET)))
    tok.save_pretrained(out)
