"""Reference values of Florence-2 from `transformers`, for `tests/main/florence2.rs`.

    HF_HUB_OFFLINE=1 python make_florence2.py        (torch 2.15, transformers 5.23)

As `make_qwen.py`: only configurations and reference values are stored, weights and pictures follow its formulas. Cases
called `authors…` are stored as the authors' code has them: its names of settings (the test renames the tensors), settings
of generation in the text model's part, tokens that the code adds to BART's, pictures resized by Pillow; the network is
the same. `authors_letterbox` is AG-KD's way: pictures are put into 512 × 512 pixels first, as OpenCV interpolates (held
against OpenCV itself in `preprocess/tests/opencv_fixtures.py`).
"""
import hashlib, json, pathlib
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, processors, trainers
import transformers as tf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from make_qwen import picture, weight

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
MEAN, STD = [0.485, 0.456, 0.406], [0.229, 0.224, 0.225]
ADDED = (["<od>", "</od>", "<ocr>", "</ocr>"] + [f"<loc_{i}>" for i in range(1000)] + [
    "<cap>", "</cap>", "<ncap>", "</ncap>", "<dcap>", "</dcap>", "<grounding>", "</grounding>", "<seg>", "</seg>", "<sep>",
    "<region_cap>", "</region_cap>", "<region_to_desciption>", "</region_to_desciption>", "<proposal>", "</proposal>",
    "<poly>", "</poly>", "<and>"])


def bart_tokenizer():
    t = Tokenizer(models.BPE(unk_token="<unk>"))
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(
        ["what does the image describe locate the phrases in the caption", "is there a fracture ? yes no left right lung"],
        trainers.BpeTrainer(vocab_size=310, special_tokens=["<s>", "<pad>", "</s>", "<unk>"],
                            initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()), show_progress=False))
    t.post_processor = processors.RobertaProcessing(("</s>", 2), ("<s>", 0), add_prefix_space=False)
    t.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    return t


def wrapped(t, **more):
    return tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<s>", eos_token="</s>", pad_token="<pad>", unk_token="<unk>", **more)


def weights(model):
    rules = {}
    for name, p in model.named_parameters():
        leaf = name.rsplit(".", 2)[-2]
        if "norm" in leaf:
            rule = [list(p.shape), 0.4, 1.0 if name.endswith("weight") else 0.0]
        elif p.dim() > 1:
            std = 0.3 if "embed" in name or "shared" in name else 0.7 / p[0].numel() ** 0.5
            rule = [list(p.shape), round(std * 12 ** 0.5, 6), 0.0]
        else:
            rule = [list(p.shape), 0.2, 0.0]
        rules[name] = rule
        with torch.no_grad():
            p.copy_(weight(name, *rule))
    return rules


def axis(n, m, within):
    """Neighbours and weights of OpenCV's INTER_LINEAR for 8 bits."""
    scale, out = 1.0 / (m / n), []
    for d in range(m):
        f = np.float32((d + 0.5) * scale - 0.5)
        s = int(np.floor(f))
        f = np.float32(f - np.float32(s))
        if within and s < 0:
            s, f = 0, np.float32(0)
        if within and s >= n - 1:
            s, f = n - 1, np.float32(0)
        fixed = [int(np.rint(np.float32(v) * np.float32(2048))) for v in (1 - f, f)]
        out.append([min(max(s, 0), n - 1), min(max(s + 1, 0), n - 1), *fixed])
    return np.array(out).T


def letterbox(image, side):
    pixels = np.asarray(image).astype(np.int64)
    h, w = pixels.shape[:2]
    scale = side / max(w, h)
    nw, nh = round(w * scale), round(h * scale)
    if (w, h) == (2 * nw, 2 * nh):
        pixels = (pixels[0::2, 0::2] + pixels[1::2, 0::2] + pixels[0::2, 1::2] + pixels[1::2, 1::2] + 2) >> 2
    elif (w, h) != (nw, nh):
        (l, r, a, b), (t, u, c, d) = axis(w, nw, True), axis(h, nh, False)
        across = pixels[:, l] * a[None, :, None] + pixels[:, r] * b[None, :, None]
        c, d = c[:, None, None], d[:, None, None]
        pixels = ((((c * (across[t] >> 4)) >> 16) + ((d * (across[u] >> 4)) >> 16)) + 2) >> 2
    out = np.zeros((side, side, 3), np.uint8)
    top, left = (side - nh) // 2, (side - nw) // 2
    out[top:top + nh, left:left + nw] = pixels
    return Image.fromarray(out)


def case(name, vision, text, side, asks, generation, authors=False, boxed=None, tied=True, keeps_waves=True):
    t = bart_tokenizer()
    folder = HERE / "florence2"
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer" / "tokenizer.json").write_text(
        json.dumps(json.loads(t.to_str()), ensure_ascii=False, separators=(",", ":")) + "\n")
    t.add_special_tokens([AddedToken(x, normalized=False) for x in ADDED])
    vocab = t.get_vocab_size()
    t.add_special_tokens([AddedToken("<image>", normalized=False)])
    tok = wrapped(t, model_specific_special_tokens=dict(image_token="<image>"))
    image_id = 3 if authors else tok.convert_tokens_to_ids("<image>")
    vocab = vocab if authors else 64 * ((vocab + 64) // 64)
    text_config = dict(text, model_type="bart", vocab_size=vocab, max_position_embeddings=256, pad_token_id=1, bos_token_id=0,
                       eos_token_id=2, decoder_start_token_id=2)
    config = tf.Florence2Config(
        text_config=text_config, vision_config=dict(vision, projection_dim=text["d_model"], max_position_embeddings=11),
        image_token_id=image_id, tie_word_embeddings=tied)
    model = tf.Florence2ForConditionalGeneration(config).float().eval()
    rules = weights(model)
    if tied:
        model.tie_weights()
    model.generation_config = tf.GenerationConfig(
        bos_token_id=0, eos_token_id=2, pad_token_id=1, decoder_start_token_id=2, **generation)
    numbers = dict(size=dict(height=side, width=side), do_center_crop=False, image_mean=MEAN, image_std=STD)
    kind = CLIPImageProcessorPil if authors else tf.CLIPImageProcessor
    ip = kind(**numbers)
    levels_of = kind(do_rescale=False, do_normalize=False, **numbers)
    n = model.model.get_image_features(torch.zeros(1, 3, side, side), return_dict=True).pooler_output.shape[1]
    ip.image_seq_length = n
    processor = tf.Florence2Processor(ip, tok)

    def words(prompt):
        if not authors:
            return tok(processor._construct_prompts(prompt)[0], add_special_tokens=False)["input_ids"]
        for table in (processor.task_prompts_without_inputs, processor.task_prompts_with_input):
            for token, said in table.items():
                if token in prompt:
                    prompt = said.format(input=prompt.replace(token, ""))
                    break
        return tok(prompt, add_special_tokens=False)["input_ids"]

    ref, listed = {}, []
    for i, (size, prompt) in enumerate(asks):
        image = picture(*size)
        if boxed:
            image = letterbox(image, boxed)
        levels = levels_of(images=[image], return_tensors="pt")["pixel_values"].numpy().round().astype(np.uint8)
        x = dict(pixel_values=ip(images=[image], return_tensors="pt")["pixel_values"])
        ids = [image_id] * n + [0] + words(prompt) + [2]
        x["input_ids"] = torch.tensor([ids])
        x["attention_mask"] = torch.ones_like(x["input_ids"])
        if not authors:
            own = processor(text=[prompt], images=[image], return_tensors="pt")
            assert own["input_ids"].tolist() == x["input_ids"].tolist() and torch.equal(own["pixel_values"], x["pixel_values"])
        facts = dict(picture=size, text=prompt, levels_sha256=hashlib.sha256(levels.tobytes()).hexdigest(), beams=[])
        with torch.no_grad():
            logits = model(**x, decoder_input_ids=torch.tensor([[2]])).logits[0, -1]
            features = model.model.get_image_features(x["pixel_values"], return_dict=True).pooler_output[0]
            greedy = model.generate(**x, max_new_tokens=32, num_beams=1, do_sample=False)[0, 1:]
            for beams, tokens in ((generation.get("num_beams", 1), 32), (3, 32), (3, 5), (5, 17)):
                if beams == 1:
                    continue
                out = model.generate(**x, max_new_tokens=tokens, num_beams=beams, do_sample=False, output_scores=True,
                                     return_dict_in_generate=True)
                steps = model.compute_transition_scores(out.sequences, out.scores, out.beam_indices, normalize_logits=False)[0]
                chosen = int((steps < 0).sum())
                facts["beams"].append(dict(
                    beams=beams, tokens=tokens, ids=out.sequences[0, 1:].tolist(), score=float(out.sequences_scores[0]),
                    confidence=float(np.exp(float(steps.sum()) / max(chosen, 1) ** generation.get("length_penalty", 1.0)))))
        found = dict(input_ids=x["input_ids"][0].int(), logits=logits, generated_ids=greedy.int(), vision_features=features,
                     pixel_values=x["pixel_values"].flatten()[::61])
        ref |= {f"{i}.{k}": v.contiguous().clone() for k, v in found.items()}
        listed.append(facts)
        print(name, i, len(ids), greedy.tolist()[:12], [(b["beams"], len(b["ids"]), round(b["score"], 4)) for b in facts["beams"]])
    settings = json.loads(config.to_json_string())
    settings["architectures"] = ["Florence2ForConditionalGeneration"]
    stored = json.loads(model.generation_config.to_json_string())
    numbers |= dict(image_processor_type=kind.__name__, image_seq_length=n)
    if authors:
        v = settings["vision_config"]
        same = {k: v[k] for k in ("patch_size", "patch_stride", "patch_padding", "patch_prenorm", "num_heads", "num_groups",
                                  "depths", "window_size", "projection_dim", "drop_path_rate")}
        inner = dict(text_config, activation_function="gelu", normalize_before=False, add_final_layer_norm=False,
                     scale_embedding=False, **generation)
        settings = dict(
            architectures=settings["architectures"], model_type="florence2", is_encoder_decoder=True, bos_token_id=0,
            eos_token_id=2, pad_token_id=1, vocab_size=vocab, projection_dim=text["d_model"], torch_dtype="float16",
            text_config={k: w for k, w in inner.items() if k != "model_type"},
            vision_config=dict(
                same, model_type="davit", dim_embed=v["embed_dim"], enable_checkpoint=False,
                image_pos_embed=dict(type="learned_abs_2d", max_pos_embeddings=11),
                visual_temporal_embedding=dict(type="COSINE", max_temporal_embeddings=100),
                image_feature_source=["spatial_avg_pool", "temporal_avg_pool"]))
        # As published: what `generate` of the whole would do, which is never called.
        stored = dict(num_beams=generation.get("num_beams", 1), early_stopping=False, transformers_version="4.37.0.dev0")
        numbers["image_processor_type"] = "CLIPImageProcessor"
    facts = dict(config=settings, generation=stored, image_processor=numbers, weights=rules, asks=listed,
                 waves=[100, vision["embed_dim"][-1]] if keeps_waves else None, authors=authors)
    (folder / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    save_file(ref, folder / f"{name}.safetensors")


def davit(widths, heads, groups, depths, window, kernels=(7, 3, 3, 3), strides=(4, 2, 2, 2), **more):
    stages = len(widths)
    return dict(embed_dim=widths, num_heads=heads, num_groups=groups, depths=depths, window_size=window,
                patch_size=list(kernels[:stages]), patch_stride=list(strides[:stages]),
                patch_padding=[k // 2 for k in kernels[:stages]], patch_prenorm=[i > 0 for i in range(stages)], **more)


def bart(width, encoder, decoder, heads, wide, **more):
    return dict(d_model=width, encoder_layers=encoder, decoder_layers=decoder, encoder_attention_heads=heads[0],
                decoder_attention_heads=heads[1], encoder_ffn_dim=wide[0], decoder_ffn_dim=wide[1], **more)


PUBLISHED = dict(num_beams=3, early_stopping=True, no_repeat_ngram_size=3, forced_bos_token_id=0, forced_eos_token_id=2)
CASES = [
    ("as_published", davit([16, 32, 64, 128], [2, 2, 4, 8], [2, 4, 4, 8], [1, 1, 2, 1], 4), bart(64, 2, 2, (4, 4), (96, 96)), 96,
     [((233, 157, 1), "<OD>"), ((120, 200, 2), "<CAPTION_TO_PHRASE_GROUNDING> left lung, right lung "),
      ((64, 64, 3), "<REGION_TO_CATEGORY><loc_52><loc_332><loc_932><loc_774>"), ((40, 90, 4), "is there a fracture ?")],
     PUBLISHED, dict()),
    ("never_stops_early", davit([12, 24, 40], [2, 3, 5], [3, 2, 4], [1, 2, 1], 5, kernels=(5, 3, 2), strides=(3, 2, 2), qkv_bias=False),
     bart(48, 1, 3, (2, 4), (80, 64), scale_embedding=True), 72,
     [((97, 260, 5), "<CAPTION>"), ((300, 181, 6), "<OPEN_VOCABULARY_DETECTION>fracture")],
     dict(num_beams=4, early_stopping="never", length_penalty=2.0, forced_eos_token_id=2, repetition_penalty=1.2),
     dict(tied=False, keeps_waves=False)),
    ("likely_stop", davit([8, 16, 32, 64], [1, 2, 2, 4], [2, 2, 4, 4], [1, 1, 1, 2], 7), bart(32, 2, 1, (2, 2), (64, 48)), 128,
     [((50, 50, 7), "<MORE_DETAILED_CAPTION>"), ((33, 12, 8), "yes or no, é?")],
     dict(length_penalty=-0.5, no_repeat_ngram_size=2, forced_eos_token_id=None), dict()),
    ("authors", davit([16, 24, 48, 96], [2, 4, 4, 8], [2, 4, 6, 8], [1, 1, 3, 1], 3), bart(48, 3, 2, (4, 2), (96, 64)), 64,
     [((181, 300, 9), "<CAPTION_TO_PHRASE_GROUNDING> left lung"), ((64, 64, 3), "<DENSE_REGION_CAPTION>"), ((20, 31, 10), "left or right ?")],
     PUBLISHED, dict(authors=True)),
    ("authors_letterbox", davit([8, 16, 24, 48], [2, 2, 2, 4], [2, 2, 2, 4], [1, 1, 1, 1], 4), bart(32, 1, 1, (2, 2), (48, 48)), 96,
     [((181, 300, 11), "<CAPTION_TO_PHRASE_GROUNDING>Locate the phrases in the caption: pneumonia means white."), ((1024, 600, 12), "<OD>"),
      ((700, 500, 13), "<CAPTION>")],
     PUBLISHED, dict(authors=True, boxed=512)),
]

if __name__ == "__main__":
    for name, v, t, side, asks, generation, more in CASES:
        case(name, v, t, side, asks, generation, **more)
