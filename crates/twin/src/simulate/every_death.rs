//! The execution is cut off at each event of its history, and goes on: by a redrive, by a new run that somebody starts once the
//! old one is closed, or by whatever Muster does itself.

use std::collections::BTreeMap;

use muster_core::Duration;

use super::Trial;
use super::every_call::positions;
use crate::faults::{Afterwards, Fault};
use crate::rehearse::Recording;
use crate::scenario::{Planned, Scenario, When};

/// How an execution that was cut off goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It is redriven half a minute later.
    Redriven,
    /// It is redriven once the janitor has closed its run.
    RedrivenLate,
    /// Its run is closed, and somebody starts the flow by hand.
    StartedAgain,
    /// Nobody does anything.
    Left,
}

impl Cut {
    /// All of them.
    pub const ALL: [Cut; 4] = [Cut::Redriven, Cut::RedrivenLate, Cut::StartedAgain, Cut::Left];

    fn in_words(self) -> (&'static str, Afterwards) {
        match self {
            Cut::Redriven => ("cut-and-redriven", Afterwards::Redriven { after: Duration::from_secs(30) }),
            Cut::RedrivenLate => ("cut-and-redriven-late", Afterwards::Redriven { after: Duration::from_mins(12) }),
            Cut::StartedAgain => ("cut-and-started-again", Afterwards::StartedAgain),
            Cut::Left => ("cut-and-left", Afterwards::Left),
        }
    }
}

/// A trial for each kind of event in each state, at the first, the last, and as many between them as make `most`; with `most`
/// as large as the history, for each event.
pub fn every_death(base: usize, scenario: &Scenario, recording: &Recording, most: u64) -> Vec<Trial> {
    let mut places: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for (index, event) in recording.events.iter().enumerate() {
        places.entry(event).or_default().push(index as u64 + 1);
    }
    let mut chosen: Vec<(u64, &str)> = Vec::new();
    for (event, places) in &places {
        chosen.extend(positions(places.len() as u64, most).into_iter().map(|position| (places[position as usize - 1], *event)));
    }
    chosen.sort_unstable();
    let mut trials = Vec::new();
    for (nth, event) in chosen {
        for cut in Cut::ALL {
            let (name, then) = cut.in_words();
            let mut scenario = scenario.clone();
            scenario.faults.push(Planned { name, when: When::HistoryEvent { nth }, fault: Fault::ExecutionStopped { then } });
            // By the time of a late redrive the run is closed, and the execution changes nothing more.
            let is_left = matches!(cut, Cut::Left | Cut::RedrivenLate);
            trials.push(Trial { what: format!("{name}: event {nth}, {event}"), scenario, base, is_left });
        }
    }
    trials
}
