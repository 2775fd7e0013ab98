//! How much one message may hold.

/// The deepest nesting of values that can be configured.
///
/// A decoded value is cloned, compared, printed, converted and dropped by recursive code: this many levels take less than
/// half of a thread's usual stack of 2 MiB, in a debug build.
pub const MAX_DEPTH: usize = 250;

/// How much one message may hold. What exceeds it is refused as soon as it is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of the message, as sent and also as inflated. Default: 1 MiB.
    pub bytes: usize,
    /// Levels of values in values; a value by itself is one. Default, and at most, [`MAX_DEPTH`].
    pub depth: usize,
    /// Values in all, arrays and structs counted too. A value takes some 40 bytes of memory besides its text.
    /// Default: 100,000.
    pub values: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            bytes: 1 << 20,
            depth: MAX_DEPTH,
            values: 100_000,
        }
    }
}
