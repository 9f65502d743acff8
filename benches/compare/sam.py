"""Prompts on one picture: loupe against `transformers`, same random checkpoint: SamModel of ViT-B sizes, or with `--sam2`
Sam2VideoModel of SAM 2.1 tiny sizes.

    cargo build --release -p loupe-models --example segment_speed
    python sam.py FOLDER target/release/examples/segment_speed [--threads 2] [--rounds 2] [--size 512 512] [--sam2]

FOLDER receives the checkpoint (sizes of facebook/sam-vit-base, 375 MB, or of facebook/sam2.1-hiera-tiny, 156 MB) unless it is there. Both sides get the first box on a
picture (preparation, encoder, decoder, mask at the picture's size), a further box on the same picture (loupe keeps the
embedding; with `transformers` the caller does, as here), and ten boxes at once. The tools run in turns, each in a process of
its own; the minimum of the rounds counts, loading is not timed.
"""
import argparse, json, os, pathlib, resource, subprocess, sys, time
os.environ.update(HF_HUB_OFFLINE="1")


def make(folder, second):
    import torch, transformers as tf
    torch.manual_seed(0)
    if second:
        model = tf.Sam2VideoModel(tf.Sam2VideoConfig())
        model.prompt_encoder.shared_embedding.positional_embedding.copy_(model.shared_image_embedding.positional_embedding)
        model.save_pretrained(folder)
        return tf.Sam2Processor(tf.Sam2ImageProcessor()).save_pretrained(folder)
    tf.SamModel(tf.SamConfig()).save_pretrained(folder)
    tf.SamProcessor(tf.SamImageProcessor()).save_pretrained(folder)


def region(n, width, height):
    share = 0.02 * (n % 20)
    return [share * width, share * height, (share + 0.5) * width, (share + 0.55) * height]


def transformers_side(folder, threads, rounds, width, height, second):
    import numpy as np, torch, transformers as tf
    torch.set_num_threads(threads)
    model = (tf.Sam2Model if second else tf.SamModel).from_pretrained(folder).eval()
    processor = (tf.Sam2Processor if second else tf.SamProcessor).from_pretrained(folder)
    first, further, ten = [], [], []

    def decode(x, embedding, boxes):
        given = processor(image, input_boxes=[boxes], return_tensors="pt")
        out = model(image_embeddings=embedding, input_boxes=given["input_boxes"].float(), multimask_output=False)
        if second:
            return processor.post_process_masks(out.pred_masks, x["original_sizes"])
        return processor.post_process_masks(out.pred_masks, x["original_sizes"], x["reshaped_input_sizes"])

    for round in range(rounds):
        flat = np.arange(width * height * 3) * (7 + round) // 5 % 251
        image = flat.astype(np.uint8).reshape(height, width, 3)
        with torch.no_grad():
            start = time.perf_counter()
            x = processor(image, return_tensors="pt")
            embedding = model.get_image_embeddings(x["pixel_values"])
            decode(x, embedding, [region(0, width, height)])
            first.append(time.perf_counter() - start)
            for n in range(1, 6):
                start = time.perf_counter()
                decode(x, embedding, [region(n, width, height)])
                further.append(time.perf_counter() - start)
            start = time.perf_counter()
            decode(x, embedding, [region(n, width, height) for n in range(10)])
            ten.append(time.perf_counter() - start)
    print(json.dumps(dict(first_s=min(first), next_s=min(further), ten_boxes_s=min(ten),
                          peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))


def run(command, threads):
    env = dict(os.environ, RAYON_NUM_THREADS=str(threads))
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True, env=env).stdout.strip().splitlines()[-1])


def main():
    p = argparse.ArgumentParser()
    p.add_argument("folder"), p.add_argument("loupe", nargs="?")
    p.add_argument("--threads", type=int, default=2), p.add_argument("--rounds", type=int, default=2)
    p.add_argument("--size", type=int, nargs=2, default=[512, 512]), p.add_argument("--side", action="store_true")
    p.add_argument("--sam2", action="store_true")
    a = p.parse_args()
    if a.side:
        return transformers_side(a.folder, a.threads, a.rounds, *a.size, a.sam2)
    if not (pathlib.Path(a.folder) / "model.safetensors").is_file():
        make(a.folder, a.sam2)
    best, size = {}, [str(n) for n in a.size]
    for _ in range(a.rounds):
        ours = run([a.loupe, a.folder, *size, "1"], a.threads)
        theirs = run([sys.executable, __file__, a.folder, "--side", "--threads", str(a.threads), "--rounds", "1", "--size", *size] + ["--sam2"] * a.sam2, a.threads)
        for name, figures in (("loupe", ours), ("transformers", theirs)):
            print(name, json.dumps(figures), "load", os.getloadavg()[0], file=sys.stderr)
            for key, value in figures.items():
                best[name, key] = min(value, best.get((name, key), value))
    print("| | loupe | transformers | ratio |\n|---|---:|---:|---:|")
    for key in ("first_s", "next_s", "ten_boxes_s", "peak_mib"):
        ours, theirs = best["loupe", key], best["transformers", key]
        print(f"| {key} | {ours:.3f} | {theirs:.3f} | {theirs / ours:.2f} |")
    print(f"\nfirst over next: loupe {best['loupe', 'first_s'] / best['loupe', 'next_s']:.0f}, "
          f"transformers {best['transformers', 'first_s'] / best['transformers', 'next_s']:.0f}")


main()
