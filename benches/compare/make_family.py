"""A random checkpoint of about 400 million parameters of a family, for `vqa_throughput.py` and `clip_images.py`.

    python make_family.py gemma3|internvl|qwen3-vl|llava|clip OUT_FOLDER [--tiny]        (about 1.6 GB, f32)

Text models are as in `make_checkpoint.py`: 28 layers of width 896. Towers are the published ones scaled down to about 80 million
parameters; an image of 448 pixels is 256 tokens in Gemma 3 and InternVL, 196 in Qwen3-VL and, at its 336 pixels, 576 in LLaVA. CLIP is the
published ViT-L/14 at 224 pixels. `--tiny` makes all of it small, to try the scripts. Tokenizers and templates are those of
`models/tests/parity`.
"""
import pathlib, sys
sys.path.insert(0, str(pathlib.Path(__file__).parents[2] / "models" / "tests" / "parity"))
import torch
import transformers as tf
import encoder_tokenizers, make_gemma3, make_internvl, make_llava, make_qwen
from spread import spread

FAMILY, OUT, TINY = sys.argv[1], pathlib.Path(sys.argv[2]), "--tiny" in sys.argv
VOCABULARY = 1600 if TINY else 32000


def text(**more):
    sizes = dict(hidden_size=64, intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2) if TINY else \
        dict(hidden_size=896, intermediate_size=3328, num_hidden_layers=28, num_attention_heads=14, num_key_value_heads=2)
    return sizes | dict(vocab_size=VOCABULARY, max_position_embeddings=8192, bos_token_id=None, eos_token_id=None) | more


def vit(side, **more):
    sizes = dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2) if TINY else \
        dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    return sizes | dict(image_size=side, patch_size=14) | more


def gemma3():
    tok = make_gemma3.tokenizer()
    ids = {k: tok.convert_tokens_to_ids(v) for k, v in dict(
        image_token_index="<image_soft_token>", boi_token_index="<start_of_image>", eoi_token_index="<end_of_image>").items()}
    own = text()
    layers = own["num_hidden_layers"]
    far, near = dict(rope_type="linear", factor=8.0, rope_theta=1e6), dict(rope_type="default", rope_theta=1e4)
    own |= dict(head_dim=own["hidden_size"] // own["num_attention_heads"], query_pre_attn_scalar=64, sliding_window=1024,
                layer_types=["full_attention" if i % 6 == 5 else "sliding_attention" for i in range(layers)],
                rope_parameters=dict(sliding_attention=near, full_attention=far))
    config = tf.Gemma3Config(text_config=own, vision_config=vit(448, vision_use_head=False), mm_tokens_per_image=256, **ids)
    images = tf.Gemma3ImageProcessor(size=dict(height=448, width=448))
    return tf.Gemma3ForConditionalGeneration(config), tf.Gemma3Processor(images, tok, image_seq_length=256, chat_template=tok.chat_template)


def internvl():
    tok = make_qwen.tokenizer(make_internvl.TEMPLATE)
    tok = tf.PreTrainedTokenizerFast(tokenizer_object=tok.backend_tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>",
                                     chat_template=make_internvl.TEMPLATE, model_specific_special_tokens=dict(
                                         start_image_token="<img>", end_image_token="</img>", context_image_token="<IMG_CONTEXT>",
                                         video_token="<|video_pad|>"))
    tok.context_image_token_id = context = tok.convert_tokens_to_ids("<IMG_CONTEXT>")
    vision = vit([448, 448], attention_bias=True) | dict(patch_size=[14, 14])
    config = tf.InternVLConfig(vision_config=vision, text_config=text(model_type="qwen2", rms_norm_eps=1e-6), image_token_id=context,
                               image_seq_length=256, tie_word_embeddings=True)
    numbers = dict(size=dict(height=448, width=448), image_mean=make_internvl.MEAN, image_std=make_internvl.STD)
    images = make_internvl.GotOcr2ImageProcessor(crop_to_patches=True, min_patches=1, max_patches=12, **numbers)
    return tf.InternVLForConditionalGeneration(config), tf.InternVLProcessor(images, tok, tf.InternVLVideoProcessor(), chat_template=make_internvl.TEMPLATE)


def qwen3_vl():
    tok = make_qwen.tokenizer(make_qwen.TEMPLATE_3)
    ids = {k: tok.convert_tokens_to_ids(v) for k, v in dict(
        image_token_id="<|image_pad|>", video_token_id="<|video_pad|>", vision_start_token_id="<|vision_start|>",
        vision_end_token_id="<|vision_end|>").items()}
    own = text()
    dim = own["hidden_size"] // own["num_attention_heads"]
    third = dim // 2 // 3
    rope = dict(rope_type="default", rope_theta=5e6, mrope_section=[dim // 2 - 2 * third, third, third], mrope_interleaved=True)
    v = vit(0)
    vision = dict(depth=v["num_hidden_layers"], hidden_size=v["hidden_size"], intermediate_size=v["intermediate_size"], num_heads=v["num_attention_heads"],
                  out_hidden_size=own["hidden_size"], patch_size=16, num_position_embeddings=2304,
                  deepstack_visual_indexes=[0, 1] if TINY else [2, 5, 8])
    config = tf.Qwen3VLConfig(text_config=own | dict(head_dim=dim, rope_parameters=rope), vision_config=vision, tie_word_embeddings=True, **ids)
    images = tf.Qwen2VLImageProcessor(patch_size=16, min_pixels=64 * 64, max_pixels=1280 * 32 * 32, image_mean=[0.5] * 3, image_std=[0.5] * 3)
    return tf.Qwen3VLForConditionalGeneration(config), tf.Qwen3VLProcessor(images, tok, tf.Qwen3VLVideoProcessor(), chat_template=make_qwen.TEMPLATE_3)


def llava():
    specials, backend = make_llava.TOKENIZERS["hf"][1], make_llava.trained("hf")
    tok = tf.PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=make_llava.TEMPLATE, eos_token="</s>", bos_token="<s>",
                                     pad_token="<pad>", model_specific_special_tokens=dict(image_token="<image>"))
    config = tf.LlavaConfig(vision_config=vit(336, model_type="clip_vision_model"), text_config=text(model_type="llama", rms_norm_eps=1e-5),
                            image_token_index=tok.convert_tokens_to_ids("<image>"))
    images = tf.CLIPImageProcessor(size=dict(shortest_edge=336), crop_size=dict(height=336, width=336))
    processor = tf.LlavaProcessor(images, tok, patch_size=14, vision_feature_select_strategy="default", num_additional_image_tokens=1,
                                  chat_template=make_llava.TEMPLATE)
    return tf.LlavaForConditionalGeneration(config), processor


def clip():
    t, begin, end = encoder_tokenizers.clip_pairs()
    tok = tf.PreTrainedTokenizerFast(tokenizer_object=t, bos_token="<|startoftext|>", eos_token="<|endoftext|>", pad_token="<|endoftext|>")
    own, vision = (dict(hidden_size=32, intermediate_size=48, num_hidden_layers=2, num_attention_heads=2), vit(56)) if TINY else (
        dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12),
        dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, image_size=224, patch_size=14))
    width, side = own["hidden_size"], vision["image_size"]
    config = tf.CLIPConfig(text_config=own | dict(vocab_size=VOCABULARY, bos_token_id=begin, eos_token_id=end, pad_token_id=end, projection_dim=width),
                           vision_config=vision | dict(projection_dim=width), projection_dim=width)
    return tf.CLIPModel(config), tf.CLIPProcessor(tf.CLIPImageProcessor(size=dict(shortest_edge=side), crop_size=dict(height=side, width=side)), tok)


torch.manual_seed(0)
model, processor = {"gemma3": gemma3, "internvl": internvl, "qwen3-vl": qwen3_vl, "llava": llava, "clip": clip}[FAMILY]()
if FAMILY != "clip":
    model.generation_config.eos_token_id = None
print(sum(p.numel() for p in model.parameters()) / 1e6, "million parameters")
spread(model).save_pretrained(OUT)
processor.save_pretrained(OUT)
