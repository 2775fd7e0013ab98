//! The file that a release travels in: what is taken has every resource that its index names, and nothing else.

use std::io::{Cursor, Read};

use windlass_wire::release_file::ReleaseFile;

/// See the module.
pub fn check(data: &[u8]) {
    let read = || ReleaseFile::read(Cursor::new(data), data.len() as u64);
    let Ok(release) = read() else {
        return;
    };
    let index = release.index().clone();
    for (target, item) in &index.targets {
        let mut release = read().expect("the same again");
        let mut bytes = Vec::new();
        let mut resource = release
            .resource(target, item, 0)
            .expect("a resource that was verified");
        resource
            .read_to_end(&mut bytes)
            .expect("a resource that was verified");
        assert_eq!(bytes.len() as u64, item.size);
    }
}
