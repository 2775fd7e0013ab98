//! The files of known hosts of a run: each list of them is read once, however many hosts ask for it at the same time.

use std::collections::HashMap;
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::OnceCell;

use super::known_hosts::KnownHosts;

/// What one list of files says; whoever comes while it is read waits for that.
type Read = Arc<OnceCell<Arc<KnownHosts>>>;

/// See the module.
#[derive(Default)]
pub(super) struct KnownFiles(Mutex<HashMap<Vec<PathBuf>, Read>>);

impl KnownFiles {
    /// What these files say. Those that cannot be read are tried again for who asks next.
    pub(super) async fn get(&self, files: &[PathBuf]) -> io::Result<Arc<KnownHosts>> {
        self.get_by(files, KnownHosts::load).await
    }

    async fn get_by(
        &self,
        files: &[PathBuf],
        load: fn(&[PathBuf]) -> io::Result<KnownHosts>,
    ) -> io::Result<Arc<KnownHosts>> {
        let read = self.lock().entry(files.to_vec()).or_default().clone();
        let known = read.get_or_try_init(|| {
            let files = files.to_vec();
            async move {
                let loaded = tokio::task::spawn_blocking(move || load(&files)).await;
                loaded.map_err(io::Error::other)?.map(Arc::new)
            }
        });
        known.await.cloned()
    }

    /// Lines that were passed over in what has been read.
    pub(super) fn notes(&self) -> Vec<String> {
        let all = self.lock();
        let read = all.values().filter_map(|read| read.get());
        read.flat_map(|known| known.notes().to_vec()).collect()
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<Vec<PathBuf>, Read>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn hosts_that_ask_at_once_have_the_files_read_once() {
        static READ: AtomicUsize = AtomicUsize::new(0);
        let load = |files: &[PathBuf]| {
            READ.fetch_add(1, Ordering::SeqCst);
            std::thread::sleep(std::time::Duration::from_millis(100));
            match files {
                [] => Err(io::Error::other("cannot be read")),
                files => KnownHosts::load(files),
            }
        };
        let known = KnownFiles::default();
        let files = [PathBuf::from("/nowhere/known_hosts")];
        let asked = (0..50).map(|_| known.get_by(&files, load));
        let found = futures_util::future::join_all(asked).await;
        assert!(found.iter().all(Result::is_ok));
        assert_eq!(READ.load(Ordering::SeqCst), 1);
        // an error is nothing to be kept
        for count in 2..4 {
            assert!(known.get_by(&[], load).await.is_err());
            assert_eq!(READ.load(Ordering::SeqCst), count);
        }
    }
}
