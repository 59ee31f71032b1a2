//! The schedules of a plan's backups: what EventBridge Scheduler has in the installation's group, against what the plan asks for.

use std::collections::BTreeMap;

use aws_sdk_scheduler::Client;
use aws_sdk_scheduler::operation::get_schedule::GetScheduleOutput;
use aws_sdk_scheduler::types::{DeadLetterConfig, FlexibleTimeWindow, FlexibleTimeWindowMode, RetryPolicy, ScheduleState, Target};
use muster_backups::{ScheduleEntry, ScheduleInput, schedule_prefix};
use muster_core::Region;
use muster_plan::Name;

use crate::installation::BackupSchedules;
use crate::{Account, Failed, failed};

/// What Scheduler could not deliver within an hour goes to the queue, which pages: by then the hourly entry has made up for it.
const OLDEST_SECONDS: i32 = 3_600;
/// As many attempts as Scheduler makes at most; the hour is over before.
const MOST_ATTEMPTS: i32 = 185;
const TIMEZONE: &str = "UTC";

/// What is to be done about one schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ScheduleChange {
    /// There is none of this name.
    Create(ScheduleEntry),
    /// There is one, and it is another: in what, as `what: before → after`.
    Update(ScheduleEntry, Vec<String>),
    /// The plan has nothing that it is for any more.
    Delete {
        /// Its name.
        name: String,
        /// When it fires.
        expression: String,
    },
}

impl ScheduleChange {
    /// The schedule's name.
    pub fn name(&self) -> &str {
        match self {
            ScheduleChange::Create(entry) | ScheduleChange::Update(entry, _) => &entry.name,
            ScheduleChange::Delete { name, .. } => name,
        }
    }
}

/// What differs in the installation's group from the entries of a service, by name. The schedules of others are left alone, and so is what somebody
/// else has put into the group.
///
/// # Errors
/// Scheduler cannot be asked.
pub async fn schedule_changes(
    account: &Account,
    region: &Region,
    stack: &BackupSchedules,
    service: &Name,
    entries: &[ScheduleEntry],
) -> Result<Vec<ScheduleChange>, Failed> {
    let client = Client::new(&account.in_region(region));
    let mut existing = BTreeMap::new();
    let pages = client.list_schedules().group_name(&stack.group).name_prefix(schedule_prefix(service)).into_paginator().send();
    let pages = pages.collect::<Result<Vec<_>, _>>().await.map_err(failed("scheduler:ListSchedules"))?;
    for name in pages.iter().flat_map(|page| page.schedules()).filter_map(|schedule| schedule.name()) {
        match client.get_schedule().group_name(&stack.group).name(name).send().await.map_err(failed("scheduler:GetSchedule")) {
            Ok(schedule) => drop(existing.insert(name.to_owned(), schedule)),
            // Deleted since it was listed.
            Err(error) if error.code == "ResourceNotFoundException" => {}
            Err(error) => return Err(error),
        }
    }
    Ok(compare(&existing, stack, service, entries))
}

/// Makes the changes. What was made already by somebody else at the same time is an error: push again.
///
/// # Errors
/// Scheduler refuses one: those before it were made.
pub async fn apply_schedules(account: &Account, region: &Region, stack: &BackupSchedules, changes: &[ScheduleChange]) -> Result<(), Failed> {
    let client = Client::new(&account.in_region(region));
    for change in changes {
        match change {
            ScheduleChange::Create(entry) => {
                let create = client
                    .create_schedule()
                    .group_name(&stack.group)
                    .name(&entry.name)
                    .description(&entry.input.reason)
                    .schedule_expression(&entry.expression)
                    .schedule_expression_timezone(TIMEZONE)
                    .flexible_time_window(on_time()?)
                    .state(ScheduleState::Enabled)
                    .target(target(stack, entry)?);
                create.send().await.map(drop).map_err(failed("scheduler:CreateSchedule"))?;
            }
            ScheduleChange::Update(entry, _) => {
                // What is not named here falls back to its default: so nothing of the old one stays.
                let update = client
                    .update_schedule()
                    .group_name(&stack.group)
                    .name(&entry.name)
                    .description(&entry.input.reason)
                    .schedule_expression(&entry.expression)
                    .schedule_expression_timezone(TIMEZONE)
                    .flexible_time_window(on_time()?)
                    .state(ScheduleState::Enabled)
                    .target(target(stack, entry)?);
                update.send().await.map(drop).map_err(failed("scheduler:UpdateSchedule"))?;
            }
            ScheduleChange::Delete { name, .. } => {
                let deleted = client.delete_schedule().group_name(&stack.group).name(name).send().await.map_err(failed("scheduler:DeleteSchedule"));
                deleted.map(drop).or_else(|error| if error.code == "ResourceNotFoundException" { Ok(()) } else { Err(error) })?;
            }
        }
    }
    Ok(())
}

/// At the slot and not some minutes later: the RPO counts from it. Backups of different services are spread by whoever writes the plans, and the
/// hourly ones by their own minutes.
fn on_time() -> Result<FlexibleTimeWindow, Failed> {
    FlexibleTimeWindow::builder().mode(FlexibleTimeWindowMode::Off).build().map_err(|error| unbuilt(&error))
}

fn target(stack: &BackupSchedules, entry: &ScheduleEntry) -> Result<Target, Failed> {
    let retry = RetryPolicy::builder().maximum_event_age_in_seconds(OLDEST_SECONDS).maximum_retry_attempts(MOST_ATTEMPTS).build();
    let target = Target::builder()
        .arn(stack.machine(entry.flow))
        .role_arn(&stack.role)
        .dead_letter_config(DeadLetterConfig::builder().arn(&stack.dead_letters).build())
        .retry_policy(retry)
        .input(json(&entry.input)?);
    target.build().map_err(|error| unbuilt(&error))
}

fn json(input: &ScheduleInput) -> Result<String, Failed> {
    serde_json::to_string(input).map_err(|error| unbuilt(&error))
}

fn unbuilt(error: &dyn std::error::Error) -> Failed {
    Failed { operation: "scheduler:CreateSchedule", code: String::new(), message: error.to_string() }
}

fn compare(existing: &BTreeMap<String, GetScheduleOutput>, stack: &BackupSchedules, service: &Name, entries: &[ScheduleEntry]) -> Vec<ScheduleChange> {
    let wanted: BTreeMap<&str, &ScheduleEntry> = entries.iter().map(|entry| (entry.name.as_str(), entry)).collect();
    let made = wanted.iter().filter_map(|(name, entry)| match existing.get(*name) {
        None => Some(ScheduleChange::Create((*entry).clone())),
        Some(schedule) => {
            let found = differences(schedule, stack, entry);
            (!found.is_empty()).then(|| ScheduleChange::Update((*entry).clone(), found))
        }
    });
    let dropped = existing
        .iter()
        .filter(|(name, schedule)| !wanted.contains_key(name.as_str()) && is_of(schedule, service))
        .map(|(name, schedule)| ScheduleChange::Delete { name: name.clone(), expression: schedule.schedule_expression().unwrap_or_default().to_owned() });
    let mut changes: Vec<ScheduleChange> = made.chain(dropped).collect();
    changes.sort_by(|a, b| a.name().cmp(b.name()));
    changes
}

/// Whether push made a schedule, for this service: as its input says, since names of others may begin alike.
fn is_of(schedule: &GetScheduleOutput, service: &Name) -> bool {
    let input = schedule.target().and_then(|target| target.input()).and_then(|input| serde_json::from_str::<ScheduleInput>(input).ok());
    input.is_some_and(|input| input.service == *service && Some(input.by.as_str()) == schedule.name().map(|name| format!("schedule {name}")).as_deref())
}

/// What is not as it should be, for people.
fn differences(schedule: &GetScheduleOutput, stack: &BackupSchedules, entry: &ScheduleEntry) -> Vec<String> {
    let target = schedule.target();
    let retry = target.and_then(|target| target.retry_policy());
    let wanted_input = serde_json::to_value(&entry.input).ok();
    let input = target.and_then(|target| target.input());
    let same_input = input.and_then(|input| serde_json::from_str(input).ok()) == wanted_input;
    let bounds = [schedule.start_date(), schedule.end_date()].into_iter().flatten().map(ToString::to_string).collect::<Vec<_>>().join(" to ");
    let mode = schedule.flexible_time_window().map_or("", |window| window.mode().as_str());
    let rows = [
        ("when", schedule.schedule_expression().unwrap_or_default().to_owned(), entry.expression.clone()),
        ("time zone", schedule.schedule_expression_timezone().unwrap_or(TIMEZONE).to_owned(), TIMEZONE.to_owned()),
        ("state", schedule.state().map_or("", ScheduleState::as_str).to_owned(), ScheduleState::Enabled.as_str().to_owned()),
        ("flexible window", mode.to_owned(), FlexibleTimeWindowMode::Off.as_str().to_owned()),
        ("from and until", bounds, String::new()),
        ("reason", schedule.description().unwrap_or_default().to_owned(), entry.input.reason.clone()),
        ("state machine", target.map_or("", |target| target.arn()).to_owned(), stack.machine(entry.flow)),
        ("role", target.map_or("", |target| target.role_arn()).to_owned(), stack.role.clone()),
        (
            "dead-letter queue",
            target.and_then(|target| target.dead_letter_config()).and_then(|queue| queue.arn()).unwrap_or_default().to_owned(),
            stack.dead_letters.clone(),
        ),
        (
            "retries within",
            retry.and_then(|retry| retry.maximum_event_age_in_seconds()).map_or_else(String::new, |seconds| format!("{seconds} s")),
            format!("{OLDEST_SECONDS} s"),
        ),
        (
            "retries at most",
            retry.and_then(|retry| retry.maximum_retry_attempts()).map_or_else(String::new, |attempts| attempts.to_string()),
            MOST_ATTEMPTS.to_string(),
        ),
        (
            "input",
            if same_input { String::new() } else { input.unwrap_or_default().to_owned() },
            if same_input { String::new() } else { json(&entry.input).unwrap_or_default() },
        ),
    ];
    let said = |text: &str| if text.is_empty() { "nothing".to_owned() } else { text.to_owned() };
    rows.iter().filter(|(_, before, after)| before != after).map(|(what, before, after)| format!("{what}: {} → {}", said(before), said(after))).collect()
}

#[cfg(test)]
mod tests;
