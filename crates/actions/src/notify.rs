//! Keeps people informed while a run is open: each audience as often as the plan says, and the public at its milestones.
//!
//! Converges: what was told is noted and not told again; done when the run is closed and everybody has heard of it.
//! Refuses:   nothing. A channel that is down stops nothing.
//! Leaves behind on failure: messages that were sent.
//! AWS: dynamodb:GetItem, dynamodb:PutItem, sns:Publish, secretsmanager:GetSecretValue (standby region).

use std::sync::Arc;

use muster_core::ports::{Channels, Decisions, Message, Notes, RunRegistry};
use muster_core::{Action, ActionError, Clock, Conduct, Context, Duration, LATEST_NOTE, Progress, Timestamp};
use muster_plan::{Audience, Decision, Event, MilestoneEvent, Plan};
use serde::Deserialize;
use serde_json::json;

use crate::close_run::in_words;
use crate::notes;
use crate::request_decision::FAILOVER;
use crate::tell::tell;

/// The action.
pub const NOTIFY: Action = Action { name: "notify", conduct: Conduct::KeepsBooks };

/// Nothing to ask for: the plan says who is told what.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct Request {}

/// How often this looks whether something is due: what it tells is told by people in minutes and quarters of hours.
const INTERVAL: Duration = Duration::from_mins(2);

/// Where the run is, as far as people need to know.
struct Situation {
    failover_started: bool,
    outcome: Option<Arc<str>>,
    latest: String,
}

async fn situation<W>(world: &W, cx: &Context<'_, Plan>, outcome: Option<Arc<str>>) -> Result<Situation, ActionError>
where
    W: Notes + Decisions,
{
    let question = world.read_question(&cx.run.id, FAILOVER).await?;
    let latest: Option<String> = notes::read(world, &cx.run.id.0, LATEST_NOTE).await?;
    let decided = question.and_then(|question| question.answer).is_some_and(|answer| &*answer.choice == "proceed");
    let automatic = cx.plan.triggers.decision == Decision::Automatic && latest.is_some();
    Ok(Situation { failover_started: decided || automatic, outcome, latest: latest.unwrap_or_else(|| "the run was opened".to_owned()) })
}

/// What an audience is due, if anything.
fn due(audience: &Audience, situation: &Situation, last: Option<Timestamp>, now: Timestamp) -> Option<Event> {
    let hears = |event: Event| audience.what.contains(&event);
    match (last, &situation.outcome) {
        (_, Some(_)) => None, // close-run tells of the end
        (None, None) if hears(Event::Declared) => Some(Event::Declared),
        (None, None) if hears(Event::Progress) => Some(Event::Progress),
        (Some(last), None) if hears(Event::Progress) && audience.every.is_some_and(|every| now.since(last) >= every) => Some(Event::Progress),
        _ => None,
    }
}

fn is_reached(milestone: MilestoneEvent, situation: &Situation) -> bool {
    match milestone {
        MilestoneEvent::Declared => true,
        MilestoneEvent::FailoverStarted => situation.failover_started,
        MilestoneEvent::FailoverComplete => situation.outcome.as_deref() == Some("succeeded"),
        MilestoneEvent::PrimaryRecovered | MilestoneEvent::FailbackComplete => false,
    }
}

/// Sends what is due. Called twice, it sends nothing twice.
///
/// # Errors
/// `Transient` when the table cannot be read.
pub async fn notify<W>(_: Request, world: &W, cx: &Context<'_, Plan>) -> Result<Progress, ActionError>
where
    W: Clock + RunRegistry + Notes + Decisions + Channels,
{
    let lane = world.read_lane(&cx.run.service, cx.run.lane).await?;
    let is_open = lane.open.as_ref().is_some_and(|open| open.run.id == cx.run.id);
    let outcome = lane.last_closed.filter(|closed| closed.run == cx.run.id).map(|closed| closed.outcome);
    let situation = situation(world, cx, outcome).await?;
    let mut sent = 0;
    for audience in cx.plan.people.told.iter().filter(|audience| !audience.if_required) {
        let name = format!("told/{}", audience.audience);
        let last: Option<Timestamp> = notes::read(world, &cx.run.id.0, &name).await?;
        let Some(event) = due(audience, &situation, last, cx.now) else { continue };
        let subject = match event {
            Event::Declared => format!("{}: {} declared", cx.run.service, cx.run.flow),
            _ => format!("{}: {}", cx.run.service, situation.latest.lines().next().unwrap_or_default()),
        };
        let message = Message { subject, body: format!("Run {}. {}", cx.run.id, situation.latest), key: format!("{}/{name}/{}", cx.run.id, cx.now).into() };
        tell(world, cx, &audience.channels.iter().collect::<Vec<_>>(), &message).await;
        world.note(&cx.run.id.0, &name, &json!(cx.now)).await?;
        sent += 1;
    }
    for milestone in cx.plan.people.milestones.iter().filter(|milestone| is_reached(milestone.when, &situation)) {
        let name = format!("milestone/{:?}", milestone.when);
        if notes::read::<Timestamp>(world, &cx.run.id.0, &name).await?.is_some() {
            continue;
        }
        let message =
            Message { subject: milestone.say.clone(), body: format!("{}: {}", cx.run.service, milestone.say), key: format!("{}/{name}", cx.run.id).into() };
        tell(world, cx, &milestone.channels.iter().collect::<Vec<_>>(), &message).await;
        world.note(&cx.run.id.0, &name, &json!(cx.now)).await?;
        sent += 1;
    }
    match (is_open, &situation.outcome) {
        (true, _) => Ok(Progress::pending(format!("{sent} messages sent"), INTERVAL)),
        (false, outcome) => Ok(Progress::done(format!("the run {}", outcome.as_deref().map_or("is closed", in_words)))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn audience(what: &[Event], every: Option<u64>) -> Audience {
        Audience {
            audience: "Executive Team".into(),
            channels: Vec::new(),
            what: what.to_vec(),
            every: every.map(Duration::from_mins),
            within: None,
            flows: Vec::new(),
            if_required: false,
        }
    }

    #[test]
    fn an_audience_hears_at_once_and_then_no_more_often_than_the_plan_says() {
        let open = Situation { failover_started: false, outcome: None, latest: String::new() };
        let now = Timestamp::from_millis(100_000_000);
        let executives = audience(&[Event::Declared, Event::Progress], Some(30));
        assert_eq!(due(&executives, &open, None, now), Some(Event::Declared));
        assert_eq!(due(&executives, &open, Some(now.before(Duration::from_mins(29))), now), None);
        assert_eq!(due(&executives, &open, Some(now.before(Duration::from_mins(30))), now), Some(Event::Progress));
        let closed = Situation { outcome: Some("succeeded".into()), ..open };
        assert_eq!(due(&executives, &closed, None, now), None, "close-run tells of the end");
    }
}
