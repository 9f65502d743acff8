"""Reference values of LLaVA from `transformers`, for `tests/main/parity.rs`.

    HF_HUB_OFFLINE=1 python make_llava.py        (torch 2.15, transformers 5.24)

As `make_qwen.py`: only configurations and reference values are stored, weights and pictures follow its formulas. Cases
with a conversation are stored as checkpoints of the authors' code are: its configuration, its prompts, words between
pictures tokenised one run at a time, pictures padded and resized by Pillow; the network is the same. There pictures have
no token, and 0 stands for it.
"""
import functools, hashlib, json, pathlib
import numpy as np
import torch
from PIL import Image
from safetensors.torch import save_file
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
import transformers as tf
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.models.llava.image_processing_pil_llava import LlavaImageProcessorPil
from make_gemma3 import content, weights
from make_qwen import picture

HERE = pathlib.Path(__file__).parent
torch.set_num_threads(1)
WORDS = ["what is shown in this chest x ray image", "is there a fracture ? yes no left right", "USER: ASSISTANT: [INST] [/INST]"]
# As `llava-hf/llava-1.5-7b-hf` renders it.
TEMPLATE = (
    "{% for message in messages %}{% if message['role'] != 'system' %}{{ message['role'].upper() + ': '}}{% endif %}"
    "{% for content in message['content'] | selectattr('type', 'equalto', 'image') %}{{ '<image>\n' }}{% endfor %}"
    "{% if message['role'] != 'assistant' %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{{ content['text'] + ' '}}{% endfor %}{% else %}{% for content in message['content'] | selectattr('type', 'equalto', 'text') %}"
    "{% generation %}{{ content['text'] + ' '}}{% endgeneration %}{% endfor %}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}")


def spaces(specials):
    """As Llama's and Mistral's tokenizers: spaces are letters, one stands before a text, unknown letters are bytes."""
    t = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    t.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    t.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    letters = [chr(c) for c in range(33, 127)] + ["▁"]
    t.train_from_iterator([w for line in WORDS for w in line.split()], trainers.BpeTrainer(
        vocab_size=420, special_tokens=specials + [f"<0x{b:02X}>" for b in range(256)], initial_alphabet=letters, show_progress=False))
    described = json.loads(t.to_str())
    described["added_tokens"] = [a for a in described["added_tokens"] if not a["content"].startswith("<0x")]
    t = Tokenizer.from_str(json.dumps(described))
    t.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", t.token_to_id("<s>"))])
    return t


def bytes_(specials):
    t = Tokenizer(models.BPE())
    t.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    t.decoder = decoders.ByteLevel()
    t.train_from_iterator(WORDS, trainers.BpeTrainer(vocab_size=300, special_tokens=specials, show_progress=False,
                                                     initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet())))
    return t


TOKENIZERS = {
    "hf": (spaces, ["<unk>", "<s>", "</s>", "<pad>", "<image>"]),
    "mistral": (spaces, ["<unk>", "<s>", "</s>"]),
    "llama_3": (bytes_, ["<|end_of_text|>", "<|begin_of_text|>", "<|start_header_id|>", "<|end_header_id|>", "<|eot_id|>"]),
    "qwen": (bytes_, ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]),
}
ENDS = {"hf": "</s>", "mistral": "</s>", "llama_3": "<|eot_id|>", "qwen": "<|endoftext|>"}


# Trainers break ties as they please, and every case is read with one tokenizer.
trained = functools.cache(lambda tokens: TOKENIZERS[tokens][0](TOKENIZERS[tokens][1]))


def mistral_instruct(system, turns):
    out = ""
    for n, (role, words) in enumerate(turns):
        if role == "assistant":
            out += " " + words + " </s>"
        else:
            out += "[INST] " + (f"<<SYS>>\n{system}\n<</SYS>>\n\n" if n == 0 and system else "") + words + " [/INST]"
    return out


def vicuna_v1(system, turns):
    system = system or ("A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
                        "and polite answers to the user's questions.")
    return system + " " + "".join(
        f"ASSISTANT: {words}</s>" if role == "assistant" else f"USER: {words} " for role, words in turns) + "ASSISTANT:"


def llava_llama_3(system, turns):
    system = system or ("You are a helpful language and vision assistant. You are able to understand the visual content that the user "
                        "provides, and assist the user with a variety of tasks using natural language.")
    part = lambda role, words: f"<|start_header_id|>{role}<|end_header_id|>\n\n{words.strip()}<|eot_id|>"
    return "<|begin_of_text|>" + part("system", system) + "".join(part(*t) for t in turns) + "<|start_header_id|>assistant<|end_header_id|>\n\n"


def huatuo(system, turns):
    out = ""
    for role, words in turns:
        out += f"<|assistant|>\n{words} \n" if role == "assistant" else f"<|user|>\n{words.strip()}\n"
    return out + "<|assistant|>\n"


def padded(image, mean):
    side = max(image.size)
    out = Image.new("RGB", (side, side), tuple(int(x * 255) for x in mean))
    out.paste(image, ((side - image.width) // 2, (side - image.height) // 2))
    return out


def case(name, kind, text, vision, asks, write=None, processor=None, pad=False, beside=None, tower=None, **more):
    tokens, text_kind = kind
    specials, backend = TOKENIZERS[tokens][1], trained(tokens)
    tok = tf.PreTrainedTokenizerFast(tokenizer_object=backend, chat_template=TEMPLATE, eos_token=ENDS[tokens],
                                     bos_token="<s>" if "<s>" in specials else None, pad_token=specials[0])
    token = 0 if write else tok.convert_tokens_to_ids("<image>")
    # A token that no words have, while the network runs.
    mark = token or len(tok)
    text = dict(text, model_type=text_kind, vocab_size=len(tok) + 1, max_position_embeddings=2048, rms_norm_eps=1e-5,
                eos_token_id=tok.eos_token_id, bos_token_id=None)
    config = tf.LlavaConfig(vision_config=dict(vision, model_type="clip_vision_model"), text_config=text, image_token_index=mark, **more)
    model = tf.LlavaForConditionalGeneration(config).float().eval()
    rules = weights(model)
    side = vision["image_size"]
    numbers = dict(size=dict(shortest_edge=side), crop_size=dict(height=side, width=side)) | (dict(do_pad=True) if pad and not write else {})
    kind_of = processor or CLIPImageProcessorPil
    prepare, bytes_of = kind_of(**numbers), kind_of(do_rescale=False, do_normalize=False, **numbers)
    count = (side // vision["patch_size"]) ** 2 + (more.get("vision_feature_select_strategy") == "full")
    ref, listed = {}, []
    for i, ask in enumerate(asks):
        turns, images = [], []
        for role, parts in ask:
            words, found = content(parts)
            images += found
            turns.append({"role": role, "content": words})
        if write:
            words = lambda t: "".join("<image>\n" if p["type"] == "image" else p["text"] for p in t["content"])
            said = [(t["role"], words(t)) for t in turns]
            system = said.pop(0)[1] if said[0][0] == "system" else None
            # The authors leave the first token to the tokenizer.
            ids = [tok.bos_token_id] if write in (mistral_instruct, vicuna_v1) else []
            begun = False
            for chunk in write(system, said).split("<image>"):
                ids += ([mark] * count if begun else []) + tok(chunk, add_special_tokens=False)["input_ids"]
                begun = True
            if pad:
                images = [padded(image, prepare.image_mean) for image in images]
        else:
            prompt = tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
            ids = tok(prompt.replace("<image>", "<image>" * count))["input_ids"]
        x = dict(input_ids=torch.tensor([ids]))
        levels = None
        if images:
            x["pixel_values"] = prepare(images=images, return_tensors="pt")["pixel_values"]
            levels = bytes_of(images=images, return_tensors="pt")["pixel_values"].numpy().round().astype(np.uint8)
        with torch.no_grad():
            logits = model(**x).logits[0, -1]
            out = model.generate(**x, max_new_tokens=32, do_sample=False, eos_token_id=None)[0, len(ids):]
            shown = x["input_ids"][0].clone()
            shown[shown == mark] = token
            found = dict(input_ids=shown.int(), position_ids=torch.arange(len(ids)).expand(3, len(ids)).int(), logits=logits, generated_ids=out.int())
            if images:
                features = model.model.get_image_features(x["pixel_values"], vision_feature_layer=config.vision_feature_layer,
                    vision_feature_select_strategy=config.vision_feature_select_strategy, return_dict=True).pooler_output
                found |= dict(vision_features=torch.cat(list(features)), pixel_values=x["pixel_values"].flatten()[::61])
        assert not (out == tok.eos_token_id).any(), "the reply ends early: choose other weights"
        ref |= {f"{i}.{k}": v.contiguous().clone() for k, v in found.items()}
        listed.append(dict(turns=ask, levels_sha256=hashlib.sha256(levels.tobytes()).hexdigest() if images else None))
    settings = json.loads(config.to_json_string())
    settings["architectures"] = ["LlavaForConditionalGeneration"]
    if write:
        settings = dict(settings["text_config"], image_aspect_ratio="pad" if pad else None, mm_hidden_size=vision["hidden_size"],
                        mm_projector_type="mlp2x_gelu", mm_use_im_start_end=False, mm_use_im_patch_token=False,
                        mm_vision_select_feature="patch", mm_vision_select_layer=config.vision_feature_layer, mm_vision_tower=tower,
                        tie_word_embeddings=False, architectures=[{"mistral": "LlavaMistralForCausalLM", "llama": "LlavaLlamaForCausalLM",
                                                                   "qwen2": "LlavaQwen2ForCausalLM"}[text_kind]],
                        model_type="llava_" + text_kind, _name_or_path="HuatuoGPT-Vision-7B" if write is huatuo else "")
    numbers |= dict(image_mean=list(prepare.image_mean), image_std=list(prepare.image_std), image_processor_type=kind_of.__name__)
    facts = dict(config=settings, image_processor=numbers, weights=rules, asks=listed, tokenizer=f"llava/tokenizer/{tokens}.json")
    if write:
        facts["beside"] = {f"{tower}/config.json": json.loads(config.vision_config.to_json_string())} if beside else {}
    else:
        facts["template"] = TEMPLATE
    folder = HERE / "llava"
    (folder / "tokenizer").mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":")) + "\n")
    save_file(ref, folder / f"{name}.safetensors")
    described = json.loads(tok.backend_tokenizer.to_str())
    (folder / "tokenizer" / f"{tokens}.json").write_text(json.dumps(described, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(name, {k: tuple(v.shape) for k, v in ref.items() if k.startswith("0.")})


def ask(*parts):
    return [("user", list(parts))]


def text(hidden, layers, heads, kv, wide):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, num_key_value_heads=kv, intermediate_size=wide)


def vit(hidden, layers, heads, wide, side=56, patch=14, **more):
    return dict(hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=wide, image_size=side,
                patch_size=patch, **more)


TALK = [("user", [(64, 40, 11), "left or right?"]), ("assistant", ["left"]), ("user", ["sure?"])]
MANY = [ask(*[(40 + 9 * i, 70 - 7 * i, 5 + i) for i in range(5)], "compare"), ask((64, 64, 11), "yes or no, é?"), ask("only words"),
        [("system", ["Short."])] + TALK]

if __name__ == "__main__":
    case("hf_gqa_two_images", ("hf", "llama"), text(64, 3, 4, 2, 96), vit(32, 3, 2, 64),
         [ask((233, 157, 1), "left", (120, 200, 2), "what is shown?"), TALK], processor=tf.CLIPImageProcessor)
    case("hf_full_pad_pil", ("hf", "mistral"), text(48, 2, 4, 2, 80), vit(32, 2, 4, 48, hidden_act="gelu"),
         [ask((300, 181, 3), "Is there a fracture?"), ask("Where? ", (97, 261, 4))], processor=LlavaImageProcessorPil, pad=True,
         vision_feature_layer=-1, vision_feature_select_strategy="full", multimodal_projector_bias=False)
    case("hf_pad_five_images", ("hf", "qwen2"), text(64, 2, 8, 2, 64), vit(32, 4, 4, 48, side=30, patch=7), MANY,
         processor=tf.LlavaImageProcessor, pad=True, vision_feature_layer=-3)
    case("llava_med", ("mistral", "mistral"), text(64, 2, 4, 2, 96), vit(128, 3, 2, 96),
         [ask((233, 157, 1), "Is there a fracture?"), ask((97, 261, 4), (40, 40, 9), "Where? é"), [("system", ["Short."])] + TALK],
         write=mistral_instruct, pad=True, tower="openai/clip-vit-large-patch14-336")
    case("huatuo", ("qwen", "qwen2"), text(48, 2, 4, 4, 64), vit(48, 2, 3, 64), [ask((300, 100, 3), "Is there a fracture?"), MANY[0], TALK],
         write=huatuo, pad=True, beside=True, tower="./vit/clip_vit_large_patch14_336")
    case("bimedix2", ("llama_3", "llama"), text(64, 2, 4, 1, 96), vit(64, 3, 1, 96, side=42),
         [ask((64, 64, 11), "yes or no, é?"), ask((181, 300, 3), "left", (50, 31, 12)), ask("only words"), [("system", ["Short."])] + TALK],
         write=llava_llama_3, tower="openai/clip-vit-large-patch14-336")
    case("vicuna", ("mistral", "llama"), text(48, 2, 3, 3, 64), vit(64, 2, 1, 64), [ask((120, 200, 2), "what is shown?"), TALK, ask("x")],
         write=vicuna_v1, tower="openai/clip-vit-base-patch14")
