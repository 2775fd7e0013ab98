//! What is offered to hosts: key exchanges, kinds of host keys, ciphers, MACs.
//!
//! Nothing that `ssh-audit` calls a failure, but kinds of host keys by which somebody knows that very host.

use std::borrow::Cow;
use std::str::FromStr;

use russh::keys::{Algorithm, EcdsaCurve, HashAlg};
use russh::{Preferred, cipher};

/// Fast ones first: both ends have AES in hardware.
const CIPHERS: &[cipher::Name] = &[
    cipher::AES_128_GCM,
    cipher::AES_256_GCM,
    cipher::CHACHA20_POLY1305,
    cipher::AES_128_CTR,
    cipher::AES_192_CTR,
    cipher::AES_256_CTR,
];

/// Kinds of host keys that any host may show.
const KEYS: &[Algorithm] = &[
    Algorithm::Ed25519,
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha512),
    },
    Algorithm::Rsa {
        hash: Some(HashAlg::Sha256),
    },
];

/// Kinds that only a host may show that is known by such a key: auditors object to these curves, and an approved key of
/// that kind is still better than a new one of another.
const WHERE_KNOWN: &[Algorithm] = &[
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP256,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP384,
    },
    Algorithm::Ecdsa {
        curve: EcdsaCurve::NistP521,
    },
];

/// Which of these kinds, as known_hosts names them, are taken of a host that is known by them; the best first.
pub(super) fn taken(known: &[String]) -> Vec<Algorithm> {
    let parsed: Vec<Algorithm> = known
        .iter()
        .filter_map(|name| Algorithm::from_str(name).ok())
        .collect();
    let all = KEYS.iter().chain(WHERE_KNOWN);
    all.filter(|kind| parsed.contains(kind)).cloned().collect()
}

/// What to offer to a host that is known by keys of these kinds. A host shows one key only: it is asked for one that can
/// be checked. Where an authority is known for it a certificate can be, of whatever kind.
pub(super) fn offered(known: &[String], has_authority: bool) -> Preferred {
    let mut keys = taken(known);
    for usual in KEYS {
        if !keys.contains(usual) {
            keys.push(usual.clone());
        }
    }
    let certificates = match has_authority {
        true => KEYS.iter().chain(WHERE_KNOWN).cloned().collect(),
        false => Vec::new(),
    };
    Preferred {
        key: Cow::Owned(keys),
        host_key_certificates: Cow::Owned(certificates),
        cipher: Cow::Borrowed(CIPHERS),
        ..Preferred::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(known: &[&str]) -> Vec<String> {
        let known: Vec<String> = known.iter().map(|name| (*name).to_owned()).collect();
        let offered = offered(&known, false);
        assert!(offered.host_key_certificates.is_empty());
        offered.key.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn kinds_that_are_known_come_first_and_weak_ones_only_then() {
        let usual = ["ssh-ed25519", "rsa-sha2-512", "rsa-sha2-256"];
        assert_eq!(keys(&[]), usual);
        assert_eq!(keys(&["ssh-dss", "ssh-rsa", "what"]), usual);
        assert_eq!(
            keys(&["rsa-sha2-512", "rsa-sha2-256"]),
            ["rsa-sha2-512", "rsa-sha2-256", "ssh-ed25519"]
        );
        let nist = "ecdsa-sha2-nistp256";
        assert_eq!(
            keys(&[nist, "ssh-ed25519"]),
            ["ssh-ed25519", nist, "rsa-sha2-512", "rsa-sha2-256"]
        );
        assert_eq!(keys(&[nist])[..2], [nist, "ssh-ed25519"]);
    }

    #[test]
    fn certificates_are_asked_for_where_an_authority_is_known() {
        let offered = offered(&[], true);
        assert_eq!(offered.host_key_certificates.len(), 6);
        assert_eq!(offered.key.len(), 3);
    }
}
