//! Muster's own memory, executions and channels, in the standby region.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use muster_core::ports::{
    Answer, Channels, Closing, Control, ControlState, Decisions, ExecutionState, Executions, KillSwitch, LaneState, Ledger, Message, Note, Notes, OpenRun,
    Plans, Question, Recipient, Reports, RunRegistry, Sample, Samples, StartedPlan,
};
use muster_core::{Body, CallError, CallFault, Entry, Lane, PlanPin, Progress, Region, RunId, Timestamp};
use muster_plan::{Plan, RegionRole};
use muster_report::Report;
use serde_json::Value;

use crate::changes::Change;
use crate::estate::Estate;
use crate::memory::Delivered;
use crate::ports::{books, missing};
use crate::story::Event;
use crate::world::{Refusal, World};

const BATCH_WRITE: &str = "dynamodb:BatchWriteItem";
/// It takes so many items (API reference of DynamoDB, BatchWriteItem), and the adapter makes so many calls side by side.
const BATCH: usize = 25;
const SIDE_BY_SIDE: usize = 4;

impl World {
    async fn table<T>(
        &self,
        operation: &'static str,
        resource: impl Into<Cow<'_, str>>,
        effect: impl FnOnce(&mut Estate) -> Result<T, Refusal>,
    ) -> Result<T, CallError> {
        let region: Region = self.region(RegionRole::Standby);
        self.read(books(operation, &region, resource), |estate, _| effect(estate)).await
    }
}

impl Control for World {
    async fn read_control(&self, service: &str, lane: Lane) -> Result<ControlState, CallError> {
        self.table("dynamodb:TransactGetItems", service, |estate| {
            let kill_switch = estate.memory.kill_switch.as_ref().map(|(switch, _)| switch.clone());
            Ok(ControlState { kill_switch, epoch: estate.memory.epoch(&service.into(), lane) })
        })
        .await
    }

    async fn write_kill_switch(&self, switch: Option<&KillSwitch>) -> Result<(), CallError> {
        self.table("dynamodb:PutItem", "kill switch", |estate| {
            estate.memory.kill_switch = switch.map(|switch| (switch.clone(), estate.now));
            Ok(())
        })
        .await
    }
}

impl RunRegistry for World {
    async fn read_lane(&self, service: &str, lane: Lane) -> Result<LaneState, CallError> {
        self.table("dynamodb:GetItem", service, |estate| Ok(estate.memory.lane(service, lane))).await
    }

    async fn open_run(&self, expected_epoch: u64, open: &OpenRun) -> Result<bool, CallError> {
        let engine = self.twin().engine();
        self.table("dynamodb:UpdateItem", &*open.run.service, |estate| {
            let before = estate.memory.lane(&open.run.service, open.run.lane).open;
            let now = estate.now();
            let opened = estate.memory.open_run(now, expected_epoch, open);
            if opened {
                let state = |open: &OpenRun| {
                    engine.as_ref().map_or_else(|| estate.memory.execution_state(&open.execution), |engine| engine.execution_state(&open.execution))
                };
                let before_state = before.as_ref().map_or(ExecutionState::Unknown, state);
                estate.check_open(open, before.as_ref(), before_state);
                estate.tell(format!("{} is open, epoch {}", open.run.id, open.run.epoch));
            }
            Ok(opened)
        })
        .await
    }

    async fn close_run(&self, service: &str, lane: Lane, closing: &Closing) -> Result<bool, CallError> {
        self.table("dynamodb:UpdateItem", service, |estate| {
            let closed = estate.memory.close_run(service, lane, closing);
            if closed {
                estate.tell(format!("{} is closed: {}", closing.run, closing.outcome));
                if &*closing.outcome == "succeeded" && lane == Lane::Recover {
                    estate.check_success(&closing.run);
                }
            }
            Ok(closed)
        })
        .await
    }

    async fn open_runs(&self) -> Result<Vec<OpenRun>, CallError> {
        self.table("dynamodb:Query", "lanes", |estate| Ok(estate.memory.open_runs())).await
    }
}

impl Decisions for World {
    async fn ask(&self, question: &Question) -> Result<Question, CallError> {
        self.table("dynamodb:PutItem", &*question.name, |estate| {
            let key = (question.run.clone(), question.name.clone());
            Ok(estate.memory.questions.entry(key).or_insert_with(|| question.clone()).clone())
        })
        .await
    }

    async fn renew_token(&self, run: &RunId, name: &str, token: &str) -> Result<Question, CallError> {
        self.table("dynamodb:UpdateItem", name, |estate| {
            let question = estate.memory.questions.get_mut(&(run.clone(), name.into())).ok_or_else(|| missing(name))?;
            if question.answer.is_none() {
                question.token = token.into();
            }
            Ok(question.clone())
        })
        .await
    }

    async fn open_window(&self, run: &RunId, name: &str, deadline: Timestamp) -> Result<Question, CallError> {
        self.table("dynamodb:UpdateItem", name, |estate| estate.open_window(run, name, deadline)).await
    }

    async fn answer(&self, run: &RunId, name: &str, answer: &Answer) -> Result<Question, CallError> {
        self.table("dynamodb:UpdateItem", name, |estate| {
            let question = estate.memory.answer(run, name, answer).ok_or_else(|| missing(name))?;
            if question.answer.as_ref() == Some(answer) {
                estate.check_answer(run, name, answer);
                answer.overrides.iter().for_each(|risk| estate.guard.accepts(risk));
            }
            Ok(question)
        })
        .await
    }

    async fn read_question(&self, run: &RunId, name: &str) -> Result<Option<Question>, CallError> {
        self.table("dynamodb:GetItem", name, |estate| Ok(estate.memory.questions.get(&(run.clone(), name.into())).cloned())).await
    }

    async fn questions(&self) -> Result<Vec<Question>, CallError> {
        self.table("dynamodb:Query", "questions", |estate| Ok(estate.memory.open_questions().cloned().collect())).await
    }
}

impl Estate {
    fn open_window(&mut self, run: &RunId, name: &str, deadline: Timestamp) -> Result<Question, Refusal> {
        let key: (RunId, Arc<str>) = (run.clone(), name.into());
        let question = self.memory.questions.get_mut(&key).ok_or_else(|| missing(name))?;
        if question.deadline.is_none() {
            question.deadline = Some(deadline);
            // From now on people know of it.
            let now = self.now();
            for (fault, after) in self.strikes.answers(name) {
                self.schedule(now.after(after), Change::Answered { fault, run: run.clone(), name: key.1.clone() });
            }
        }
        self.memory.questions.get(&key).cloned().ok_or_else(|| missing(name))
    }
}

impl Samples for World {
    async fn put_samples(&self, service: &str, samples: &[Sample]) -> Result<(), CallError> {
        self.write_batches(service, samples.len(), |estate| estate.memory.put_samples(service, samples)).await
    }

    async fn read_samples(&self, service: &str, since: Timestamp) -> Result<Vec<Sample>, CallError> {
        self.table("dynamodb:Query", service, |estate| Ok(estate.memory.samples_since(service, since))).await
    }
}

impl Notes for World {
    async fn note_once(&self, scope: &str, name: &str, value: &Value) -> Result<Arc<Value>, CallError> {
        self.table("dynamodb:PutItem", name, |estate| {
            Ok(estate.memory.notes.entry(scope.into()).or_default().entry(name.into()).or_insert_with(|| Arc::new(value.clone())).clone())
        })
        .await
    }

    async fn note(&self, scope: &str, name: &str, value: &Value) -> Result<(), CallError> {
        self.table("dynamodb:PutItem", name, |estate| {
            estate.memory.note(scope, name, value);
            Ok(())
        })
        .await
    }

    async fn read_notes(&self, scope: &str, beginning: &str) -> Result<BTreeMap<String, Arc<Value>>, CallError> {
        self.table("dynamodb:Query", scope, |estate| Ok(estate.memory.notes_beginning(scope, beginning))).await
    }

    async fn note_all(&self, notes: &[Note]) -> Result<(), CallError> {
        self.write_batches("notes", notes.len(), |estate| notes.iter().for_each(|note| estate.memory.note(&note.scope, &note.name, &note.value))).await
    }

    async fn read_note(&self, scope: &str, name: &str) -> Result<Option<Arc<Value>>, CallError> {
        self.table("dynamodb:GetItem", name, |estate| Ok(estate.memory.notes.get(scope).and_then(|notes| notes.get(name)).cloned())).await
    }
}

impl World {
    /// Calls of BatchWriteItem for so many items. Those that are made side by side take as long as one. What they say is there after the last.
    async fn write_batches(&self, resource: &str, items: usize, effect: impl FnOnce(&mut Estate)) -> Result<(), CallError> {
        let rounds = items.div_ceil(BATCH * SIDE_BY_SIDE).max(1);
        for _ in 1..rounds {
            self.table(BATCH_WRITE, resource, |_| Ok(())).await?;
        }
        let beside = items.div_ceil(BATCH).saturating_sub(rounds);
        self.table(BATCH_WRITE, resource, |estate| {
            *estate.effort.calls.entry(BATCH_WRITE).or_insert(0) += beside as u64;
            effect(estate);
            Ok(())
        })
        .await
    }
}

impl Ledger for World {
    async fn append(&self, entries: &[Entry]) -> Result<(), CallError> {
        // Said is said, also where it cannot be stored.
        self.twin().look(|estate| {
            estate.guard.hears(entries);
            for entry in entries {
                if let Body::Saw { evidence } = &entry.body {
                    estate.story.tell(|| Event::Evidence { at: entry.at, phase: entry.phase.clone(), evidence: evidence.clone() });
                }
            }
        });
        self.write_batches("ledger", entries.len(), |estate| estate.memory.append(entries)).await
    }

    async fn read_ledger(&self, run: &RunId) -> Result<Vec<Entry>, CallError> {
        self.table("dynamodb:Query", &*run.0, |estate| Ok(estate.memory.read_ledger(run))).await
    }
}

impl Plans<Plan> for World {
    async fn load_plan(&self, pin: &PlanPin) -> Result<Arc<Plan>, CallError> {
        self.table("s3:GetObject", "plan", |estate| {
            let memory = &estate.memory;
            if *pin == memory.pin { Ok(memory.plan.clone()) } else { Err(missing(format!("{} version {}", pin.key, pin.version))) }
        })
        .await
    }

    async fn plans_in_force(&self) -> Result<Vec<StartedPlan<Plan>>, CallError> {
        self.table("dynamodb:Scan", "plans", |estate| Ok(vec![StartedPlan { pin: estate.memory.pin.clone(), plan: estate.memory.plan.clone() }])).await
    }
}

impl Reports<Report> for World {
    async fn publish_report(&self, run: &RunId, report: &Report) -> Result<String, CallError> {
        self.table("s3:PutObject", &*run.0, |estate| {
            estate.memory.reports.entry(run.clone()).or_insert_with(|| report.clone());
            Ok(format!("s3://muster-reports/{run}.html"))
        })
        .await
    }
}

impl Executions for World {
    async fn execution_state(&self, execution: &str) -> Result<ExecutionState, CallError> {
        let engine = self.twin().engine();
        self.table("states:DescribeExecution", execution, |estate| {
            Ok(engine.map_or_else(|| estate.memory.execution_state(execution), |engine| engine.execution_state(execution)))
        })
        .await
    }

    async fn wake(&self, token: &str, progress: &Progress) -> Result<bool, CallError> {
        let engine = self.twin().engine();
        self.table("states:SendTaskSuccess", "task token", |_| Ok(engine.is_some_and(|engine| engine.wake(token, progress)))).await
    }

    async fn start_flow(&self, flow: &str, name: &str, input: &Value) -> Result<(), CallError> {
        let engine = self.twin().engine();
        self.table("states:StartExecution", flow, |_| {
            if let Some(engine) = engine {
                engine.start_flow(flow, name, input);
            }
            Ok(())
        })
        .await
    }
}

impl Channels for World {
    async fn publish(&self, to: &Recipient, message: &Message) -> Result<(), CallError> {
        let channel = &*to.channel;
        self.table("sns:Publish", channel, |estate| {
            if estate.channels_down.iter().any(|down| down.as_deref().is_none_or(|name| name == channel)) {
                return Err((CallFault::Unavailable, format!("{channel} accepts no message")));
            }
            let at = estate.now();
            let seen = |known: &Delivered| *known.channel == *channel && known.message.key == message.key;
            if !estate.memory.delivered.iter().rev().take(100).any(seen) {
                estate.memory.delivered.push(Delivered { at, channel: channel.into(), message: message.clone() });
                estate.story.tell(|| Event::Told { at, channel: channel.into(), subject: message.subject.clone() });
            }
            Ok(())
        })
        .await
    }
}
