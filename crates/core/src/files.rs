//! Files that are whole or absent.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::Path;

/// Writes `path` under another name beside it, syncs it and puts it in its place, so that whoever reads
/// `path` finds the whole file or the one before.
///
/// # Errors
/// What `write` or the system says; `path` is then as it was.
pub fn write_whole(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    put(path, &mut File::options(), write)
}

/// As [`write_whole`], readable and writable by the owner of the file alone where the system has such permissions.
///
/// # Errors
/// As [`write_whole`].
pub fn write_private(
    path: &Path,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut options = File::options();
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    put(path, &mut options, write)
}

fn put(
    path: &Path,
    options: &mut OpenOptions,
    write: impl FnOnce(&mut BufWriter<File>) -> io::Result<()>,
) -> io::Result<()> {
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    let part = path.with_file_name(name);
    // What an interrupted call left may have other permissions.
    match std::fs::remove_file(&part) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut to = BufWriter::with_capacity(1 << 16, options.write(true).create_new(true).open(&part)?);
    write(&mut to)?;
    to.flush()?;
    to.get_ref().sync_all()?;
    drop(to);
    std::fs::rename(&part, path)?;
    // The name itself is on the disk only after the folder is; not every system can sync one.
    if let Some(folder) = path.parent() {
        let folder = if folder.as_os_str().is_empty() { Path::new(".") } else { folder };
        let _ = File::open(folder).and_then(|d| d.sync_all());
    }
    Ok(())
}
