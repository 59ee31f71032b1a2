//! People who answer some of what the runs of a flow ask: soon, too late, or not at all, as a seed has it.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use muster_asl::Value;
use muster_core::{Duration, RunId};
use muster_plan::RegionRole;
use serde_json::json;

use crate::draw::Draw;
use crate::durations::PERSON;
use crate::functions::Functions;
use crate::world::Twin;

/// How often somebody looks at the phone.
const LOOK: Duration = Duration::from_mins(5);

/// What one person answers, and how long after the look at the phone; `None` where nobody does.
fn answer(draw: Draw, question: &str, within: Duration) -> Option<(&'static str, Duration)> {
    let after = PERSON.at(draw.bits(question, "person", 0));
    match draw.below(question, "answers", 0, 8) {
        0 => Some(("retry", after)),
        1 => Some(("skip", after)),
        2 => Some(("abort", after)),
        3 => Some(("retry", after.saturating_add(within))),
        _ => None,
    }
}

/// Looks at what is asked for as long as the rehearsal lasts.
pub(crate) fn attend(twin: &Rc<Twin>, functions: &Rc<Functions>, draw: Draw) {
    let (twin, functions) = (twin.clone(), functions.clone());
    let (service, within) = twin.look(|estate| (estate.plan.service.to_string(), estate.plan.people.hold.within));
    tokio::task::spawn_local(async move {
        let mut seen: BTreeSet<(RunId, Arc<str>)> = BTreeSet::new();
        loop {
            twin.sleep(LOOK).await;
            let heard = |question: &&muster_core::ports::Question| question.deadline.is_some() && question.answer.is_none();
            let asked: BTreeSet<_> =
                twin.look(|estate| estate.memory.open_questions().filter(heard).map(|question| (question.run.clone(), question.name.clone())).collect());
            for (run, question) in asked.difference(&seen) {
                let Some((choice, after)) = answer(draw, question, within) else { continue };
                let event = json!({"service": service, "run": run, "question": question, "choice": choice, "by": "Ada", "reason": "rehearsed"});
                let (twin, functions) = (twin.clone(), functions.clone());
                tokio::task::spawn_local(async move {
                    twin.sleep(after).await;
                    // Where the run has gone on meanwhile, the function says so.
                    functions.start(RegionRole::Standby, "answer-question", &Value::from(event));
                });
            }
            seen = asked;
        }
    });
}
