//! Blobs and logs on a real disk.
#![allow(clippy::unwrap_used, reason = "tests")]

use sha2::{Digest as _, Sha256};
use windlass_model::release::{Digest, JobId};
use windlass_store::{Appended, Blobs, FileError, Logs};

fn digest(bytes: &[u8]) -> Digest {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|b| format!("{b:02x}"))
        .collect();
    hex.parse().unwrap()
}

fn bytes(n: usize) -> Vec<u8> {
    (0..n).map(|i| u8::try_from(i * 7 % 251).unwrap()).collect()
}

async fn read(blobs: &Blobs, digest: &Digest, range: Option<std::ops::Range<u64>>) -> Vec<u8> {
    let mut read = Vec::new();
    let mut reader = blobs.open(digest, range).await.unwrap();
    while let Some(piece) = reader.next().await.unwrap() {
        read.extend(piece);
    }
    read
}

#[tokio::test]
async fn an_upload_is_carried_on_where_it_stopped() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_folder(folder.path().join("blobs"), 1 << 30)
        .await
        .unwrap();
    let all = bytes(3_000_000);
    let digest = digest(&all);
    assert_eq!(blobs.has(&digest).await.unwrap(), None);
    let mut upload = blobs.upload(&digest).await.unwrap();
    upload.append(all[..1_200_001].to_vec()).await.unwrap();
    drop(upload);
    // as after a restart
    let blobs = Blobs::open_folder(folder.path().join("blobs"), 1 << 30)
        .await
        .unwrap();
    assert_eq!(blobs.has_partial(&digest).await.unwrap(), Some(1_200_001));
    assert!(matches!(
        blobs.open(&digest, None).await,
        Err(FileError::NotFound(_))
    ));
    let mut upload = blobs.upload(&digest).await.unwrap();
    assert_eq!(upload.offset(), 1_200_001);
    upload.append(all[1_200_001..].to_vec()).await.unwrap();
    assert_eq!(upload.finish().await.unwrap(), 3_000_000);
    assert_eq!(blobs.has(&digest).await.unwrap(), Some(3_000_000));
    assert_eq!(blobs.has_partial(&digest).await.unwrap(), None);
    assert_eq!(read(&blobs, &digest, None).await, all);
    assert_eq!(
        read(&blobs, &digest, Some(1_000_000..1_000_010)).await,
        all[1_000_000..1_000_010]
    );
    assert_eq!(
        read(&blobs, &digest, Some(2_999_999..9_000_000)).await,
        all[2_999_999..]
    );
    assert!(
        read(&blobs, &digest, Some(5_000_000..9_000_000))
            .await
            .is_empty()
    );
    assert!(blobs.remove(&digest).await.unwrap());
    assert!(!blobs.remove(&digest).await.unwrap());
}

#[tokio::test]
async fn something_else_is_thrown_away() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_folder(folder.path(), 1000).await.unwrap();
    let wanted = digest(b"right");
    let mut upload = blobs.upload(&wanted).await.unwrap();
    upload.append(b"wrong").await.unwrap();
    let error = upload.finish().await.unwrap_err();
    assert!(matches!(error, FileError::Mismatch { .. }), "{error}");
    assert_eq!(blobs.has(&wanted).await.unwrap(), None);
    assert_eq!(blobs.upload(&wanted).await.unwrap().offset(), 0);
    let mut upload = blobs.upload(&wanted).await.unwrap();
    let error = upload.append(vec![0; 1001]).await.unwrap_err();
    assert!(
        matches!(error, FileError::TooLarge { limit: 1000 }),
        "{error}"
    );
    assert!(upload.append(b"x").await.is_err());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_uploader_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_folder(folder.path(), 1 << 30).await.unwrap();
    let all = bytes(500_000);
    let digest = digest(&all);
    let first = blobs.upload(&digest).await.unwrap();
    assert!(matches!(
        blobs.upload(&digest).await,
        Err(FileError::Busy(_))
    ));
    drop(first);
    let tasks: Vec<_> = (0..8)
        .map(|_| {
            let (blobs, digest, all) = (blobs.clone(), digest.clone(), all.clone());
            tokio::spawn(async move {
                loop {
                    let mut upload = match blobs.upload(&digest).await {
                        Ok(upload) => upload,
                        Err(FileError::Busy(_)) => {
                            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                            continue;
                        }
                        Err(error) => panic!("{error}"),
                    };
                    let offset = usize::try_from(upload.offset()).unwrap();
                    for chunk in all[offset..].chunks(50_000) {
                        upload.append(chunk.to_vec()).await.unwrap();
                    }
                    return upload.finish().await.unwrap();
                }
            })
        })
        .collect();
    for task in tasks {
        assert_eq!(task.await.unwrap(), 500_000);
    }
    assert_eq!(read(&blobs, &digest, None).await, all);
}

#[tokio::test]
async fn old_parts_go_and_those_in_use_stay() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open_folder(folder.path(), 1000).await.unwrap();
    let (left, used) = (digest(b"left"), digest(b"used"));
    drop(blobs.upload(&left).await.unwrap());
    let upload = blobs.upload(&used).await.unwrap();
    let none = std::time::Duration::ZERO;
    assert_eq!(
        blobs
            .remove_partial(std::time::Duration::from_secs(60))
            .await
            .unwrap(),
        0
    );
    tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    assert_eq!(blobs.remove_partial(none).await.unwrap(), 1);
    assert_eq!(blobs.has_partial(&left).await.unwrap(), None);
    drop(upload);
}

#[tokio::test]
async fn a_log_takes_each_byte_once() {
    let folder = tempfile::tempdir().unwrap();
    let logs = Logs::open_folder(folder.path().join("logs"), 20)
        .await
        .unwrap();
    let job: JobId = "j1".parse().unwrap();
    let have = |have, is_full| Appended { have, is_full };
    assert_eq!(
        logs.append(&job, 1, 0, b"hello ").await.unwrap(),
        have(6, false)
    );
    assert_eq!(
        logs.append(&job, 1, 0, b"hello ").await.unwrap(),
        have(6, false)
    );
    assert_eq!(
        logs.append(&job, 1, 3, b"lo wor").await.unwrap(),
        have(9, false)
    );
    assert_eq!(
        logs.append(&job, 1, 99, b"gap").await.unwrap(),
        have(9, false)
    );
    assert_eq!(
        logs.append(&job, 1, 9, b"ld, and more than fits")
            .await
            .unwrap(),
        have(20, true)
    );
    assert_eq!(
        logs.append(&job, 1, 20, b"x").await.unwrap(),
        have(20, true)
    );
    assert_eq!(
        logs.read(&job, 1, 0).await.unwrap(),
        b"hello world, and mor"
    );
    assert_eq!(logs.read(&job, 1, 6).await.unwrap(), b"world, and mor");
    assert!(logs.read(&job, 1, 99).await.unwrap().is_empty());
    assert!(logs.read(&job, 2, 0).await.unwrap().is_empty());
    logs.remove(&job, 2).await.unwrap();
    assert!(logs.read(&job, 1, 0).await.unwrap().is_empty());
}
