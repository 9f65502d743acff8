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
work=$(mktemp -d /tmp/loupe-snakemake.XXXXXX)
trap '[ -n "${KEEP:-}" ] || rm -rf "$work"' EXIT
cd "$work"
source "$here/common.sh"

make_whole_run
make_stand_in
PATH=$work/bin:$PATH snakemake -s "$here/../../docs/clusters/Snakefile" --cores 2 --config data="$data" model=none shards="$shards" --quiet all 2> snakemake.log \
    || { tail -n 30 snakemake.log; exit 1; }
compare run
