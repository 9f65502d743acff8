#!/bin/bash
# docs/clusters/Snakefile on a real Snakemake: one job is stopped in the middle of its shard, tried again by Snakemake, goes on where it was,
# and the merged scores are compared with those of a run in one piece.
#
#   tests/clusters/snakemake.sh target/debug/loupe [SHARDS]
#
# Needs `snakemake` on the path (pip install snakemake). Everything lies in a temporary folder and is removed at the end.
set -euo pipefail

loupe=$(realpath "${1:?the loupe binary}")
shards=${2:-4}
here=$(dirname "$(realpath "$0")")
. "$here/questions.sh"
rules=$here/../../docs/clusters/Snakefile
work=$(mktemp -d /tmp/loupe-snakemake.XXXXXX)
trap '[ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
cd "$work"

phantom_questions "$loupe" "$work"
"$loupe" eval --data "jsonl=$work/data.jsonl" --max-new-tokens 24 --batch 1 --no-page --quiet -o whole >/dev/null || [ $? -eq 1 ]

# The built-in model in place of the checkpoint that the rules name. The first try of shard 2 is stopped when it has answered something.
mkdir bin
cat > bin/loupe <<SH
#!/bin/bash
args=()
while [ \$# -gt 0 ]; do case \$1 in --model) shift 2;; *) args+=("\$1"); shift;; esac; done
args+=(--no-page --quiet)
[ "\${args[0]}" = eval ] && args+=(--max-new-tokens 24 --batch 1)
if [ "\${args[*]/*parts\/2/}" != "\${args[*]}" ] && [ "\${args[0]}" = eval ] && mkdir "$work/stopped" 2>/dev/null; then
    "$loupe" "\${args[@]}" & job=\$!
    until [ -s parts/2/replies.jsonl ] || ! kill -0 \$job 2>/dev/null; do sleep 0.01; done
    kill -TERM \$job
    wait \$job
    code=\$?
    echo "shard 2 was stopped with \$(wc -l < parts/2/replies.jsonl) replies, code \$code" >> "$work/log"
    exit \$code
fi
exec "$loupe" "\${args[@]}"
SH
chmod +x bin/loupe
PATH=$work/bin:$PATH snakemake -s "$rules" --cores 2 --config data="jsonl=$work/data.jsonl" model=none shards="$shards" --quiet all 2> snakemake.log \
    || { tail -n 30 snakemake.log; exit 1; }
cat log
grep -q "code 143" log || { echo "shard 2 was done before it could be stopped"; exit 1; }
cmp whole/scores.json run/scores.json
echo "equal: $(wc -l < run/replies.jsonl) replies of $shards shards, of which one was stopped and tried again"
