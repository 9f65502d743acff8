"""Breaks the fixtures of the readers and compares what loupe reads of them with what Pillow, nibabel, SimpleITK and pydicom read.

    cargo build --workspace --bins --example conformance
    python preprocess/tests/conformance/mutants.py --binary PATH/TO/conformance --rounds 2000 [--seed N] [--keep DIR]

A mutant that both read must have the same values. One that loupe refuses is fine, and one that only loupe reads is counted: damage
that the other program finds. Files of either kind of difference are kept. Same packages as dicom.py.
"""
import argparse, collections, json, os, pathlib, random, signal, subprocess, tempfile, warnings
import dicom
import numpy as np
from PIL import Image, ImageOps

warnings.simplefilter("ignore")
TESTS = pathlib.Path(__file__).resolve().parents[1]
EDGES = [0, 1, 2, 7, 8, 12, 16, 32, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 2**31 - 1, 2**31, 2**32 - 1]
BATCH = 200


def mutant(data, rng):
    """`data` with one to three changes; headers, which lie in front, more often than the rest."""
    out = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 3])):
        if not out:
            break
        at = rng.randrange(min(len(out), rng.choice([400, len(out)])))
        end = min(len(out), at + rng.randint(1, 16))
        kind = rng.randrange(7)
        if kind == 0:
            del out[at:]
        elif kind == 1:
            out[at] ^= 1 << rng.randrange(8)
        elif kind == 2:
            width = rng.choice([1, 2, 4])
            number = (rng.choice(EDGES) & ((1 << 8 * width) - 1)).to_bytes(width, rng.choice(["little", "big"]))
            out[at:at + width] = number[: len(out) - at]
        elif kind == 3:
            del out[at:end]
        elif kind == 4:
            out[at:at] = rng.randbytes(end - at)
        elif kind == 5:
            out[at] = rng.choice(b"0123456789-. nNeE")
        else:
            out[at:end] = rng.randbytes(end - at)
    return bytes(out)


def picture(path):
    image = Image.open(path)
    if image.mode.startswith("I") or image.mode == "F":
        return None  # 16 bits, which Pillow clips
    return np.asarray(ImageOps.exif_transpose(image).convert("RGB")).ravel()


def compare(path, ours, values):
    """The verdict about one file, or `None` where the other program has no say."""
    if path.suffix == ".dcm":
        want, grey, _ = dicom.reference(path)
        got = np.frombuffer(values, "<f8" if ours["grey"] else np.uint8)
        if ours["grey"] != grey:
            return "one is grey, the other in colour"
        if got.size not in (want.size, want.size // max(1, len(ours["frames"])) * min(4, len(ours["frames"]))):
            return f"{got.size} values, {want.size} there"
        want, room = want[: got.size].astype(float), 0 if grey else 2
        # Lossy codecs of two hands round differently.
        room = max(room, 2 if any(w in path.name for w in ("jpeg_baseline", "jpeg2000.", "htj2k.", "xl.")) else 0)
    elif path.name.lower().endswith(dicom.VOLUMES):
        first, last, frames, _ = dicom.reference_volume(path)
        got, want = np.frombuffer(values, "<f4"), np.concatenate([first.ravel(), last.ravel()]).astype(float)
        if got.size != want.size or frames != ours["frames"]:
            return f"{got.size} voxels of {ours['frames']} frames, {want.size} of {frames} there"
        room = 1e-6 * np.maximum(1, np.abs(np.nan_to_num(want)))
    else:
        want, got = picture(path), np.frombuffer(values, np.uint8)
        if want is None:
            return None
        if got.size != want.size:
            return f"{got.size} levels, {want.size} there"
        room = 0
    got = got.astype(float)
    with np.errstate(invalid="ignore"):
        same = (np.abs(got - want) <= room) | (got == want) | (np.isnan(got) & np.isnan(want))
    worst = float(np.nanmax(np.abs(np.where(same, 0, got - want)), initial=0))
    return "same" if same.all() else f"values differ, by up to {worst:.3g}"


def too_long(*_):
    raise TimeoutError


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rounds", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=pathlib.Path, default=pathlib.Path("mutants-that-differ"))
    args = parser.parse_args()
    names = (".want.png", ".frame", ".page")
    seeds = [p for d in ("codecs", "pictures", "volumes") for p in sorted((TESTS / d).iterdir())
             if p.is_file() and p.suffix not in (".py", ".json", ".npy") and not any(n in p.name for n in names)]
    counts = collections.defaultdict(collections.Counter)
    signal.signal(signal.SIGALRM, too_long)
    for start in range(0, args.rounds, BATCH):
        with tempfile.TemporaryDirectory() as folder:
            files = []
            for n in range(start, min(args.rounds, start + BATCH)):
                rng = random.Random(args.seed + n)
                seed = rng.choice(seeds)
                files.append(pathlib.Path(folder) / f"{args.seed + n}_{seed.name}")
                files[-1].write_bytes(mutant(seed.read_bytes(), rng))
            run = subprocess.run([args.binary, folder], input="\n".join(map(str, files)), text=True, capture_output=True)
            lines = run.stdout.splitlines()
            if run.returncode or len(lines) != len(files):
                raise SystemExit(f"it ended with {run.returncode} at {files[len(lines)].name}: {run.stderr[-500:]}")
            for n, (path, line) in enumerate(zip(files, lines, strict=True)):
                kind = "DICOM" if path.suffix == ".dcm" else "volumes" if path.name.endswith(dicom.VOLUMES) else "pictures"
                ours = json.loads(line)["result"]
                if "refused" in ours:
                    counts[kind]["refused"] += 1
                    continue
                values = (pathlib.Path(folder) / f"{n}.bin").read_bytes()
                signal.alarm(20)
                try:
                    verdict = compare(path, ours, values)
                except BaseException as e:  # whatever they are made of
                    if isinstance(e, KeyboardInterrupt):
                        raise
                    verdict = f"read by loupe alone: {type(e).__name__} {str(e)[:90]}"
                signal.alarm(0)
                counts[kind]["not compared" if verdict is None else verdict.split(":")[0].split(",")[0]] += 1
                if verdict not in (None, "same"):
                    args.keep.mkdir(exist_ok=True)
                    os.replace(path, args.keep / path.name)
                    print(path.name, "|", verdict, flush=True)
    for kind, of in counts.items():
        print(kind, dict(of))


if __name__ == "__main__":
    main()
