"""`loupe serve` through the official Python client: chat, pictures, pieces, log-probabilities, decisions, errors, ending.

    pip install openai==3.57.0
    cargo build
    python crates/serve/tests/clients/openai_python.py target/debug/loupe [MODEL_DIR]

Without a folder the built-in model is served. Exits with an error at the first thing that is not as it should be.
"""
import asyncio, base64, os, signal, struct, subprocess, sys, zlib

import openai

BINARY, MODEL = sys.argv[1], sys.argv[2:3]
TOKEN = "0123456789abcdef0123456789abcdef"


def png(width, height, grey):
    rows = b"".join(b"\0" + bytes(grey(x, y) for x in range(width)) for y in range(height))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def data_uri(grey):
    return "data:image/png;base64," + base64.b64encode(png(64, 48, grey)).decode()


PICTURES = [data_uri(lambda x, y: (x * 4) % 256), data_uri(lambda x, y: (y * 5) % 256)]


def content(words, *pictures):
    return [{"type": "image_url", "image_url": {"url": p}} for p in pictures] + [{"type": "text", "text": words}]


def raised(kind, call):
    try:
        call()
    except kind as error:
        return error
    raise AssertionError(f"no {kind.__name__}")


def main():
    arguments = ["serve", "--port", "0", "--max-tokens", "64"] + (["--model", MODEL[0]] if MODEL else [])
    server = subprocess.Popen([BINARY, *arguments], stdout=subprocess.PIPE, text=True, env=dict(os.environ, LOUPE_SERVE_TOKEN=TOKEN))
    url = server.stdout.readline().strip()
    client = openai.OpenAI(base_url=url, api_key=TOKEN, max_retries=0, timeout=300)
    model = client.models.list().data[0]
    assert client.models.retrieve(model.id).id == model.id
    assert len(model.loupe["weights_sha256"]) == 64
    ask = lambda words, *pictures, **more: client.chat.completions.create(
        model=model.id, messages=[{"role": "user", "content": content(words, *pictures)}], **more)

    whole = ask("What is shown?", PICTURES[0], max_tokens=8, logprobs=True, top_logprobs=3, extra_body={"return_token_ids": True})
    choice = whole.choices[0]
    assert choice.finish_reason in ("stop", "length") and whole.usage.total_tokens > whole.usage.prompt_tokens > 0
    assert len(choice.logprobs.content) == len(choice.token_ids) == whole.usage.completion_tokens
    assert b"".join(bytes(t.bytes) for t in choice.logprobs.content).decode().strip() == choice.message.content.strip()
    assert all(len(t.top_logprobs) == 3 and t.logprob <= 0 for t in choice.logprobs.content)

    pieces = list(ask("What is shown?", PICTURES[0], max_tokens=8, stream=True, stream_options={"include_usage": True}))
    text = "".join(p.choices[0].delta.content or "" for p in pieces if p.choices)
    assert text == choice.message.content, (text, choice.message.content)
    assert pieces[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert pieces[0].system_fingerprint == whole.system_fingerprint == model.system_fingerprint

    drawn = [ask("What is shown?", PICTURES[0], temperature=1, seed=seed, max_tokens=8).choices[0].message.content for seed in (3, 3)]
    assert drawn[0] == drawn[1]
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": content("First.", *PICTURES)},
             choice.message.model_dump(), {"role": "user", "content": "And?"}]
    client.chat.completions.create(model=model.id, messages=turns, max_completion_tokens=4)

    seen = [{"role": "user", "content": [{"type": "input_image", "image_url": PICTURES[0]}]}]
    questions = [{"type": "predicate", "name": "lung", "instructions": "A lung is shown."},
                 {"type": "choice", "instructions": "Which?", "choices": [{"value": "brain"}, {"value": "lung"}]},
                 {"type": "score", "instructions": "How bright?", "levels": [{"label": "dark"}, {"label": "bright"}]}]
    decision = client.decisions.create(model=model.id, input=seen, questions=questions)
    predicate, chosen, score = decision.answers
    assert predicate.name == "lung" and 0 <= predicate.probability <= 1 and 0 <= predicate.mass <= 1
    assert chosen.choice in ("brain", "lung") and abs(sum(p.probability for p in chosen.probabilities) - 1) < 1e-9
    assert 0 <= score.score <= 1 and score.probabilities[1].value == 1

    error = raised(openai.BadRequestError, lambda: ask("x", n=2))
    assert error.param == "n" and error.code == "unsupported_value", error
    assert raised(openai.BadRequestError, lambda: ask("x", "https://localhost/a.png")).code == "invalid_image_url"
    raised(openai.NotFoundError, lambda: client.chat.completions.create(model="other", messages=turns))
    stranger = openai.OpenAI(base_url=url, api_key="other", max_retries=0)
    raised(openai.AuthenticationError, lambda: stranger.models.list())

    async def together():
        many = openai.AsyncOpenAI(base_url=url, api_key=TOKEN, timeout=300)
        one = lambda n: many.chat.completions.create(
            model=model.id, messages=[{"role": "user", "content": content(f"Question {n}?", PICTURES[0])}], max_tokens=4)
        return await asyncio.gather(*(one(n) for n in range(16)))

    together = asyncio.run(together())
    alone = [ask(f"Question {n}?", PICTURES[0], max_tokens=4) for n in range(16)]
    assert [r.choices[0].message.content for r in together] == [r.choices[0].message.content for r in alone]
    assert any(r.usage.prompt_tokens_details.cached_tokens > 0 for r in alone)

    # What is in work when the server is told to end is answered.
    running = ask("What is shown?", PICTURES[1], stream=True, max_tokens=64)
    first = next(iter(running))
    server.send_signal(signal.SIGTERM)
    rest = list(running)
    assert first.choices and rest[-1].choices[0].finish_reason
    assert server.wait(60) == 128 + signal.SIGTERM, server.returncode
    print("well:", url, model.id)


main()
