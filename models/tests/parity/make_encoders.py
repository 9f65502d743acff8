"""Reference values of BERT, RoBERTa and DistilBERT from `transformers`, for `tests/main/encoders.rs`.

    HF_HUB_OFFLINE=1 python make_encoders.py        (torch 2.15, transformers 5.23)

As in make_qwen.py, weights follow integer formulas that the test repeats; `encoders/<case>.json` has the configuration, the
tokenizer and the texts with their token ids, `encoders/<case>.safetensors` the hidden states of every layer.
"""
import json, os, pathlib
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import torch
import transformers as tf
from safetensors.torch import save_file
from encoder_tokenizers import byte_level, wordpiece
from make_qwen import weight

HERE = pathlib.Path(__file__).parent / "encoders"
TEXTS = ["The heart is enlarged.", "no pleural effusion", "", "Left lower-lobe opacity, likely atelectasis; 3.5 cm (b/l) é 右肺",
         "clear", "heart " * 40, "is", " lungs  are\tclear [SEP] </s> <pad> [MASK] no\n", "no pleural opacity"]


def rules_of(model):
    rules = {}
    for name, p in model.named_parameters():
        if "embeddings." in name and p.dim() > 1:
            rule = [list(p.shape), 1.0, 0.0]
        elif p.dim() > 1:
            rule = [list(p.shape), round(2.4 / p.shape[1] ** 0.5, 6), 0.0]
        elif "norm" in name.lower():
            rule = [list(p.shape), 0.4, 1.0 if name.endswith("weight") else 0.0]
        else:
            rule = [list(p.shape), 0.2, 0.0]
        rules[name] = rule
        with torch.no_grad():
            p.copy_(weight(name, *rule))
    return rules


def case(name, model_class, config, tokenizer, spaced=False, limit=None):
    config.vocab_size = tokenizer.get_vocab_size()
    model = model_class(config).float().eval()
    rules = rules_of(model)
    encoder = getattr(model, model.base_model_prefix, model)
    longest = config.max_position_embeddings - (config.pad_token_id + 1 if spaced else 0)
    tokenizer.enable_truncation(min(longest, limit or longest))
    ids, states = [], {}
    for i, text in enumerate(TEXTS):
        row = tokenizer.encode(" " + text if spaced and text and not text[0].isspace() else text).ids
        ids.append(row)
        with torch.no_grad():
            hidden = encoder(torch.tensor([row]), output_hidden_states=True).hidden_states
        states[str(i)] = torch.stack([h[0] for h in hidden]).contiguous()
    settings = json.loads(config.to_json_string())
    settings["architectures"] = [model_class.__name__]
    tokenizer.no_truncation()
    facts = dict(config=settings, tokenizer=json.loads(tokenizer.to_str()),
                 tokenizer_config=dict(model_max_length=limit or 10 ** 30), weights=rules, texts=TEXTS, ids=ids)
    HERE.mkdir(exist_ok=True)
    (HERE / f"{name}.json").write_text(json.dumps(facts, separators=(",", ":"), ensure_ascii=False) + "\n")
    save_file(states, HERE / f"{name}.safetensors")
    print(name, {i: tuple(s.shape) for i, s in states.items()}, ids)


if __name__ == "__main__":
    sizes = lambda hidden, layers, heads, wide, places: dict(
        hidden_size=hidden, num_hidden_layers=layers, num_attention_heads=heads, intermediate_size=wide,
        max_position_embeddings=places)
    distilled = lambda dim, layers, heads, wide, places, **more: tf.DistilBertConfig(
        dim=dim, n_layers=layers, n_heads=heads, hidden_dim=wide, max_position_embeddings=places, **more)
    case("bert", tf.BertModel, tf.BertConfig(**sizes(24, 3, 4, 40, 24)), wordpiece())
    case("bert_with_heads", tf.BertForPreTraining, tf.BertConfig(**sizes(16, 2, 1, 36, 40)), wordpiece(), limit=14)
    case("roberta", tf.RobertaModel, tf.RobertaConfig(**sizes(24, 3, 2, 50, 24), type_vocab_size=1, layer_norm_eps=1e-5,
                                                      pad_token_id=1), byte_level(), spaced=True)
    case("roberta_with_head", tf.RobertaForMaskedLM, tf.RobertaConfig(**sizes(20, 2, 5, 32, 60), type_vocab_size=1,
         layer_norm_eps=1e-5, pad_token_id=1), byte_level(), spaced=True, limit=20)
    case("distilbert", tf.DistilBertModel, distilled(24, 2, 3, 56, 22), wordpiece())
    case("distilbert_with_head", tf.DistilBertForMaskedLM, distilled(16, 4, 2, 24, 30, sinusoidal_pos_embds=True), wordpiece())
