"""Examples from the generator's pipe."""
import json
import struct
import subprocess
import threading
import collections

import numpy as np

SIZE, MASK, LABEL = 112, 56, 16
PICTURE = SIZE * SIZE * 3
PAYLOAD = PICTURE + MASK * MASK + LABEL * LABEL


def records(pipe):
    while True:
        head = pipe.read(4)
        if len(head) < 4:
            return
        header = json.loads(pipe.read(struct.unpack("<I", head)[0]))
        n = header["images"]
        raw = np.frombuffer(pipe.read(n * PAYLOAD), np.uint8).reshape(n, PAYLOAD)
        header["pixels"] = raw[:, :PICTURE].reshape(n, SIZE, SIZE, 3)
        header["mask"] = raw[:, PICTURE:PICTURE + MASK * MASK].reshape(n, MASK, MASK)
        header["labels"] = raw[:, -LABEL * LABEL:].reshape(n, LABEL, LABEL)
        yield header


def dump(binary, split, first, count):
    return subprocess.Popen([binary, split, str(first), str(count)], stdout=subprocess.PIPE, bufsize=1 << 20)


class Stream:
    """Fresh examples by type; when the generator is behind, earlier ones are used again."""

    def __init__(self, binary, first, keep=6000):
        self.process = dump(binary, "train", first, 1 << 40)
        self.fresh = {t: collections.deque() for t in ("single", "look", "several")}
        self.kept = {t: collections.deque(maxlen=keep) for t in self.fresh}
        self.room = threading.Semaphore(1500)
        self.seen, self.again = 0, 0
        self.last = first
        threading.Thread(target=self.run, daemon=True).start()

    def run(self):
        for r in records(self.process.stdout):
            self.room.acquire()
            self.last = r["seed"]
            self.fresh[r["type"]].append(r)

    def take(self, kind, rng):
        # Half of what is drawn was seen before, with other questions: rendering is not free.
        old = len(self.kept[kind]) > 300 and rng.random() < 0.5
        if self.fresh[kind] and not old:
            r = self.fresh[kind].popleft()
            self.room.release()
            self.kept[kind].append(r)
            self.seen += 1
            return r
        import time
        while not self.kept[kind]:
            time.sleep(0.2)
            if self.fresh[kind]:
                return self.take(kind, rng)
        self.again += 1
        return self.kept[kind][rng.randrange(len(self.kept[kind]))]
