#!/bin/bash
# A run in parts on a real Slurm: one controller and several node daemons on this machine, an array job, one node killed in the
# middle, its task requeued by Slurm, and the merged scores compared with those of a run in one piece.
#
#   tests/clusters/slurm.sh target/debug/loupe
#
# Needs root, and Debian's packages slurm-wlm and munge (apt-get install slurm-wlm munge). Everything lies in a temporary folder
# and is removed at the end; a Slurm that is already on the machine is left alone.
set -euo pipefail

loupe=$(realpath "${1:?the loupe binary}")
nodes=${2:-3}
shards=${3:-6}
here=$(dirname "$(realpath "$0")")
work=$(mktemp -d /tmp/loupe-slurm.XXXXXX)
chmod 755 "$work"
host=$(hostname -s)
export SLURM_CONF=$work/slurm.conf
pids=()

finish() {
    code=$?
    [ $code -eq 0 ] || { echo "--- last words of the daemons"; tail -n 20 "$work"/*.log 2>/dev/null || true; }
    for pid in "${pids[@]}"; do kill "$pid" 2>/dev/null || true; done
    sleep 1
    for pid in "${pids[@]}"; do kill -9 "$pid" 2>/dev/null || true; done
    [ -n "${KEEP:-}" ] || rm -rf "$work"
    exit $code
}
trap finish EXIT

# Authentication between the daemons.
dd if=/dev/urandom of="$work/munge.key" bs=1 count=1024 status=none
chmod 400 "$work/munge.key"
munged --foreground --force --socket="$work/munge.socket" --key-file="$work/munge.key" --pid-file="$work/munge.pid" \
    --seed-file="$work/munge.seed" --log-file="$work/munge.log" >/dev/null 2>&1 &
pids+=($!)
for _ in $(seq 50); do [ -S "$work/munge.socket" ] && break; sleep 0.1; done

mkdir -p "$work/state" "$work/spool"
cat > "$SLURM_CONF" <<CONF
ClusterName=loupe
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=16817
SlurmctldPidFile=$work/slurmctld.pid
SlurmctldLogFile=$work/slurmctld.log
SlurmdLogFile=$work/slurmd-%n.log
SlurmdPidFile=$work/slurmd-%n.pid
SlurmdSpoolDir=$work/spool/%n
StateSaveLocation=$work/state
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$work/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerParameters=requeue_setup_env_fail
JobRequeue=1
ReturnToService=2
MpiDefault=none
SlurmdTimeout=10
SlurmctldTimeout=10
InactiveLimit=0
KillWait=5
MinJobAge=600
SchedulerType=sched/backfill
CONF
for n in $(seq "$nodes"); do
    echo "NodeName=n$n NodeHostname=$host NodeAddr=127.0.0.1 Port=$((17000 + n)) CPUs=1 State=UNKNOWN" >> "$SLURM_CONF"
done
echo "PartitionName=all Nodes=n[1-$nodes] Default=YES MaxTime=INFINITE State=UP" >> "$SLURM_CONF"

slurmctld -D -f "$SLURM_CONF" >/dev/null 2>&1 &
pids+=($!)
declare -A daemon
for n in $(seq "$nodes"); do
    slurmd -D -N "n$n" -f "$SLURM_CONF" >/dev/null 2>&1 &
    pids+=($!)
    daemon[n$n]=$!
done
for _ in $(seq 100); do
    [ "$(sinfo -h -t idle -o %D 2>/dev/null | head -1)" = "$nodes" ] && break
    sleep 0.3
done
sinfo

cd "$work"
source "$here/common.sh"
make_whole_run

cat > array.sbatch <<JOB
#!/bin/bash
#SBATCH --array=1-$shards
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=$work/task-%a.log
echo "task \$SLURM_ARRAY_TASK_ID on \$SLURMD_NODENAME, begun \${SLURM_RESTART_COUNT:-0} times before"
exec nice "$loupe" eval --data "$data" --max-new-tokens 24 --no-page --batch 1 --shard auto -o "$work/parts/\$SLURM_ARRAY_TASK_ID"
JOB
job=$(sbatch --parsable array.sbatch)

# One node dies as soon as the task on it has answered something: its daemon and all that runs under it.
victim=n1
for _ in $(seq 600); do
    task=$(squeue -h -j "$job" -w $victim -t R -o %K | head -1)
    [ -n "$task" ] && [ -s "parts/$task/replies.jsonl" ] && break
    sleep 0.1
done
[ -n "${task:-}" ] || { echo "no task came to $victim"; exit 1; }
before=$(wc -l < "parts/$task/replies.jsonl")
family() { for child in $(pgrep -P "$1"); do family "$child"; done; echo "$1"; }
steps=$(pgrep -f "slurmstepd: \[$job" || true)
kill -9 "${daemon[$victim]}"
# The node's own steps, told apart by the folder they were started for.
for step in $steps; do
    if tr '\0' '\n' < "/proc/$step/environ" 2>/dev/null | grep -q "SLURMD_NODENAME=$victim" \
        || grep -qs "$victim" "/proc/$step/cmdline" \
        || pgrep -P "$step" | xargs -rI{} grep -lsz "SLURMD_NODENAME=$victim" /proc/{}/environ | grep -q .; then
        kill -9 $(family "$step") 2>/dev/null || true
    fi
done
echo "killed $victim while task $task ran; it had $before replies"
scontrol update NodeName=$victim State=DOWN Reason=killed

for _ in $(seq 1200); do
    [ -z "$(squeue -h -j "$job")" ] && break
    sleep 0.5
done
cat task-*.log | grep -a "^task\|^shard\|resumed" || true
grep -aq "begun [1-9]" "task-$task.log" || { echo "task $task was not requeued"; exit 1; }

"$loupe" merge parts/*/ -o run --no-page --quiet >/dev/null || [ $? -eq 1 ]
cmp whole/scores.json run/scores.json
echo "equal: $(wc -l < run/replies.jsonl) replies of $shards shards on $nodes nodes, of which one was killed"
