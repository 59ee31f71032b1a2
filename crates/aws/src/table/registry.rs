//! Locks and epochs: one item per lane, changed under conditions only.
//!
//! A change that timed out may have been made. Opening: the caller reads the lane again, and finds the lock in the hand of its own
//! execution. Closing: the second try finds that the run holds the lock no more.

use muster_core::ports::{Closing, LaneState, OpenRun, RunRegistry};
use muster_core::{CallError, Lane};

use super::{Conditional, Item, Key, Update, Wanted, json, number, read_json, read_number, text};
use crate::{Aws, Failed, Target};

const LANES: &str = "lanes";

pub(super) fn key(service: &str, lane: Lane) -> Key {
    let lane = match lane {
        Lane::Protect => "protect",
        Lane::Prove => "prove",
        Lane::Recover => "recover",
    };
    Key::new(LANES, format!("{service}/{lane}"))
}

fn read(item: &Item) -> Result<LaneState, Failed> {
    Ok(LaneState { epoch: read_number(item, "epoch")?.unwrap_or(0), open: read_json(item, "open")?, last_closed: read_json(item, "lastClosed")? })
}

impl<X> RunRegistry for Aws<X> {
    async fn read_lane(&self, service: &str, lane: Lane) -> Result<LaneState, CallError> {
        let key = key(service, lane);
        match self.get(&key).await? {
            Some(item) => read(&item).map_err(|failed| self.at("dynamodb:GetItem", &key).failed(failed)),
            None => Ok(LaneState::default()),
        }
    }

    async fn open_run(&self, expected_epoch: u64, open: &OpenRun) -> Result<bool, CallError> {
        let key = key(&open.run.service, open.run.lane);
        let stored = json(open).map_err(|failed| self.at("dynamodb:UpdateItem", &key).failed(failed))?;
        let update = Update {
            change: "SET #epoch = :epoch, #run = :run, #open = :open",
            condition: if expected_epoch == 0 { "attribute_not_exists(#epoch) OR #epoch = :expected" } else { "#epoch = :expected" },
            names: &["epoch", "run", "open"],
            values: vec![("epoch", number(open.run.epoch)), ("expected", number(expected_epoch)), ("run", text(&*open.run.id.0)), ("open", stored)],
        };
        Ok(matches!(self.update(&key, update).await?, Conditional::Made(_)))
    }

    async fn close_run(&self, service: &str, lane: Lane, closing: &Closing) -> Result<bool, CallError> {
        let key = key(service, lane);
        let stored = json(closing).map_err(|failed| self.at("dynamodb:UpdateItem", &key).failed(failed))?;
        let update = Update {
            change: "SET #lastClosed = :closing REMOVE #run, #open",
            condition: "#run = :run",
            names: &["lastClosed", "run", "open"],
            values: vec![("run", text(&*closing.run.0)), ("closing", stored)],
        };
        Ok(matches!(self.update(&key, update).await?, Conditional::Made(_)))
    }

    async fn open_runs(&self) -> Result<Vec<OpenRun>, CallError> {
        let mut open = Vec::new();
        for item in self.query(LANES, Wanted::All).await? {
            let lane = read(&item).map_err(|failed| Target::data("dynamodb:Query", self.home(), LANES).failed(failed))?;
            open.extend(lane.open);
        }
        Ok(open)
    }
}
