"""Probabilities of options as replies from `transformers`, for `tests/main/options.rs`.

    HF_HUB_OFFLINE=1 python make_options.py        (torch 2.15, transformers 5.24)

The checkpoints are those of `make_text.py`. An option counts as it is written and with its first letter in the other case; what goes on
to a longer option counts for that one alone. Prompt and option are tokenised together. Written to `options.json`.
"""
import json, pathlib
import torch
import make_gemma3 as gemma
import make_qwen as qwen
import make_text as text

OPTIONS = [["yes", "no"], ["A", "B", "C", "D"], ["left", "right", "left lung", "sure, é"], ["chest x ray image", "chest", "image"]]


def spellings(option):
    other = option[0].swapcase() + option[1:]
    return {option} | ({other} if len(option) > 1 else set())


listed = []
for name in ["qwen2", "qwen2_windows", "llama", "phi3", "gemma3"]:
    model_class, config_class, more = text.CASES[name]
    tok = gemma.tokenizer() if name == "gemma3" else qwen.tokenizer()
    end = dict(eos_token_id=1 if name == "gemma3" else 2)
    model = model_class(config_class(**{**text.SHAPE, "vocab_size": len(tok), **end, **more})).float().eval()
    gemma.weights(model)
    model = model.double()
    for i, ask in enumerate(text.ASKS):
        turns = [{"role": role, "content": [{"type": "text", "text": part} for part in parts] if name == "gemma3" else "".join(parts)}
                 for role, parts in ask]
        prompt = tok.apply_chat_template(turns, add_generation_prompt=True, tokenize=False)
        ids = lambda words: tok([words], add_special_tokens=False)["input_ids"][0]
        for options in OPTIONS:
            known = {}
            for n, option in enumerate(options):
                for spelling in spellings(option):
                    together = ids(prompt + spelling)
                    assert together[:len(ids(prompt))] == ids(prompt)
                    known[tuple(together[len(ids(prompt)):])] = n
            probability = {}
            for tokens in known:
                x = torch.tensor([ids(prompt) + list(tokens)])
                with torch.no_grad():
                    logs = model(input_ids=x).logits[0].log_softmax(-1)
                probability[tokens] = sum(logs[len(ids(prompt)) - 1 + k, t].item() for k, t in enumerate(tokens))
            probability = {t: float(torch.tensor(p, dtype=torch.float64).exp()) for t, p in probability.items()}
            sums = [0.0] * len(options)
            for tokens, n in known.items():
                begun = [t for t in known if t != tokens and t[:len(tokens)] == tokens]
                next_longer = [t for t in begun if not any(o != t and t[:len(o)] == o for o in begun)]
                sums[n] += probability[tokens] - sum(probability[t] for t in next_longer)
            listed.append(dict(case=name, ask=i, options=options, tokens=max(map(len, known)), mass=sum(sums),
                               probabilities=[s / sum(sums) for s in sums]))
pathlib.Path("options.json").write_text(json.dumps(listed, ensure_ascii=False, indent=0) + "\n")
