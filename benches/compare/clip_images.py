"""Images a second through the tower of CLIP: loupe against `transformers`, same checkpoint and images.

    python make_family.py clip /tmp/clip400
    cargo build --release
    python clip_images.py /tmp/clip400 target/release/loupe [--images 64] [--rounds 3]

Images are PNG files of 448 × 448 pixels, which both sides decode. loupe is started for one image and for all; the difference is the time of the
others, so that loading is not counted. `transformers` gets the best of batch sizes 1, 8 and 32; its decoding and preprocessing are timed with it, as
loupe's are. The tools run in turns; the minimum of the rounds counts. The vectors of both are compared.
"""
import argparse, json, os, pathlib, subprocess, sys, tempfile, time
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")


def theirs(a, files):
    import torch, transformers as tf
    from PIL import Image
    torch.set_num_threads(a.threads)
    model = tf.CLIPModel.from_pretrained(a.checkpoint).eval()
    prepare = tf.AutoImageProcessor.from_pretrained(a.checkpoint)
    def batch(part):
        x = prepare(images=[Image.open(f).convert("RGB") for f in part], return_tensors="pt")["pixel_values"]
        out = model.visual_projection(model.vision_model(x).pooler_output)
        return out / out.norm(dim=-1, keepdim=True)
    with torch.no_grad():
        batch(files[:1])
        start, vectors = time.perf_counter(), []
        for at in range(0, len(files), a.batch):
            vectors += batch(files[at:at + a.batch]).tolist()
        print(json.dumps(dict(seconds=time.perf_counter() - start, vectors=vectors)))


def ours(a, files, folder):
    import numpy as np
    out, seconds = folder / "vectors.npy", []
    for part in [files[:1], files]:
        start = time.perf_counter()
        subprocess.run([a.loupe, "embed", *part, "--model", a.checkpoint, "--out", str(out), "--quiet"], check=True, capture_output=True,
                       env=os.environ | dict(RAYON_NUM_THREADS=str(a.threads)))
        seconds.append(time.perf_counter() - start)
    if seconds[1] <= seconds[0]:
        sys.exit("starting takes longer than the images: there are too few of them, or the checkpoint is too small")
    return (len(files) - 1) / (seconds[1] - seconds[0]), np.load(out)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("checkpoint")
    p.add_argument("loupe")
    p.add_argument("--images", type=int, default=64)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--batches", type=int, nargs="*", default=[1, 8, 32])
    p.add_argument("--batch", type=int, help=argparse.SUPPRESS)
    p.add_argument("--files", nargs="*", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.batch:
        return theirs(a, a.files)
    import numpy as np
    from PIL import Image
    with tempfile.TemporaryDirectory() as folder:
        folder, rng, files = pathlib.Path(folder), np.random.default_rng(0), []
        for i in range(a.images):
            files.append(str(folder / f"{i:04d}.png"))
            Image.fromarray(rng.integers(0, 256, (448, 448, 3), dtype=np.uint8)).save(files[-1])
        mine, best, off = 0.0, {}, 0.0
        for _ in range(a.rounds):
            rate, vectors = ours(a, files, folder)
            mine = max(mine, rate)
            for batch in a.batches:
                command = [sys.executable, __file__, a.checkpoint, a.loupe, "--threads", str(a.threads), "--batch", str(batch), "--files", *files]
                found = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip().splitlines()[-1])
                best[batch] = max(best.get(batch, 0.0), len(files) / found["seconds"])
                off = max(off, float(np.abs(vectors - np.array(found["vectors"])).max()))
    top = max(best.values())
    print(f"loupe {mine:.2f} images/s; transformers " + ", ".join(f"batch {b}: {r:.2f}" for b, r in best.items())
          + f"; ratio {mine / top:.2f} to the best; vectors differ by {off:.1e}")


if __name__ == "__main__":
    main()
