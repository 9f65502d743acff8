# Commands for those who work on loupe; `just` lists them. Each is a plain shell command that runs without `just` too.

set shell := ["bash", "-euc"]

_list:
    @just --list --unsorted

# What a change must pass: formatting, tests, lints, documents
check:
    .ci/run

# Formatting and lints alone
lint:
    cargo fmt --all --check
    cargo clippy --locked --workspace --all-targets -- -D warnings

# All tests, or those whose name holds a word: `just test choice`
test *ARGS:
    cargo test --locked --workspace {{ARGS}}

# Tests of one crate: `just test-of loupe-eval strict`
test-of CRATE *ARGS:
    cargo test --locked -p {{CRATE}} {{ARGS}}

# The house rules: arrows, circles of files, words, lengths
tidy:
    cargo test --locked --test main tidy

# Make a fixture again with the script that made it: `just fixture eval/tests/make/stats.py`
fixture SCRIPT *ARGS:
    cd "$(dirname {{SCRIPT}})" && python "$(basename {{SCRIPT}})" {{ARGS}}

# Fixtures whose scripts need Python packages alone (CONTRIBUTING.md says which), made again
fixtures:
    for s in datasets/tests/fixtures/make_*.py preprocess/tests/resize_fixtures.py preprocess/tests/skimage_fixtures.py \
        preprocess/tests/volume_ops.py preprocess/tests/perceptual.py preprocess/tests/pictures/make.py \
        preprocess/tests/codecs/make.py preprocess/tests/volumes/make.py models/tests/parity/make_*.py \
        models/tests/parity/sam/make*.py models/tests/parity/sam2/make.py models/tests/templates/make.py eval/tests/make/stats.py; \
    do echo "$s"; (cd "$(dirname $s)" && HF_HUB_OFFLINE=1 python "$(basename $s)"); done
    for s in coco_map meteor segmentation text_metrics word_tokenize; do echo "$s"; (cd eval/tests/make && python $s.py ../fixtures); done

# Scoring speed; `benches/compare` has the timings beside other tools (BENCHMARKS.md)
bench:
    cargo bench -p loupe-eval

# Mutants of hostile files through every reader, on stable Rust (fuzz/README.md has the fuzzers)
mutants:
    cargo test --locked -p loupe-preprocess mutants
    cargo test --locked -p loupe-datasets mutants

# Broken inputs of every kind against the built program, for so many minutes (docs/robustness.md)
attack MINUTES="1":
    cargo build --locked
    cargo run --locked -p attack -- --minutes {{MINUTES}}

# Fuzz one reader for a minute: `just fuzz dicom`; needs cargo-fuzz and nightly Rust
fuzz TARGET SECONDS="60":
    cargo +nightly fuzz run -O {{TARGET}} -- -max_total_time={{SECONDS}} -timeout=5 -rss_limit_mb=1100

# Licences, advisories and versions of what the project depends on; needs cargo-deny
deny:
    cargo deny check

# Man pages and shell completions into OUT
manuals OUT="target/manuals":
    cargo run --release -- man {{OUT}}
    for shell in bash zsh fish; do cargo run --release -q -- completions $shell > {{OUT}}/loupe.$shell; done

# Packages of all libraries, as they would be published
package:
    cargo package --workspace --no-verify --allow-dirty
