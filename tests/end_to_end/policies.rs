//! Every permission is needed, and missed when it is gone.
//!
//! Each part of each policy of the stack is taken away, alone: one action, one resource, or one value of a condition. Then whoever has the
//! role does what it is for, on an estate that is the same each time, and is seen to be denied. With the whole policy the same is done
//! without a denial: so it is the missing part that was missed, and nothing else. A part that nothing misses is superfluous.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use muster_core::Clock;
use serde_json::{Value, json};

use crate::situations::{Runs, Situation, prepare, restore, situations};
use crate::stack::{Stack, wait_for};

/// Parts that nothing here exercises: the role, the statement, and why. Whatever is listed and missed after all has to go.
const NOT_EXERCISED: [(&str, &str, &str); 44] = [
    ("machine muster-live-region-failover", "DeliverLogs", LOGS),
    ("machine muster-live-announce", "DeliverLogs", LOGS),
    ("machine muster-live-half-minute", "DeliverLogs", LOGS),
    ("machine muster-live-backup", "DeliverLogs", LOGS),
    ("machine muster-live-restore-test", "DeliverLogs", LOGS),
    (
        "target arn:aws:states:us-west-2:123456789012:stateMachine:muster-live-backup arn:aws:states:us-west-2:123456789012:stateMachine:muster-live-restore-test",
        "KeepWhatCouldNotBeStarted",
        "the emulators start what they are asked to, or forget it: nothing becomes a dead letter",
    ),
    (TAKE, "SeeClusterSnapshots", CLUSTERS),
    (TAKE, "ClearFailedClusterSnapshots", CLUSTERS),
    (TAKE, "TakeClusterSnapshotsOf", CLUSTERS),
    (TAKE, "MakeClusterSnapshots", CLUSTERS),
    (TAKE, "SeeCacheSnapshots", CACHES),
    (TAKE, "ClearFailedCacheSnapshots", CACHES),
    (TAKE, "TakeCacheSnapshotsOf", CACHES),
    (TAKE, "MakeCacheSnapshots", CACHES),
    (TAKE, "SeeBuckets", CACHES),
    (COPY, "SeeClusterSnapshots", CLUSTERS),
    (COPY, "ClearFailedClusterSnapshots", CLUSTERS),
    (COPY, "CopyClusterSnapshotsFrom", CLUSTERS),
    (COPY, "MakeClusterCopies", CLUSTERS),
    (COPY, "SeeCacheSnapshots", CACHES),
    (COPY, "ExportCacheSnapshots", CACHES),
    (COPY, "SeeBuckets", CACHES),
    (COPY, "ExportToBuckets", CACHES),
    (COPY, "UseKeys", KEYS),
    (PRUNE, "SeeClusterSnapshots", CLUSTERS),
    (PRUNE, "DeleteClusterSnapshots", CLUSTERS),
    (PRUNE, "SeeCacheSnapshots", CACHES),
    (PRUNE, "DeleteCacheSnapshots", CACHES),
    (PRUNE, "SeeBuckets", CACHES),
    (TAKE, "SeeExports", EXPORTS),
    (COPY, "SeeExports", EXPORTS),
    (COPY, "StartExports", EXPORTS),
    (PRUNE, "SeeExports", EXPORTS),
    (VERIFY, "SeeExports", EXPORTS),
    (VERIFY, "SeeLifecycles", EXPORTS),
    (VERIFY, "SeeClusterSnapshots", CLUSTERS),
    (VERIFY, "SeeAutomatedClusterBackups", CLUSTERS),
    (VERIFY, "SeeClusters", CLUSTERS),
    (VERIFY, "SeeCacheSnapshots", CACHES),
    (VERIFY, "SeeCaches", CACHES),
    (VERIFY, "SeeReplicatedBackups", REPLICATED),
    (VERIFY, "SeeStandbyDatabases", REPLICATED),
    ("function muster-live-restore-clone", "UseKeys", KEYS),
    ("function muster-live-verify-clone", "SeePrimaries", "the local database has a replica in the standby region, which is asked instead"),
];
const TAKE: &str = "function muster-live-take-backup";
const COPY: &str = "function muster-live-copy-backup";
const PRUNE: &str = "function muster-live-prune-backups";
const VERIFY: &str = "function muster-live-verify-backups";
const KEYS: &str = "RDS uses a caller's permission inside AWS";
const CLUSTERS: &str = "the local estate has no Aurora cluster: the adapter is tried on recorded answers";
const EXPORTS: &str = "the local plan has no archive: the adapter is tried on recorded answers";
const REPLICATED: &str = "the local plan has no automated backups that are replicated";
const CACHES: &str = "the emulators copy no snapshots of caches: the adapter is tried on recorded answers";
const LOGS: &str = "Step Functions sets up the delivery of a machine's logs when the machine is made, inside AWS; the emulators deliver none";

/// Parts that are missed without an error, by design: the role, or `*`; the statement; the action or resource, where not all of it; and why.
const TOLERATED: [(&str, &str, &str, &str); 22] = [
    ("*", "WriteLedger", "", "a ledger that cannot be written blocks no recovery: its entries go to the log"),
    ("*", "TellTopics", "", "a channel that is down stops nothing, and is written down"),
    ("*", "ReadWebhooks", "", "as above"),
    ("*", "SeeScalingGroups", "autoscaling:DescribeScalingActivities", "it says why a group does not grow, and decides nothing"),
    ("function muster-live-preflight", "KeepNotes", "dynamodb:PutItem", LATEST),
    ("function muster-live-promote-replica", "KeepNotes", "dynamodb:PutItem", LATEST),
    ("function muster-live-take-backup", "KeepNotes", "dynamodb:PutItem", LATEST),
    ("function muster-live-copy-backup", "KeepNotes", "dynamodb:PutItem", LATEST),
    ("function muster-live-prune-backups", "KeepNotes", "dynamodb:PutItem", LATEST),
    ("function muster-live-restore-clone", "KeepNotes", "dynamodb:PutItem", LATEST),
    ("function muster-live-verify-health", "KeepNotes", "dynamodb:PutItem", LATEST),
    ("function muster-live-stand-down", "KeepNotes", "dynamodb:PutItem", LATEST),
    ("function muster-live-scale-compute", "ResizeScalingGroups", "us-east-1", "the one try to stop work in the primary region, which is most often dark"),
    ("function muster-live-probe", "ReadMetrics", "", "a lag that cannot be read is no sample: a failover finds none, and refuses unless that was accepted"),
    ("function muster-live-verify-backups", "SeeBuckets", "", "a listing that is denied is a finding, which names the call as S3's interface does"),
    ("function muster-witness-probe", "SeeAlarms", "", "a source that cannot be read is stored as blind, with the reason"),
    ("function muster-live-janitor", "ReadPinnedPlan", "", UNLOCKS),
    ("function muster-live-janitor", "ReadLedgerAndSamples", "", UNLOCKS),
    ("function muster-live-janitor", "StoreReports", "", UNLOCKS),
    ("function muster-live-open-run", "ReadPinnedPlan", "", UNLOCKS),
    ("function muster-live-open-run", "ReadLedgerAndSamples", "", UNLOCKS),
    ("function muster-live-open-run", "StoreReports", "", UNLOCKS),
];
const LATEST: &str = "what was done last, for whoever keeps people informed: its loss costs a line in a message";
const UNLOCKS: &str = "a lock that was abandoned is released in any case: the ledger has everything, and that there is no report";

#[test]
fn every_role_is_denied_what_the_last_part_of_its_policy_allows() {
    let stack = Stack::start_still("policies", "policies-sample");
    wait_for(try_parts(&stack, Extent::LastOfEach));
}

#[test]
#[ignore = "some minutes: make soak"]
fn every_part_of_every_policy_is_missed_when_it_is_taken_away() {
    let stack = Stack::start_still("policies", "policies");
    wait_for(try_parts(&stack, Extent::All));
}

/// How much is tried.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extent {
    /// The last part of each policy: policies are written books first, and what the role is for last.
    LastOfEach,
    /// Every part, those that nothing is said to exercise included.
    All,
}

async fn try_parts(stack: &Stack, extent: Extent) {
    let runs = prepare(stack).await;
    let roles = roles(stack);
    let mut found = Found::default();
    let mut unknown = NOT_EXERCISED.to_vec();
    for role in &roles {
        let trials = trials(role, &runs, stack).await;
        assert!(!trials.is_empty(), "{} ({}) is given nothing to do: add it to situations.rs", role.name, role.of);
        for trial in &trials {
            let seen = trial.make(stack).await;
            if !seen.denied.is_empty() || !seen.outcome.contains(&trial.wanted) {
                found.complaints.push(format!("{}, with its whole policy, on {}: wanted {}, saw {seen:?}", role.of, trial.estate, trial.wanted));
            }
        }
        let mut parts = role.parts();
        unknown.retain(|(of, sid, _)| *of != role.of || parts.iter().all(|part| part.sid != *sid));
        if extent == Extent::LastOfEach {
            parts.retain(|part| !listed_as(role, part));
            parts.drain(..parts.len().saturating_sub(1));
        }
        for part in &parts {
            let missed = is_missed(stack, role, part, &trials, &mut found).await;
            match (missed, listed_as(role, part)) {
                (true, true) => found.complaints.push(format!("{}: {part} is missed: take it off NOT_EXERCISED", role.of)),
                (false, false) => found.complaints.push(format!("{}: nothing misses {part}", role.of)),
                _ => {}
            }
        }
    }
    found.complaints.extend(unknown.iter().map(|(of, sid, _)| format!("{of} has no {sid}: take it off NOT_EXERCISED")));
    for (index, (of, sid, what, _)) in TOLERATED.iter().enumerate() {
        if extent == Extent::All && !found.tolerated.contains(&index) {
            found.complaints.push(format!("{of}, {sid} {what}: nothing is tolerated there any more: take it off TOLERATED"));
        }
    }
    assert!(found.complaints.is_empty(), "{}", found.complaints.join("\n"));
}

#[derive(Default)]
struct Found {
    complaints: Vec<String>,
    /// Which entries of `TOLERATED` something was tolerated by.
    tolerated: BTreeSet<usize>,
}

fn listed_as(role: &Role, part: &Part) -> bool {
    NOT_EXERCISED.iter().any(|(of, sid, _)| *of == role.of && *sid == part.sid)
}

/// Takes the part away, lets the role try until a call is denied for want of it, and gives it back.
async fn is_missed(stack: &Stack, role: &Role, part: &Part, trials: &[Trial], found: &mut Found) -> bool {
    put_policy(stack, role, part, &part.without);
    let mut missed = false;
    // A task that calls the very thing comes first: it is most often the one that misses it.
    let (first, others): (Vec<&Trial>, Vec<&Trial>) = trials.iter().partition(|trial| matches!(&trial.deed, Deed::Run { calls, .. } if *calls == part.what));
    for trial in first.into_iter().chain(others) {
        let seen = trial.make(stack).await;
        let Some(action) = seen.denied.iter().find(|action| part.actions.contains(*action)) else { continue };
        missed = true;
        if !matches!(trial.deed, Deed::Invoke { .. } | Deed::Run { .. }) {
            break; // What becomes of a target that may not be called, only AWS knows.
        }
        let is_said = seen.outcome.contains(action.as_str());
        let tolerates = |(of, sid, what, _): &(&str, &str, &str, &str)| (*of == "*" || *of == role.of) && *sid == part.sid && part.what.contains(what);
        let tolerated = TOLERATED.iter().position(tolerates);
        found.tolerated.extend(tolerated);
        if is_said == tolerated.is_some() {
            let how = if is_said { "and that is said: take it off TOLERATED" } else { "and nobody says so" };
            found.complaints.push(format!("{}: {part}: {action} was denied, {how}: {}", role.of, seen.outcome));
        }
        break;
    }
    put_policy(stack, role, part, &role.policies[&part.policy]);
    missed
}

fn put_policy(stack: &Stack, role: &Role, part: &Part, document: &Value) {
    stack.control("/policy", Some(&json!({ "role": role.name, "name": part.policy, "document": document })));
}

/// A role of the stack, and for whom it is.
struct Role {
    name: String,
    /// `function NAME`, `machine NAME`, `target ARN ARN`.
    of: String,
    policies: BTreeMap<String, Value>,
}

fn roles(stack: &Stack) -> Vec<Role> {
    let listed = stack.control("/roles", None);
    let roles = listed.as_object().unwrap().iter().map(|(name, role)| Role {
        name: name.clone(),
        of: role["of"].as_str().unwrap().to_owned(),
        policies: serde_json::from_value(role["policies"].clone()).unwrap(),
    });
    let mut roles: Vec<Role> = roles.collect();
    roles.sort_by(|one, other| one.of.cmp(&other.of));
    assert!(roles.len() > 25, "{}", roles.len());
    roles
}

/// A part of a policy that can be taken away alone.
struct Part {
    policy: String,
    sid: String,
    /// What it is: an action, a resource, a value; `all of it` for a statement of one of each.
    what: String,
    /// The actions of which some call must be denied without it.
    actions: Vec<String>,
    /// The policy without it.
    without: Value,
}

impl std::fmt::Display for Part {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} of {}", self.what, self.sid)
    }
}

impl Role {
    fn parts(&self) -> Vec<Part> {
        let mut parts = Vec::new();
        for (policy, document) in &self.policies {
            let statements = document["Statement"].as_array().unwrap();
            let is_listed = |sid: &str| NOT_EXERCISED.iter().any(|(of, listed, _)| *of == self.of && *listed == sid);
            for (at, statement) in statements.iter().enumerate() {
                let sid = statement["Sid"].as_str().map_or_else(|| format!("{policy}, statement {at}"), str::to_owned);
                let actions = texts(&statement["Action"]);
                let mut part = |what: &str, actions: &[String], reduced: Option<Value>| {
                    let mut without = statements.clone();
                    let _ = match reduced {
                        Some(reduced) => std::mem::replace(&mut without[at], reduced),
                        None => without.remove(at),
                    };
                    let without = json!({ "Version": "2012-10-17", "Statement": without });
                    parts.push(Part { policy: policy.clone(), sid: sid.clone(), what: what.to_owned(), actions: actions.to_vec(), without });
                };
                // What nothing exercises goes as a whole: none of it is looked at more closely.
                let lists = if is_listed(&sid) { Vec::new() } else { lists(statement) };
                let is_whole = lists.is_empty();
                for pointer in lists {
                    let values = texts(statement.pointer(&pointer).unwrap());
                    for value in &values {
                        let mut reduced = statement.clone();
                        *reduced.pointer_mut(&pointer).unwrap() = values.iter().filter(|other| *other != value).cloned().collect();
                        part(value, if pointer == "/Action" { std::slice::from_ref(value) } else { &actions }, Some(reduced));
                    }
                }
                if is_whole {
                    part("all", &actions, None);
                }
            }
        }
        parts
    }
}

/// Where a statement has several values of one kind: each of them can go alone.
fn lists(statement: &Value) -> Vec<String> {
    let mut pointers = vec!["/Action".to_owned(), "/Resource".to_owned()];
    for (operator, keys) in statement["Condition"].as_object().into_iter().flatten() {
        pointers.extend(keys.as_object().unwrap().keys().map(|key| format!("/Condition/{operator}/{}", key.replace('/', "~1"))));
    }
    pointers.into_iter().filter(|pointer| statement.pointer(pointer).is_some_and(|values| texts(values).len() > 1)).collect()
}

fn texts(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().map(|value| value.as_str().unwrap().to_owned()).collect(),
        value => value.as_str().map(str::to_owned).into_iter().collect(),
    }
}

/// One thing that a role is for.
struct Trial {
    /// The estate that it is done on.
    estate: &'static str,
    /// Whose calls count, as the stack records them.
    caller: String,
    deed: Deed,
    /// What the outcome contains when nothing is denied.
    wanted: String,
}

enum Deed {
    /// A function is invoked.
    Invoke { function: String, region: String, event: Value, throttled: Option<&'static str> },
    /// A state machine of one task, under the role of the machine that has this task.
    Run { machine: String, calls: String },
    /// An alarm goes off that no plan names.
    Alarm,
    /// The schedule of a state machine comes round.
    Tick { machine: String },
}

/// What came of it.
#[derive(Debug)]
struct Seen {
    /// The actions that were denied to the role.
    denied: Vec<String>,
    outcome: String,
}

async fn trials(role: &Role, runs: &Runs, stack: &Stack) -> Vec<Trial> {
    let of_role = |deed| Trial { estate: "fresh", caller: format!("role {}", role.name), deed, wanted: String::new() };
    match role.of.split_once(' ') {
        Some(("function", function)) => {
            let region = stack.text(if function.starts_with("muster-witness") { "/regions/witness" } else { "/regions/standby" });
            let invoke = |Situation { estate, event, throttled, answered }| Trial {
                estate,
                caller: role.of.clone(),
                deed: Deed::Invoke { function: function.to_owned(), region: region.clone(), event, throttled },
                wanted: answered.to_owned(),
            };
            situations(function, runs, stack).into_iter().map(invoke).collect()
        }
        Some(("machine", machine)) => machines_of_one_task(machine, role, stack).await.into_iter().map(of_role).collect(),
        Some(("target", arn)) if arn.ends_with("-region-failover") => vec![of_role(Deed::Alarm)],
        Some(("target", arns)) => arns.split(' ').map(|arn| of_role(Deed::Tick { machine: arn.rsplit(':').next().unwrap().to_owned() })).collect(),
        _ => Vec::new(),
    }
}

/// For each function or machine that the tasks of a state machine call, a machine that calls it and does nothing else.
async fn machines_of_one_task(machine: &str, role: &Role, stack: &Stack) -> Vec<Deed> {
    let client = stack.step_functions();
    let arn = stack.text("/outputs/FlowArnPrefix").replace("muster-live-", machine);
    let described = client.describe_state_machine().state_machine_arn(arn).send().await.unwrap();
    let definition: Value = serde_json::from_str(&described.definition).unwrap();
    let mut called = BTreeMap::new();
    collect(&definition["States"], &mut called);
    let mut made = Vec::new();
    for (index, (calls, resource)) in called.into_iter().enumerate() {
        let of_function = resource.contains("lambda");
        let arguments = if of_function { json!({ "FunctionName": calls, "Payload": {} }) } else { json!({ "StateMachineArn": calls, "Input": {} }) };
        let task = json!({ "Type": "Task", "Resource": resource, "Arguments": arguments, "TimeoutSeconds": 60, "End": true });
        let definition = json!({ "QueryLanguage": "JSONata", "StartAt": "Call", "States": { "Call": task } }).to_string();
        let role = format!("arn:aws:iam::123456789012:role/{}", role.name);
        let create = client.create_state_machine().name(format!("only-{machine}-{index}")).definition(definition).role_arn(role);
        made.push(Deed::Run { machine: create.send().await.unwrap().state_machine_arn, calls });
    }
    made
}

/// What every Task calls, and by which integration; one that waits for a token calls the same way.
fn collect(states: &Value, called: &mut BTreeMap<String, String>) {
    for state in states.as_object().unwrap().values() {
        if state["Type"] == "Task" {
            let target = state["Arguments"]["FunctionName"].as_str().or_else(|| state["Arguments"]["StateMachineArn"].as_str()).unwrap();
            called.insert(target.to_owned(), state["Resource"].as_str().unwrap().trim_end_matches(".waitForTaskToken").to_owned());
        }
        state["Branches"].as_array().into_iter().flatten().for_each(|branch| collect(&branch["States"], called));
    }
}

/// Longer than any of the trials takes.
const PATIENCE: Duration = Duration::from_secs(30);

impl Trial {
    async fn make(&self, stack: &Stack) -> Seen {
        restore(stack, self.estate);
        let began = stack.aws.now();
        let outcome = match &self.deed {
            Deed::Invoke { function, region, event, throttled } => {
                throttled.iter().for_each(|action| stack.fault("throttled", action));
                let answered = stack.control("/invoke", Some(&json!({ "function": function, "region": region, "event": event })));
                stack.control("/clear", Some(&json!({})));
                answered["answer"].to_string()
            }
            Deed::Run { machine, .. } => {
                let started = stack.step_functions().start_execution().state_machine_arn(machine).send().await.unwrap();
                let ended = stack.end_of(&started.execution_arn).await;
                format!("{} {}", ended.output, ended.error)
            }
            Deed::Alarm => {
                stack.control("/event", Some(&json!({ "alarm": "basecoat-that-no-plan-names", "region": stack.text("/regions/standby") })));
                String::new()
            }
            Deed::Tick { machine } => {
                stack.control("/tick", Some(&json!({ "machine": machine })));
                String::new()
            }
        };
        // Rules call by themselves, a moment later.
        let waited = Instant::now();
        let calls = loop {
            let calls: Vec<Value> = stack.calls_since(began).into_iter().filter(|call| call["caller"] == *self.caller).collect();
            if !calls.is_empty() {
                break calls;
            }
            assert!(waited.elapsed() < PATIENCE, "{} calls nothing: {outcome}", self.caller);
            std::thread::sleep(Duration::from_millis(20));
        };
        Seen { denied: calls.iter().filter_map(|call| call["denied"].as_str()).map(str::to_owned).collect(), outcome }
    }
}
