//! Files that are whole or absent.

use std::fs::File;
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
    let mut name = std::ffi::OsString::from(".");
    name.push(path.file_name().unwrap_or_default());
    name.push(".part");
    let part = path.with_file_name(name);
    let mut to = BufWriter::with_capacity(1 << 16, File::create(&part)?);
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
