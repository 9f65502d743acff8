# What the scripts of this folder share. They source it from the folder that they work in, with the binary in $loupe.

# A set of questions on the phantoms that come with the program, and the run of it in one piece, whole/.
make_whole_run() {
    "$loupe" phantom --quiet --out phantoms >/dev/null
    python3 - <<'PY'
import json, pathlib
images = sorted(p for p in pathlib.Path("phantoms").rglob("*.png"))[:12]
with open("data.jsonl", "w") as to:
    for n, image in enumerate(images):
        for q in ("Is a lesion present?", "Is a lung shown?", "What is shown?"):
            to.write(json.dumps({"id": f"{n}-{q[:12]}", "image": str(image), "question": q, "answer": "yes"}) + "\n")
print(len(images), "pictures,", 3 * len(images), "questions")
PY
    data=jsonl=$PWD/data.jsonl
    "$loupe" eval --data "$data" --max-new-tokens 24 --batch 1 --no-page --quiet -o whole >/dev/null || [ $? -eq 1 ]
}

# A `loupe` in bin/ that answers with the built-in model whatever checkpoint is named, and stops the first try of shard 2 when it has answered
# something. What became of it stands in the file stopped/log.
make_stand_in() {
    mkdir bin
    cat > bin/loupe <<SH
#!/bin/bash
args=() stop= out=
while [ \$# -gt 0 ]; do
    case \$1 in
        --model) shift 2; continue ;;
        --shard) [[ \$2 == 2/* ]] && stop=yes ;;
        -o) out=\$2 ;;
    esac
    args+=("\$1")
    shift
done
args+=(--no-page --quiet)
[ "\${args[0]}" = eval ] && args+=(--max-new-tokens 24 --batch 1)
if [ -n "\$stop" ] && mkdir "$PWD/stopped" 2>/dev/null; then
    "$loupe" "\${args[@]}" & job=\$!
    until [ -s "\$out/replies.jsonl" ] || ! kill -0 \$job 2>/dev/null; do sleep 0.01; done
    kill -TERM \$job
    wait \$job
    code=\$?
    echo "shard 2 was stopped with \$(wc -l < "\$out/replies.jsonl") replies, code \$code" > "$PWD/stopped/log"
    exit \$code
fi
exec "$loupe" "\${args[@]}"
SH
    chmod +x bin/loupe
}

# The merged run run/ has the scores of the run in one piece, and the shard that was stopped was.
compare() {
    cat stopped/log
    grep -q "code 143" stopped/log || { echo "shard 2 was done before it could be stopped"; exit 1; }
    cmp whole/scores.json "$1/scores.json"
    echo "equal: $(wc -l < "$1/replies.jsonl") replies of $shards shards, of which one was stopped and tried again"
}
