"""Memory of `loupe serve` over many requests of every kind, by its resident set.

    cargo build --release
    python benches/compare/soak.py target/release/loupe [CHECKPOINT] [--requests 10000] [--clients 32]

Clients send what clients send: questions on few and on ever new pictures, words alone, streams, decisions, sampling with a seed, pictures by their
address (which a server in this process gives), requests that are refused, bodies that are no JSON, and connections that are dropped before the
reply. The resident set is read after every twentieth of the requests. It has to be flat: in the last quarter it may be 2 % and 4 MiB above that of the
second quarter, else the script fails. The first quarter fills the caches, whose bounds are set so low here that they are full by then; with the usual
ones they would still be filling at the end. The script fails too when a request gets another answer than its kind should, or none.
"""
import argparse, base64, collections, http.server, json, random, socket, statistics, struct, sys, threading, time, zlib

from serve import Server

KINDS = ["same", "new", "words", "stream", "decide", "drawn", "fetched", "refused", "damaged", "dropped"]
# Megabytes of beginnings of prompts, and of decoded pictures.
CACHES = ["--cache", "64", "--keep-pictures", "2"]


def png(seed, side=96):
    rng = random.Random(seed)
    rows = b"".join(b"\0" + rng.randbytes(side) for _ in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def uri(seed):
    return "data:image/png;base64," + base64.b64encode(png(seed)).decode()


class Pictures(http.server.BaseHTTPRequestHandler):
    """Gives /N.png."""

    def do_GET(self):
        body = png(int(self.path.strip("/").split(".")[0]))
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        pass


def serve_pictures():
    """The address of a server of pictures."""
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Pictures)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return f"http://127.0.0.1:{server.server_port}"


def request(server, kind, n):
    """Path, body and the status that it should get."""
    chat = {"model": server.model, "max_tokens": 4, "messages": [{"role": "user", "content": f"Is there a lesion number {n}?"}]}
    picture = lambda seed: [{"type": "image_url", "image_url": {"url": uri(seed)}}, {"type": "text", "text": f"Is there a lesion number {n % 22}?"}]
    path, turn = "/v1/chat/completions", n // len(KINDS)
    if kind in ("same", "stream", "dropped"):
        chat["messages"][0]["content"] = picture(turn % 5)
    if kind == "new":
        chat["messages"][0]["content"] = picture(1000 + n)
    if kind == "fetched":
        address = f"{server.pictures}/{turn % 5 if turn % 2 else 100_000 + n}.png"
        chat["messages"][0]["content"] = [{"type": "image_url", "image_url": {"url": address}}, {"type": "text", "text": "Is there a lesion?"}]
    if kind in ("stream", "dropped"):
        chat["stream"] = True
    if kind == "drawn":
        chat.update(temperature=1.0, top_p=0.9, seed=n, logprobs=True, top_logprobs=5)
    if kind == "refused":
        chat["messages"][0]["content"] = [{"type": "image_url", "image_url": {"url": "https://example.org/a.png"}}]
    if kind == "damaged":
        return path, json.dumps(chat)[:-1 - turn % 40], 400
    if kind == "decide":
        path = "/v1/decisions"
        chat = {"model": server.model, "input": [{"role": "user", "content": [{"type": "input_image", "image_url": uri(turn % 5)}]}],
                "questions": [{"type": "choice", "instructions": "Which side?", "choices": [{"value": "left"}, {"value": "right"}]}]}
    return path, json.dumps(chat), 400 if kind == "refused" else 200


def drop(server, path, body):
    """Sends a request and leaves."""
    host, port = server.host.rsplit(":", 1)
    with socket.create_connection((host, int(port))) as connection:
        head = f"POST {path} HTTP/1.1\r\nHost: {server.host}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        connection.sendall(head.encode() + body.encode())
        connection.recv(64)


def send(server, numbers, clients, wrong):
    def one(connection, n):
        kind = KINDS[n % len(KINDS)]
        path, body, status = request(server, kind, n)
        try:
            if kind == "dropped":
                return drop(server, path, body)
            connection.request("POST", path, body, {"Content-Type": "application/json"})
            response = connection.getresponse()
            text = response.read().decode()
            whole = "[DONE]" in text if kind == "stream" else isinstance(json.loads(text), dict)
            if response.status != status or not whole:
                wrong[kind, response.status] += 1
        except Exception as error:
            connection.close()
            wrong[kind, type(error).__name__] += 1

    server.share(numbers, clients, one)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("binary")
    p.add_argument("model", nargs="?")
    p.add_argument("--requests", type=int, default=10_000)
    p.add_argument("--clients", type=int, default=32)
    a = p.parse_args()
    pictures = serve_pictures()
    server, wrong, seen = Server(a, *CACHES, "--allow-pictures-from", pictures), collections.Counter(), []
    server.pictures, began = pictures, time.monotonic()
    part = max(1, a.requests // 20)
    print(f"{0:>7} requests {server.memory_mib():7.1f} MiB", flush=True)
    for begin in range(0, a.requests, part):
        send(server, range(begin, min(begin + part, a.requests)), a.clients, wrong)
        seen.append(server.memory_mib())
        print(f"{min(begin + part, a.requests):>7} requests {seen[-1]:7.1f} MiB {time.monotonic() - began:6.0f} s", flush=True)
    server.end()
    quarter = max(1, len(seen) // 4)
    second, last = statistics.median(seen[quarter:2 * quarter]), statistics.median(seen[-quarter:])
    flat = last <= 1.02 * second + 4
    print(f"second quarter {second:.1f} MiB, last {last:.1f} MiB, most {max(seen):.1f} MiB: {'flat' if flat else 'GROWS'}")
    if wrong:
        print("other answers than expected:", dict(wrong))
    sys.exit(0 if flat and not wrong else 1)


if __name__ == "__main__":
    main()
