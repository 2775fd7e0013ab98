//! What is wrong with an input: what, where, and what to do about it.
//!
//! Checks collect every problem they find into [`Diagnostics`]; nothing stops at the first.

use std::fmt;
use std::sync::{Arc, OnceLock};

/// A text that somebody wrote, with the name by which messages call it (usually a path).
pub struct Source {
    name: String,
    text: String,
    line_starts: OnceLock<Vec<u32>>,
}

impl Source {
    /// Takes `text` under `name`. Texts of 4 GiB and more cannot be addressed by a [`Span`]; callers refuse
    /// them when reading.
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Arc<Self> {
        Arc::new(Self {
            name: name.into(),
            text: text.into(),
            line_starts: OnceLock::new(),
        })
    }

    /// The name that messages use.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The same text with the bytes of `span` as stars: for a message about a secret that was written openly.
    pub fn masked(&self, span: Span) -> Arc<Self> {
        let (start, end) = (span.start as usize, span.end as usize);
        let masked = match (
            self.text.get(..start),
            self.text.get(start..end),
            self.text.get(end..),
        ) {
            (Some(head), Some(secret), Some(tail)) => {
                // As many bytes as before, so that other places stay right.
                let star = |byte: u8| {
                    if matches!(byte, b'\n' | b'\r') {
                        byte.into()
                    } else {
                        '*'
                    }
                };
                let stars: String = secret.bytes().map(star).collect();
                format!("{head}{stars}{tail}")
            }
            _ => String::new(),
        };
        Self::new(self.name.clone(), masked)
    }

    /// Line and column, both from 1; the column counts characters. An offset past the end is the end.
    pub fn line_column(&self, offset: u32) -> (usize, usize) {
        let starts = self.line_starts();
        let offset = offset.min(self.text.len() as u32);
        let line = starts.partition_point(|s| *s <= offset).max(1);
        let start = starts.get(line - 1).copied().unwrap_or(0) as usize;
        let column = self
            .text
            .get(start..offset as usize)
            .map_or(0, |s| s.chars().count());
        (line, column + 1)
    }

    /// The line, from 1, without its break.
    fn line(&self, number: usize) -> &str {
        let starts = self.line_starts();
        let start = |n: usize| starts.get(n).map_or(self.text.len(), |s| *s as usize);
        self.text
            .get(start(number.saturating_sub(1))..start(number))
            .unwrap_or("")
            .trim_end_matches(['\n', '\r'])
    }

    fn line_starts(&self) -> &[u32] {
        self.line_starts.get_or_init(|| {
            let breaks = self.text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
            std::iter::once(0)
                .chain(breaks.map(|(i, _)| i as u32 + 1))
                .collect()
        })
    }
}

impl fmt::Debug for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source").field("name", &self.name).finish()
    }
}

/// A range of bytes in a [`Source`]: `start` inclusive, `end` exclusive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// One past the last byte.
    pub end: u32,
}

impl Span {
    /// The span of the given bytes; offsets beyond 4 GiB are clamped.
    pub fn new(start: usize, end: usize) -> Self {
        let clamp = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        Self {
            start: clamp(start),
            end: clamp(end),
        }
    }
}

/// A place in a source.
#[derive(Clone, Debug)]
pub struct Place {
    /// The text.
    pub source: Arc<Source>,
    /// Where in it.
    pub span: Span,
}

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// Nothing is begun.
    Error,
    /// Work goes on.
    Warning,
}

/// One problem.
#[derive(Clone, Debug)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong: one sentence without a full stop.
    pub message: String,
    /// Where, if it stands in a text.
    pub place: Option<Place>,
    /// The path of the key: `service.shop.hosts`, `stages[2].tasks[1].source`.
    pub key: Option<String>,
    /// Which stage and task: `stage "Upload", task 1.2.1 (upload)`.
    pub task: Option<String>,
    /// What to do.
    pub hint: Option<String>,
}

impl Diagnostic {
    /// An error.
    pub fn error(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Error,
            message: message.into(),
            place: None,
            key: None,
            task: None,
            hint: None,
        }
    }

    /// A warning.
    pub fn warning(message: impl Into<String>) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(message)
        }
    }

    /// With its place.
    pub fn at(mut self, source: &Arc<Source>, span: Span) -> Self {
        self.place = Some(Place {
            source: source.clone(),
            span,
        });
        self
    }

    /// With the path of the key.
    pub fn key(mut self, key: impl Into<String>) -> Self {
        self.key = Some(key.into());
        self
    }

    /// With the task that it is about.
    pub fn task(mut self, task: impl Into<String>) -> Self {
        self.task = Some(task.into());
        self
    }

    /// With what to do.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl Diagnostic {
    /// The same on one line, for the log: place, message, and what to do in brackets.
    pub fn one_line(&self) -> String {
        let place = self.place.as_ref().map_or(String::new(), |place| {
            let (line, column) = place.source.line_column(place.span.start);
            format!("{}:{line}:{column}: ", place.source.name())
        });
        let hint = self
            .hint
            .as_ref()
            .map_or(String::new(), |hint| format!(" ({hint})"));
        format!("{place}{}{hint}", self.message)
    }
}

impl fmt::Display for Diagnostic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let severity = match self.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let mut gutter = 2;
        match &self.place {
            Some(place) => {
                let (line, column) = place.source.line_column(place.span.start);
                let name = place.source.name();
                writeln!(f, "{severity}: {name}:{line}:{column}: {}", self.message)?;
                gutter = excerpt(f, place, line, column)?;
            }
            None => writeln!(f, "{severity}: {}", self.message)?,
        }
        let pad = " ".repeat(gutter);
        if let Some(key) = &self.key {
            writeln!(f, "{pad}= key: {key}")?;
        }
        if let Some(task) = &self.task {
            writeln!(f, "{pad}= in: {task}")?;
        }
        if let Some(hint) = &self.hint {
            writeln!(f, "{pad}= hint: {hint}")?;
        }
        Ok(())
    }
}

/// The line with carets under the span. Long lines (a tasklist on one line) are cut around the place.
fn excerpt(
    f: &mut fmt::Formatter<'_>,
    place: &Place,
    line: usize,
    column: usize,
) -> Result<usize, fmt::Error> {
    const WIDTH: usize = 100;
    let text = place.source.line(line);
    let number = line.to_string();
    let gutter = number.len() + 1;
    if text.trim().is_empty() {
        return Ok(gutter);
    }
    let skip = if column > WIDTH / 2 && text.chars().count() > WIDTH {
        column - WIDTH / 2
    } else {
        0
    };
    let shown: String = text
        .chars()
        .skip(skip)
        .take(WIDTH)
        .map(|c| if c == '\t' { ' ' } else { c })
        .collect();
    let from = column - 1 - skip;
    let spanned = place
        .source
        .text()
        .get(place.span.start as usize..place.span.end as usize)
        .map_or(1, |s| s.lines().next().unwrap_or("").chars().count());
    let carets = spanned.clamp(1, shown.chars().count().saturating_sub(from).max(1));
    let pad = " ".repeat(gutter);
    writeln!(f, "{pad}|")?;
    writeln!(f, "{number} | {shown}")?;
    writeln!(f, "{pad}| {}{}", " ".repeat(from), "^".repeat(carets))?;
    Ok(gutter)
}

/// All problems of an input.
#[derive(Clone, Debug, Default)]
pub struct Diagnostics(pub Vec<Diagnostic>);

impl Diagnostics {
    /// None so far.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one.
    pub fn push(&mut self, diagnostic: Diagnostic) {
        self.0.push(diagnostic);
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: Diagnostics) {
        self.0.extend(other.0);
    }

    /// Whether any of them is an error.
    pub fn has_errors(&self) -> bool {
        self.0.iter().any(|d| d.severity == Severity::Error)
    }

    /// `value` when there is no error among them; warnings are dropped by this, so report them first.
    pub fn or<T>(self, value: T) -> Result<T, Diagnostics> {
        if self.has_errors() {
            Err(self)
        } else {
            Ok(value)
        }
    }
}

impl From<Diagnostic> for Diagnostics {
    fn from(diagnostic: Diagnostic) -> Self {
        Self(vec![diagnostic])
    }
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|d| d.fmt(f))
    }
}

impl std::error::Error for Diagnostics {}

/// The candidate that is nearest to `word`, if it is near enough to be a slip of the pen.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let limit = (word.chars().count() / 3).clamp(1, 3);
    candidates
        .into_iter()
        .map(|c| (strsim::damerau_levenshtein(word, c), c))
        .filter(|(distance, _)| *distance <= limit)
        .min()
        .map(|(_, c)| c)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_shown_with_its_line_and_carets() {
        let source = Source::new("windlass.yaml", "platform: rolling\nhots: [a]\n");
        let shown = Diagnostic::error("unknown key `hots`")
            .at(&source, Span::new(18, 22))
            .hint("did you mean `hosts`?")
            .to_string();
        assert_eq!(
            shown,
            "error: windlass.yaml:2:1: unknown key `hots`\n  |\n2 | hots: [a]\n  | ^^^^\n  = hint: did you mean `hosts`?\n"
        );
    }

    #[test]
    fn nearest_finds_slips_and_refuses_strangers() {
        assert_eq!(nearest("hots", ["hosts", "user"]), Some("hosts"));
        assert_eq!(nearest("uplaod", ["upload", "unpack"]), Some("upload"));
        assert_eq!(nearest("completely", ["upload", "unpack"]), None);
    }
}
