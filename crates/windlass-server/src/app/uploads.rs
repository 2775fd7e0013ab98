//! Uploads under way: one that stands still gives way to one that goes on with it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::watch;
use windlass_model::release::Digest;
use windlass_store::{FileError, Upload};

use super::{AppError, AppResult};

/// How long the bytes of an upload may stand still while another one waits for it. Whoever was cut off without a word is never
/// heard again, and the one who waits may be the same.
const GRACE: Duration = Duration::from_secs(1);
/// Entries after which those that are over are looked for.
const MANY: usize = 64;

/// Whether somebody waits, for each upload under way.
#[derive(Default)]
pub(super) struct Uploads(Mutex<HashMap<Digest, watch::Sender<bool>>>);

impl Uploads {
    fn map(&self) -> MutexGuard<'_, HashMap<Digest, watch::Sender<bool>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One begins: it has the file.
    pub(super) fn begin(&self, digest: &Digest, upload: Upload) -> Receiving {
        let (sender, wanted) = watch::channel(false);
        let mut map = self.map();
        if map.len() >= MANY {
            map.retain(|_, sender| !sender.is_closed());
        }
        map.insert(digest.clone(), sender);
        Receiving { upload, wanted }
    }

    /// Somebody waits for one.
    pub(super) fn want(&self, digest: &Digest) {
        if let Some(sender) = self.map().get(digest) {
            sender.send_replace(true);
        }
    }
}

/// A blob that is being received.
#[derive(Debug)]
pub struct Receiving {
    pub(super) upload: Upload,
    wanted: watch::Receiver<bool>,
}

impl Receiving {
    /// Adds bytes.
    pub async fn append(
        &mut self,
        bytes: impl AsRef<[u8]> + Send + 'static,
    ) -> Result<(), FileError> {
        self.upload.append(bytes).await
    }

    /// What `bytes` gives, unless they stand still while another upload waits for this one. Cancelled by dropping.
    pub async fn unless_wanted<T>(
        &mut self,
        bytes: impl Future<Output = AppResult<T>>,
    ) -> AppResult<T> {
        let wanted = async {
            // Nobody can ask any more: it never is.
            if self.wanted.wait_for(|wanted| *wanted).await.is_err() {
                std::future::pending::<()>().await;
            }
            tokio::time::sleep(GRACE).await;
        };
        tokio::select! {
            bytes = bytes => bytes,
            () = wanted => Err(AppError::Unavailable(
                "another upload of the same bytes goes on with this one".into(),
            )),
        }
    }
}
