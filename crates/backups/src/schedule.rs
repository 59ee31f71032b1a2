//! The entries of EventBridge Scheduler that start the flows `backup` and `restore-test`: when, under which name, with what input.
//!
//! A plan's schedule says its slots; an entry fires at exactly these. Nothing depends on it: a slot whose entry did not fire is made up for by the next
//! execution, and by the hourly one at the latest, since what is due follows from the plan, the time and what is there.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::Weekday;
use muster_core::Duration;
use muster_plan::{BackupMethod, DatabaseKind, Days, Flow, Name, PartReference, Plan, Schedule};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::rules::Rules;

/// A schedule's name has no more characters. Source: API reference of EventBridge Scheduler, CreateSchedule, which also says which: letters, digits,
/// `-`, `_` and `.`.
const LONGEST: usize = 64;
/// What the service is joined with to what an entry is for. No name of a plan has it: so no two services' entries have the same name.
const JOINT: char = '.';
const DAY_MINUTES: u16 = 24 * 60;

/// An entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleEntry {
    /// Its name, such as `kaireon.rds-daily`: the same for the same service and backup.
    pub name: String,
    /// When it fires, in UTC: `cron(0 2 * * ? *)`, in EventBridge Scheduler's own form.
    pub expression: String,
    /// The flow that it starts.
    pub flow: Flow,
    /// What it starts it with.
    pub input: ScheduleInput,
}

/// The input of a flow: the same that a person gives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub struct ScheduleInput {
    /// The service.
    pub service: Name,
    /// Who starts it: `schedule kaireon.rds-daily`.
    pub by: String,
    /// Why.
    pub reason: String,
    /// Of the flow `restore-test`: whose backup is restored.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub parts: Vec<PartReference>,
}

fn entry(plan: &Plan, flow: Flow, what: &str, expression: String, reason: String, parts: Vec<PartReference>) -> ScheduleEntry {
    let name = entry_name(&plan.service, what);
    let input = ScheduleInput { service: plan.service.clone(), by: format!("schedule {name}"), reason, parts };
    ScheduleEntry { name, expression, flow, input }
}

/// The entries of a plan, in the order of their names: one for each backup that Muster makes by the calendar, and one each hour, at a minute that
/// is the service's own, which verifies and makes up for what was missed. None where there is nothing to make or verify.
///
/// A period such as `every 90m`, which falls on other minutes from hour to hour, takes several entries: one cron expression cannot say it.
pub fn schedules(plan: &Plan) -> Vec<ScheduleEntry> {
    let entry = |what: &str, expression: String, reason: String| entry(plan, Flow::Backup, what, expression, reason, Vec::new());
    let mut entries = Vec::new();
    for line in Rules::of(plan).lines {
        let Some(every) = &line.every else { continue };
        for (number, expression) in (1..).zip(expressions(every)) {
            let what = if number == 1 { line.name.to_string() } else { format!("{}{JOINT}{number}", line.name) };
            entries.push(entry(&what, expression, format!("{} is due: {every}", line.name)));
        }
    }
    if plan.backups.iter().any(|backup| !matches!(backup.method, BackupMethod::External { .. })) {
        let minute = Sha256::digest(plan.service.as_str()).iter().fold(0_u32, |sum, byte| (sum * 256 + u32::from(*byte)) % 60);
        let reason = "each hour: verify the backups, and make up for slots that were missed".to_owned();
        // A backup may be called `watch`.
        entries.push(entry(&format!("watch{JOINT}hourly"), format!("cron({minute} * * * ? *)"), reason));
    }
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// The entries of the plan's restore tests, in the order of their names: each drill whose parts can all be restored into clones. What cannot be, such as
/// a dump that nothing loads, would only fail each time; whoever asks for it by hand is told so.
pub fn restore_test_schedules(plan: &Plan) -> Vec<ScheduleEntry> {
    let has_place = |part: &PartReference| plan.restorable(part).is_some_and(|restorable| restorable.database.kind == DatabaseKind::RdsInstance);
    let drills = plan.drills.iter().filter(|drill| drill.flow == Flow::RestoreTest && !drill.parts.is_empty() && drill.parts.iter().all(has_place));
    let mut entries: Vec<ScheduleEntry> = drills
        .flat_map(|drill| {
            // No name has an underscore: a backup and a drill may be called alike.
            let what = |number: usize| if number == 1 { format!("drill_{}", drill.name) } else { format!("drill_{}{JOINT}{number}", drill.name) };
            let reason = format!("{} is due: {}", drill.name, drill.every);
            let expressions = (1..).zip(expressions(&drill.every));
            expressions.map(move |(number, expression)| entry(plan, Flow::RestoreTest, &what(number), expression, reason.clone(), drill.parts.clone()))
        })
        .collect();
    entries.sort_by(|a, b| a.name.cmp(&b.name));
    entries
}

/// How the names of all entries of a service begin. Those of others may begin so too where the service's name is long: their input tells them apart.
pub fn schedule_prefix(service: &Name) -> String {
    let mut prefix = format!("{service}{JOINT}");
    prefix.truncate(LONGEST - CUT_END);
    prefix
}

/// A hyphen and eight digits, which stand for what was cut off.
const CUT_END: usize = 9;

fn entry_name(service: &Name, what: &str) -> String {
    let name = format!("{service}{JOINT}{what}");
    if name.len() <= LONGEST {
        return name;
    }
    let digest: String = Sha256::digest(&name).iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    format!("{}-{digest}", &name[..LONGEST - CUT_END])
}

/// The cron expressions that together fire at a schedule's slots, and at nothing else.
///
/// Fields: minutes, hours, day of the month, month, day of the week (1 is Sunday, `2#1` the first Monday, `6L` the last Friday), year; one of the two
/// days is `?`. Source: user guide of EventBridge Scheduler, "Cron-based schedules". A `rate(…)` counts from when it was made, and not from midnight.
fn expressions(every: &Schedule) -> Vec<String> {
    let (days, months, minute) = match every {
        Schedule::Every(period) => return within_a_day(*period),
        Schedule::On { days, months, minute } => (days, months, minute),
    };
    let month = if months.is_empty() { "*".to_owned() } else { months.iter().map(ToString::to_string).collect::<Vec<_>>().join(",") };
    let number = |day: &Weekday| day.to_sunday_one_offset();
    let day = match days {
        Days::Daily => format!("* {month} ?"),
        Days::Weekly(day) => format!("? {month} {}", number(day)),
        Days::Nth(-1, day) => format!("? {month} {}L", number(day)),
        Days::Nth(nth, day) => format!("? {month} {}#{nth}", number(day)),
        Days::DayOfMonth(date) => format!("{date} {month} ?"),
    };
    vec![format!("cron({} {} {day} *)", minute % 60, minute / 60)]
}

/// Hours with the same minutes share an expression. A slot within a minute is the next whole one's: Scheduler fires by the minute.
fn within_a_day(period: Duration) -> Vec<String> {
    let period = period.as_millis().max(1);
    let slots =
        (0..).map(|number: u64| (number * period).div_ceil(60_000)).map_while(|minute| u16::try_from(minute).ok().filter(|minute| *minute < DAY_MINUTES));
    let mut hours: BTreeMap<u16, BTreeSet<u16>> = BTreeMap::new();
    for slot in slots {
        hours.entry(slot / 60).or_default().insert(slot % 60);
    }
    let mut alike: BTreeMap<BTreeSet<u16>, BTreeSet<u16>> = BTreeMap::new();
    for (hour, minutes) in hours {
        alike.entry(minutes).or_default().insert(hour);
    }
    alike.iter().map(|(minutes, hours)| format!("cron({} {} * * ? *)", field(minutes, 60), field(hours, 24))).collect()
}

/// A field of a cron expression: `*`, `5`, `0/6`, or one by one.
fn field(values: &BTreeSet<u16>, size: u16) -> String {
    let all: Vec<u16> = values.iter().copied().collect();
    match all.as_slice() {
        _ if all.len() == usize::from(size) => "*".to_owned(),
        [first, second, ..] if all.len() > 2 && all.iter().copied().eq((*first..size).step_by(usize::from(second - first))) => {
            format!("{first}/{}", second - first)
        }
        _ => all.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
    }
}

#[cfg(test)]
mod tests;
