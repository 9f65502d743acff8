"""lmms-eval running a small task against `loupe serve`.

    pip install lmms-eval==0.7.3 "filelock<3.17"     # with torch; only its OpenAI client is used
    cargo build
    python crates/serve/tests/clients/lmms_eval_task.py target/debug/loupe [MODEL_DIR]

Without a folder the built-in model is served. The task has twelve yes-or-no questions on four pictures. Every reply that lmms-eval logs has to be
the one that `loupe ask` gives to the same picture and words, and its figure has to follow from these replies. Exits with an error where not.
"""
import glob, json, os, pathlib, random, signal, struct, subprocess, sys, tempfile, textwrap, urllib.request, zlib

BINARY, MODEL = os.path.abspath(sys.argv[1]), sys.argv[2:3]
MODEL_ARGS = ["--model", *MODEL] if MODEL else []
TOKENS = 8


def png(seed, side=80):
    rng = random.Random(seed)
    rows = b"".join(b"\0" + bytes((x * seed + y * 3 + rng.randrange(20)) % 256 for x in range(side)) for y in range(side))
    chunk = lambda kind, data: struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", side, side, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def write_task(folder):
    """The task, its rows as a data set on the disk, and the rows."""
    rows = []
    for picture in range(4):
        place = folder / f"{picture}.png"
        place.write_bytes(png(picture + 1))
        for n, question in enumerate(["Is there a lesion?", "Is a lung shown?", "Is it a CT?"]):
            rows.append({"id": f"{picture}-{n}", "image": str(place), "question": question, "answer": ["yes", "no"][n % 2]})
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    task = folder / "tasks" / "loupe_small"
    task.mkdir(parents=True)
    (task / "loupe_small.yaml").write_text(textwrap.dedent(f"""\
        task: loupe_small
        dataset_path: json
        dataset_kwargs:
          data_files:
            test: {folder}/rows.jsonl
        test_split: test
        output_type: generate_until
        doc_to_visual: !function utils.visual
        doc_to_text: !function utils.text
        doc_to_target: answer
        generation_kwargs:
          max_new_tokens: {TOKENS}
          temperature: 0
          do_sample: false
        process_results: !function utils.results
        metric_list:
          - metric: right
            aggregation: mean
            higher_is_better: true
        metadata:
          - version: 0.0
        """))
    (task / "utils.py").write_text(textwrap.dedent("""\
        from PIL import Image


        def visual(doc):
            return [Image.open(doc["image"])]


        def text(doc, lmms_eval_specific_kwargs=None):
            return doc["question"]


        def results(doc, replies):
            return {"right": float(replies[0].strip().lower().startswith(doc["answer"]))}
        """))
    return rows


def asked(row):
    out = subprocess.run([BINARY, "ask", row["image"], row["question"], *MODEL_ARGS, "--max-new-tokens", str(TOKENS), "--json", "--quiet"],
                         check=True, capture_output=True, text=True)
    return json.loads(out.stdout)["reply"]["text"]


def main():
    with tempfile.TemporaryDirectory() as place:
        folder = pathlib.Path(place)
        rows = write_task(folder)
        server = subprocess.Popen([BINARY, "serve", *MODEL_ARGS, "--port", "0", "--quiet"], stdout=subprocess.PIPE, text=True)
        base = server.stdout.readline().strip()
        name = json.loads(urllib.request.urlopen(f"{base}/models").read())["data"][0]["id"]
        environment = {**os.environ, "HF_HOME": f"{place}/home", "HF_DATASETS_OFFLINE": "1", "HF_HUB_OFFLINE": "1", "OPENAI_API_KEY": "none"}
        subprocess.run([sys.executable, "-m", "lmms_eval", "--model", "async_openai",
                        "--model_args", f"model={name},base_url={base},api_key=none,num_cpus=4", "--tasks", "loupe_small",
                        "--include_path", str(folder / "tasks"), "--batch_size", "1", "--log_samples", "--output_path", str(folder / "out")],
                       check=True, env=environment)
        server.send_signal(signal.SIGTERM)
        assert server.wait() == 128 + signal.SIGTERM
        samples = [json.loads(line) for file in glob.glob(f"{place}/out/**/*samples*.jsonl", recursive=True) for line in open(file)]
        assert len(samples) == len(rows), f"{len(samples)} of {len(rows)} replies were logged"
        right = 0
        for sample in samples:
            row = rows[sample["doc_id"]]
            said = sample["filtered_resps"]
            while isinstance(said, list):
                said = said[0]
            assert said == asked(row), (row["id"], said)
            right += said.strip().lower().startswith(row["answer"])
        figures = [json.load(open(file)) for file in glob.glob(f"{place}/out/**/*results.json", recursive=True)]
        figure = next(value for key, value in figures[0]["results"]["loupe_small"].items() if key.startswith("right,"))
        assert abs(figure - right / len(rows)) < 1e-9, (figure, right)
        print(f"lmms-eval: {len(rows)} replies, all as `loupe ask` gives them; its figure {figure:.3f}")


main()
