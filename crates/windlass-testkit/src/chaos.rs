//! What the tests that break things share: numbers that are the same again for the same seed, how much to do, a report.
//!
//! A few cases each time; all of them with `./test chaos`, which sets `WINDLASS_CHAOS=full`. `WINDLASS_SEED` chooses the same cases
//! again, `WINDLASS_COUNT` says how many, and `WINDLASS_REPORT` names a folder in which each trial leaves what it found.

use std::fmt::Display;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

/// Numbers that look random and are the same again for the same seed (SplitMix64).
#[derive(Clone, Debug)]
pub struct Numbers(u64);

impl Numbers {
    /// From a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Numbers for one case of many: the same whichever cases came before it.
    pub fn of_case(seed: u64, case: u64) -> Self {
        Self(Self(seed ^ case.wrapping_mul(0xD605_BBB5_8C8A_BC03)).any())
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// From 0 to below `limit`, which is at least 1.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.any() % limit.max(1)
    }

    /// From 0 to below 1.
    pub fn part(&mut self) -> f64 {
        (self.any() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True in so many of a hundred cases.
    pub fn percent(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// One of these; none of none.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> Option<&'a T> {
        let at = self.below(from.len() as u64) as usize;
        from.get(at)
    }

    /// Another order.
    pub fn shuffle<T>(&mut self, all: &mut [T]) {
        for last in (1..all.len()).rev() {
            all.swap(last, self.below(last as u64 + 1) as usize);
        }
    }
}

/// One trial: its name, its seed, how much it does, what it reports.
pub struct Trial {
    name: &'static str,
    seed: u64,
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok()?.parse().ok()
}

/// Whether everything is to be tried, and not a sample.
pub fn is_full() -> bool {
    std::env::var_os("WINDLASS_CHAOS").is_some_and(|value| value == "full")
}

impl Trial {
    /// Begins; says with which seed.
    pub fn begin(name: &'static str) -> Self {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        let of_now = now.map_or(0, |now| u64::from(now.subsec_nanos()) ^ now.as_secs());
        Self::of(name, of_now)
    }

    /// The same, but a sample is always of this seed: for a trial that a seed decides altogether, so that a sample which fails says
    /// that something has changed.
    pub fn begin_with(name: &'static str, seed: u64) -> Self {
        if is_full() {
            Self::begin(name)
        } else {
            Self::of(name, seed)
        }
    }

    fn of(name: &'static str, seed: u64) -> Self {
        let trial = Self {
            name,
            seed: number("WINDLASS_SEED").unwrap_or(seed),
        };
        trial.say(format_args!(
            "seed {0}; the same again: WINDLASS_SEED={0} ./test chaos {name}",
            trial.seed
        ));
        trial
    }

    /// How many cases: `sample` each time, `full` when everything is tried, unless somebody says how many.
    pub fn count(&self, sample: u64, full: u64) -> u64 {
        let usual = if is_full() { full } else { sample };
        number("WINDLASS_COUNT").unwrap_or(usual)
    }

    /// The numbers of one case.
    pub fn case(&self, case: u64) -> Numbers {
        Numbers::of_case(self.seed, case)
    }

    /// The seed.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// A line for whoever watches.
    #[expect(
        clippy::print_stdout,
        reason = "a trial takes minutes and tells how it goes"
    )]
    pub fn say(&self, line: impl Display) {
        println!("{}: {line}", self.name);
    }

    /// A line for the report, which is said as well.
    pub fn report(&self, line: impl Display) {
        self.say(&line);
        let Some(folder) = std::env::var_os("WINDLASS_REPORT").map(PathBuf::from) else {
            return;
        };
        let path = folder.join(format!("{}.txt", self.name));
        let written = fs::create_dir_all(&folder).and_then(|()| {
            let mut file = OpenOptions::new().create(true).append(true).open(&path)?;
            writeln!(file, "{line}")
        });
        if let Err(error) = written {
            self.say(format_args!("{}: {error}", path.display()));
        }
    }
}

/// Times, for a median and the ninety-ninth of a hundred.
#[derive(Clone, Debug, Default)]
pub struct Times(Vec<Duration>);

impl Times {
    /// One more.
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    /// The time that this part of all (0 to 1) do not exceed; none of none.
    pub fn at(&self, part: f64) -> Option<Duration> {
        let mut all = self.0.clone();
        all.sort_unstable();
        let last = all.len().checked_sub(1)?;
        all.get((part * last as f64).round() as usize).copied()
    }
}

impl Display for Times {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let seconds = |part| self.at(part).unwrap_or_default().as_secs_f64();
        let (median, most, longest) = (seconds(0.5), seconds(0.99), seconds(1.0));
        write!(
            f,
            "{} times: median {median:.3} s, p99 {most:.3} s, longest {longest:.3} s",
            self.0.len()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_case_by_case() {
        let numbers = |case| {
            let mut numbers = Numbers::of_case(7, case);
            [numbers.any(), numbers.below(10), numbers.any()]
        };
        assert_eq!(numbers(3), numbers(3));
        assert_ne!(numbers(3), numbers(4));
        assert!((0..1000).all(|case| Numbers::of_case(1, case).part() < 1.0));
    }

    #[test]
    fn times_are_told_by_their_order() {
        let mut times = Times::default();
        assert_eq!(times.at(0.5), None);
        (1..=101)
            .rev()
            .for_each(|n| times.add(Duration::from_secs(n)));
        assert_eq!(times.at(0.5), Some(Duration::from_secs(51)));
        assert_eq!(times.at(0.99), Some(Duration::from_secs(100)));
        assert_eq!(times.at(1.0), Some(Duration::from_secs(101)));
    }
}
