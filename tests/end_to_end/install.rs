//! Every command of docs/install.md, in its order, with SAM and the AWS CLI themselves: from an estate without Muster to a failover that is
//! vetoed, an upgrade, and a removal.
//!
//! The page is read, so that it cannot say anything that was not tried. A command that the lists below do not name is run as it stands there.
//! Commands that compile are run by `make soak-install`; elsewhere what the local stack was built with takes their place.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::failover::outcome;
use crate::stack::{Stack, text, variable, wait_for};

const PROJECT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");

/// What is not run, by how it begins, and why.
const LEFT_OUT: [(&str, &str); 1] = [("git pull", "there is nothing newer than the working copy")];

/// What compiles for many minutes.
const COMPILES: [&str; 3] = ["make rehearse ", "make functions", "make build-account"];

/// What a person would be asked, answered; and what is otherwise here.
const ANSWERED: [(&str, &str, &str); 3] = [
    (" --guided", "", "its questions are answered in samconfig.toml, where SAM keeps the answers"),
    ("sam delete", "sam delete --no-prompts", "it asks whether one is sure"),
    (" --cli-binary-format raw-in-base64-out", "", "version 1 of the AWS CLI, which PyPI has, takes JSON as it is and does not know this option"),
];

/// Lines of the page that are indented by four spaces: its commands and its SQL, in blocks.
fn blocks(page: &str) -> Vec<Vec<&str>> {
    let mut blocks = vec![Vec::new()];
    for line in page.lines() {
        match line.strip_prefix("    ") {
            Some(command) => blocks.last_mut().unwrap().push(command),
            None => blocks.push(Vec::new()),
        }
    }
    blocks.retain(|block| !block.is_empty());
    blocks
}

/// A copy of the project, in which SAM leaves what it builds.
struct Copy {
    directory: PathBuf,
    environment: Vec<(String, String)>,
    compiles: bool,
}

impl Copy {
    fn new(stack: &Stack) -> Self {
        let directory = stack.directory().join("copy");
        fs::create_dir_all(&directory).unwrap();
        let mut environment = stack.environment();
        let path = format!("{}:{}", variable("MUSTER_INSTALL_TOOLS"), variable("PATH"));
        for (name, value) in [
            ("PATH", path.as_str()),
            ("SAM_CLI_TELEMETRY", "0"),
            ("AWS_PAGER", ""),
            ("AWS_CONFIG_FILE", "/dev/null"),
            ("AWS_SHARED_CREDENTIALS_FILE", "/dev/null"),
            ("NO_COLOR", "1"),
        ] {
            environment.push((name.to_owned(), value.to_owned()));
        }
        let copy = Copy { directory, environment, compiles: variable("MUSTER_INSTALL_COMPILES") == "yes" };
        copy.run(&format!("cd {PROJECT} && git ls-files -z --cached --others --exclude-standard | xargs -0 cp --parents -t {}", copy.directory.display()));
        let parameters = format!("Architecture={} DnsServer={}", if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }, stack.text("/dns"));
        copy.answer("confirm_changeset = true", "confirm_changeset = false");
        for (mode, prefix) in [("live", "basecoat-"), ("drill", "drill-")] {
            copy.answer(&format!("\"Mode={mode}\""), &format!("\"Mode={mode} PrimaryRegion=us-east-1 AlarmPrefix={prefix} {parameters}\""));
        }
        // The page's plan is that of a service which is not here; this one is.
        fs::copy(stack.text("/plan"), copy.directory.join("plans/basecoat.yaml")).unwrap();
        copy
    }

    /// What a person answers, as SAM keeps it.
    fn answer(&self, question: &str, answer: &str) {
        let file = self.directory.join("samconfig.toml");
        let asked = fs::read_to_string(&file).unwrap();
        assert!(asked.contains(question), "samconfig.toml has no `{question}`");
        fs::write(file, asked.replace(question, answer)).unwrap();
    }

    /// Runs a command as a shell does; returns what it said.
    fn run(&self, command: &str) -> String {
        let began = Instant::now();
        let mut shell = Command::new("bash");
        shell.args(["-euo", "pipefail", "-c", command]).current_dir(&self.directory).envs(self.environment.clone());
        // Nothing that is compiled here may be found in, or disturb, what the other tests run.
        let done = shell.env_remove("CARGO_TARGET_DIR").stdin(std::process::Stdio::null()).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&done.stdout).into_owned(), String::from_utf8_lossy(&done.stderr));
        println!("{:5.0} s  {command}", began.elapsed().as_secs_f32());
        assert!(done.status.success(), "`{command}` failed: {}\n{out}\n{err}", done.status);
        out
    }

    /// What a command that compiles leaves behind.
    fn compile(&self, command: &str) {
        if self.compiles {
            self.run(command);
        }
        if command.starts_with("make functions") {
            let wanted = if command.contains("x86_64") { X86_64 } else { AARCH64 };
            if self.compiles {
                assert_eq!(self.machines(), BTreeSet::from([wanted]), "{command}");
            }
            self.provide_functions();
        } else if command == "make build-account" && !self.compiles {
            fs::create_dir_all(self.directory.join("target/release")).unwrap();
            fs::copy(built("muster"), self.directory.join("target/release/muster")).unwrap();
        }
    }

    /// Functions that run on this machine, whichever were built last; and newer than those that were deployed before.
    fn provide_functions(&self) {
        if self.compiles {
            let architecture = if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" };
            self.run(&format!("make functions ARCHITECTURE={architecture}"));
        } else {
            for name in self.functions() {
                let directory = self.directory.join("target/lambda").join(&name);
                fs::create_dir_all(&directory).unwrap();
                fs::copy(built(&name), directory.join("bootstrap")).unwrap();
            }
        }
        let newer = self.directory.join("target/lambda/probe/bootstrap");
        let mut bytes = fs::read(&newer).unwrap();
        bytes.extend(format!("{:?}", std::time::SystemTime::UNIX_EPOCH.elapsed()).bytes());
        fs::write(newer, bytes).unwrap();
    }

    fn functions(&self) -> Vec<String> {
        let sources = fs::read_dir(self.directory.join("functions/src/bin")).unwrap();
        sources.map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned()).collect()
    }

    /// The processors that the functions were built for. Source: ELF's `e_machine`.
    fn machines(&self) -> BTreeSet<u16> {
        let binaries = self.functions().into_iter().map(|name| self.directory.join("target/lambda").join(name).join("bootstrap"));
        binaries.map(|binary| fs::read(binary).unwrap()).map(|bytes| u16::from_le_bytes([bytes[18], bytes[19]])).collect()
    }
}

const X86_64: u16 = 62;
const AARCH64: u16 = 183;

/// What the local stack runs.
fn built(name: &str) -> PathBuf {
    Path::new(&variable("MUSTER_STACK_TARGET")).join(name)
}

#[test]
fn every_command_of_the_installation_does_what_its_page_says() {
    let page = fs::read_to_string(Path::new(PROJECT).join("docs/install.md")).unwrap();
    let mut stack = Stack::start_estate("veto", "install");
    let copy = Copy::new(&stack);
    let mut left_out = BTreeSet::new();
    for block in blocks(&page) {
        if block[0].starts_with("create role") {
            grant(&stack, &block);
            continue;
        }
        for command in block {
            if let Some((begin, _)) = LEFT_OUT.iter().find(|(begin, _)| command.starts_with(begin)) {
                left_out.insert(*begin);
            } else if COMPILES.iter().any(|begin| command.starts_with(begin)) {
                copy.compile(command);
            } else {
                run(&mut stack, &copy, command);
            }
        }
    }
    assert_eq!(left_out, LEFT_OUT.iter().map(|(begin, _)| *begin).collect(), "what the list names, the page has");
}

/// Runs a command, with what must be so before it, and sees what must be so after it.
fn run(stack: &mut Stack, copy: &Copy, command: &str) {
    let mut answered = command.to_owned();
    for (question, answer, _) in ANSWERED {
        answered = answered.replace(question, answer);
    }
    if command.starts_with("aws cloudwatch get-metric-statistics") {
        stack.operate(&["probe"]);
        // What was put a moment ago is in the statistics of the minute that has just begun.
        let began = Instant::now();
        while !copy.run(&answered).contains("\"Minimum\": 1.0") {
            assert!(began.elapsed() < Duration::from_secs(120), "no ones are shown");
            std::thread::sleep(Duration::from_secs(5));
        }
        return;
    }
    if command.starts_with("aws stepfunctions start-execution") {
        stack.lose_the_primary();
    }
    if command.contains("answer-question") {
        wait_for(stack.is_asked("failover"));
    }
    let said = copy.run(&answered);
    if command.starts_with("aws cloudformation describe-stacks") {
        let outputs: Value = serde_json::from_str(&said).unwrap();
        let value = |key: &str| text(outputs.as_array().unwrap().iter().find(|output| output["OutputKey"] == key).unwrap(), "/OutputValue");
        // `Architecture` and `DnsServer` are the installation's.
        let same = fs::read_to_string(copy.directory.join("samconfig.toml")).unwrap();
        let same = same.split_once(" Architecture=").unwrap().1.split_once('"').unwrap().0;
        let parameters = format!("HomeRegion=us-west-2 HomeStack=muster-live Table={} Bucket={} Architecture={same}", value("Table"), value("Bucket"));
        copy.answer("[witness.deploy.parameters]", &format!("[witness.deploy.parameters]\nparameter_overrides = \"{parameters}\""));
    } else if command.starts_with("sam deploy --guided --config-env witness") {
        stack.adopt();
    } else if command.contains(" push ") {
        let wanted = if command.ends_with("--dry-run") { "Nothing was changed" } else { "in force" };
        assert!(said.contains(wanted), "{said}");
    } else if command.contains("answer-question") {
        assert!(said.contains("\"answered\""), "{said}");
        stack.operate(&["light", "primary"]);
        wait_for(async {
            let ours = stack.executions().await.pop().unwrap();
            stack.end_of(&ours).await;
            assert_eq!(outcome(stack).await, "vetoed");
        });
        assert!(stack.calls("rds:PromoteReadReplica").is_empty());
    } else if command.contains("set-kill-switch") {
        let wanted = if command.contains("\"stop\": true") { "\"stopped\"" } else { "\"cleared\"" };
        assert!(said.contains(wanted), "{said}");
    }
}

/// The rights of Muster's user, given to a user of that name on the primary, and taken back: the estate has one already.
fn grant(stack: &Stack, statements: &[&str]) {
    let [address, port] = ["/servers/0/address", "/servers/0/port"].map(|pointer| stack.value(pointer).to_string().replace('"', ""));
    let script = format!("begin;\nalter role muster rename to muster_before;\n{}\nrollback;\n", statements.join("\n"));
    let server = format!("postgresql://rdsadmin:rdsadmin@{address}:{port}/basecoat_db");
    let done = Command::new("psql").args(["--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1", "--command", &script, &server]).output().unwrap();
    assert!(done.status.success(), "{script}: {}", String::from_utf8_lossy(&done.stderr));
}
