//! Bodies as HTTP carries them.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::MultiGzDecoder;

use super::fault::{Fault, code};
use super::limits::Limits;

/// Why a body cannot be had.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BodyError {
    /// More bytes than the limit given here, as sent or as inflated.
    TooLarge(usize),
    /// A content encoding that is not known here.
    UnknownCoding(String),
    /// No gzip, or cut off.
    BadGzip(String),
}

impl std::fmt::Display for BodyError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::TooLarge(limit) => {
                write!(f, "the body is larger than {limit} bytes, the limit here")
            }
            Self::UnknownCoding(name) => {
                write!(
                    f,
                    "the content encoding {name:?} is not known here; send gzip or none"
                )
            }
            Self::BadGzip(why) => write!(f, "the body is declared as gzip, but: {why}"),
        }
    }
}

impl std::error::Error for BodyError {}

impl From<BodyError> for Fault {
    fn from(error: BodyError) -> Self {
        let code = match error {
            BodyError::TooLarge(_) => code::SYSTEM,
            BodyError::UnknownCoding(_) | BodyError::BadGzip(_) => code::TRANSPORT,
        };
        Self::new(code, error.to_string())
    }
}

/// The body behind its `Content-Encoding`: none, `identity`, `gzip`, `x-gzip`.
///
/// Of what is inflated never more than `limits.bytes` is held.
pub fn decode_body<'a>(
    content_encoding: Option<&str>,
    bytes: &'a [u8],
    limits: &Limits,
) -> Result<Cow<'a, [u8]>, BodyError> {
    if bytes.len() > limits.bytes {
        return Err(BodyError::TooLarge(limits.bytes));
    }
    let coding = content_encoding.unwrap_or_default().trim();
    match coding.to_ascii_lowercase().as_str() {
        "" | "identity" => Ok(bytes.into()),
        "gzip" | "x-gzip" => inflate(bytes, limits.bytes).map(Cow::Owned),
        _ => Err(BodyError::UnknownCoding(coding.chars().take(40).collect())),
    }
}

fn inflate(bytes: &[u8], limit: usize) -> Result<Vec<u8>, BodyError> {
    let most = u64::try_from(limit).unwrap_or(u64::MAX);
    let mut inflated = Vec::new();
    let mut reader = MultiGzDecoder::new(bytes).take(most);
    reader
        .read_to_end(&mut inflated)
        .map_err(|error| BodyError::BadGzip(error.to_string()))?;
    // whether that was all is known only by asking for one byte more, which also checks the sum at the end
    let mut more = reader.into_inner();
    match more.read(&mut [0]) {
        Ok(0) => Ok(inflated),
        Ok(_) => Err(BodyError::TooLarge(limit)),
        Err(error) => Err(BodyError::BadGzip(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut writer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        writer.write_all(bytes).unwrap();
        writer.finish().unwrap()
    }

    fn at_most(bytes: usize) -> Limits {
        Limits {
            bytes,
            ..Limits::default()
        }
    }

    #[test]
    fn plain_bodies_pass_and_gzip_is_inflated() {
        let limits = Limits::default();
        for coding in [None, Some(""), Some(" Identity ")] {
            assert_eq!(&*decode_body(coding, b"abc", &limits).unwrap(), b"abc");
        }
        let mut packed = gzip(b"abc");
        packed.extend(gzip(b"def"));
        for coding in ["gzip", "X-GZIP"] {
            let body = decode_body(Some(coding), &packed, &limits).unwrap();
            assert_eq!(&*body, b"abcdef");
        }
        assert_eq!(
            decode_body(Some("br"), b"", &limits),
            Err(BodyError::UnknownCoding("br".into()))
        );
    }

    #[test]
    fn the_limit_holds_to_the_byte() {
        let packed = gzip(&[b'x'; 1000]);
        assert!(decode_body(Some("gzip"), &packed, &at_most(1000)).is_ok());
        assert_eq!(
            decode_body(Some("gzip"), &packed, &at_most(999)),
            Err(BodyError::TooLarge(999))
        );
        assert_eq!(
            decode_body(None, &[0; 11], &at_most(10)),
            Err(BodyError::TooLarge(10))
        );
    }

    #[test]
    fn a_bomb_is_refused() {
        let bomb = gzip(&vec![0; 200 << 20]);
        assert!(bomb.len() < 1 << 20, "{}", bomb.len());
        let limits = Limits::default();
        assert_eq!(
            decode_body(Some("gzip"), &bomb, &limits),
            Err(BodyError::TooLarge(limits.bytes))
        );
    }

    #[test]
    fn a_body_cut_off_anywhere_or_changed_is_bad() {
        let packed = gzip(b"some text, some text");
        for end in 0..packed.len() {
            let body = decode_body(Some("gzip"), &packed[..end], &Limits::default());
            assert!(
                matches!(body, Err(BodyError::BadGzip(_))),
                "{end}: {body:?}"
            );
        }
        let mut changed = packed;
        let sum = changed.len() - 8;
        changed[sum] ^= 1;
        let body = decode_body(Some("gzip"), &changed, &Limits::default());
        assert!(matches!(body, Err(BodyError::BadGzip(_))), "{body:?}");
    }
}
