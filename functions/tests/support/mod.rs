//! A Lambda runtime API and an AWS on one port of 127.0.0.1, for real binaries.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;

/// A request of the function: to the runtime, or to AWS.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    pub(crate) path: String,
    pub(crate) target: String,
    pub(crate) body: String,
}

/// What AWS answers: status and body; `None` never answers.
pub(crate) type Aws = dyn Fn(&Request) -> Option<(u16, String)> + Send + Sync;

/// What the function posted to the runtime: the path after the request's id, and the body.
pub(crate) type Posted = (String, Value);

struct Shared {
    events: Mutex<Receiver<String>>,
    posted: Mutex<Sender<Posted>>,
    asked: Mutex<Sender<Request>>,
    aws: Box<Aws>,
}

/// The server.
pub(crate) struct Lambda {
    address: String,
    events: Sender<String>,
    posted: Receiver<Posted>,
    /// Requests to AWS, as they come.
    pub(crate) asked: Receiver<Request>,
}

impl Lambda {
    pub(crate) fn start(aws: impl Fn(&Request) -> Option<(u16, String)> + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ((events, of_events), (posted, of_posted), (asked, of_asked)) = (channel(), channel(), channel());
        let shared = Arc::new(Shared { events: Mutex::new(of_events), posted: Mutex::new(posted), asked: Mutex::new(asked), aws: Box::new(aws) });
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                std::thread::spawn(move || serve(stream, &shared));
            }
        });
        Lambda { address, events, posted: of_posted, asked: of_asked }
    }

    /// The function, as Lambda starts it.
    pub(crate) fn function(&self, binary: &str) -> Function {
        let endpoint = format!("http://{}", self.address);
        let child = Command::new(binary)
            .env_clear()
            .envs([
                ("AWS_LAMBDA_RUNTIME_API", self.address.as_str()),
                ("AWS_LAMBDA_FUNCTION_NAME", "function"),
                ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
                ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
                ("AWS_REGION", "us-west-2"),
                ("AWS_ACCESS_KEY_ID", "key"),
                ("AWS_SECRET_ACCESS_KEY", "a-secret-that-nobody-logs"),
                ("AWS_SESSION_TOKEN", "a-token-that-nobody-logs"),
                ("AWS_ENDPOINT_URL", &endpoint),
                ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
                ("MUSTER_TABLE", "table"),
                ("MUSTER_BUCKET", "bucket"),
                ("MUSTER_HOME_REGION", "us-west-2"),
                ("MUSTER_FLOW_ARN_PREFIX", "arn:aws:states:us-west-2:123456789012:stateMachine:muster-"),
            ])
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        Function(child)
    }

    pub(crate) fn send(&self, event: &Value) {
        self.events.send(event.to_string()).unwrap();
    }

    /// What the function answers to the event.
    pub(crate) fn answer(&self) -> Posted {
        self.posted.recv_timeout(Duration::from_secs(30)).expect("no answer came within 30 s")
    }
}

/// A running function; killed at the end, as Lambda does.
pub(crate) struct Function(Child);

impl Function {
    /// Kills the function (SIGKILL) and returns what it has written: standard output, and everything.
    pub(crate) fn kill(mut self) -> (Vec<Value>, String) {
        self.0.kill().unwrap();
        self.0.wait().unwrap();
        let (mut out, mut error) = (String::new(), String::new());
        self.0.stdout.take().unwrap().read_to_string(&mut out).unwrap();
        self.0.stderr.take().unwrap().read_to_string(&mut error).unwrap();
        let lines = out.lines().map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("no JSON: {line}"))).collect();
        (lines, out + &error)
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn serve(stream: TcpStream, shared: &Shared) {
    let mut writer = stream.try_clone().unwrap();
    let mut reader = BufReader::new(stream);
    while let Some(request) = read(&mut reader) {
        let answer = if let Some(call) = request.path.strip_prefix("/2018-06-01/runtime/invocation/") {
            if call == "next" {
                let Ok(event) = shared.events.lock().unwrap().recv() else { return };
                let head = "lambda-runtime-aws-request-id: request-1\r\nlambda-runtime-deadline-ms: 9999999999999\r\n\
                    lambda-runtime-invoked-function-arn: arn:aws:lambda:us-west-2:123456789012:function:function\r\n";
                Some((200, head, event))
            } else {
                let what = call.split_once('/').unwrap_or_default().1.to_owned();
                shared.posted.lock().unwrap().send((what, serde_json::from_str(&request.body).unwrap())).unwrap();
                Some((202, "", "{}".to_owned()))
            }
        } else {
            let _ = shared.asked.lock().unwrap().send(request.clone());
            (shared.aws)(&request).map(|(status, body)| (status, "x-amzn-requestid: aws-1\r\n", body))
        };
        let Some((status, head, body)) = answer else {
            // Never answers, and holds the connection.
            std::thread::park();
            return;
        };
        let text = format!("HTTP/1.1 {status} -\r\n{head}content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if writer.write_all(text.as_bytes()).is_err() {
            return;
        }
    }
}

fn read(reader: &mut BufReader<TcpStream>) -> Option<Request> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
    let path = line.split(' ').nth(1)?.to_owned();
    let (mut length, mut target) = (0, String::new());
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).ok()?;
        let Some((name, value)) = header.trim().split_once(':') else { break };
        match name.to_ascii_lowercase().as_str() {
            "content-length" => length = value.trim().parse().ok()?,
            "x-amz-target" => target = value.rsplit('.').next()?.to_owned(),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Request { path, target, body: String::from_utf8_lossy(&body).into_owned() })
}
