//! The template: every function has what its action needs and nothing else, and everything that must be there is.
#![allow(clippy::unwrap_used)] // also in the functions that tests share

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use muster_actions::LONGEST_FUNCTION;
use muster_core::Duration;
use muster_core::ports::{CLONE_PREFIX, CLONE_TAG};
use saphyr_parser::{Event, Parser, ScalarStyle, Tag};
use serde_json::{Map, Value, json};

type Names = BTreeSet<String>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// A template as JSON; `!Sub x` is `{"Fn::Sub": x}`.
fn template(path: &str) -> Value {
    let text = read(path);
    let mut parser = Parser::new_from_str(&text);
    let mut next = || parser.next().unwrap().unwrap_or_else(|error| panic!("{path}: {error}")).0;
    loop {
        match next() {
            Event::StreamStart | Event::DocumentStart(_) => {}
            first => return value(first, &mut next),
        }
    }
}

fn value<'a>(event: Event<'a>, next: &mut impl FnMut() -> Event<'a>) -> Value {
    let (plain, tag) = match event {
        Event::Scalar(text, style, _, tag) => (scalar(&text, style), tag),
        Event::SequenceStart(_, tag) => {
            let mut items = Vec::new();
            loop {
                match next() {
                    Event::SequenceEnd => break (Value::Array(items), tag),
                    item => items.push(value(item, next)),
                }
            }
        }
        Event::MappingStart(_, tag) => {
            let mut entries = Map::new();
            loop {
                match next() {
                    Event::MappingEnd => break (Value::Object(entries), tag),
                    Event::Scalar(key, ..) => {
                        let item = next();
                        assert!(entries.insert(key.to_string(), value(item, next)).is_none(), "{key} stands twice");
                    }
                    other => panic!("a key is no scalar: {other:?}"),
                }
            }
        }
        other => panic!("CloudFormation takes no {other:?}"),
    };
    match tag.as_deref() {
        Some(Tag { suffix, .. }) if suffix == "Ref" => json!({ "Ref": plain }),
        Some(Tag { suffix, .. }) => json!({ format!("Fn::{suffix}"): plain }),
        None => plain,
    }
}

fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return text.into();
    }
    match text {
        "true" => true.into(),
        "false" => false.into(),
        _ => text.parse::<i64>().map_or_else(|_| text.into(), Value::from),
    }
}

fn of_type<'t>(template: &'t Value, kind: &str) -> BTreeMap<&'t str, &'t Value> {
    let resources = template["Resources"].as_object().unwrap();
    resources.iter().filter(|(_, resource)| resource["Type"] == kind).map(|(name, resource)| (name.as_str(), &resource["Properties"])).collect()
}

fn functions(template: &Value) -> BTreeMap<&str, &Value> {
    of_type(template, "AWS::Serverless::Function")
}

fn machines(template: &Value) -> BTreeMap<&str, &Value> {
    of_type(template, "AWS::Serverless::StateMachine")
}

fn many(value: &Value) -> Vec<&Value> {
    value.as_array().map_or_else(|| vec![value], |items| items.iter().collect())
}

/// The statements of a function's or a state machine's policies, those that only some parameters bring included.
fn statements(properties: &Value) -> Vec<&Value> {
    let policies = properties["Policies"].as_array().unwrap();
    let listed = policies.iter().flat_map(|policy| policy["Statement"].as_array().unwrap());
    listed.map(|statement| statement.get("Fn::If").map_or(statement, |choice| &choice[1])).collect()
}

fn actions_of(statement: &Value) -> Vec<&str> {
    many(&statement["Action"]).into_iter().map(|action| action.as_str().unwrap()).collect()
}

fn allowed(properties: &Value) -> Names {
    statements(properties).into_iter().flat_map(actions_of).map(str::to_owned).collect()
}

/// `promote-replica` is `PromoteReplica`.
fn pascal(name: &str) -> String {
    name.split('-').map(|word| word[..1].to_uppercase() + &word[1..]).collect()
}

/// An action as `dispatch` and its own file have it.
struct Acted {
    name: String,
    /// Whether it is called as part of a run; a schedule or the opening of a run calls the others.
    in_a_run: bool,
    /// `Mutates`, `Observes`, `Undoes` or `KeepsBooks`.
    conduct: String,
    /// What stands after `AWS:`.
    aws: String,
}

impl Acted {
    /// The operations of the `AWS:` line.
    fn operations(&self) -> Names {
        let is_operation = |word: &&str| word.split_once(':').is_some_and(|(_, operation)| operation.starts_with(|first: char| first.is_ascii_uppercase()));
        self.aws.split([' ', ',', ';', '(', ')', '.']).filter(is_operation).map(str::to_owned).collect()
    }

    /// What `core::invoke` does for every action of this kind, whatever the action is.
    fn books(&self) -> Names {
        let kept: &[&str] = match (self.in_a_run, self.conduct.as_str()) {
            // Nobody keeps books for an action that belongs to no run: its line says everything.
            (false, _) => &[],
            // The pinned plan; the ledger.
            (true, "KeepsBooks") => &["s3:GetObjectVersion", "dynamodb:BatchWriteItem"],
            // A deadline that a person moved is a note; so is what was done last.
            (true, "Observes") => &["s3:GetObjectVersion", "dynamodb:BatchWriteItem", "dynamodb:GetItem", "dynamodb:PutItem"],
            // Kill switch and epoch. It runs past any deadline.
            (true, "Undoes") => &["s3:GetObjectVersion", "dynamodb:BatchWriteItem", "dynamodb:PutItem", "dynamodb:BatchGetItem"],
            (true, "Mutates") => &["s3:GetObjectVersion", "dynamodb:BatchWriteItem", "dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:BatchGetItem"],
            (true, other) => panic!("{}: `{other}` is a conduct that this test does not know", self.name),
        };
        kept.iter().map(|operation| (*operation).to_owned()).collect()
    }
}

fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
    let rest = text.split_once(start).unwrap_or_else(|| panic!("no `{start}`")).1;
    rest.split_once(end).unwrap_or_else(|| panic!("no `{end}` after `{start}`")).0
}

fn acted() -> Vec<Acted> {
    let dispatch = read("crates/actions/src/lib.rs");
    let arms: Vec<&str> = dispatch.lines().map(str::trim).filter(|line| line.contains("=> Box::pin(invoke")).collect();
    assert!(arms.len() >= 20, "dispatch was read");
    arms.into_iter()
        .map(|arm| {
            let name = between(arm, "\"", "\"").to_owned();
            let source = read(&format!("crates/actions/src/{}.rs", name.replace('-', "_")));
            let head: String = source.lines().take_while(|line| line.starts_with("//!")).map(|line| line.trim_start_matches("//!").to_owned() + "\n").collect();
            let after = head.split_once(" AWS: ").unwrap_or_else(|| panic!("{name} has no `AWS:` line")).1;
            let aws =
                after.lines().enumerate().take_while(|(at, line)| *at == 0 || line.starts_with("      ")).map(|(_, line)| line.trim()).collect::<Vec<_>>();
            Acted { in_a_run: !arm.contains("invoke_alone"), conduct: between(&source, "conduct: Conduct::", " }").to_owned(), aws: aws.join(" "), name }
        })
        .collect()
}

fn machine_files() -> Names {
    let entries = std::fs::read_dir(root().join("statemachines")).unwrap();
    entries.map(|entry| format!("statemachines/{}", entry.unwrap().file_name().to_string_lossy())).collect()
}

/// The names between `${` and `}`.
fn placeholders(text: &str) -> Names {
    text.match_indices("${").map(|(at, _)| text[at + 2..].split('}').next().unwrap().to_owned()).collect()
}

#[test]
fn every_action_has_a_function_and_every_function_an_action() {
    let template = template("template.yaml");
    let wanted: Names = acted().iter().map(|action| pascal(&action.name) + "Function").collect();
    let found: Names = functions(&template).into_keys().map(str::to_owned).collect();
    assert_eq!(found, wanted);
}

#[test]
fn a_function_has_one_name_in_all_its_spellings() {
    let template = template("template.yaml");
    for action in acted() {
        let name = &action.name;
        let function = functions(&template)[(pascal(name) + "Function").as_str()];
        assert_eq!(function["FunctionName"], json!({ "Fn::Sub": format!("${{AWS::StackName}}-{name}") }));
        assert_eq!(function["CodeUri"], format!("target/lambda/{name}/"));
        assert!(root().join(format!("functions/src/bin/{name}.rs")).exists(), "{name} has a binary");
    }
    let binaries = std::fs::read_dir(root().join("functions/src/bin")).unwrap();
    let binaries: Names = binaries.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect();
    assert_eq!(binaries, acted().into_iter().map(|action| action.name).collect());
}

#[test]
fn a_function_may_do_what_its_action_says_and_nothing_else() {
    let template = template("template.yaml");
    for action in acted() {
        let line = action.operations();
        let repeated: Names = line.intersection(&action.books()).cloned().collect();
        assert!(repeated.is_empty(), "{}: the `AWS:` line repeats the books: {repeated:?}", action.name);
        let wanted: Names = line.union(&action.books()).cloned().collect();
        let function = functions(&template)[(pascal(&action.name) + "Function").as_str()];
        assert_eq!(allowed(function), wanted, "{}: policy in the template (left), `AWS:` line and books (right)", action.name);
    }
}

/// Operations as the adapters name them, and the action of IAM where it has another name.
const NAMED_OTHERWISE: [(&str, &str); 4] = [
    ("s3:ListObjectsV2", "s3:ListBucket"),
    ("s3:GetObject", "s3:GetObjectVersion"),
    ("s3:HeadObject", "s3:GetObject"),
    ("s3:GetBucketLifecycleConfiguration", "s3:GetLifecycleConfiguration"),
];
/// What AWS does itself, with the permissions of whoever calls it.
const DONE_BY_AWS: [&str; 6] =
    ["elasticache:AddTagsToResource", "iam:PassRole", "kms:CreateGrant", "rds:AddTagsToResource", "s3:DeleteObject", "s3:GetBucketAcl"];
/// What a port offers and no action asks for.
const ASKED_BY_NOBODY: [&str; 1] = ["rds:RebootDBInstance"];

#[test]
fn what_adapters_call_is_what_actions_say() {
    let services: Names = acted().iter().flat_map(Acted::operations).map(|operation| between(&format!(" {operation}"), " ", ":").to_owned()).collect();
    let mut called = Names::new();
    for file in ["crates/aws/src", "crates/aws-ec2/src"].into_iter().flat_map(|folder| sources(&root().join(folder))) {
        let text = std::fs::read_to_string(file).unwrap();
        let words =
            text.split('"').filter(|word| word.split_once(':').is_some_and(|(service, operation)| services.contains(service) && is_operation(operation)));
        called.extend(words.map(str::to_owned));
    }
    for (operation, action) in NAMED_OTHERWISE {
        assert!(called.contains(operation), "{operation}");
        called.insert(action.to_owned());
    }
    for name in ["s3:ListObjectsV2", "s3:HeadObject", "s3:GetBucketLifecycleConfiguration"] {
        called.remove(name);
    }
    called.extend(DONE_BY_AWS.map(str::to_owned));
    ASKED_BY_NOBODY.iter().for_each(|operation| assert!(called.remove(*operation), "{operation}"));
    let said: Names = acted().iter().flat_map(|action| action.operations().into_iter().chain(action.books())).collect();
    assert_eq!(called, said, "called by an adapter (left), said by an action (right)");
}

fn is_operation(word: &str) -> bool {
    word.starts_with(|first: char| first.is_ascii_uppercase()) && word.chars().all(|letter| letter.is_ascii_alphanumeric())
}

#[test]
fn the_primary_region_is_reached_by_those_whose_action_says_so() {
    let template = template("template.yaml");
    for action in acted() {
        let function = functions(&template)[(pascal(&action.name) + "Function").as_str()];
        assert_eq!(function.to_string().contains("${PrimaryRegion}"), action.aws.contains("primary region"), "{}", action.name);
    }
}

#[test]
fn the_witness_may_do_less_than_the_probe() {
    let template = template("template-witness.yaml");
    let functions = functions(&template);
    assert_eq!(functions.keys().copied().collect::<Vec<_>>(), ["ProbeFunction"]);
    let may = allowed(functions["ProbeFunction"]);
    let probe = acted().into_iter().find(|action| action.name == "probe").unwrap().operations();
    assert!(may.is_subset(&probe), "{may:?}");
    for not_its_own in ["states:StartExecution", "cloudwatch:PutMetricData"] {
        assert!(!may.contains(not_its_own), "only the probe of the standby region may {not_its_own}");
    }
}

/// Actions for which the service knows no resource: the policy has to say `*`. Source: the service authorization reference; for composite
/// alarms, the API reference of CloudWatch, DescribeAlarms.
const WITHOUT_RESOURCES: [&str; 20] = [
    "autoscaling:DescribeAutoScalingGroups",
    "autoscaling:DescribeScalingActivities",
    "cloudwatch:DescribeAlarms",
    "cloudwatch:GetMetricData",
    "cloudwatch:PutMetricData",
    "ec2:DescribeImages",
    "ec2:DescribeInstanceTypes",
    "ec2:DescribeInstances",
    "ec2:DescribeLaunchTemplateVersions",
    "rds:DescribeAccountAttributes",
    "servicequotas:GetServiceQuota",
    "states:SendTaskSuccess",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
];

#[test]
fn a_policy_names_its_resources_unless_the_service_knows_none() {
    for file in ["template.yaml", "template-witness.yaml"] {
        let template = template(file);
        for (name, properties) in functions(&template).into_iter().chain(machines(&template)) {
            let mut sids = BTreeSet::new();
            for statement in statements(properties) {
                let sid = statement["Sid"].as_str().unwrap();
                assert!(sids.insert(sid), "{name}: {sid} stands twice");
                for action in actions_of(statement) {
                    assert!(!action.contains('*'), "{name}: {sid} allows {action}");
                    assert_eq!(statement["Resource"] == "*", WITHOUT_RESOURCES.contains(&action), "{name}: {sid} on {}", statement["Resource"]);
                }
            }
        }
    }
}

/// What changes a service, and what a plan names: bound to the tag, and in a drill to the drill's tag as well.
const BY_TAG: [&str; 17] = [
    "autoscaling:UpdateAutoScalingGroup",
    "codebuild:BatchGetBuilds",
    "codebuild:StartBuild",
    "ec2:CreateLaunchTemplateVersion",
    "ec2:ModifyLaunchTemplate",
    "elasticache:CopySnapshot",
    "elasticache:DeleteSnapshot",
    "rds:DeleteDBClusterSnapshot",
    "rds:DeleteDBSnapshot",
    "rds:ModifyDBInstance",
    "rds:PromoteReadReplica",
    "rds:RemoveTagsFromResource",
    "rds:RestoreDBInstanceFromDBSnapshot",
    "secretsmanager:GetSecretValue",
    "sns:Publish",
    "ssm:GetParameters",
    "ssm:PutParameter",
];

#[test]
fn what_plans_name_is_bound_to_its_tag_and_a_drill_to_what_is_for_drills() {
    let template = template("template.yaml");
    let by_tag = json!({
        "StringLike": { "aws:ResourceTag/muster:service": { "Ref": "ServiceTag" } },
        "StringEquals": { "Fn::If": ["IsDrill", { "aws:ResourceTag/muster:drill": "true" }, { "Ref": "AWS::NoValue" }] },
    });
    let clones =
        |of: &str| json!({ "StringLike": { format!("aws:{of}Tag/muster:service"): { "Ref": "ServiceTag" }, format!("aws:{of}Tag/{CLONE_TAG}"): "*" } });
    let is_clones = |resource: &Value| resource["Fn::Sub"].as_str().is_some_and(|arn| arn.ends_with(&format!(":db:{CLONE_PREFIX}*")));
    let made_with_tag = json!({ "StringLike": { "aws:RequestTag/muster:service": { "Ref": "ServiceTag" } } });
    for (name, function) in functions(&template) {
        for statement in statements(function) {
            for action in actions_of(statement) {
                let is_for = |sid: &str| statement["Sid"].as_str().unwrap().starts_with(sid);
                match action {
                    // What is copied is bound by its original, of which the request is as well.
                    "rds:CopyDBSnapshot" | "rds:CopyDBClusterSnapshot" | "rds:AddTagsToResource" if name == "CopyBackupFunction" && is_for("Make") => {
                        assert!(many(&statement["Resource"]).iter().all(|resource| resource.to_string().contains("${AWS::Region}")), "{name}: {action}");
                    }
                    "rds:RestoreDBInstanceFromDBSnapshot" | "rds:AddTagsToResource" if is_for("MakeClones") => {
                        assert!(is_clones(&statement["Resource"]), "{name}: {action}");
                        assert_eq!(statement["Condition"], clones("Request"), "{name}: {action}");
                    }
                    // What is made is bound by its tags, what it is made of by its own.
                    "rds:CreateDBSnapshot"
                    | "rds:CreateDBClusterSnapshot"
                    | "elasticache:CreateSnapshot"
                    | "rds:AddTagsToResource"
                    | "elasticache:AddTagsToResource"
                        if is_for("Make") && name == "TakeBackupFunction" =>
                    {
                        assert_eq!(statement["Condition"], made_with_tag, "{name}: {action}");
                    }
                    "rds:CreateDBSnapshot"
                    | "rds:CreateDBClusterSnapshot"
                    | "elasticache:CreateSnapshot"
                    | "rds:CopyDBSnapshot"
                    | "rds:CopyDBClusterSnapshot" => {
                        assert_eq!(statement["Condition"], by_tag, "{name}: {action}");
                    }
                    "rds:StartExportTask" => {
                        let of_primary = many(&statement["Resource"]).iter().all(|resource| resource.to_string().contains("${PrimaryRegion}"));
                        assert!(of_primary && statement["Condition"] == by_tag, "{name}: {action}");
                    }
                    // The roles that the installation was told of, and to RDS alone.
                    "iam:PassRole" => {
                        assert_eq!(statement["Resource"], json!({ "Ref": "ExportRoles" }), "{name}");
                        let services = &statement["Condition"]["StringEquals"]["iam:PassedToService"];
                        assert_eq!(*services, json!(["export.rds.amazonaws.com", "rds.amazonaws.com"]), "{name}");
                    }
                    "kms:CreateGrant" => assert_eq!(statement["Condition"]["StringLike"]["kms:ViaService"], "rds.*.amazonaws.com", "{name}"),
                    "s3:PutObject" | "s3:DeleteObject" if name == "CopyBackupFunction" => assert_eq!(statement["Resource"], json!({ "Ref": "BackupBuckets" })),
                    "cloudwatch:PutMetricData" if name == "VerifyBackupsFunction" => {
                        assert_eq!(statement["Condition"]["StringEquals"]["cloudwatch:namespace"], "Muster", "{name}");
                    }
                    // A mark on a snapshot.
                    "rds:AddTagsToResource" if name == "RestoreCloneFunction" && is_for("Mark") => {
                        assert_eq!(statement["Condition"], by_tag, "{name}: {action}");
                    }
                    // A clone is bound by its name and its tags; what it is made of by the service's; where it is put, by nothing.
                    "rds:DeleteDBInstance" => {
                        assert!(is_clones(&statement["Resource"]), "{name}: {action}");
                        assert_eq!(statement["Condition"], clones("Resource"), "{name}: {action}");
                    }
                    "rds:RestoreDBInstanceFromDBSnapshot" if is_for("Place") => {
                        let kinds = [":subgrp:", ":pg:", ":og:"];
                        let places = many(&statement["Resource"]);
                        assert!(places.iter().all(|place| kinds.iter().any(|kind| place.to_string().contains(kind))), "{name}: {places:?}");
                    }
                    _ if BY_TAG.contains(&action) => assert_eq!(statement["Condition"], by_tag, "{name}: {action}"),
                    // A global datastore takes no tag.
                    "elasticache:FailoverGlobalReplicationGroup" => {
                        assert_eq!(statement["Resource"]["Fn::If"][0], "IsDrill", "{name}: {action}");
                        assert!(statement["Resource"]["Fn::If"][1]["Fn::Sub"].as_str().unwrap().ends_with(":*-drill"), "{name}: {action}");
                    }
                    // Nor does a hosted zone.
                    "route53:ChangeResourceRecordSets" => assert_eq!(statement["Resource"], json!({ "Ref": "HostedZoneArns" })),
                    "cloudwatch:PutMetricData" => assert!(statement["Condition"]["StringLike"]["cloudwatch:namespace"].is_array(), "{name}: {action}"),
                    _ if action.starts_with("dynamodb:") => assert_partitions(name, action, &statement["Condition"]),
                    _ => {
                        let reads = ["Describe", "Get", "List", "Query"].iter().any(|verb| action.split(':').nth(1).unwrap().starts_with(verb));
                        let of_muster = action.starts_with("states:") || action == "s3:PutObject";
                        assert!(reads || of_muster, "{name}: {action} is bound to no tag");
                    }
                }
            }
        }
    }
}

/// The table's partitions, and what is done in each. docs/permissions.md has the table for people.
const PARTITIONS: [(&str, &[&str]); 6] = [
    ("control", &["dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:DeleteItem"]),
    ("lanes", &["dynamodb:BatchGetItem", "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query"]),
    ("run/*", &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem", "dynamodb:Query"]),
    ("notes/*", &["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:BatchWriteItem", "dynamodb:Query"]),
    ("samples/*", &["dynamodb:BatchWriteItem", "dynamodb:Query"]),
    ("ledger/*", &["dynamodb:BatchWriteItem", "dynamodb:Query"]),
];

fn assert_partitions(name: &str, action: &str, condition: &Value) {
    let bound = condition.get("ForAllValues:StringLike").or_else(|| condition.get("ForAllValues:StringEquals"));
    let keys = bound.and_then(|keys| keys["dynamodb:LeadingKeys"].as_array()).unwrap_or_else(|| panic!("{name}: {action} reaches every partition"));
    assert!(!keys.is_empty(), "{name}: {action} reaches no partition");
    for key in keys {
        let (_, used) = PARTITIONS.iter().find(|(partition, _)| key == partition).unwrap_or_else(|| panic!("{name}: there is no partition {key}"));
        assert!(used.contains(&action), "{name}: nobody needs {action} in {key}");
    }
}

#[test]
fn only_a_person_sets_the_kill_switch() {
    let template = template("template.yaml");
    for (name, function) in functions(&template) {
        let writes = statements(function)
            .into_iter()
            .filter(|statement| actions_of(statement).iter().any(|action| ["dynamodb:PutItem", "dynamodb:DeleteItem"].contains(action)));
        let reaches = writes.filter(|statement| statement["Condition"].to_string().contains("\"control\"")).count();
        assert_eq!(reaches > 0, name == "SetKillSwitchFunction", "{name}");
    }
}

#[test]
fn every_state_machine_gets_the_functions_that_it_names_and_may_invoke_no_other() {
    let template = template("template.yaml");
    let mut files = BTreeSet::new();
    for (name, machine) in machines(&template) {
        let file = machine["DefinitionUri"].as_str().unwrap();
        files.insert(file.to_owned());
        let given = machine["DefinitionSubstitutions"].as_object().unwrap();
        assert_eq!(given.keys().cloned().collect::<Names>(), placeholders(&read(file)), "{name}: substitutions (left), placeholders of {file} (right)");
        let mut invoked = BTreeSet::new();
        for (placeholder, arn) in given.iter().filter(|(placeholder, _)| placeholder.ends_with("FunctionArn")) {
            let function = placeholder.trim_end_matches("Arn");
            assert_eq!(*arn, json!({ "Fn::GetAtt": format!("{function}.Arn") }), "{name}: {placeholder}");
            invoked.insert(arn.to_string());
        }
        let may: BTreeSet<String> = statements(machine)
            .into_iter()
            .filter(|statement| actions_of(statement) == ["lambda:InvokeFunction"])
            .flat_map(|statement| many(&statement["Resource"]))
            .map(Value::to_string)
            .collect();
        assert_eq!(may, invoked, "{name}: may invoke (left), names (right)");
        let starts: Vec<&Value> =
            statements(machine).into_iter().filter(|one| actions_of(one) == ["states:StartExecution"]).map(|one| &one["Resource"]).collect();
        assert_eq!(starts, given.get("AnnounceStateMachineArn").into_iter().collect::<Vec<_>>(), "{name}");
    }
    assert_eq!(files, machine_files());
}

#[test]
fn every_state_machine_is_named_after_its_flow_logged_and_traced() {
    let template = template("template.yaml");
    for (name, machine) in machines(&template) {
        let flow = between(machine["DefinitionUri"].as_str().unwrap(), "statemachines/", ".asl.json").to_owned();
        assert_eq!(pascal(&flow), name);
        assert_eq!(machine["Name"], json!({ "Fn::Sub": format!("${{AWS::StackName}}-{flow}") }));
        assert_eq!(machine["Tracing"]["Enabled"], true, "{name}");
        let logging = &machine["Logging"];
        assert_eq!(logging["IncludeExecutionData"], false, "{name}: inputs may hold what people wrote");
        assert_eq!(logging["Level"], if machine["Type"] == "STANDARD" { "ALL" } else { "ERROR" }, "{name}");
        assert_eq!(logging["Destinations"][0]["CloudWatchLogsLogGroup"]["LogGroupArn"], json!({ "Fn::GetAtt": format!("{name}Logs.Arn") }));
        assert!(!template["Resources"][format!("{name}Logs")].is_null(), "{name} has a log group");
    }
}

#[test]
fn every_function_is_traced_and_has_a_log_that_ends() {
    let template = template("template.yaml");
    assert_eq!(template["Globals"]["Function"]["Tracing"], "Active");
    for (name, function) in functions(&template) {
        let log = name.replace("Function", "Logs");
        assert_eq!(function["LoggingConfig"]["LogGroup"], json!({ "Ref": log }), "{name}");
        let group = &template["Resources"][&log]["Properties"];
        let called = function["FunctionName"]["Fn::Sub"].as_str().unwrap();
        assert_eq!(group["LogGroupName"], json!({ "Fn::Sub": format!("/aws/lambda/{called}") }));
        assert!(function["Tracing"].is_null() && function["Environment"].is_null() && function["Timeout"].is_null(), "{name}: as all have it");
    }
    for (name, group) in of_type(&template, "AWS::Logs::LogGroup") {
        assert_eq!(group["RetentionInDays"], json!({ "Ref": "LogRetentionDays" }), "{name}");
    }
}

#[test]
fn every_variable_that_a_function_reads_is_set_and_no_other() {
    let contract = ["MUSTER_BUCKET", "MUSTER_DNS", "MUSTER_FLOW_ARN_PREFIX", "MUSTER_HOME_REGION", "MUSTER_TABLE"];
    let here = template("template.yaml");
    let witness = template("template-witness.yaml");
    for variables in [&here["Globals"]["Function"]["Environment"], &functions(&witness)["ProbeFunction"]["Environment"]] {
        let set: Names = variables["Variables"].as_object().unwrap().keys().cloned().collect();
        assert_eq!(set, contract.iter().map(|name| (*name).to_owned()).collect());
    }
    let mut read = Names::new();
    for folder in ["crates/aws/src", "crates/aws-ec2/src", "crates/lambda/src", "functions/src"] {
        for file in sources(&root().join(folder)) {
            let text = std::fs::read_to_string(&file).unwrap();
            for (at, _) in text.match_indices("\"MUSTER_") {
                let variable = text[at + 1..].split('"').next().unwrap();
                assert!(contract.contains(&variable), "{}: {variable} is set by no template", file.display());
                read.insert(variable.to_owned());
            }
        }
    }
    assert!(contract.iter().all(|variable| read.contains(*variable)), "set, and read by nothing: {contract:?}, {read:?}");
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display())).map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

/// What an invocation does one after the other, each at its full budget: kill switch and epoch, the plan, a look, a call, the ledger.
const STEPS: u64 = 5;

#[test]
fn a_function_has_time_for_its_calls_and_ends_before_anybody_stops_waiting() {
    let operation = between(&read("crates/aws/src/clients.rs"), "OPERATION: Duration = Duration::from_secs(", ")").parse::<u64>().unwrap();
    let here = template("template.yaml");
    let witness = template("template-witness.yaml");
    for timeout in [&here["Globals"]["Function"]["Timeout"], &functions(&witness)["ProbeFunction"]["Timeout"]] {
        let timeout = timeout.as_u64().unwrap();
        assert!(timeout > STEPS * operation, "{timeout} s");
        assert!(Duration::from_secs(timeout) < LONGEST_FUNCTION, "{timeout} s: a call of an ended execution could still be under way");
    }
}

#[test]
fn what_a_schedule_calls_runs_once_at_a_time() {
    let template = template("template.yaml");
    let once = json!({ "Fn::If": ["ReservesConcurrency", 1, { "Ref": "AWS::NoValue" }] });
    for action in acted() {
        let function = functions(&template)[(pascal(&action.name) + "Function").as_str()];
        let by_a_person = ["answer-question", "set-kill-switch"].contains(&&*action.name);
        let by_schedule = !action.in_a_run && action.name != "open-run" && !by_a_person;
        assert_eq!(function["ReservedConcurrentExecutions"] == once, by_schedule, "{}", action.name);
        assert_eq!(function["ReservedConcurrentExecutions"].is_null(), !by_schedule, "{}", action.name);
    }
    let scheduled = |name: &str| functions(&template)[name]["Events"]["Schedule"]["Properties"]["Schedule"].clone();
    assert_eq!(scheduled("ProbeFunction"), "rate(1 minute)");
    assert_eq!(scheduled("JanitorFunction"), "rate(5 minutes)");
    assert_eq!(scheduled("SweepClonesFunction"), "rate(5 minutes)");
    assert_eq!(machines(&template)["HalfMinute"]["Events"]["EveryMinute"]["Properties"]["Schedule"], "rate(1 minute)");
}

#[test]
fn an_alarm_that_begins_with_the_prefix_starts_the_failover_and_is_not_lost() {
    let template = template("template.yaml");
    let alarm = &machines(&template)["RegionFailover"]["Events"]["Alarm"]["Properties"];
    assert_eq!(
        alarm["Pattern"],
        json!({
            "source": ["aws.cloudwatch"],
            "detail-type": ["CloudWatch Alarm State Change"],
            "detail": { "alarmName": [{ "prefix": { "Ref": "AlarmPrefix" } }], "state": { "value": ["ALARM"] } },
        })
    );
    assert_eq!(alarm["DeadLetterConfig"]["Arn"], json!({ "Fn::GetAtt": "DeadLetters.Arn" }));
    assert!(alarm["RetryPolicy"]["MaximumRetryAttempts"].as_u64().unwrap() > 100);
}

#[test]
fn musters_own_alarms_page_and_can_start_no_failover() {
    for file in ["template.yaml", "template-witness.yaml"] {
        let template = template(file);
        for (name, alarm) in of_type(&template, "AWS::CloudWatch::Alarm") {
            // AlarmPrefix may be no prefix of a name that begins so: see its AllowedPattern.
            assert!(alarm["AlarmName"]["Fn::Sub"].as_str().unwrap().starts_with("muster-"), "{name}");
            assert_eq!(alarm["AlarmActions"], json!([{ "Ref": "Pages" }]), "{name}");
            assert!(alarm["Metrics"].is_null(), "{name}: the local stack knows no metric math");
        }
    }
    let template = template("template.yaml");
    assert_eq!(template["Parameters"]["AlarmPrefix"]["AllowedPattern"], "^(?!(m|mu|mus|must|muste|muster.*)$)[A-Za-z0-9][A-Za-z0-9._/-]*$");
    let watched: Names = of_type(&template, "AWS::CloudWatch::Alarm")
        .into_values()
        .filter(|alarm| alarm["MetricName"] == "Errors")
        .map(|alarm| alarm["Dimensions"][0]["Value"]["Ref"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(watched, functions(&template).into_keys().map(str::to_owned).collect());
}

#[test]
fn what_muster_remembers_outlives_the_stack() {
    let template = template("template.yaml");
    for name in ["Table", "Bucket"] {
        let resource = &template["Resources"][name];
        assert_eq!((&resource["DeletionPolicy"], &resource["UpdateReplacePolicy"]), (&json!("Retain"), &json!("Retain")), "{name}");
    }
    let table = &template["Resources"]["Table"]["Properties"];
    assert_eq!(table["DeletionProtectionEnabled"], true);
    assert_eq!(table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], true);
    assert_eq!(table["TimeToLiveSpecification"], json!({ "AttributeName": "expiresAt", "Enabled": true }));
    let bucket = &template["Resources"]["Bucket"]["Properties"];
    assert_eq!(bucket["VersioningConfiguration"]["Status"], "Enabled");
    assert_eq!(bucket["ObjectLockConfiguration"]["Rule"]["DefaultRetention"]["Mode"], "GOVERNANCE");
    assert!(bucket["PublicAccessBlockConfiguration"].as_object().unwrap().values().all(|blocked| *blocked == true));
}

#[test]
fn the_dashboard_is_json_and_shows_every_alarm() {
    let template = template("template.yaml");
    let body = template["Resources"]["Dashboard"]["Properties"]["DashboardBody"]["Fn::Sub"].as_str().unwrap();
    let board: Value = serde_json::from_str(body).unwrap();
    let shown = board["widgets"].as_array().unwrap().iter().find(|widget| widget["type"] == "alarm").unwrap();
    let shown: Names = shown["properties"]["alarms"].as_array().unwrap().iter().map(|arn| between(arn.as_str().unwrap(), "${", ".Arn}").to_owned()).collect();
    assert_eq!(shown, of_type(&template, "AWS::CloudWatch::Alarm").into_keys().map(str::to_owned).collect());
}
