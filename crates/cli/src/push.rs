//! `muster push`: puts a plan in force. Checks it, shows what changes, sees that Muster may touch what the plan names, makes the alarms that it
//! speaks of, uploads it, and brings the schedules of its backups to what it says.

use std::io::{BufRead, IsTerminal};

use muster_account::{
    Account, AlarmPlan, AlarmRule, Failed, InForce, Installation, SERVICE_TAG, ScheduleChange, Untagged, apply_schedules, make_alarms, plan_alarms,
    plan_in_force, put_plan, resources, schedule_changes, untagged,
};
use muster_actions::unbuilt;
use muster_backups::{ScheduleEntry, restore_test_schedules, schedules};
use muster_plan::Plan;
use serde_json::Value;

use crate::changes::{Difference, differences};
use crate::cli::Push;
use crate::ending::{Complaint, Ending, Stop};
use crate::output::{self, BAD, GOOD, PLAIN, QUIET, STRONG, paint};
use crate::plan_file::PlanFile;
use crate::table::{Cell, table};
use crate::words::count;

/// Puts a plan in force.
pub(crate) fn run(arguments: &Push) -> Result<Ending, Stop> {
    let file = PlanFile::read(&arguments.plan)?;
    file.show_problems()?;
    let Some(plan) = &file.plan else { return Ok(Ending::Wrong) };
    let missing = unbuilt(plan);
    if !missing.is_empty() {
        return Err(Complaint::new(
            format!("{} needs what is not built yet: {}", file.name, missing.join("; ")),
            "a plan whose region failover can run",
            format!("`muster check {}` says more; a run of it would fail at its first step", file.name),
        )
        .into());
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(push(arguments, plan))
}

async fn push(arguments: &Push, plan: &Plan) -> Result<Ending, Stop> {
    let region = &plan.regions.standby;
    let account = Account::connect().await;
    let installation = Installation::of_stack(&account, region, &arguments.stack).await.map_err(cannot_ask)?.ok_or_else(|| {
        Complaint::new(
            format!("there is no stack `{}` in {region}", arguments.stack),
            "an installation of Muster in the plan's standby region",
            "deploy it there (docs/install.md), or name its stack with --stack",
        )
    })?;
    let alarms = plan_alarms(plan);
    refuse_deaf_alarm(&installation, &alarms)?;
    let problems = untagged(&account, &resources(plan), &installation.service_tag, installation.mode == "drill").await.map_err(cannot_ask)?;
    if !problems.is_empty() {
        output::note(&untouchable(&problems))?;
        return Err(Complaint::new(
            format!("{} of the plan Muster may not touch", count(problems.len() as u64, "resource")),
            format!("resources that exist and carry the tag {SERVICE_TAG}, by which the installation's policies know them"),
            "tag them, or correct their names in the plan; then push again",
        )
        .into());
    }
    let service = plan.service.as_str();
    let before = plan_in_force(&account, region, &installation.bucket, service).await.map_err(cannot_ask)?;
    let is_same = before.as_ref().is_some_and(|before| before.json == plan.canonical_json());
    let entries: Vec<ScheduleEntry> = schedules(plan).into_iter().chain(restore_test_schedules(plan)).collect();
    let changes = match &installation.schedules {
        Ok(stack) => schedule_changes(&account, region, stack, &plan.service, &entries).await.map_err(cannot_ask)?,
        Err(_) => Vec::new(),
    };
    output::result(&shown(plan, before.as_ref(), &installation, &arguments.stack))?;
    output::result(&shown_schedules(&entries, &changes, installation.schedules.as_ref().err().copied(), &arguments.stack))?;
    if arguments.dry_run {
        output::result("\nNothing was changed: this was a dry run.\n")?;
        return Ok(Ending::Good);
    }
    let changes_anything = !is_same || !changes.is_empty();
    if changes_anything && !arguments.yes && !confirmed()? {
        output::result("\nNothing was changed.\n")?;
        return Ok(Ending::Good);
    }
    // The alarms first: a plan in force whose alarm does not exist would wait for nothing.
    let left = make_alarms(&account, region, service, &installation.pages, &alarms).await.map_err(cannot_ask)?;
    let version = match before {
        Some(before) if is_same => before.version,
        _ => put_plan(&account, region, &installation.bucket, plan).await.map_err(cannot_ask)?,
    };
    // The schedules last: what they start takes the plan in force.
    if let Ok(stack) = &installation.schedules {
        apply_schedules(&account, region, stack, &changes).await.map_err(cannot_ask)?;
    }
    output::result(&done(plan, &alarms, &left, &version, &changes))?;
    Ok(Ending::Good)
}

/// An alarm that the installation's rule does not see would never start anything.
fn refuse_deaf_alarm(installation: &Installation, alarms: &[AlarmPlan]) -> Result<(), Complaint> {
    match alarms.iter().find(|alarm| alarm.rule == AlarmRule::BelowOne && !alarm.name.starts_with(&installation.alarm_prefix)) {
        None => Ok(()),
        Some(alarm) => Err(Complaint::new(
            format!("the alarm `{}` under `triggers.alarms` does not begin with `{}`", alarm.name, installation.alarm_prefix),
            "an alarm whose event the installation listens to",
            "rename the alarm in the plan, or deploy the stack with another AlarmPrefix",
        )),
    }
}

fn cannot_ask(error: Failed) -> Stop {
    let wanted = "an answer from AWS";
    let now = match error.code.as_str() {
        "AccessDenied" | "AccessDeniedException" | "UnauthorizedOperation" => {
            "use credentials that may do this; docs/install.md lists what `muster push` needs"
        }
        "ExpiredToken" | "ExpiredTokenException" | "InvalidClientTokenId" | "UnrecognizedClientException" => {
            "log in again: these credentials are not valid any more"
        }
        _ => "look at the message; where it speaks of credentials, log in or set AWS_PROFILE",
    };
    Complaint::new(error.to_string(), wanted, now).into()
}

fn untouchable(problems: &[Untagged]) -> String {
    let rows: Vec<Vec<Cell>> = problems
        .iter()
        .map(|problem| {
            let resource = &problem.resource;
            vec![(BAD, resource.kind.words().to_owned()), (STRONG, resource.name.clone()), (QUIET, resource.region.to_string()), (PLAIN, problem.seen.clone())]
        })
        .collect();
    table(2, &rows)
}

fn shown(plan: &Plan, before: Option<&InForce>, installation: &Installation, stack: &str) -> String {
    let place = format!("{} in {} ({})", stack, plan.regions.standby, installation.mode);
    let head = |what: &str| format!("{}: {what} on {place}\n", paint(STRONG, plan.service.as_str()));
    let Some(before) = before else { return head("the first plan") };
    // What is in force was written by this command; should it not be readable, everything differs.
    let known: Value = serde_json::from_str(&before.json).unwrap_or_default();
    let wanted: Value = serde_json::from_str(&plan.canonical_json()).unwrap_or_default();
    let found = differences(&known, &wanted);
    if found.is_empty() {
        return head("the same plan is in force");
    }
    let rows: Vec<Vec<Cell>> = found.iter().map(row).collect();
    format!("{}\n{}", head(&format!("{} from the plan in force, version {},", count(found.len() as u64, "difference"), before.version)), table(2, &rows))
}

fn row(difference: &Difference) -> Vec<Cell> {
    let path = difference.path.clone();
    match (&difference.before, &difference.after) {
        (Some(before), Some(after)) => vec![(QUIET, "~".to_owned()), (STRONG, path), (PLAIN, format!("{before} → {after}"))],
        (None, Some(after)) => vec![(GOOD, "+".to_owned()), (STRONG, path), (PLAIN, after.clone())],
        (before, None) => vec![(BAD, "-".to_owned()), (STRONG, path), (PLAIN, before.clone().unwrap_or_default())],
    }
}

/// What becomes of the schedules: each change, or why there are none.
fn shown_schedules(entries: &[ScheduleEntry], changes: &[ScheduleChange], missing: Option<&str>, stack: &str) -> String {
    match missing {
        Some(output) if !entries.is_empty() => {
            return format!(
                "\n{} no schedules: the stack {stack} has no output `{output}`, so nothing starts the plan's backups by itself; deploy it anew, then push again\n",
                paint(BAD, "!")
            );
        }
        _ if changes.is_empty() => return String::new(),
        _ => {}
    }
    let rows: Vec<Vec<Cell>> = changes
        .iter()
        .flat_map(|change| match change {
            ScheduleChange::Create(entry) => vec![schedule_row((GOOD, "+"), &entry.name, entry.expression.clone())],
            ScheduleChange::Update(entry, differences) => {
                differences.iter().map(|difference| schedule_row((QUIET, "~"), &entry.name, difference.clone())).collect()
            }
            ScheduleChange::Delete { name, expression } => vec![schedule_row((BAD, "-"), name, expression.clone())],
        })
        .collect();
    format!("\n{}\n{}", paint(STRONG, "schedules, in UTC"), table(2, &rows))
}

fn schedule_row((style, sign): (anstyle::Style, &str), name: &str, what: String) -> Vec<Cell> {
    vec![(style, sign.to_owned()), (STRONG, name.to_owned()), (PLAIN, what)]
}

fn confirmed() -> Result<bool, Stop> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    output::note("\nPut it in force? Runs that are open keep the plan that they were opened with. [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn done(plan: &Plan, alarms: &[AlarmPlan], left: &std::collections::BTreeSet<String>, version: &str, changes: &[ScheduleChange]) -> String {
    let mut rows: Vec<Vec<Cell>> =
        vec![vec![(QUIET, "in force".to_owned()), (PLAIN, format!("plans/{}.json, version {version}, SHA-256 {}", plan.service, plan.digest()))]];
    for alarm in alarms {
        let state = if left.contains(&alarm.name) { "left as it is: it was not made by `muster push`" } else { "watches" };
        rows.push(vec![(QUIET, "alarm".to_owned()), (PLAIN, format!("{} {state} {}/{}", alarm.name, alarm.namespace, alarm.metric))]);
    }
    for change in changes {
        let what = match change {
            ScheduleChange::Create(entry) | ScheduleChange::Update(entry, _) => format!("{} fires at {}", entry.name, entry.expression),
            ScheduleChange::Delete { name, .. } => format!("{name} is gone"),
        };
        rows.push(vec![(QUIET, "schedule".to_owned()), (PLAIN, what)]);
    }
    format!("\n{}", table(2, &rows))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kaireon() -> Vec<ScheduleEntry> {
        schedules(&muster_plan::load("kaireon.yaml", include_bytes!("../../../plans/kaireon.yaml")).plan.unwrap())
    }

    fn plain(text: &str) -> String {
        anstream::adapter::strip_str(text).to_string()
    }

    #[test]
    fn each_change_of_a_schedule_is_shown_with_what_it_was_and_what_it_will_be() {
        let entries = kaireon();
        let moved = vec!["when: cron(0 1 * * ? *) → cron(30 2 * * ? *)".to_owned(), "state: DISABLED → ENABLED".to_owned()];
        let changes = [
            ScheduleChange::Create(entries[0].clone()),
            ScheduleChange::Update(entries[1].clone(), moved),
            ScheduleChange::Delete { name: "kaireon.weekly".into(), expression: "cron(0 3 ? * 1 *)".into() },
        ];
        let lines: Vec<String> = plain(&shown_schedules(&entries, &changes, None, "muster-live"))
            .lines()
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        assert_eq!(
            lines,
            [
                "",
                "schedules, in UTC",
                "+ kaireon.rds-daily cron(0 2 * * ? *)",
                "~ kaireon.redis-daily when: cron(0 1 * * ? *) → cron(30 2 * * ? *)",
                "~ kaireon.redis-daily state: DISABLED → ENABLED",
                "- kaireon.weekly cron(0 3 ? * 1 *)",
            ]
        );
        assert_eq!(shown_schedules(&entries, &[], None, "muster-live"), "", "nothing to say where nothing changes");
    }

    #[test]
    fn a_stack_without_schedules_is_told_to_whoever_has_backups_and_to_nobody_else() {
        let text = plain(&shown_schedules(&kaireon(), &[], Some("BackupScheduleGroup"), "muster-live"));
        assert!(text.contains("the stack muster-live has no output `BackupScheduleGroup`, so nothing starts the plan's backups by itself"), "{text}");
        assert_eq!(shown_schedules(&[], &[], Some("BackupScheduleGroup"), "muster-live"), "");
    }
}
