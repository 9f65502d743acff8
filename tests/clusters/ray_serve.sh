#!/bin/bash
# docs/clusters/ray-serve.yaml on a real Ray Serve, whose replica passes what it is asked on to `loupe serve` in vLLM's place (ray_engine.py): the
# application starts as the file says, `loupe eval` asks through it, and the scores are compared with those of the model itself.
#
#   tests/clusters/ray_serve.sh target/debug/loupe
#
# Needs `ray` and `serve` on the path with the modules that Ray's LLM application imports (pip install "ray[serve,llm]"), and no GPU: the cluster is
# told that it has sixteen. Everything lies in a temporary folder and is removed at the end; the cluster is one of this script's own.
set -euo pipefail

loupe=$(realpath "${1:?the loupe binary}")
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d /tmp/loupe-ray.XXXXXX)
pids=()
finish() {
    code=$?
    [ $code -eq 0 ] || tail -n 40 "$work"/*.log 2>/dev/null || true
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    wait
    [ -n "${KEEP:-}" ] || rm -rf "$work"
    exit $code
}
trap finish EXIT
cd "$work"
source "$here/common.sh"
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

make_whole_run
"$loupe" serve --name large --port 0 --quiet > url & pids+=($!)
until [ -s url ]; do sleep 0.2; done

export LOUPE_URL=$(cat url) ENGINE_ARGUMENTS=$work/engine.json PYTHONPATH=$here RAYLLM_VLLM_ENGINE_CLS=ray_engine.PassedOn
export RAY_USAGE_STATS_ENABLED=0 HF_HUB_OFFLINE=1 RAY_TMPDIR=$work/ray
mkdir models ray
port=$(free_port)
sed "s|^  port: 8000|  port: $port|; s|/models/large|$work/models|" "$here/../../docs/clusters/ray-serve.yaml" > ray-serve.yaml
python3 - > start.log 2>&1 <<PY & pids+=($!)
import ray, subprocess, sys
ray.init(num_cpus=4, num_gpus=16, include_dashboard=False, _temp_dir="$work/ray")
sys.exit(subprocess.call(["serve", "run", "ray-serve.yaml"]))
PY
address=http://127.0.0.1:$port/v1
for _ in $(seq 300); do curl -sf "$address/models" > models.json && break; sleep 1; done
cat models.json; echo
"$loupe" eval --data "$data" --model "$address#large" --max-new-tokens 24 --no-page --quiet -o run >/dev/null || [ $? -eq 1 ]
cmp whole/scores.json run/scores.json
python3 -c 'import json; a = json.load(open("engine.json")); assert (a["tensor_parallel_size"], a["pipeline_parallel_size"], a["generation_config"]) == (8, 2, "vllm"), a'
echo "equal: $(wc -l < run/replies.jsonl) replies through Ray Serve"
