// Nextflow: a process a shard, and one that merges. nextflow run docs/clusters/main.nf --data vqa-rad=/data/VQA-RAD --model /models/medgemma-4b-it
params.data = null
params.model = null
params.shards = 8

process EVALUATE {
    tag "${shard}/${params.shards}"
    // 128 and more: a signal, such as preemption. 75: could not run now. Everything else stays as it is.
    errorStrategy { task.exitStatus in [75, 130, 137, 140, 143] ? 'retry' : 'finish' }
    maxRetries 4

    input:
    val shard

    output:
    path "part-${shard}"

    script:
    // 1: done, with failed items, which are on record; any other code is the task's, by which it is tried again or not. The
    // folder outlives the task's own, so that a retry resumes.
    """
    kept="${workflow.workDir}/loupe-${workflow.sessionId}/part-${shard}"
    mkdir -p "\$(dirname "\$kept")"
    code=0
    loupe eval --data '${params.data}' --model '${params.model}' --shard ${shard}/${params.shards} -o "\$kept" || code=\$?
    [ \$code -le 1 ] || exit \$code
    cp -r "\$kept" part-${shard}
    """
}

process MERGE {
    publishDir 'results', mode: 'copy'

    input:
    path parts

    output:
    path 'run'

    script:
    """
    code=0
    loupe merge ${parts} -o run || code=\$?
    [ \$code -le 1 ] || exit \$code
    """
}

workflow {
    MERGE(EVALUATE(channel.of(1..params.shards.toInteger())).collect())
}
