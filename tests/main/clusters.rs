//! Files for schedulers, run as their systems run them; what the systems do is played by a few lines of shell.
#![cfg(unix)]

use crate::common::{bmp, loupe, text};
use std::fs;
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const LOUPE: &str = env!("CARGO_BIN_EXE_loupe");

/// A folder with a set, a run of it in one piece, and programs under the names that the files call.
struct Cluster {
    dir: tempfile::TempDir,
    data: String,
}

impl Cluster {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut lines = String::new();
        for n in 0..6 {
            let image = bmp(40 + 3 * n, 52 + 2 * n, |x, y| (x * (n + 2) + y) as u8);
            fs::write(dir.path().join(format!("{n}.bmp")), image).unwrap();
            for q in 0..2 {
                // The last picture is not there, so that some items fail.
                let image = if n == 5 { "gone.bmp".to_owned() } else { format!("{n}.bmp") };
                let question = format!("Is finding {q} present?");
                let line = serde_json::json!({"id": format!("{n}-{q}"), "image": image, "question": question, "answer": "no"});
                lines += &format!("{line}\n");
            }
        }
        fs::write(dir.path().join("data.jsonl"), lines).unwrap();
        let data = format!("jsonl={}", dir.path().join("data.jsonl").display());
        let cluster = Self { dir, data };
        // The built-in model in place of the checkpoint that the files name.
        cluster.program("loupe", &format!(
            "args=()\nwhile [ $# -gt 0 ]; do case $1 in --model) [[ $2 == http* ]] && args+=(\"$1\" \"$2\"); shift 2;; *) args+=(\"$1\"); shift;; esac; done\n\
             args+=(--no-page); [ \"${{args[0]}}\" = eval ] && args+=(--max-new-tokens 4 --batch 1)\nexec {LOUPE} \"${{args[@]}}\""
        ));
        let whole = cluster.at("whole");
        let args = ["eval", "--data", &cluster.data, "-o", whole.to_str().unwrap(), "--no-page"];
        assert_eq!(
            loupe(&[&args[..], &["--max-new-tokens", "4", "--batch", "1"]].concat()).status.code(),
            Some(1)
        );
        cluster
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Puts a shell script where programs are looked for first.
    fn program(&self, name: &str, script: &str) {
        let folder = self.at("bin");
        fs::create_dir_all(&folder).unwrap();
        let file = folder.join(name);
        fs::write(&file, format!("#!/bin/bash\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// A command in the folder that finds these programs.
    fn command(&self, program: &str) -> Command {
        let path = format!("{}:{}", self.at("bin").display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new(program);
        command.current_dir(self.dir.path()).env("PATH", path).stdin(Stdio::null());
        command
    }

    fn assert_scores_of_one_piece(&self, run: &str) {
        let scores = |name: &str| fs::read(self.at(name).join("scores.json")).unwrap();
        assert!(scores(run) == scores("whole"), "{run}");
    }
}

fn file(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/clusters").join(name)).unwrap()
}

/// The value of a field that stands once in a YAML file.
fn field<'a>(yaml: &'a str, name: &str) -> &'a str {
    let mut found = yaml.lines().filter_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": "));
    let value = found.next().unwrap_or_else(|| panic!("no {name}"));
    assert!(found.next().is_none(), "{name} twice");
    value
}

/// The text of the block `- |`.
fn block(yaml: &str) -> String {
    let mut lines = yaml.lines().skip_while(|line| line.trim() != "- |").skip(1).peekable();
    let indent = lines.peek().map_or(0, |line| line.len() - line.trim_start().len());
    let inside =
        lines.map_while(|line| (line.len() - line.trim_start().len() >= indent).then(|| &line[indent..]));
    inside.map(|line| format!("{line}\n")).collect()
}

fn ended(out: &Output, code: i32) {
    assert_eq!(out.status.code(), Some(code), "{}{}", text(&out.stdout), text(&out.stderr));
}

/// Each pod of the job does its part, whatever fails in it is on record and no failure of the pod; one that is evicted says so, and the next
/// one goes on.
#[test]
fn pods_of_an_indexed_job_do_their_parts() {
    let yaml = file("indexed-job.yaml");
    let parts = field(&yaml, "completions");
    assert_eq!((field(&yaml, "completionMode"), field(&yaml, "parallelism")), ("Indexed", parts));
    assert_eq!((field(&yaml, "kind"), field(&yaml, "restartPolicy")), ("Job", "Never"));
    let script = block(&yaml);
    assert!(
        script.contains(&format!("--shard auto --shards {parts} "))
            && script.contains("$JOB_COMPLETION_INDEX")
    );
    let cluster = Cluster::new();
    let script = script
        .replace(&format!("--shards {parts}"), "--shards 3")
        .replace("vqa-rad=/data/VQA-RAD", &cluster.data)
        .replace("/runs/", &format!("{}/", cluster.dir.path().display()));
    let pod = |index: usize| {
        let mut command = cluster.command("/bin/sh");
        command.args(["-c", &script]).env("JOB_COMPLETION_INDEX", index.to_string());
        command
    };
    // The first pod is evicted when it has answered something.
    let evicted = pod(0).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let replies = cluster.at("parts/0/replies.jsonl");
    let began = Instant::now();
    while fs::read_to_string(&replies).unwrap_or_default().lines().count() < 1 {
        assert!(began.elapsed() < Duration::from_secs(300), "no reply");
        std::thread::sleep(Duration::from_millis(1));
    }
    let kill = Command::new("kill").args(["-s", "TERM", &evicted.id().to_string()]).status().unwrap();
    assert!(kill.success());
    let out = evicted.wait_with_output().unwrap();
    // It may have been done already.
    assert!(matches!(out.status.code(), Some(143 | 0)), "{:?}: {}", out.status, text(&out.stderr));
    for index in 0..3 {
        ended(&pod(index).output().unwrap(), 0);
    }
    let merge = ["merge", "parts/0", "parts/1", "parts/2", "-o", "run"];
    ended(&cluster.command(cluster.at("bin/loupe").to_str().unwrap()).args(merge).output().unwrap(), 1);
    cluster.assert_scores_of_one_piece("run");
}

/// The job serves the model over its nodes and asks it by one client; a server that ends sends it back into the queue.
#[test]
fn a_model_over_several_nodes_is_asked_by_one_client() {
    let cluster = Cluster::new();
    cluster.program("scontrol", "echo \"$@\" >> said; [ \"$1\" = show ] && printf 'n1\\nn2\\n'; exit 0");
    for name in ["ray", "srun"] {
        cluster.program(name, &format!("echo {name} \"$@\" >> said"));
    }
    fs::write(cluster.at("served.sbatch"), file("served.sbatch")).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let job = || {
        let mut command = cluster.command("bash");
        command.arg("served.sbatch").envs([
            ("SLURM_NNODES", "2"),
            ("SLURM_JOB_NODELIST", "n[1-2]"),
            ("SLURM_JOB_ID", "77"),
        ]);
        command.envs([
            ("DATA", cluster.data.as_str()),
            ("MODEL", "/models/large"),
            ("PORT", &port.to_string()),
        ]);
        command.output().unwrap()
    };
    cluster.program("vllm", "exit 1");
    ended(&job(), 75);
    let said = || fs::read_to_string(cluster.at("said")).unwrap();
    assert!(said().contains("requeue 77"), "{}", said());
    fs::remove_file(cluster.at("said")).unwrap();
    // vLLM's own options, and loupe in its place.
    cluster.program("vllm", &format!(
        "echo vllm \"$@\" >> said; while [ $# -gt 0 ]; do [ \"$1\" = --port ] && port=$2; shift; done\nexec {LOUPE} serve --name large --port $port --quiet"
    ));
    ended(&job(), 1);
    let said = said();
    assert!(!said.contains("requeue"), "{said}");
    for words in [
        "ray start --head --port=6379",
        "srun --nodes=1 --ntasks=1 --exclude=n1 ray start --address=n1:6379",
        "vllm serve /models/large --served-model-name large",
        "--tensor-parallel-size 8 --pipeline-parallel-size 2",
        "ray stop",
    ] {
        assert!(said.contains(words), "{words}: {said}");
    }
    cluster.assert_scores_of_one_piece("run");
}

/// The script of a process, with its values put in as Nextflow does.
fn process_script(workflow: &str, name: &str, values: &[(&str, &str)]) -> String {
    let process = workflow.split_once(&format!("process {name} {{")).unwrap().1;
    let mut script = process.split("\"\"\"").nth(1).unwrap().to_owned();
    for (value, text) in values {
        script = script.replace(&format!("${{{value}}}"), text);
    }
    assert!(!script.contains("${"), "{script}");
    script.replace("\\$", "$")
}

/// The tasks of the Nextflow file, each in a folder of its own as Nextflow runs them: one is stopped, ends with a code by which it is tried
/// again, goes on, and the merged scores are those of one piece. What cannot work is not tried again.
#[test]
fn tasks_of_a_nextflow_process_do_their_parts() {
    let workflow = file("main.nf");
    let retried = workflow.split_once("task.exitStatus in [").unwrap().1.split_once(']').unwrap().0;
    let retried: Vec<i32> = retried.split(", ").map(|code| code.parse().unwrap()).collect();
    let cluster = Cluster::new();
    let work = cluster.at("work").display().to_string();
    let task = |folder: &str, script: String| {
        let folder = cluster.at("work").join(folder);
        fs::create_dir_all(&folder).unwrap();
        let mut command = cluster.command("/bin/bash");
        command.args(["-uec", &script]).current_dir(folder);
        command
    };
    let evaluate = |folder: &str, shard: &str, data: &str| {
        task(
            folder,
            process_script(
                &workflow,
                "EVALUATE",
                &[
                    ("shard", shard),
                    ("params.shards", "3"),
                    ("params.data", data),
                    ("params.model", "/models/m"),
                    ("workflow.workDir", work.as_str()),
                    ("workflow.sessionId", "5e55"),
                ],
            ),
        )
    };
    let stopped = evaluate("aa", "1", &cluster.data).stdout(Stdio::null()).spawn().unwrap();
    let replies = cluster.at("work/loupe-5e55/part-1/replies.jsonl");
    let began = Instant::now();
    while fs::read_to_string(&replies).unwrap_or_default().lines().count() < 1 {
        assert!(began.elapsed() < Duration::from_secs(300), "no reply");
        std::thread::sleep(Duration::from_millis(1));
    }
    // The shell waits for the program, which the executor's signal reaches as well.
    let id = stopped.id().to_string();
    Command::new("pkill").args(["-TERM", "-P", &id]).status().unwrap();
    let code = stopped.wait_with_output().unwrap().status.code().unwrap();
    assert!(code == 0 || retried.contains(&code), "{code}");
    for shard in ["1", "2", "3"] {
        ended(&evaluate(&format!("b{shard}"), shard, &cluster.data).output().unwrap(), 0);
    }
    let hopeless = evaluate("cc", "2", "jsonl=gone.jsonl").output().unwrap();
    ended(&hopeless, 2);
    assert!(!retried.contains(&2));
    // Parts are links in the folder of the task that merges.
    let merge = cluster.at("work/dd");
    fs::create_dir_all(&merge).unwrap();
    for shard in 1..=3 {
        let part = format!("part-{shard}");
        std::os::unix::fs::symlink(cluster.at(&format!("work/b{shard}/{part}")), merge.join(part)).unwrap();
    }
    let script = process_script(&workflow, "MERGE", &[("parts", "part-2 part-1 part-3")]);
    ended(&task("dd", script).output().unwrap(), 0);
    cluster.assert_scores_of_one_piece("work/dd/run");
}
