//! The Python package over the binary, where there is a Python; `LOUPE_TEST_PYTHON` names one with pandas, pyarrow, numpy and nibabel.

use std::process::Command;

#[test]
fn the_python_package_runs_the_binary() {
    let python = std::env::var("LOUPE_TEST_PYTHON").unwrap_or_else(|_| "python3".to_owned());
    if Command::new(&python).arg("--version").output().is_err() {
        eprintln!("SKIPPED: {python} is not there; LOUPE_TEST_PYTHON may name a Python");
        return;
    }
    let out = Command::new(&python)
        .args(["-m", "unittest", "discover", "--verbose", "--start-directory", "python/tests"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .env("LOUPE_BINARY", env!("CARGO_BIN_EXE_loupe"))
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&out.stderr);
    said.lines().filter(|line| line.contains("skipped")).for_each(|line| eprintln!("SKIPPED: {line}"));
    assert!(out.status.success(), "{said}");
    assert!(said.contains("test_it_answers"), "{said}");
}
