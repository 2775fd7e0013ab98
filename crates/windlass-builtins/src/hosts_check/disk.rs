//! Room on a file system, as `df -Pk` and `df -Pi` tell it; GNU's, busybox's and those of the BSDs.

/// Less than this share of it free is too little.
const LEAST_PERCENT: u64 = 5;
/// Less than this free is too little, in KiB.
const LEAST_KIB: u64 = 500 * 1024;

/// A line of `df`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Room {
    /// How much, or many, there are to be used: used and free ones.
    pub(super) total: u64,
    /// How much, or many, are free for this user.
    pub(super) free: u64,
    /// Where the file system is mounted.
    pub(super) mount: String,
}

/// What is to be said of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    Full,
    Little,
    Enough,
}

/// Reads a line; `None` for one that counts nothing, as of file systems without inodes.
///
/// The name of the file system and the mount point may hold spaces: the four columns between them are found by what
/// they are.
pub(super) fn read(line: &str) -> Option<Room> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let is_share = |word: &str| {
        word == "-"
            || word
                .strip_suffix('%')
                .is_some_and(|n| n.parse::<u64>().is_ok())
    };
    let at = words.windows(4).position(|four| match four {
        [all, used, free, share] => {
            let counts = [all, used, free]
                .into_iter()
                .all(|n| n.parse::<i64>().is_ok());
            counts && is_share(share)
        }
        _ => false,
    })?;
    let number = |n: usize| words.get(at + n)?.parse::<i64>().ok();
    // less than none is free where others than root may not use the rest
    let (used, free) = (number(1)?.max(0), number(2)?.max(0));
    let (used, free) = (u64::try_from(used).ok()?, u64::try_from(free).ok()?);
    let all = number(0)?;
    if all <= 0 {
        return None;
    }
    Some(Room {
        total: used.saturating_add(free),
        free,
        mount: words.get(at + 4..)?.join(" "),
    })
}

impl Room {
    fn is_scarce(&self) -> bool {
        self.free.saturating_mul(100) < self.total.saturating_mul(LEAST_PERCENT)
    }

    fn percent(&self) -> u64 {
        self.free.saturating_mul(100) / self.total.max(1)
    }

    /// For KiB.
    pub(super) fn of_space(&self) -> (Verdict, String) {
        let said = format!(
            "{} of {} ({} %) free",
            size(self.free),
            size(self.total),
            self.percent()
        );
        let verdict = match self.free {
            0 => Verdict::Full,
            free if free < LEAST_KIB || self.is_scarce() => Verdict::Little,
            _ => Verdict::Enough,
        };
        (verdict, said)
    }

    /// For inodes.
    pub(super) fn of_inodes(&self) -> (Verdict, String) {
        let said = format!(
            "{} of {} inodes ({} %) free",
            self.free,
            self.total,
            self.percent()
        );
        let verdict = match self.free {
            0 => Verdict::Full,
            _ if self.is_scarce() => Verdict::Little,
            _ => Verdict::Enough,
        };
        (verdict, said)
    }
}

fn size(kib: u64) -> String {
    match kib {
        0..1024 => format!("{kib} KiB"),
        1024..10_485_760 => format!("{} MiB", kib / 1024),
        _ => format!("{} GiB", kib / 1024 / 1024),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_several_df_are_read() {
        for (line, total, free, mount) in [
            // GNU
            (
                "/dev/vda         264212084 22932976  72352912      25% /",
                95_285_888,
                72_352_912,
                "/",
            ),
            ("none 100 100 0 100% /my disk", 100, 0, "/my disk"),
            // busybox, of a share whose name has a space
            (
                "//nas/my share       1000       400       600  40% /mnt/a b",
                1000,
                600,
                "/mnt/a b",
            ),
            // reserved for root, and more
            ("/dev/sda1 1000 990 -40 104% /opt", 990, 0, "/opt"),
            // inodes
            (
                "/dev/vda       16777216 459107 16318109    3% /",
                16_777_216,
                16_318_109,
                "/",
            ),
        ] {
            let room = Room {
                total,
                free,
                mount: mount.into(),
            };
            assert_eq!(read(line), Some(room), "{line}");
        }
        for line in [
            "",
            "proc                  0      0        0     - /proc",
            "proc                         0         0         0   0% /proc",
            "Filesystem 1024-blocks Used Available Capacity Mounted on",
            "df: /x: No such file or directory",
        ] {
            assert_eq!(read(line), None, "{line}");
        }
    }

    #[test]
    fn little_room_is_a_share_or_an_amount() {
        let of = |total: u64, free: u64| {
            let room = Room {
                total,
                free,
                mount: "/".into(),
            };
            (room.of_space().0, room.of_inodes().0)
        };
        let gib = 1024 * 1024;
        assert_eq!(of(100 * gib, 5 * gib), (Verdict::Enough, Verdict::Enough));
        assert_eq!(
            of(100 * gib, 5 * gib - 1),
            (Verdict::Little, Verdict::Little)
        );
        assert_eq!(of(gib, LEAST_KIB - 1), (Verdict::Little, Verdict::Enough));
        assert_eq!(of(gib, LEAST_KIB), (Verdict::Enough, Verdict::Enough));
        assert_eq!(of(gib, 0), (Verdict::Full, Verdict::Full));
    }

    #[test]
    fn sizes_are_for_people() {
        assert_eq!(size(1023), "1023 KiB");
        assert_eq!(size(1024 * 700), "700 MiB");
        assert_eq!(size(1024 * 1024 * 69), "69 GiB");
    }
}
