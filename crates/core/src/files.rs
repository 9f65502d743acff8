//! Files that are whole or absent, and files that are files.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Read, Write};
use std::path::Path;

/// Opens a file for reading. A pipe has no end and a device gives whatever it likes: neither is opened, because
/// that alone may wait for ever.
///
/// # Errors
/// What the system says; [`io::ErrorKind::InvalidInput`] for what is not a regular file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let kind = std::fs::metadata(path)?.file_type();
    if !kind.is_file() {
        let what = if kind.is_dir() { "a folder" } else { "a pipe, a socket or a device" };
        return Err(io::Error::new(io::ErrorKind::InvalidInput, format!("it is {what}, not a file")));
    }
    File::open(path)
}

/// Opens a file for reading and for writing behind its end; makes it where there is none.
///
/// # Errors
/// As [`open_regular`].
pub fn open_to_append(path: &Path) -> io::Result<File> {
    if path.exists() {
        open_regular(path)?;
    }
    OpenOptions::new().read(true).append(true).create(true).open(path)
}

/// The bytes of a regular file of at most `most` bytes.
///
/// # Errors
/// As [`open_regular`]; [`io::ErrorKind::FileTooLarge`] for a larger file, and where memory for it cannot be had.
pub fn read_at_most(path: &Path, most: u64) -> io::Result<Vec<u8>> {
    let file = open_regular(path)?;
    let size = file.metadata()?.len();
    let too_large = || {
        let problem = format!("it has more than {most} bytes, which is no file of this kind");
        io::Error::new(io::ErrorKind::FileTooLarge, problem)
    };
    if size > most {
        return Err(too_large());
    }
    let mut bytes = Vec::new();
    bytes.try_reserve_exact(usize::try_from(size).unwrap_or(usize::MAX))?;
    if file.take(most.saturating_add(1)).read_to_end(&mut bytes)? as u64 > most {
        return Err(too_large());
    }
    Ok(bytes)
}

/// [`read_at_most`] as text.
///
/// # Errors
/// As there; [`io::ErrorKind::InvalidData`] when it is not UTF-8.
pub fn read_text_at_most(path: &Path, most: u64) -> io::Result<String> {
    String::from_utf8(read_at_most(path, most)?)
        .map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "it is not UTF-8 text"))
}

/// Most bytes of a file that people write: settings, lists, tables of names.
pub const SETTINGS_BYTES: u64 = 256 << 20;

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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, missing_docs)]
    use super::*;

    #[test]
    fn only_regular_files_of_some_size_are_read() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a");
        std::fs::write(&file, b"hello").unwrap();
        assert_eq!(read_at_most(&file, 5).unwrap(), b"hello");
        assert_eq!(read_text_at_most(&file, 5).unwrap(), "hello");
        assert_eq!(read_at_most(&file, 4).unwrap_err().kind(), io::ErrorKind::FileTooLarge);
        assert_eq!(open_regular(dir.path()).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        assert_eq!(open_regular(&dir.path().join("b")).unwrap_err().kind(), io::ErrorKind::NotFound);
        #[cfg(unix)]
        for open in [open_regular, open_to_append] {
            assert_eq!(open(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }
}
