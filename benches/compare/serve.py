"""Replies a second through `loupe serve` beside `loupe eval` on the same work: 32 clients, 22 questions a picture.

    cargo build --release
    python benches/compare/serve.py target/release/loupe [CHECKPOINT] [--pictures 3] [--clients 32] [--questions 22]

The built-in model answers where no checkpoint is named (`make_checkpoint.py` makes one of 400 million parameters).

The clients send one request at a time each, taken from one list in its order, as lossless PNG. Loading is not counted: of `eval` the time of one
picture's run is taken off the time of all, and the server has answered the questions of one picture before the clock starts. Both must give the
same tokens. The tools run in turns; the fastest rounds and their ratio are printed.
"""
import argparse, base64, http.client, json, os, pathlib, random, signal, struct, subprocess, sys, tempfile, threading, time, urllib.parse, zlib

SIDE, NEW = 448, 8


def png(seed):
    rng = random.Random(seed)
    rows = b"".join(b"\0" + rng.randbytes(SIDE * 3) for _ in range(SIDE))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", SIDE, SIDE, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write(folder, pictures, questions):
    lines = []
    for p in range(pictures):
        (folder / f"{p}.png").write_bytes(png(p))
        for q in range(questions):
            lines.append(dict(id=f"{p}-{q:02d}", image=f"{p}.png", question=f"is there a lesion in the left lung {q:02d}?", answer="no"))
    for name, part in (("all", lines), ("first", lines[:questions])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(line) + "\n" for line in part))
    return lines


def named(a):
    return ["--model", a.model] if a.model else []


def evaluate(a, folder, name, out):
    began = time.perf_counter()
    subprocess.run([a.binary, "eval", "--data", f"jsonl={folder}/{name}.jsonl", *named(a), "-o", out, "--quiet", "--no-page",
                    "--prompt", "question", "--max-new-tokens", str(NEW)], check=True,
                   stdout=subprocess.DEVNULL)
    return time.perf_counter() - began


def replies(run):
    """Token ids by id."""
    lines = map(json.loads, (run / "replies.jsonl").read_text().splitlines())
    return {line["id"]: line["outcome"]["reply"]["token_ids"] for line in lines}


class Server:
    def __init__(self, a, *options):
        self.process = subprocess.Popen([a.binary, "serve", *named(a), "--port", "0", "--quiet", *options], stdout=subprocess.PIPE, text=True)
        self.host = urllib.parse.urlparse(self.process.stdout.readline().strip()).netloc
        self.model = json.loads(self.get("/v1/models"))["data"][0]["id"]

    def get(self, path):
        connection = http.client.HTTPConnection(self.host)
        connection.request("GET", path)
        return connection.getresponse().read()

    def body(self, picture, words, tokens=NEW):
        uri = "data:image/png;base64," + base64.b64encode(picture).decode()
        content = [{"type": "image_url", "image_url": {"url": uri}}, {"type": "text", "text": words}]
        return json.dumps({"model": self.model, "max_tokens": tokens, "return_token_ids": True, "messages": [{"role": "user", "content": content}]})

    def answer(self, bodies, clients):
        """The replies to all bodies, in order, and the seconds that they took."""
        said = [None] * len(bodies)

        def ask(connection, place):
            connection.request("POST", "/v1/chat/completions", bodies[place], {"Content-Type": "application/json"})
            response = connection.getresponse()
            document = json.loads(response.read())
            assert response.status == 200, document
            said[place] = document["choices"][0]["token_ids"]

        began = time.perf_counter()
        self.share(range(len(bodies)), clients, ask)
        return said, time.perf_counter() - began

    def share(self, numbers, clients, work):
        """Calls `work(connection, number)` for each number, in their order, from so many clients with a connection each."""
        places, lock = iter(numbers), threading.Lock()

        def client():
            connection = http.client.HTTPConnection(self.host)
            while True:
                with lock:
                    place = next(places, None)
                if place is None:
                    return
                work(connection, place)

        threads = [threading.Thread(target=client) for _ in range(clients)]
        [t.start() for t in threads]
        [t.join() for t in threads]

    def memory_mib(self):
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0]) / 1024

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        assert self.process.wait() == 128 + signal.SIGTERM


def main():
    p = argparse.ArgumentParser()
    p.add_argument("binary")
    p.add_argument("model", nargs="?")
    p.add_argument("--pictures", type=int, default=3)
    p.add_argument("--questions", type=int, default=22)
    p.add_argument("--clients", type=int, default=32)
    p.add_argument("--rounds", type=int, default=2)
    a = p.parse_args()
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        lines = write(folder, a.pictures + 1, a.questions)
        count = a.pictures * a.questions
        ours, theirs = [], []
        for n in range(a.rounds):
            one = evaluate(a, folder, "first", folder / f"first{n}")
            theirs.append(evaluate(a, folder, "all", folder / f"all{n}") - one)
            ids = replies(folder / f"all{n}")
            server = Server(a)
            bodies = [server.body((folder / line["image"]).read_bytes(), line["question"]) for line in lines]
            server.answer(bodies[: a.questions], a.clients)
            said, seconds = server.answer(bodies[a.questions:], a.clients)
            ours.append(seconds)
            differ = sum(tokens != ids[line["id"]] for tokens, line in zip(said, lines[a.questions:]))
            assert differ == 0, f"{differ} of {count} replies differ"
            server.end()
    print(f"eval  {count / min(theirs):8.2f} replies/s")
    print(f"serve {count / min(ours):8.2f} replies/s, {a.clients} clients: {min(theirs) / min(ours):.2f} of eval")


if __name__ == "__main__":
    main()
