//! Reads ssh_config files, includes and all, into blocks: a condition and the settings that hold under it.

use std::collections::HashMap;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use windlass_model::{Diagnostic, Diagnostics, Source, Span};

use super::keys::{self, Setting};
use super::pattern::{is_literal, matches};
use super::words::{self, words};

/// Files may include files this deep, as in OpenSSH.
const MAX_DEPTH: usize = 16;
/// Files read in all; more is a loop of includes.
const MAX_FILES: usize = 1000;
/// Bytes of one file.
const MAX_SIZE: u64 = 8 << 20;

/// Whose file it is: what a relative Include starts from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    User,
    System,
}

/// When a block holds.
#[derive(Debug)]
pub(super) enum Condition {
    Always,
    /// When that block held: the start of an included file, and what follows an Include.
    As(usize),
    Host(Vec<String>),
    Match(Vec<Criterion>),
}

/// One word of a Match line.
#[derive(Debug)]
pub(super) struct Criterion {
    pub(super) negated: bool,
    pub(super) of: Subject,
    /// Patterns, between commas.
    pub(super) list: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Subject {
    All,
    Host,
    OriginalHost,
    User,
    LocalUser,
    /// The second reading, which it asks for.
    Final,
    /// The second reading, if there is one.
    Canonical,
    /// Only OpenSSH can tell (`exec`, `localnetwork`, ...).
    Other,
}

#[derive(Debug)]
pub(super) struct Block {
    /// Must hold as well: the block that the Include stands in.
    pub(super) within: Option<usize>,
    pub(super) condition: Condition,
    pub(super) settings: Vec<Setting>,
    /// Host names without which the block cannot hold; `None`: any.
    names: Option<Arc<[String]>>,
}

/// All blocks of all files, in the order in which OpenSSH would meet them.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    pub(super) all: Vec<Block>,
    /// Whether some Match asks for `final`.
    pub(super) wants_final: bool,
    anywhere: Vec<usize>,
    by_name: HashMap<String, Vec<usize>>,
}

impl Blocks {
    /// The blocks that may hold for `host`, in order.
    pub(super) fn candidates(&self, host: &str) -> Vec<usize> {
        let named = self.by_name.get(host).map_or(&[][..], Vec::as_slice);
        let mut both: Vec<usize> = self.anywhere.iter().chain(named).copied().collect();
        both.sort_unstable();
        both.dedup();
        both
    }

    fn index(&mut self) {
        for (i, block) in self.all.iter().enumerate() {
            match &block.names {
                None => self.anywhere.push(i),
                Some(names) => names.iter().for_each(|n| {
                    self.by_name.entry(n.clone()).or_default().push(i);
                }),
            }
        }
    }

    fn open(&mut self, within: Option<usize>, condition: Condition) -> usize {
        let outer = |i: usize| self.all.get(i).and_then(|b| b.names.clone());
        let names = match &condition {
            Condition::Host(list) if list.iter().all(|p| is_literal(p)) => {
                Some(list.clone().into())
            }
            Condition::As(i) => outer(*i),
            _ => within.and_then(outer),
        };
        self.all.push(Block {
            within,
            condition,
            settings: Vec::new(),
            names,
        });
        self.all.len() - 1
    }
}

/// Reads files one after another; finds all that is wrong with them.
pub(super) struct Reader<'a> {
    home: Option<&'a Path>,
    blocks: Blocks,
    problems: Diagnostics,
    files: usize,
    ignore_unknown: Vec<String>,
}

/// Where an Include stands.
struct Includer<'a> {
    source: &'a Arc<Source>,
    span: Span,
    block: usize,
    depth: usize,
    kind: Kind,
}

impl<'a> Reader<'a> {
    pub(super) fn new(home: Option<&'a Path>) -> Self {
        Self {
            home,
            blocks: Blocks::default(),
            problems: Diagnostics::new(),
            files: 0,
            ignore_unknown: Vec::new(),
        }
    }

    /// Reads a file that must be there.
    pub(super) fn named(&mut self, path: &Path) {
        if !self.file(path, Kind::User, false, None) {
            self.problems.push(
                Diagnostic::error(format!("{}: no such ssh_config file", path.display()))
                    .hint("give the path of an existing file, or none to read ~/.ssh/config"),
            );
        }
    }

    /// Reads a file if it is there. That of a user must not be writable for others.
    pub(super) fn usual(&mut self, path: &Path, kind: Kind) {
        self.file(path, kind, kind == Kind::User, None);
    }

    pub(super) fn finish(mut self) -> Result<Blocks, Diagnostics> {
        self.blocks.index();
        self.problems.or(self.blocks)
    }

    /// Whether the file exists.
    fn file(
        &mut self,
        path: &Path,
        kind: Kind,
        checked: bool,
        from: Option<&Includer<'_>>,
    ) -> bool {
        self.files += 1;
        let text = match read(path, checked) {
            Ok(Some(text)) => text,
            Ok(None) => return false,
            Err((why, hint)) => {
                let problem = Diagnostic::error(format!("{}: {why}", path.display())).hint(hint);
                self.problems.push(match from {
                    Some(from) => problem.at(from.source, from.span),
                    None => problem,
                });
                return true;
            }
        };
        let source = Source::new(path.display().to_string(), text);
        let within = from.map(|f| f.block);
        let depth = from.map_or(0, |f| f.depth);
        let mut block = self
            .blocks
            .open(None, within.map_or(Condition::Always, Condition::As));
        let mut offset = 0;
        for (i, text) in source.text().split_inclusive('\n').enumerate() {
            let start = offset + text.len() - text.trim_start().len();
            let span = Span::new(start, offset + text.trim_end().len());
            offset += text.len();
            let Some(line) = words::line(text) else {
                continue;
            };
            let place = format!("{}:{}", source.name(), i + 1);
            let here = Includer {
                source: &source,
                span,
                block,
                depth,
                kind,
            };
            match self.line(&line, &place, &here, within) {
                Ok(Some(next)) => block = next,
                Ok(None) => {}
                Err(why) => self
                    .problems
                    .push(Diagnostic::error(why).at(&source, span).key(line.key)),
            }
        }
        true
    }

    /// The block that begins with this line, if one does.
    fn line(
        &mut self,
        line: &words::Line<'_>,
        place: &str,
        here: &Includer<'_>,
        within: Option<usize>,
    ) -> Result<Option<usize>, String> {
        if line.rest.contains('\u{fffd}') {
            return Err("the value is not UTF-8".into());
        }
        let words = words(line.rest).ok_or("a quote is not closed")?;
        let key = line.key.to_ascii_lowercase();
        match key.as_str() {
            "host" => {
                if words.is_empty() || words.iter().any(|w| w.is_empty() || w == "!") {
                    return Err("a host name or pattern is wanted".into());
                }
                return Ok(Some(self.blocks.open(within, Condition::Host(words))));
            }
            "match" => {
                let criteria = criteria(&words)?;
                self.blocks.wants_final |= criteria.iter().any(|c| c.of == Subject::Final);
                return Ok(Some(self.blocks.open(within, Condition::Match(criteria))));
            }
            "include" => {
                if words.is_empty() {
                    return Err("a file or pattern is wanted".into());
                }
                for word in &words {
                    self.include(word, here)?;
                }
                return Ok(Some(self.blocks.open(None, Condition::As(here.block))));
            }
            "ignoreunknown" => {
                let lists = words.iter().flat_map(|w| w.split(','));
                self.ignore_unknown
                    .extend(lists.map(str::to_ascii_lowercase));
            }
            _ => {
                let setting = keys::setting(&key, &words, line.rest, place)?;
                let hidden = self.ignore_unknown.iter().any(|p| matches(&key, p));
                let unknown = matches!(setting, Some(Setting::Other { .. }));
                if let (Some(block), Some(setting), false) = (
                    self.blocks.all.get_mut(here.block),
                    setting,
                    hidden && unknown,
                ) {
                    block.settings.push(setting);
                }
            }
        }
        Ok(None)
    }

    fn include(&mut self, word: &str, here: &Includer<'_>) -> Result<(), String> {
        if here.depth + 1 >= MAX_DEPTH {
            return Err(format!("files include files more than {MAX_DEPTH} deep"));
        }
        let pattern = self.anchored(word, here.kind)?;
        let options = glob::MatchOptions {
            require_literal_separator: true,
            require_literal_leading_dot: true,
            ..glob::MatchOptions::new()
        };
        let paths = glob::glob_with(&pattern.to_string_lossy(), options)
            .map_err(|e| format!("`{word}` is not a pattern of files: {e}"))?;
        for path in paths {
            if self.files >= MAX_FILES {
                return Err(format!("more than {MAX_FILES} files are included"));
            }
            let path = path.map_err(|e| format!("cannot look for `{word}`: {e}"))?;
            let inner = Includer {
                depth: here.depth + 1,
                ..*here
            };
            self.file(&path, here.kind, false, Some(&inner));
        }
        Ok(())
    }

    fn anchored(&self, word: &str, kind: Kind) -> Result<PathBuf, String> {
        if word.starts_with('/') {
            return Ok(word.into());
        }
        if word.contains("${") || word.contains('%') {
            return Err(
                "variables and tokens in an Include are not supported: write the path".into(),
            );
        }
        if kind == Kind::System {
            return match word.strip_prefix('~') {
                Some(_) => Err("a system-wide file cannot include from a home directory".into()),
                None => Ok(Path::new("/etc/ssh").join(word)),
            };
        }
        let home = self
            .home
            .ok_or("the home directory is not known: write an absolute path")?;
        // Only the pattern itself may hold wildcards.
        let home = PathBuf::from(glob::Pattern::escape(&home.to_string_lossy()));
        match word.strip_prefix('~') {
            Some(tail) => match tail.strip_prefix('/') {
                Some(tail) => Ok(home.join(tail)),
                None => Err(format!(
                    "`{word}`: only one's own ~ is supported: write an absolute path"
                )),
            },
            None => Ok(home.join(".ssh").join(word)),
        }
    }
}

/// The text of a file, `None` when it does not exist, or what is wrong and what to do.
fn read(path: &Path, checked: bool) -> Result<Option<String>, (String, String)> {
    use std::os::unix::fs::MetadataExt as _;
    let failed = |e: std::io::Error| (e.to_string(), "make it readable, or remove it".to_owned());
    let absent = [
        std::io::ErrorKind::NotFound,
        std::io::ErrorKind::NotADirectory,
    ];
    let meta = match std::fs::metadata(path) {
        Ok(meta) => meta,
        Err(e) if absent.contains(&e.kind()) => return Ok(None),
        Err(e) => return Err(failed(e)),
    };
    if !meta.is_file() && path != Path::new("/dev/null") {
        return Err((
            "not a regular file".into(),
            "an ssh_config file is wanted".into(),
        ));
    }
    let me = rustix::process::getuid().as_raw();
    if checked && ((meta.uid() != 0 && meta.uid() != me) || meta.mode() & 0o022 != 0) {
        return Err((
            "bad owner or permissions: others could change it".into(),
            format!(
                "chmod go-w {0}; it must belong to you or root",
                path.display()
            ),
        ));
    }
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(failed)?;
    file.take(MAX_SIZE + 1)
        .read_to_end(&mut bytes)
        .map_err(failed)?;
    if bytes.len() as u64 > MAX_SIZE {
        return Err((
            format!("larger than {MAX_SIZE} bytes"),
            "an ssh_config file is wanted".into(),
        ));
    }
    Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
}

fn criteria(words: &[String]) -> Result<Vec<Criterion>, String> {
    let mut criteria = Vec::new();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let (name, mut value) = match word.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (word.as_str(), None),
        };
        let (negated, name) = match name.strip_prefix('!') {
            Some(name) => (true, name),
            None => (false, name),
        };
        let lower = name.to_ascii_lowercase();
        let of = match lower.as_str() {
            "all" => Subject::All,
            "host" => Subject::Host,
            "originalhost" => Subject::OriginalHost,
            "user" => Subject::User,
            "localuser" => Subject::LocalUser,
            "final" => Subject::Final,
            "canonical" => Subject::Canonical,
            "exec" | "localnetwork" | "tagged" | "command" | "version" | "sessiontype" => {
                Subject::Other
            }
            _ => return Err(format!("`{name}` is not a criterion of Match")),
        };
        let mut list = String::new();
        match of {
            Subject::Final | Subject::Canonical => {}
            // As lenient as OpenSSH, which means it for `final all`.
            Subject::All => {
                if criteria.len() > 1 || words.next().is_some() {
                    return Err("`all` stands alone, or behind `final` or `canonical`".into());
                }
            }
            _ => {
                list = value
                    .take()
                    .filter(|v| !v.is_empty())
                    .or_else(|| words.next().cloned())
                    .filter(|v| !v.is_empty())
                    .ok_or_else(|| format!("`{name}` wants a value"))?;
            }
        }
        criteria.push(Criterion { negated, of, list });
    }
    if criteria.is_empty() {
        return Err(
            "Match wants a criterion: host, originalhost, user, localuser, all, ...".into(),
        );
    }
    Ok(criteria)
}
