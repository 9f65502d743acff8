#!/bin/bash
# docs/clusters/main.nf on a real Nextflow: one task is stopped in the middle of its shard, tried again by Nextflow, goes on where it was, and
# the merged scores are compared with those of a run in one piece.
#
#   tests/clusters/nextflow.sh target/debug/loupe [SHARDS]
#
# Needs Java 17 and `nextflow` on the path, with its runtime: the launcher fetches nextflow-VERSION-one.jar from www.nextflow.io the first time
# that it runs, and where that cannot be reached the file has to lie in ~/.nextflow/framework/VERSION/ already. Everything else lies in a
# temporary folder and is removed at the end.
set -euo pipefail

loupe=$(realpath "${1:?the loupe binary}")
shards=${2:-4}
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d /tmp/loupe-nextflow.XXXXXX)
trap '[ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
cd "$work"
source "$here/common.sh"

nextflow -version > nextflow.log 2>&1 || { cat nextflow.log; echo "Nextflow does not start"; exit 1; }
make_whole_run
make_stand_in
PATH=$work/bin:$PATH NXF_ANSI_LOG=false NXF_OFFLINE=true nextflow run "$here/../../docs/clusters/main.nf" --data "$data" --model none --shards "$shards" > nextflow.log 2>&1 \
    || { tail -n 40 nextflow.log; exit 1; }
compare results/run
