//! A local stack, and what a test does with it.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use aws_sdk_sfn::config::{Credentials, SharedCredentialsProvider};
use aws_sdk_sfn::types::ExecutionStatus;
use aws_types::SdkConfig;
use aws_types::region::Region;
use muster_aws::{Aws, Settings};
use muster_core::ports::{CloneState, LEASE_TAG, LaneState, RunRegistry, Snapshot, SnapshotPlace, SnapshotSource, Snapshots, SourceKind};
use muster_core::{Clock, Lane, Timestamp};
use muster_plan::Plan;
use serde_json::{Value, json};

/// A run takes one or two minutes; ten times as long is a failure.
const PATIENCE: Duration = Duration::from_secs(8 * 60);

/// A stack's directory. Dropping it ends every process that was started and removes the files, even where the start failed half-way.
struct Directory(PathBuf);

/// A local stack.
pub(crate) struct Stack {
    directory: Directory,
    state: Value,
    pub(crate) sdk: SdkConfig,
    /// The same adapters as the functions have, with an operator's keys.
    pub(crate) aws: Aws,
}

/// An execution that has ended.
pub(crate) struct Ended {
    pub(crate) arn: String,
    pub(crate) status: ExecutionStatus,
    pub(crate) output: Value,
    pub(crate) error: String,
}

impl Stack {
    /// Starts a stack with a variant of the plan: `automatic`, `holding`, `veto`, `backups`, `restores`, `policies`. `name` is the test's.
    pub(crate) fn start(variant: &str, name: &str) -> Self {
        Self::start_with(variant, name, &[])
    }

    /// Starts one whose schedules and alarms rest: only what is asked for happens.
    pub(crate) fn start_still(variant: &str, name: &str) -> Self {
        Self::start_with(variant, name, &["--still"])
    }

    /// Starts one that has a service to protect, and no Muster.
    pub(crate) fn start_estate(variant: &str, name: &str) -> Self {
        Self::start_with(variant, name, &["--only-estate"])
    }

    fn start_with(variant: &str, name: &str, more: &[&str]) -> Self {
        let directory = Directory(std::env::temp_dir().join(format!("muster-end-to-end-{}-{name}", std::process::id())));
        let target = variable("MUSTER_STACK_TARGET");
        run_stack(&directory.0, &[&["start", "--plan", variant, "--target", &target], more].concat());
        let (state, sdk, aws) = read(&directory.0);
        Stack { directory, state, sdk, aws }
    }

    /// Learns of a Muster that was deployed on an estate by SAM itself.
    pub(crate) fn adopt(&mut self) {
        self.operate(&["adopt"]);
        (self.state, self.sdk, self.aws) = read(&self.directory.0);
    }

    /// Where the stack's files are; removed with it.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory.0
    }

    /// One of the things that stack.json says, whatever it is.
    pub(crate) fn value(&self, pointer: &str) -> &Value {
        self.state.pointer(pointer).unwrap_or_else(|| panic!("stack.json has no {pointer}"))
    }

    /// One of the things that stack.json says.
    pub(crate) fn text(&self, pointer: &str) -> String {
        text(&self.state, pointer)
    }

    /// Does what an operator does with `stack.py`.
    pub(crate) fn operate(&self, arguments: &[&str]) -> String {
        run_stack(&self.directory.0, arguments)
    }

    /// The plan in force, as it was filled in for this stack.
    pub(crate) fn plan(&self) -> Plan {
        let text = std::fs::read(self.text("/plan")).unwrap();
        muster_plan::load("plan.yaml", &text).plan.unwrap()
    }

    /// Puts a changed plan in force: each first text is replaced by the second.
    pub(crate) fn push(&self, changes: &[(&str, &str)]) {
        let mut text = std::fs::read_to_string(self.text("/plan")).unwrap();
        for (from, to) in changes {
            assert!(text.contains(from), "{from}");
            text = text.replacen(from, to, 1);
        }
        let file = self.directory.0.join("changed.yaml");
        std::fs::write(&file, text).unwrap();
        let muster = PathBuf::from(variable("MUSTER_STACK_TARGET")).join("muster");
        let pushed = Command::new(muster).args(["push", "--yes", "--stack", "muster-live"]).arg(&file).envs(self.environment()).output().unwrap();
        assert!(pushed.status.success(), "{}", String::from_utf8_lossy(&pushed.stderr));
    }

    /// What an operator's shell has set.
    pub(crate) fn environment(&self) -> Vec<(String, String)> {
        self.state["environment"].as_object().unwrap().iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect()
    }

    /// The primary region falls silent, and both probes have seen it for long enough.
    pub(crate) fn lose_the_primary(&self) {
        self.operate(&["dark", "primary"]);
        // The plan wants five seconds of failing samples.
        for _ in 0..3 {
            self.operate(&["probe"]);
            std::thread::sleep(Duration::from_secs(3));
        }
    }

    /// The alarm's event, as CloudWatch sends it. Nothing else of the alarm.
    pub(crate) fn send_alarm(&self) {
        self.control("/event", Some(&json!({ "alarm": self.text("/alarm"), "region": self.text("/regions/standby") })));
    }

    /// Starts the failover with an input, as from the console.
    pub(crate) async fn start_flow(&self, input: &Value) -> String {
        self.start_flow_of("region-failover", input).await
    }

    /// Starts a flow with an input, as from the console.
    pub(crate) async fn start_flow_of(&self, flow: &str, input: &Value) -> String {
        let machine = self.text("/outputs/FlowArnPrefix") + flow;
        let started = self.step_functions().start_execution().state_machine_arn(machine).input(input.to_string()).send().await.unwrap();
        started.execution_arn
    }

    /// What an operator writes in the console.
    pub(crate) fn order(&self) -> Value {
        json!({ "service": self.text("/service"), "by": "Ann", "reason": "the region is down" })
    }

    /// The executions of the failover, newest first.
    pub(crate) async fn executions(&self) -> Vec<String> {
        self.executions_of("region-failover").await
    }

    /// The executions of a flow, newest first.
    pub(crate) async fn executions_of(&self, flow: &str) -> Vec<String> {
        let machine = self.text("/outputs/FlowArnPrefix") + flow;
        let listed = self.step_functions().list_executions().state_machine_arn(machine).send().await.unwrap();
        listed.executions.into_iter().map(|execution| execution.execution_arn).collect()
    }

    /// The only execution, once there is one.
    pub(crate) async fn only_execution(&self) -> String {
        let began = Instant::now();
        loop {
            if let [only] = &self.executions().await[..] {
                return only.clone();
            }
            assert!(began.elapsed() < PATIENCE, "no execution was started");
            pause().await;
        }
    }

    /// The first execution of a flow, once a schedule has started one.
    pub(crate) async fn first_execution(&self, flow: &str) -> String {
        let began = Instant::now();
        loop {
            if let Some(oldest) = self.executions_of(flow).await.pop() {
                return oldest;
            }
            assert!(began.elapsed() < PATIENCE, "no schedule has started a run of {flow}");
            pause().await;
        }
    }

    /// No schedule starts anything from here on. What has been started goes on.
    pub(crate) fn rest(&self) {
        self.control("/still", Some(&json!({})));
    }

    /// Waits for an execution's end.
    pub(crate) async fn end_of(&self, arn: &str) -> Ended {
        let began = Instant::now();
        // Some are over in a moment.
        let mut pause = Duration::from_millis(30);
        loop {
            let described = self.step_functions().describe_execution().execution_arn(arn).send().await.unwrap();
            if described.status != ExecutionStatus::Running {
                let output = described.output.as_deref().map(|text| serde_json::from_str(text).unwrap()).unwrap_or_default();
                let error = format!("{} {}", described.error.unwrap_or_default(), described.cause.unwrap_or_default());
                return Ended { arn: arn.to_owned(), status: described.status, output, error };
            }
            assert!(began.elapsed() < PATIENCE, "still running: {:?}", self.entered(arn).await);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(500));
        }
    }

    /// The states that an execution has entered, in order, each as often as it was.
    pub(crate) async fn entered(&self, arn: &str) -> Vec<String> {
        let client = self.step_functions();
        let mut pages = client.get_execution_history().execution_arn(arn).into_paginator().send();
        let mut entered = Vec::new();
        while let Some(page) = pages.next().await {
            entered.extend(page.unwrap().events.into_iter().filter_map(|event| event.state_entered_event_details).map(|details| details.name));
        }
        entered
    }

    /// Waits until an execution has entered a state.
    pub(crate) async fn reaches(&self, arn: &str, state: &str) {
        let began = Instant::now();
        while !self.entered(arn).await.iter().any(|entered| entered == state) {
            assert!(began.elapsed() < PATIENCE, "{state} was not reached: {:?}", self.entered(arn).await);
            pause().await;
        }
    }

    /// Waits until people are asked a question whose name begins so.
    pub(crate) async fn is_asked(&self, question: &str) {
        let began = Instant::now();
        while !self.operate(&["decide"]).contains(&format!("  {question}")) {
            assert!(began.elapsed() < PATIENCE, "nobody was asked {question}: {}", self.operate(&["watch"]));
            pause().await;
        }
    }

    /// Stops an execution, as in the console.
    pub(crate) async fn stop(&self, arn: &str) {
        self.step_functions().stop_execution().execution_arn(arn).error("Console").cause("stopped by an operator").send().await.unwrap();
    }

    /// The lane of the service's failovers.
    pub(crate) async fn lane(&self) -> LaneState {
        self.lane_of(Lane::Recover).await
    }

    /// One of the service's lanes.
    pub(crate) async fn lane_of(&self, lane: Lane) -> LaneState {
        self.aws.read_lane(&self.text("/service"), lane).await.unwrap()
    }

    /// The primary and the standby.
    pub(crate) fn regions(&self) -> [muster_core::Region; 2] {
        let regions = self.plan().regions;
        [regions.primary, regions.standby]
    }

    /// The snapshots of the plan's database in a region, as the functions see them.
    pub(crate) async fn snapshots(&self, region: &muster_core::Region) -> Vec<Snapshot> {
        let source = SnapshotSource { kind: SourceKind::Instance, name: self.plan().databases[0].primary.as_str().into() };
        let place = SnapshotPlace { region: region.clone(), account: None, bucket: None };
        self.aws.list_snapshots(&place, &source, None).await.unwrap().snapshots
    }

    /// A clone's lease is over, as if its time had passed.
    pub(crate) async fn end_lease(&self, clone: &CloneState) {
        let [_, there] = self.regions();
        let over = self.aws.now().before(muster_core::Duration::from_mins(1));
        self.tag(&there, "db", &clone.name, LEASE_TAG, &over.to_string()).await;
    }

    /// Somebody sets a tag of an instance (`db`) or a snapshot.
    pub(crate) async fn tag(&self, region: &muster_core::Region, kind: &str, name: &str, tag: &str, value: &str) {
        let client = aws_sdk_rds::Client::from_conf(aws_sdk_rds::config::Builder::from(&self.sdk).region(Region::new(region.to_string())).build());
        let tag = aws_sdk_rds::types::Tag::builder().key(tag).value(value).build();
        client.add_tags_to_resource().resource_name(format!("arn:aws:rds:{region}:123456789012:{kind}:{name}")).tags(tag).send().await.unwrap();
    }

    /// The report of the run that was closed last; `null` before there is one.
    pub(crate) async fn newest_report(&self) -> Value {
        let mut reports = self.reports().await;
        reports.sort_by_key(|report| report["summary"]["closedAt"].as_str().unwrap_or_default().to_owned());
        reports.pop().unwrap_or_default()
    }

    /// The reports in the bucket, as JSON.
    pub(crate) async fn reports(&self) -> Vec<Value> {
        let client = aws_sdk_s3::Client::new(&self.sdk);
        let bucket = self.text("/outputs/Bucket");
        let listed = client.list_objects_v2().bucket(&bucket).prefix("reports/").send().await.unwrap();
        let mut reports = Vec::new();
        for key in listed.contents().iter().filter_map(|object| object.key()).filter(|key| key.ends_with(".json")) {
            let object = client.get_object().bucket(&bucket).key(key).send().await.unwrap();
            reports.push(serde_json::from_slice(&object.body.collect().await.unwrap().into_bytes()).unwrap());
        }
        reports
    }

    /// Calls of functions that reached AWS: of one action, with their faults.
    pub(crate) fn calls(&self, action: &str) -> Vec<Value> {
        self.calls_since(Timestamp::from_millis(0)).into_iter().filter(|call| call["action"] == action).collect()
    }

    /// Every call that reached AWS since an instant.
    pub(crate) fn calls_since(&self, instant: Timestamp) -> Vec<Value> {
        let millis = instant.as_millis();
        let all = self.control(&format!("/calls?since={}.{:03}", millis / 1_000, millis % 1_000), None);
        all["calls"].as_array().unwrap().clone()
    }

    /// Lets the next call of an action go wrong: `applied`, `lost`, `throttled`, `kill`.
    pub(crate) fn fault(&self, kind: &str, action: &str) {
        self.control("/fault", Some(&json!({ "kind": kind, "action": action })));
    }

    /// The stack's own interface: tests/stack/control.py.
    pub(crate) fn control(&self, path: &str, body: Option<&Value>) -> Value {
        let address = self.text("/control").replace("http://", "");
        let mut stream = TcpStream::connect(&address).unwrap();
        let body = body.map(Value::to_string);
        let method = if body.is_some() { "POST" } else { "GET" };
        let body = body.unwrap_or_default();
        write!(stream, "{method} {path} HTTP/1.0\r\nHost: {address}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}", body.len())
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, content) = answer.split_once("\r\n\r\n").unwrap();
        assert!(head.contains(" 200 "), "{method} {path}: {head} {content}");
        serde_json::from_str(content).unwrap()
    }

    /// Step Functions, with an operator's keys.
    pub(crate) fn step_functions(&self) -> aws_sdk_sfn::Client {
        aws_sdk_sfn::Client::new(&self.sdk)
    }
}

impl Drop for Directory {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Ok(log) = std::fs::read_to_string(self.0.join("emulator.log"))
        {
            let lines: Vec<&str> = log.lines().collect();
            eprintln!("the end of the emulators' log:\n{}", lines[lines.len().saturating_sub(40)..].join("\n"));
        }
        run_stack(&self.0, &["stop"]);
    }
}

async fn pause() {
    tokio::time::sleep(Duration::from_millis(500)).await;
}

/// What stack.json says, and the adapters as an operator has them. Before anything is deployed they know no table and no bucket.
fn read(directory: &Path) -> (Value, SdkConfig, Aws) {
    let state: Value = serde_json::from_slice(&std::fs::read(directory.join("stack.json")).unwrap()).unwrap();
    let credentials = Credentials::new(text(&state, "/environment/AWS_ACCESS_KEY_ID"), text(&state, "/environment/AWS_SECRET_ACCESS_KEY"), None, None, "test");
    let sdk = SdkConfig::builder()
        .http_client(muster_aws::https())
        .behavior_version(aws_sdk_sfn::config::BehaviorVersion::latest())
        .region(Region::new(text(&state, "/regions/standby")))
        .endpoint_url(text(&state, "/endpoint"))
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build();
    let output = |name: &str| state["outputs"][name].as_str().unwrap_or_default().to_owned();
    let settings = Settings {
        table: output("Table"),
        bucket: output("Bucket"),
        home: text(&state, "/regions/standby").parse().unwrap(),
        here: text(&state, "/regions/standby").parse().unwrap(),
        flow_arn_prefix: output("FlowArnPrefix"),
        dns: Some(text(&state, "/dns").parse().unwrap()),
    };
    let aws = Aws::new(settings, &sdk);
    (state, sdk, aws)
}

pub(crate) fn variable(name: &str) -> String {
    #[expect(clippy::disallowed_methods, reason = "the test's own configuration: `make end-to-end` sets it")]
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run `make end-to-end`"))
}

pub(crate) fn text(state: &Value, pointer: &str) -> String {
    state.pointer(pointer).and_then(Value::as_str).unwrap_or_else(|| panic!("stack.json has no {pointer}")).to_owned()
}

fn run_stack(directory: &Path, arguments: &[&str]) -> String {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/stack/stack.py");
    let done = Command::new(variable("MUSTER_STACK_PYTHON")).arg(script).arg("--state").arg(directory).args(arguments).output().unwrap();
    let (out, err) = (String::from_utf8_lossy(&done.stdout).into_owned(), String::from_utf8_lossy(&done.stderr));
    assert!(done.status.success(), "stack.py {arguments:?}: {out}\n{err}");
    out
}

/// Runs an asynchronous test.
pub(crate) fn wait_for<T>(test: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(test)
}
