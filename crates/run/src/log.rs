//! The file of replies as it is written: a line at a time, each synced.

use crate::error::RunError;
use crate::files::{PROBE, REPLIES, remove_unfinished, write_error};
use crate::folder::ReplyLine;
use crate::seal::sealed;
use loupe_core::files::open_to_append;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Writes one line at a time, each synced to the disk before the next; holds the folder's lock.
#[derive(Debug)]
pub(crate) struct ReplyLog {
    dir: PathBuf,
    file: File,
}

impl ReplyLog {
    pub(crate) fn open(dir: &Path) -> Result<Self, RunError> {
        let failed = |source| write_error(dir, REPLIES, source);
        let mut file = open_to_append(&dir.join(REPLIES)).map_err(failed)?;
        lock(dir, || file.try_lock())?;
        remove_unfinished(dir)?;
        let keep = complete_bytes(&mut file).map_err(failed)?;
        file.set_len(keep).map_err(failed)?;
        Ok(Self { dir: dir.into(), file })
    }

    /// Writes, syncs and removes `bytes` bytes, so that a full disk shows before the work begins.
    pub(crate) fn probe(&self, bytes: usize) -> Result<(), RunError> {
        let path = self.dir.join(PROBE);
        let block = vec![b' '; bytes.min(1 << 20)];
        let tried = (|| {
            let mut file = File::create(&path)?;
            for _ in 0..bytes.div_ceil(block.len().max(1)) {
                file.write_all(&block)?;
            }
            file.sync_all()
        })();
        let removed = std::fs::remove_file(&path);
        tried.and(removed).map_err(|source| write_error(&self.dir, REPLIES, source))
    }

    /// Appends a line and waits until it is on the disk.
    pub(crate) fn append(&mut self, line: &ReplyLine) -> Result<(), RunError> {
        let text = sealed(line).map_err(|e| write_error(&self.dir, REPLIES, std::io::Error::other(e)))?;
        self.file
            .write_all(&text)
            .and_then(|()| self.file.sync_data())
            // What was removed under way takes lines that nobody will ever find.
            .and_then(|()| std::fs::metadata(self.dir.join(REPLIES)).map(drop))
            .map_err(|source| write_error(&self.dir, REPLIES, source))
    }
}

/// Tries for a lock in the folder.
pub(crate) fn lock(dir: &Path, try_lock: impl Fn() -> Result<(), TryLockError>) -> Result<(), RunError> {
    // A process that starts another one lends it every lock for a moment, so that a lock which was just
    // given back may still be held.
    let mut patience = 10;
    loop {
        match try_lock() {
            Ok(()) => return Ok(()),
            Err(TryLockError::WouldBlock) if patience > 0 => {
                patience -= 1;
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(TryLockError::WouldBlock) => return Err(RunError::Busy { folder: dir.into() }),
            // A file system without locks: work on, as there is nothing better.
            Err(TryLockError::Error(e)) if e.kind() == std::io::ErrorKind::Unsupported => return Ok(()),
            Err(TryLockError::Error(source)) => return Err(write_error(dir, REPLIES, source)),
        }
    }
}

/// Length of the file up to and including its last line break.
fn complete_bytes(file: &mut File) -> std::io::Result<u64> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut block = [0u8; 4096];
    while end > 0 {
        let take = end.min(block.len() as u64);
        file.seek(SeekFrom::Start(end - take))?;
        let part = &mut block[..usize::try_from(take).unwrap_or(0)];
        file.read_exact(part)?;
        if let Some(at) = part.iter().rposition(|&b| b == b'\n') {
            return Ok(end - take + at as u64 + 1);
        }
        end -= take;
    }
    Ok(0)
}
