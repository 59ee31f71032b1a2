//! For tests: real PostgreSQL servers, each in a directory of its own, on 127.0.0.1.

use std::io::Write as _;
use std::net::TcpListener;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio_postgres::{Client, Config, NoTls};

/// Where Debian keeps the servers, one directory a version.
const INSTALLED: &str = "/usr/lib/postgresql";

/// A server that ends with the test.
pub(super) struct Server {
    pub(super) port: u16,
    programs: PathBuf,
    directory: PathBuf,
    process: Option<Child>,
}

/// The programs of the newest version, or nothing, said past the test harness that would keep it to itself.
fn programs() -> Option<PathBuf> {
    let versions = std::fs::read_dir(INSTALLED).into_iter().flatten().filter_map(Result::ok).map(|version| version.path().join("bin"));
    let newest = versions.filter(|bin| bin.join("initdb").exists()).max();
    if newest.is_none() {
        let _ = writeln!(
            std::io::stderr(),
            "\nSKIPPED: no PostgreSQL in {INSTALLED}: what the adapter says to a server is NOT tested. Install the package `postgresql`.\n"
        );
    }
    newest
}

/// PostgreSQL does not run as root: then it runs as the package's own user.
fn user() -> Option<u32> {
    let number = |arguments: &[&str]| {
        let output = Command::new("id").args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap().trim().parse::<u32>().unwrap()
    };
    (number(&["-u"]) == 0).then(|| number(&["-u", "postgres"]))
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Server {
    /// A primary with the superuser `admin`, password `admin-password`; `None` where PostgreSQL is not installed.
    pub(super) async fn start() -> Option<Server> {
        let server = Server::prepare(programs()?);
        std::fs::write(server.directory.join("password"), "admin-password").unwrap();
        let password = server.directory.join("password");
        server.run(
            "initdb",
            &[
                "--auth=scram-sha-256",
                "--username=admin",
                "--no-sync",
                "--encoding=UTF8",
                "--locale=C",
                "--pwfile",
                path(&password),
                "--pgdata",
                path(&server.data()),
            ],
        );
        Some(server.serve("").await)
    }

    /// The same with TLS, and without anything else.
    pub(super) async fn start_with_tls_only() -> Option<Server> {
        let mut server = Server::start().await?;
        server.stop();
        let (key, certificate) = (server.data().join("server.key"), server.data().join("server.crt"));
        let request =
            ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=somebody-else", "-days", "2", "-keyout", path(&key), "-out", path(&certificate)];
        server.command(Path::new("openssl")).args(request).status().unwrap();
        std::fs::write(server.data().join("pg_hba.conf"), "hostssl all all 127.0.0.1/32 scram-sha-256\n").unwrap();
        Some(server.serve("ssl = on").await)
    }

    /// A hot standby that follows this server.
    pub(super) async fn standby(&self) -> Server {
        let standby = Server::prepare(self.programs.clone());
        let source = format!("host=127.0.0.1 port={} user=admin password=admin-password", self.port);
        standby.run(
            "pg_basebackup",
            &["--dbname", &source, "--pgdata", path(&standby.data()), "--write-recovery-conf", "--wal-method=stream", "--checkpoint=fast", "--no-sync"],
        );
        standby.serve("").await
    }

    fn prepare(programs: PathBuf) -> Server {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("muster-postgres-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let directory = std::env::temp_dir().join(name);
        std::fs::create_dir(&directory).unwrap();
        if let Some(user) = user() {
            chown(&directory, Some(user), None).unwrap();
        }
        Server { port: free_port(), programs, directory, process: None }
    }

    fn data(&self) -> PathBuf {
        self.directory.join("data")
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.directory).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).env("LC_ALL", "C");
        if let Some(user) = user() {
            command.uid(user);
        }
        command
    }

    fn run(&self, program: &str, arguments: &[&str]) {
        let output = self.command(&self.programs.join(program)).args(arguments).stderr(Stdio::piped()).output().unwrap();
        assert!(output.status.success(), "{program}: {}", String::from_utf8_lossy(&output.stderr));
    }

    async fn serve(mut self, more: &str) -> Server {
        let settings = format!("port = {}\nlisten_addresses = '127.0.0.1'\nunix_socket_directories = ''\nfsync = off\n{more}\n", self.port);
        std::fs::write(self.data().join("postgresql.auto.conf"), self.replication() + &settings).unwrap();
        let process = self.command(&self.programs.join("postgres")).arg("-D").arg(self.data()).spawn().unwrap();
        self.process = Some(process);
        for _ in 0..200 {
            tokio::time::sleep(Duration::from_millis(50)).await;
            // It answers, if only that this is no TLS connection.
            match self.client("admin", "admin-password", "postgres").await {
                Ok(_) => return self,
                Err(error) if error.as_db_error().is_some_and(|answer| answer.code().code() == "28000") => return self,
                Err(_) => {}
            }
        }
        panic!("the server on port {} does not come up", self.port);
    }

    /// What `pg_basebackup` wrote about the primary to follow.
    fn replication(&self) -> String {
        let settings = std::fs::read_to_string(self.data().join("postgresql.auto.conf")).unwrap();
        settings.lines().filter(|line| line.starts_with("primary_conninfo")).map(|line| format!("{line}\n")).collect()
    }

    fn stop(&mut self) {
        if let Some(mut process) = self.process.take() {
            // SIGKILL would leave a lock behind; this is PostgreSQL's fast shutdown.
            let _ = Command::new("kill").args(["-INT", &process.id().to_string()]).status();
            let _ = process.wait();
        }
    }

    /// A session of somebody else, without TLS.
    pub(super) async fn client(&self, user: &str, password: &str, database: &str) -> Result<Client, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user(user).password(password).dbname(database);
        let (client, connection) = config.connect(NoTls).await?;
        tokio::spawn(connection);
        Ok(client)
    }

    /// Statements of the superuser.
    pub(super) async fn admin(&self, statements: &[&str]) {
        let client = self.client("admin", "admin-password", "postgres").await.unwrap();
        for statement in statements {
            client.batch_execute(statement).await.unwrap();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
        let _ = std::fs::remove_dir_all(&self.directory);
    }
}

fn path(path: &Path) -> &str {
    path.to_str().unwrap()
}
