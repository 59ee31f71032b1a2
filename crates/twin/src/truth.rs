//! What really happened to each component of the plan, as no probe can know it.

use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::Timestamp;

/// When each component stopped serving, and when it served again.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    tracks: Vec<Track>,
    /// Their positions, by component.
    positions: BTreeMap<Arc<str>, usize>,
}

/// One component.
#[derive(Clone, Debug)]
pub struct Track {
    /// Its name in the plan.
    pub component: Arc<str>,
    serves: bool,
    /// When it first stopped serving.
    pub unavailable_from: Option<Timestamp>,
    /// When it last began to serve again.
    pub available_at: Option<Timestamp>,
}

impl Truth {
    /// Whether a component serves, from now on.
    pub(crate) fn set(&mut self, component: &Arc<str>, now: Timestamp, serves: bool) {
        let Some(track) = self.positions.get(component).map(|index| &mut self.tracks[*index]) else {
            self.positions.insert(component.clone(), self.tracks.len());
            self.tracks.push(Track { component: component.clone(), serves, unavailable_from: None, available_at: None });
            return;
        };
        if track.serves && !serves {
            track.unavailable_from = track.unavailable_from.or(Some(now));
            track.available_at = None;
        } else if !track.serves && serves && track.unavailable_from.is_some() {
            track.available_at = Some(now);
        }
        track.serves = serves;
    }

    /// Every component, in the plan's order.
    pub fn tracks(&self) -> &[Track] {
        &self.tracks
    }
}
