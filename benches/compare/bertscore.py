"""Pairs a second of BERTScore: `loupe score` against the package bert_score, same checkpoint and texts.

    pip install bert_score==0.3.13 "transformers<5"
    cargo build --release
    python benches/compare/bertscore.py target/release/loupe [--pairs 80] [--rounds 3] [--threads 2]

A random checkpoint of roberta-base's sizes, its layer 10, f32, idf from the references; invented reports of 20 to 130 tokens. The
tools run in turns, each in a process of its own; the time is from the start of the work, reading the checkpoint included (for
loupe from the start of the process, for the package after its imports). Printed are the fastest rounds and the ratios by round.
"""
import argparse, json, os, pathlib, random, resource, subprocess, sys, tempfile, time
os.environ.update(HF_HUB_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
REPO = pathlib.Path(__file__).parents[2]
sys.path.append(str(REPO / "models/tests/parity"))


def write(folder, pairs):
    import torch, transformers as tf
    from encoder_tokenizers import CORPUS, byte_level
    torch.manual_seed(0)
    tf.RobertaModel(tf.RobertaConfig(vocab_size=50265, max_position_embeddings=514, type_vocab_size=1, layer_norm_eps=1e-5,
                                     pad_token_id=1), add_pooling_layer=False).save_pretrained(folder)
    tokenizer = byte_level()
    tokenizer.save(f"{folder}/tokenizer.json")
    tokenizer.model.save(folder)
    settings = dict(tokenizer_class="RobertaTokenizer", model_max_length=512, bos_token="<s>", eos_token="</s>", cls_token="<s>",
                    sep_token="</s>", pad_token="<pad>", unk_token="<unk>", mask_token="<mask>")
    pathlib.Path(folder, "tokenizer_config.json").write_text(json.dumps(settings))
    rng = random.Random(1)
    words = " ".join(CORPUS).split()
    report = lambda: " ".join(rng.choice(words) for _ in range(rng.randint(8, 50)))
    lines = [json.dumps(dict(id=n, answer=report(), response=report())) for n in range(pairs)]
    pathlib.Path(folder, "replies.jsonl").write_text("\n".join(lines) + "\n")


def package(folder, threads):
    import torch
    from bert_score import score
    torch.set_num_threads(threads)
    rows = [json.loads(line) for line in open(f"{folder}/replies.jsonl")]
    began = time.perf_counter()
    scores = score([r["response"] for r in rows], [r["answer"] for r in rows], model_type=folder, num_layers=10, idf=True,
                   nthreads=0, device="cpu")
    seconds = time.perf_counter() - began
    print(json.dumps(dict(seconds=seconds, f1=scores[2].mean().item(),
                          peak_mib=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)))


def loupe(binary, folder, threads):
    with tempfile.TemporaryDirectory() as out:
        command = [binary, "score", "--replies", f"{folder}/replies.jsonl", "--output", f"{out}/run", "--json", "--no-page",
                   "--no-sensitivity", "--metric", "bertscore_f1", "--text-encoder", folder, "--bertscore-layer", "10",
                   "--bertscore-idf", "references"]
        began = time.perf_counter()
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
                                 env=dict(os.environ, RAYON_NUM_THREADS=str(threads)))
        said = child.stdout.read()
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - began
        assert status == 0, said
        return dict(seconds=seconds, f1=json.loads(said)["metrics"][0]["value"], peak_mib=usage.ru_maxrss / 1024)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("binary")
    p.add_argument("--pairs", type=int, default=80)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--package", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.package:
        return package(a.package, a.threads)
    with tempfile.TemporaryDirectory() as folder:
        write(folder, a.pairs)
        theirs, ours = [], []
        for _ in range(a.rounds):
            ours.append(loupe(a.binary, folder, a.threads))
            command = [sys.executable, __file__, a.binary, "--threads", str(a.threads), "--package", folder]
            said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
            theirs.append(json.loads(said.strip().splitlines()[-1]))
            print(json.dumps(dict(loupe=ours[-1], bert_score=theirs[-1])))
    ratios = sorted(t["seconds"] / o["seconds"] for o, t in zip(ours, theirs))
    best = lambda all: min(x["seconds"] for x in all)
    print(f"| {a.pairs} pairs | {best(ours):.1f} s | {best(theirs):.1f} s | {ratios[0]:.2f} – {ratios[-1]:.2f} | "
          f"{ours[0]['peak_mib']:.0f} / {theirs[0]['peak_mib']:.0f} MiB |")


if __name__ == "__main__":
    main()
