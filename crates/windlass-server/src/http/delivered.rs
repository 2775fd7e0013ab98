//! An answer that tells when it has gone out.
//!
//! Python's client silently sends a call again when its connection was reset; the same request is the same transaction as
//! long as its answer did not go out. When it has, the next one is a new one.

use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use hyper::body::{Frame, SizeHint};
use windlass_model::release::TransactionId;

use crate::app::App;

/// A body that, once it was written, says that the requests in it were answered.
pub(super) fn body(bytes: Vec<u8>, app: &App, requested: Vec<TransactionId>) -> Body {
    if requested.is_empty() {
        return Body::from(bytes);
    }
    Body::new(Delivered {
        bytes: Some(Bytes::from(bytes)),
        requested,
        app: app.clone(),
    })
}

struct Delivered {
    bytes: Option<Bytes>,
    requested: Vec<TransactionId>,
    app: App,
}

impl hyper::body::Body for Delivered {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.bytes.take().map(|bytes| Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.bytes.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.bytes.as_ref().map_or(0, |bytes| bytes.len() as u64))
    }
}

impl Drop for Delivered {
    fn drop(&mut self) {
        if self.bytes.is_some() {
            return;
        }
        self.app.answered(std::mem::take(&mut self.requested));
    }
}
