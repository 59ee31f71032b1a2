"""PostgreSQL servers: the primary of one region, its streaming replica in the other, and what is restored from dumps of them.

They stand for what RDS runs. Servers are started as an ordinary user (PostgreSQL refuses to run as root), listen on the
loopback interface only, and live in a directory of their own that is removed with them. All have one port and each an address, as on RDS: what
a workload is told of its database is a host.
"""

import os
import pathlib
import shutil
import subprocess
from dataclasses import asdict, dataclass

DATABASE = "basecoat_db"
# As on RDS, Muster's user owns the database, may look at and end sessions, and is no superuser.
MUSTER, MUSTER_PASSWORD = "muster", "muster-local"
CLIENT, CLIENT_PASSWORD = "portal", "portal-local"

SCHEMA = f"""
create role {MUSTER} login createrole password '{MUSTER_PASSWORD}';
grant pg_signal_backend, pg_monitor to {MUSTER};
create role {CLIENT} login password '{CLIENT_PASSWORD}';
create role replicator login replication password 'replicator';
create database {DATABASE} owner {MUSTER};
\\connect {DATABASE}
create table users (id int primary key, name text not null);
create table orders (id bigint generated always as identity primary key, user_id int not null references users, created_at timestamptz not null default now());
insert into users select n, 'user ' || n from generate_series(1, 100) n;
insert into orders (user_id) select n from generate_series(1, 100) n;
grant select, insert on all tables in schema public to {CLIENT};
grant select on all tables in schema public to {MUSTER};
"""


@dataclass(frozen=True)
class Server:
    """One server: the RDS instance that it stands for, where its files are, and its port."""

    instance: str
    region: str
    directory: str
    address: str
    port: int

    @property
    def endpoint(self) -> dict[str, object]:
        """As DescribeDBInstances shows it."""
        return {"Address": self.address, "Port": self.port}

    def as_json(self) -> dict[str, object]:
        return asdict(self)


@dataclass(frozen=True)
class Dump:
    """What a server held at one moment: its roles with their passwords, as SQL, and its database, in pg_dump's custom format."""

    roles: str
    database: bytes


def binary(name: str) -> str:
    """The newest server program of Debian's, or the one in the path."""
    found = sorted(pathlib.Path("/usr/lib/postgresql").glob(f"*/bin/{name}"), key=lambda path: int(path.parts[4]))
    where = str(found[-1]) if found else shutil.which(name)
    if where is None:
        raise SystemExit(f"PostgreSQL's `{name}` is missing: apt-get install postgresql")
    return where


def owner() -> str | None:
    """Whom the servers belong to, when we ourselves are root."""
    return "postgres" if os.geteuid() == 0 else None


def _hand_over(path: pathlib.Path) -> None:
    if user := owner():
        shutil.chown(path, user)


def _run(*command: str, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, check=True, capture_output=True, user=owner(), cwd="/", **{"text": True, **options})  # type: ignore[call-overload]


def _as_administrator(server: Server, database: str = "postgres") -> str:
    return f"--dbname=postgresql://rdsadmin:rdsadmin@{server.address}:{server.port}/{database}"


def psql(server: Server, script: str, database: str = "postgres") -> str:
    """A script, as the server's own administrator (not reachable for functions: they have no such password)."""
    return _run("psql", "--no-psqlrc", "--quiet", "--tuples-only", "--no-align", "--set=ON_ERROR_STOP=1", _as_administrator(server, database),
                input=script).stdout.strip()


def create(root: pathlib.Path, instance: str, region: str, address: str, port: int) -> Server:
    """A new primary, started, with the tables of the plan's checks."""
    server = Server(instance, region, str(root / instance), address, port)
    _create_empty(root, server)
    psql(server, SCHEMA)
    return server


def _create_empty(root: pathlib.Path, server: Server) -> None:
    password = root / "rdsadmin"
    password.write_text("rdsadmin")
    _hand_over(root)
    _hand_over(password)
    _run(binary("initdb"), "--pgdata", server.directory, "--username=rdsadmin", "--auth=scram-sha-256", "--no-sync",
         f"--pwfile={password}", "--encoding=UTF8", "--locale=C")
    _certificate(server)
    configure(server)
    admit(server, True)
    start(server)


def dump(server: Server) -> Dump:
    """Everything that it holds, as of one moment; sessions that write go on meanwhile. A standby can be asked as well."""
    roles = _run(binary("pg_dumpall"), "--roles-only", _as_administrator(server)).stdout
    content = _run(binary("pg_dump"), "--format=custom", _as_administrator(server, DATABASE), text=False).stdout
    return Dump(roles, content)  # type: ignore[arg-type]


def restore(root: pathlib.Path, kept: Dump, server: Server) -> None:
    """A new server, started, that holds what was dumped: a primary of its own. Whatever fails, nothing of it is left."""
    try:
        _create_empty(root, server)
        # The administrator is there already, and gets the password that it had.
        psql(server, kept.roles.replace("CREATE ROLE rdsadmin;\n", ""))
        # A database that is fenced is restored fenced, as a block device would be; what restores it writes all the same.
        _run(binary("pg_restore"), "--create", "--exit-on-error", _as_administrator(server), input=kept.database, text=False,
             env={**os.environ, "PGOPTIONS": "-c default_transaction_read_only=off"})
    except BaseException:
        remove(server)
        raise


def replicate(root: pathlib.Path, primary: Server, instance: str, region: str, address: str) -> Server:
    """A streaming replica of `primary`, started."""
    server = Server(instance, region, str(root / instance), address, primary.port)
    _run(binary("pg_basebackup"), "--pgdata", server.directory, "--write-recovery-conf", "--no-sync", "--checkpoint=fast",
         f"--dbname=postgresql://replicator:replicator@{primary.address}:{primary.port}")
    configure(server)
    start(server)
    return server


def configure(server: Server) -> None:
    settings = f"""
listen_addresses = '{server.address}'
port = {server.port}
unix_socket_directories = ''
fsync = off
ssl = on
max_connections = 30
shared_buffers = 16MB
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 1s
"""
    _write(server, "postgresql.auto.conf", _kept_recovery(server) + settings)


def _kept_recovery(server: Server) -> str:
    lines = (pathlib.Path(server.directory) / "postgresql.auto.conf").read_text().splitlines()
    return "\n".join(line for line in lines if line.startswith("primary_conninfo")) + "\n"


def _certificate(server: Server) -> None:
    _run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1",
         "-keyout", f"{server.directory}/server.key", "-out", f"{server.directory}/server.crt")


def _write(server: Server, name: str, text: str) -> None:
    path = pathlib.Path(server.directory) / name
    path.write_text(text)
    _hand_over(path)


def admit(server: Server, clients: bool) -> None:
    """What the security groups let in: everybody, or Muster alone. As on AWS, sessions that exist are not cut."""
    who = "all" if clients else f"{MUSTER},rdsadmin"
    _write(server, "pg_hba.conf", f"host all {who} 127.0.0.0/8 scram-sha-256\nhost replication replicator 127.0.0.0/8 scram-sha-256\n")


def reload(server: Server) -> None:
    if is_running(server):
        _run(binary("pg_ctl"), "reload", "--pgdata", server.directory)


def start(server: Server) -> None:
    _run(binary("pg_ctl"), "start", "--wait", "--silent", "--pgdata", server.directory, "--log", f"{server.directory}/log")


def stop(server: Server) -> None:
    """At once, as a region that is lost stops."""
    if is_running(server):
        _stop(server.directory)


def _stop(directory: str) -> None:
    _run(binary("pg_ctl"), "stop", "--mode=immediate", "--wait", "--silent", "--pgdata", directory)


def stop_all(root: pathlib.Path) -> None:
    """Every server that runs below `root`, whoever made it."""
    for running in root.glob("*/postmaster.pid"):
        _stop(str(running.parent))


def remove(server: Server) -> None:
    """Stops it, and removes its files."""
    stop(server)
    shutil.rmtree(server.directory, ignore_errors=True)


def restart(server: Server) -> None:
    """Ends every session."""
    _run(binary("pg_ctl"), "restart", "--mode=fast", "--wait", "--silent", "--pgdata", server.directory, "--log", f"{server.directory}/log")


def promote(server: Server) -> None:
    """Returns when the server takes writes."""
    _run(binary("pg_ctl"), "promote", "--wait", "--silent", "--pgdata", server.directory)


def is_running(server: Server) -> bool:
    return (pathlib.Path(server.directory) / "postmaster.pid").exists()


def is_standby(server: Server) -> bool:
    return (pathlib.Path(server.directory) / "standby.signal").exists()


def lag_seconds(server: Server) -> float | None:
    """What CloudWatch calls ReplicaLag: how old the newest replayed transaction is. A primary has none, and neither has a
    replica whose source is gone: the metric stops."""
    answer = psql(server, """select case when pg_last_wal_receive_lsn() = pg_last_wal_replay_lsn() then 0
                                  else extract(epoch from now() - pg_last_xact_replay_timestamp()) end
                                  from pg_stat_wal_receiver where status = 'streaming' and pg_is_in_recovery()""")
    return float(answer) if answer else None
