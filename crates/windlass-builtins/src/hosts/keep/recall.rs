//! What a host still knows of kept work.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use windlass_engine::host::{HostError, HostErrorKind, Keep, Kept};
use windlass_model::ids::TaskId;
use windlass_model::step::Reply;

use super::{LOST, PLACES, PROCESSES, SHOWN, name};
use crate::hosts::marker::{Mark, Piece};
use crate::hosts::script;
use crate::hosts::shell::Door;
use crate::hosts::transport::{Patience, Said, StartError};

/// How long asking may take.
const ASK: Duration = Duration::from_secs(60);
/// What is kept of the output of all steps together, in bytes.
const ALL_SHOWN: usize = 16 * SHOWN;

/// What the host said.
pub(crate) struct Answer {
    /// What is known.
    pub(crate) kept: Kept,
    /// The process group that still does it.
    pub(crate) group: Option<i32>,
}

/// Asks through a shell of its own. Changes nothing there.
pub(crate) async fn recall(door: &Door, keep: &Keep, task: TaskId) -> Result<Answer, HostError> {
    let mut reading = Reading::default();
    let text = |nonce: &str| script::wrap(nonce, &ask(nonce, keep, &name(keep, task)));
    speak(door, keep, Patience::Turn, text, |piece| {
        reading.take(piece)
    })
    .await?;
    reading
        .end
        .ok_or_else(|| lost(door, "it did not say what it keeps"))
}

/// Has a shell run a program of ours to its end.
pub(super) async fn speak(
    door: &Door,
    keep: &Keep,
    patience: Patience,
    text: impl FnOnce(&str) -> String,
    mut heard: impl FnMut(Piece),
) -> Result<(), HostError> {
    let spoken = async {
        let mut opened = door.open(&keep.user, patience).await.map_err(|e| match e {
            StartError::Host(error) => error,
            StartError::Busy => lost(door, "it starts no program for us"),
        })?;
        let text = text(&opened.nonce);
        // a shell that is gone says so below
        let _ = opened.process.stdin.write_all(text.as_bytes()).await;
        let _ = opened.process.stdin.shutdown().await;
        loop {
            match opened.process.events.recv().await {
                Some(Said::Out(bytes)) => opened.out.feed(&bytes).into_iter().for_each(&mut heard),
                Some(Said::Err(_)) => {}
                Some(Said::Exit(Some(_))) => return Ok(()),
                Some(Said::Exit(None)) | None => return Err(lost(door, "the link was lost")),
            }
        }
    };
    tokio::time::timeout(ASK, spoken)
        .await
        .unwrap_or_else(|_| Err(lost(door, "no answer to what it keeps")))
}

fn lost(door: &Door, what: &str) -> HostError {
    HostError::new(
        HostErrorKind::Lost,
        format!("{}: {what}", door.transport.host()),
    )
}

/// Says `k ...` for every step that has a status, its output before it, then how it stands.
///
/// Whether a process lives is looked at before its status is: one that is dead by then has written all that it ever will.
fn ask(nonce: &str, keep: &Keep, name: &str) -> String {
    let word = |words: &str| script::word(nonce, words);
    let (directory, from) = (keep.directory(), keep.from);
    format!(
        r#"{PLACES}{PROCESSES}w_find "{directory}" || {{ {lost}; exit 0; }}
w_k=$w_d/{name} w_n={from}
w_read() {{ {{ read -r w_c w_pg w_pgt w_p w_pt w_pb <"$w_k.$w_n.begun"; }} 2>/dev/null; }}
w_lives() {{
[ "$w_pb" = "$w_boot" ] || return 1
w_start "$w_p"
[ "$w_z" != Z ] && [ -n "$w_t" ] && [ "$w_t" != - ] && [ "$w_t" = "$w_pt" ] && return 0
w_start "$w_pg"
case $w_t in ''|-|"$w_pgt") ;; *) return 1;; esac
w_group
}}
w_group() {{
[ -r /proc/$$/stat ] || {{ kill -0 -$w_pg 2>/dev/null; return; }}
for w_f in /proc/[0-9]*/stat; do
{{ read -r w_l <"$w_f"; }} 2>/dev/null || continue
set -- ${{w_l##*) }}
[ "$1" != Z ] && [ "$3" = "$w_pg" ] && return 0
done
return 1
}}
if [ ! -e "$w_k.$w_n.begun" ]; then
w_a=
{{ read -r w_a <"$w_d/boot"; }} 2>/dev/null
case $w_a in "$w_boot") {never};; {LOST}) {lost};; *) {cut};; esac
exit 0
fi
while [ -e "$w_k.$w_n.begun" ]; do
w_read || {{ sleep 1; w_read; }} || {{ {cut}; exit 0; }}
w_e=on
while [ "$w_e" = on ]; do
w_a=; w_lives && w_a=1
if {{ read -r w_s w_e <"$w_k.$w_n.status"; }} 2>/dev/null; then
{out}; [ ! -s "$w_k.$w_n.out" ] || head -c {SHOWN} "$w_k.$w_n.out"
{err}; [ ! -s "$w_k.$w_n.err" ] || head -c {SHOWN} "$w_k.$w_n.err"
{status}
w_n=$((w_n+1))
elif [ -n "$w_a" ]; then {runs}; exit 0
else {cut}; exit 0; fi
done
done
{ended}
exit 0
"#,
        never = word("k never"),
        lost = word("k lost"),
        cut = word("k cut"),
        out = word("k out"),
        err = word("k err"),
        status = word("k status $w_s"),
        runs = word("k runs $w_pg"),
        ended = word("k ended"),
    )
}

/// Puts the answer together.
#[derive(Default)]
struct Reading {
    replies: Vec<Reply>,
    out: Vec<u8>,
    err: Vec<u8>,
    /// Which of the two comes.
    is_err: bool,
    all: usize,
    end: Option<Answer>,
}

impl Reading {
    fn take(&mut self, piece: Piece) {
        let words = match piece {
            Piece::Bytes(bytes) => {
                let room = ALL_SHOWN.saturating_sub(self.all);
                let bytes = bytes.get(..room).unwrap_or(&bytes);
                self.all += bytes.len();
                let side = if self.is_err {
                    &mut self.err
                } else {
                    &mut self.out
                };
                side.extend_from_slice(bytes);
                return;
            }
            Piece::Mark(Mark::Word(words)) => words,
            Piece::Mark(_) => return,
        };
        match *words.split(' ').collect::<Vec<_>>() {
            ["k", "out"] => self.is_err = false,
            ["k", "err"] => self.is_err = true,
            ["k", "status", status] => {
                let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
                let (stdout, stderr) = (
                    text(std::mem::take(&mut self.out)),
                    text(std::mem::take(&mut self.err)),
                );
                match status.parse() {
                    Ok(status) => self.replies.push(Reply::Ran {
                        status,
                        stdout,
                        stderr,
                    }),
                    // whatever wrote that, it was no shell of ours
                    Err(_) => self.end(Kept::CutOff, None),
                }
            }
            ["k", "never"] => self.end(Kept::NotBegun, None),
            ["k", "lost"] => self.end(Kept::Nothing, None),
            ["k", "cut"] => self.end(Kept::CutOff, None),
            ["k", "runs", group] => self.end(Kept::Running, group.parse().ok()),
            ["k", "ended"] => {
                let replies = std::mem::take(&mut self.replies);
                self.end(Kept::Ended(replies), None);
            }
            _ => {}
        }
    }

    /// The first end stands.
    fn end(&mut self, kept: Kept, group: Option<i32>) {
        self.end.get_or_insert(Answer { kept, group });
    }
}
