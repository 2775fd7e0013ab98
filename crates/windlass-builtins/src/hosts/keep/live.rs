//! What a kept step prints while it runs: its files are read now and then, by a short program of its own each time. So
//! nothing waits for it on the host, and a step that ends soon costs nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use windlass_engine::host::Keep;
use windlass_model::event::Stream;

use super::recall::speak;
use super::{PLACES, SHOWN};
use crate::hosts::conversation::Context;
use crate::hosts::marker::Piece;
use crate::hosts::script;
use crate::hosts::transport::Patience;

/// How long a step runs before it is looked at, and how long between looks at first.
const FIRST: Duration = Duration::from_secs(2);
/// The longest between looks at a step that prints nothing.
const LONGEST: Duration = Duration::from_secs(10);
/// How much of each stream is read at once, in bytes.
const READ: usize = 64 * 1024;

/// Sends what step `number` of the attempt `name` prints, up to [`SHOWN`] bytes a stream, until nobody takes it. Ends when
/// the host has no room for one more program.
pub(crate) async fn follow(
    cx: Arc<Context>,
    keep: Keep,
    name: String,
    number: usize,
    found: mpsc::Sender<(Stream, Vec<u8>)>,
) {
    let (mut out, mut err) = (0, 0);
    let mut pause = FIRST;
    loop {
        tokio::time::sleep(pause).await;
        let (mut new_out, mut new_err, mut is_err) = (Vec::new(), Vec::new(), false);
        let text = |nonce: &str| script::wrap(nonce, &look(nonce, &keep, &name, number, out, err));
        let heard = |piece: Piece| match piece {
            Piece::Bytes(bytes) if is_err => new_err.extend_from_slice(&bytes),
            Piece::Bytes(bytes) => new_out.extend_from_slice(&bytes),
            Piece::Mark(_) => is_err = true,
        };
        if speak(&cx.door, &keep, Patience::None, text, heard)
            .await
            .is_err()
        {
            return;
        }
        let is_silent = new_out.is_empty() && new_err.is_empty();
        pause = if is_silent {
            (pause * 2).min(LONGEST)
        } else {
            FIRST
        };
        for (stream, bytes, sofar) in [
            (Stream::Stdout, new_out, &mut out),
            (Stream::Stderr, new_err, &mut err),
        ] {
            *sofar += bytes.len();
            if !bytes.is_empty() && found.send((stream, bytes)).await.is_err() {
                return;
            }
        }
    }
}

fn look(nonce: &str, keep: &Keep, name: &str, number: usize, out: usize, err: usize) -> String {
    let directory = keep.directory();
    let part = |end: &str, from: usize| {
        let most = READ.min(SHOWN.saturating_sub(from));
        let begin = from + 1;
        format!("[ ! -s \"$w_k.{end}\" ] || tail -c +{begin} \"$w_k.{end}\" | head -c {most}\n")
    };
    format!(
        "{PLACES}w_find \"{directory}\" || exit 0\n\
         w_k=$w_d/{name}.{number}\n{}{}\n{}exit 0\n",
        part("out", out),
        script::word(nonce, "k err"),
        part("err", err),
    )
}
