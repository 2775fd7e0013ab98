//! ssh_config: a file is taken or its faults are told; a host that is found is found the same way again, and comments change
//! nothing. Nothing is asked of OpenSSH: it would run what `Match exec` says.

use windlass_builtins::hosts::ssh::config::{HostConfig, SshConfig};

const HOSTS: [&str; 5] = ["host", "web1.example.org", "10.0.0.1", "-x", "a b"];

/// See the module.
pub fn check(data: &[u8]) {
    // Other files are what they are: an Include would read them.
    let includes = data
        .to_ascii_lowercase()
        .windows(7)
        .any(|word| word == b"include");
    if includes {
        return;
    }
    let Some(found) = found(data) else {
        return;
    };
    for config in found.iter().flatten() {
        assert!(config.port != 0 && !config.host_name.is_empty());
    }
    let more = [b"# a comment\n\n".as_slice(), data, b"\n\n  # another\n"].concat();
    let again = self::found(&more).expect("the same with comments");
    let without_lines = |mut config: HostConfig| {
        config.unsupported.clear();
        config
    };
    for (first, second) in found.into_iter().zip(again) {
        assert_eq!(first.map(without_lines), second.map(without_lines));
    }
}

fn found(data: &[u8]) -> Option<Vec<Option<HostConfig>>> {
    let file = crate::file("ssh_config", data);
    match SshConfig::load(Some(&file), Some(crate::scratch()), "me") {
        Ok(config) => Some(HOSTS.map(|host| config.resolve_at_once(host)?.ok()).into()),
        Err(faults) => {
            assert!(!faults.to_string().is_empty());
            None
        }
    }
}
