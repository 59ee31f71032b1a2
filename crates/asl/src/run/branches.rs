//! Runs several threads of one execution side by side, in a fixed order.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use crate::clock::LocalBoxFuture;
use crate::context::Thread;
use crate::failure::Failure;
use crate::value::Value;

/// One branch or iteration that is under way.
pub(super) struct Running<'a> {
    pub(super) index: usize,
    pub(super) thread: Rc<Thread>,
    pub(super) future: LocalBoxFuture<'a, Result<Value, Failure>>,
}

/// Waits until one of `running` ends and takes it out. They are polled in the order of their start, so
/// that the same events always give the same order.
pub(super) async fn first_to_end<'a>(running: &mut Vec<Running<'a>>) -> (usize, Rc<Thread>, Result<Value, Failure>) {
    poll_fn(|context| {
        for place in 0..running.len() {
            if let Poll::Ready(result) = running[place].future.as_mut().poll(context) {
                let ended = running.remove(place);
                return Poll::Ready((ended.index, ended.thread, result));
            }
        }
        Poll::Pending
    })
    .await
}
