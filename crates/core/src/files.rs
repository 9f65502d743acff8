//! Files that are whole or absent, and files that are files.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::ops::ControlFlow;
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

/// Hands the lines of a file of JSON lines to `line`, each with its number from 1, one at a time, until it breaks. Blank ones are
/// left out, and so is the mark of the byte order with which some programs begin a file or each of the files that were joined.
///
/// # Errors
/// As [`open_regular`]; when the file cannot be read on; what `line` fails with.
pub fn each_line(
    path: &Path,
    mut line: impl FnMut(usize, &[u8]) -> io::Result<ControlFlow<()>>,
) -> io::Result<()> {
    let (mut reader, mut text) = (BufReader::new(open_regular(path)?), Vec::new());
    for number in 1.. {
        text.clear();
        if reader.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        let mut rest = text.as_slice();
        while let Some(behind) = rest.strip_prefix("\u{feff}".as_bytes()) {
            rest = behind;
        }
        if !rest.trim_ascii().is_empty() && line(number, rest)?.is_break() {
            break;
        }
    }
    Ok(())
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
        let nothing = |_: usize, _: &[u8]| Ok(ControlFlow::Continue(()));
        assert_eq!(each_line(dir.path(), nothing).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        #[cfg(unix)]
        for open in [open_regular, open_to_append] {
            assert_eq!(open(Path::new("/dev/zero")).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn lines_come_with_their_numbers_until_nobody_wants_more() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.jsonl");
        std::fs::write(&file, b"\xef\xbb\xbf{}\r\n\n \t\n\xef\xbb\xbf\n\xff\n\xef\xbb\xbf[1]").unwrap();
        let read = |wanted: usize| {
            let mut all = Vec::new();
            let done = each_line(&file, |number, line| {
                all.push((number, line.to_vec()));
                Ok(if all.len() < wanted { ControlFlow::Continue(()) } else { ControlFlow::Break(()) })
            });
            done.unwrap();
            all
        };
        let whole = [(1, b"{}\r\n".to_vec()), (5, b"\xff\n".to_vec()), (6, b"[1]".to_vec())];
        assert_eq!(read(9), whole);
        assert_eq!(read(2), whole[..2]);
        let failed = each_line(&file, |_, _| Err(io::Error::other("full"))).unwrap_err();
        assert_eq!(failed.to_string(), "full");
    }
}
