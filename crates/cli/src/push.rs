//! `muster push`: puts a plan in force. Checks it, shows what changes, sees that Muster may touch what the plan names, uploads it,
//! and makes the alarms that it speaks of.

use std::io::{BufRead, IsTerminal};

use muster_account::{
    Account, AlarmPlan, Failed, InForce, Installation, SERVICE_TAG, Untagged, make_alarms, plan_alarms, plan_in_force, put_plan, resources, untagged,
};
use muster_actions::unbuilt;
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
    output::result(&shown(plan, before.as_ref(), &installation, &arguments.stack))?;
    if arguments.dry_run {
        output::result("\nNothing was changed: this was a dry run.\n")?;
        return Ok(Ending::Good);
    }
    if !is_same && !arguments.yes && !confirmed()? {
        output::result("\nNothing was changed.\n")?;
        return Ok(Ending::Good);
    }
    // The alarms first: a plan in force whose alarm does not exist would wait for nothing.
    let left = make_alarms(&account, region, service, &alarms).await.map_err(cannot_ask)?;
    let version = match before {
        Some(before) if is_same => before.version,
        _ => put_plan(&account, region, &installation.bucket, plan).await.map_err(cannot_ask)?,
    };
    output::result(&done(plan, &alarms, &left, &version))?;
    Ok(Ending::Good)
}

/// An alarm that the installation's rule does not see would never start anything.
fn refuse_deaf_alarm(installation: &Installation, alarms: &[AlarmPlan]) -> Result<(), Complaint> {
    match alarms.iter().find(|alarm| alarm.below_one && !alarm.name.starts_with(&installation.alarm_prefix)) {
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

fn confirmed() -> Result<bool, Stop> {
    if !std::io::stdin().is_terminal() {
        return Ok(true);
    }
    output::note("\nPut it in force? Runs that are open keep the plan that they were opened with. [y/N] ")?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

fn done(plan: &Plan, alarms: &[AlarmPlan], left: &std::collections::BTreeSet<String>, version: &str) -> String {
    let mut rows: Vec<Vec<Cell>> =
        vec![vec![(QUIET, "in force".to_owned()), (PLAIN, format!("plans/{}.json, version {version}, SHA-256 {}", plan.service, plan.digest()))]];
    for alarm in alarms {
        let state = if left.contains(&alarm.name) { "left as it is: it was not made by `muster push`" } else { "watches" };
        rows.push(vec![(QUIET, "alarm".to_owned()), (PLAIN, format!("{} {state} {}/{}", alarm.name, alarm.namespace, alarm.metric))]);
    }
    format!("\n{}", table(2, &rows))
}
