//! Real time: for showing what virtual time has long decided, and for nothing else.

/// Lets the reader look for so many milliseconds.
pub(crate) fn pause(millis: u64) {
    std::thread::sleep(std::time::Duration::from_millis(millis));
}
