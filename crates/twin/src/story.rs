//! What happened, in words: for the live display, and for the story behind a violation.

use std::collections::VecDeque;
use std::sync::Arc;

use muster_core::{CallFault, Evidence, Timestamp};

/// Something that happened in a rehearsal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The estate changed, by itself or because it was asked to.
    Estate {
        /// When.
        at: Timestamp,
        /// What, in words.
        what: String,
    },
    /// A state of the state machine was entered.
    Phase {
        /// When.
        at: Timestamp,
        /// The execution.
        execution: Arc<str>,
        /// The state.
        state: Arc<str>,
    },
    /// Muster wrote down a fact.
    Evidence {
        /// When.
        at: Timestamp,
        /// The phase.
        phase: Arc<str>,
        /// The fact.
        evidence: Evidence,
    },
    /// Muster changed something, or failed to.
    Call {
        /// When.
        at: Timestamp,
        /// The action.
        action: Arc<str>,
        /// The operation.
        operation: &'static str,
        /// The resource.
        resource: Arc<str>,
        /// How it failed, if it did.
        fault: Option<CallFault>,
    },
    /// A channel accepted a message.
    Told {
        /// When.
        at: Timestamp,
        /// The channel.
        channel: Arc<str>,
        /// The message's first line.
        subject: String,
    },
}

impl Event {
    /// When it happened.
    pub fn at(&self) -> Timestamp {
        match self {
            Event::Estate { at, .. } | Event::Phase { at, .. } | Event::Evidence { at, .. } | Event::Call { at, .. } | Event::Told { at, .. } => *at,
        }
    }

    /// One line, with the time since the incident.
    pub fn line(&self, incident_at: Timestamp) -> String {
        let offset = self.at().as_millis() - incident_at.as_millis();
        let sign = if offset < 0 { '-' } else { '+' };
        let seconds = offset.unsigned_abs() / 1_000;
        let when = format!("T{sign}{:02}:{:02}:{:02}.{:03}", seconds / 3_600, seconds / 60 % 60, seconds % 60, offset.unsigned_abs() % 1_000);
        match self {
            Event::Estate { what, .. } => format!("{when}  {what}"),
            Event::Phase { execution, state, .. } => format!("{when}  {execution} enters {state}"),
            Event::Evidence { phase, evidence, .. } => format!("{when}  {phase} notes {evidence:?}"),
            Event::Call { action, operation, resource, fault: None, .. } => format!("{when}  {action} called {operation} on {resource}"),
            Event::Call { action, operation, resource, fault: Some(fault), .. } => format!("{when}  {action} called {operation} on {resource}: {fault:?}"),
            Event::Told { channel, subject, .. } => format!("{when}  told {channel}: {subject}"),
        }
    }
}

/// The last things that happened, and what the display has not shown yet.
#[derive(Clone, Debug, Default)]
pub struct Story {
    recent: VecDeque<Event>,
    unseen: Option<Vec<Event>>,
    untold: bool,
}

const REMEMBERED: usize = 80;

impl Story {
    /// Keeps everything for somebody who watches.
    pub fn watched() -> Self {
        Story { unseen: Some(Vec::new()), ..Story::default() }
    }

    /// Keeps nothing: for one of many rehearsals. The same seed tells it when somebody asks.
    pub(crate) fn untold() -> Self {
        Story { untold: true, ..Story::default() }
    }

    /// Whether somebody watches.
    pub(crate) fn is_watched(&self) -> bool {
        self.unseen.is_some()
    }

    /// Something happened. It is put into words only where they are kept.
    pub fn tell(&mut self, event: impl FnOnce() -> Event) {
        if self.untold {
            return;
        }
        let event = event();
        if let Some(unseen) = &mut self.unseen {
            unseen.push(event.clone());
        }
        if self.recent.len() == REMEMBERED {
            self.recent.pop_front();
        }
        self.recent.push_back(event);
    }

    /// What nobody has been shown yet.
    pub fn take_unseen(&mut self) -> Vec<Event> {
        self.unseen.as_mut().map(std::mem::take).unwrap_or_default()
    }

    /// The last things that happened, oldest first.
    pub fn recent(&self) -> impl Iterator<Item = &Event> {
        self.recent.iter()
    }
}
