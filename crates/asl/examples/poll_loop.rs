//! How many turns of a poll loop (Task → Choice → Wait → Task) the interpreter makes in a second of real
//! time. Run it with `cargo run --release -p muster-asl --example poll_loop`.

// A benchmark measures real time, and prints.
#![allow(clippy::disallowed_methods, clippy::print_stdout)]

use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::{Duration, Instant};

use muster_asl::{Config, FunctionError, HistoryMode, Invocation, Lambda, LocalBoxFuture, Machine, StepFunctions, TokioClock, Value};
use serde_json::json;

const MACHINE: &str = r#"{
  "QueryLanguage": "JSONata",
  "StartAt": "Promote",
  "TimeoutSeconds": 99999999,
  "States": {
    "Promote": {
      "Type": "Task",
      "Resource": "arn:aws:states:::lambda:invoke",
      "TimeoutSeconds": 60,
      "Arguments": {
        "FunctionName": "promote-replica",
        "Payload": {"run": "{% $states.input.run %}", "turn": "{% $turns %}", "phase": "databases"}
      },
      "Assign": {"turns": "{% $exists($turns) ? $turns + 1 : 1 %}"},
      "Output": {"run": "{% $states.input.run %}", "progress": "{% $states.result.Payload %}"},
      "Retry": [{"ErrorEquals": ["Muster.Transient"], "JitterStrategy": "FULL"}],
      "Next": "IsDone"
    },
    "IsDone": {
      "Type": "Choice",
      "Choices": [{"Condition": "{% $states.input.progress.status = 'done' %}", "Next": "Done"}],
      "Default": "WaitABit"
    },
    "WaitABit": {
      "Type": "Wait",
      "Seconds": "{% $states.input.progress.retryAfterSeconds %}",
      "Next": "Promote"
    },
    "Done": {"Type": "Succeed"}
  }
}"#;

/// Pending for a number of turns, then done.
struct Promote {
    left: Rc<Cell<u32>>,
}

impl Lambda for Promote {
    fn invoke(&self, _: Invocation) -> LocalBoxFuture<'static, Result<Value, FunctionError>> {
        let left = self.left.get();
        self.left.set(left.saturating_sub(1));
        let answer = if left == 0 { json!({"status": "done"}) } else { json!({"status": "pending", "retryAfterSeconds": 2, "detail": "promoting"}) };
        Box::pin(async move { Ok(Value::from(answer)) })
    }
}

fn measure(history: HistoryMode, turns: u32, executions: u32) -> Duration {
    // Asking `$exists` about a variable is what allows it to have no value yet.
    let source = MACHINE.replace("{% $turns %}", "{% $exists($turns) ? $turns : 0 %}");
    let machine = Machine::load(&source, &BTreeMap::new()).expect("the machine loads");
    let started = Instant::now();
    for seed in 0..executions {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().expect("a runtime");
        let machine = machine.clone();
        tokio::task::LocalSet::new().block_on(&runtime, async move {
            let left = Rc::new(Cell::new(turns));
            let clock = Rc::new(TokioClock::new(0));
            let account = StepFunctions::new(Config { seed: u64::from(seed), history, ..Config::new(clock, Rc::new(Promote { left })) });
            account.register("flow", machine);
            let arn = account.start_execution("flow", Some("run"), json!({"run": {"id": "r-1", "epoch": 7}})).expect("it starts");
            let end = account.await_end(&arn).await.expect("it ends");
            assert!(end.output.is_some(), "{end:?}");
        });
    }
    started.elapsed()
}

fn main() {
    let (turns, executions) = (2_000, 20);
    for history in [HistoryMode::Off, HistoryMode::Compact, HistoryMode::Full] {
        measure(history, turns, 1);
        let took = measure(history, turns, executions);
        let all = f64::from(turns * executions);
        println!("history {history:?}: {:.2} µs a turn, {:.0} turns a second", took.as_secs_f64() * 1e6 / all, all / took.as_secs_f64());
    }
    let short = 5_000;
    let took = measure(HistoryMode::Off, 3, short);
    println!("executions of three turns, each with a runtime of its own: {:.0} a second", f64::from(short) / took.as_secs_f64());
}
