"""RDS: snapshots that are real dumps, instances that are restored from them as real servers, and instances that are deleted.

What moto does otherwise than AWS is put right here, as in patches.py. Source, where none is named: the RDS API reference, the operation's own page.
"""

import itertools
import logging
import pathlib
import threading
import time
from typing import Any

import databases
import forwarder
import gate
import patches
from moto.rds import models as rds
from moto.rds.exceptions import (
    DBInstanceAlreadyExists,
    DBInstanceNotFoundError,
    DBSnapshotNotFoundFault,
    InvalidParameterCombination,
    RDSClientError,
)

#: How long an instance is `deleting`.
_DELETING_SECONDS = 1.0

#: What a restored instance has of the one that the snapshot is of, unless it is asked for otherwise.
_INHERITED = (
    "db_instance_class", "engine", "engine_version", "port", "db_name", "allocated_storage", "storage_type", "license_model", "master_username",
    "backup_retention_period", "preferred_backup_window", "preferred_maintenance_window", "auto_minor_version_upgrade", "tags",
)

#: Where restored servers live, which port they have, and how they are told apart.
_place: tuple[pathlib.Path, int] = (pathlib.Path(), 0)
_numbers = itertools.count()
#: The instances whose servers were made here, as patches.servers names them.
_restored: set[tuple[str, str]] = set()


def _fresh(backend: Any, name: str) -> databases.Server:
    """A server that is not there yet, on an address that nobody else of this stack has had."""
    root, port = _place
    number = next(_numbers)
    return databases.Server(name, backend.region_name, str(root / f"restored-{number}"), f"127.0.{1 + number // 250}.{1 + number % 250}", port)


def _snapshots(backend: Any) -> None:
    created, copied = backend.create_db_snapshot, backend.copy_db_snapshot

    # A snapshot holds what the instance held when it was taken; "the source DB instance must be in the available or storage-optimization state".
    def create_db_snapshot(self: Any, db_instance_identifier: str, *rest: Any, **more: Any) -> Any:
        database = self.databases.get(db_instance_identifier)
        server = patches.server_of(database) if database else None
        if database and (database.status != "available" or (server and not databases.is_running(server))):
            raise RDSClientError("InvalidDBInstanceState", f"Instance {db_instance_identifier} is not in available state.")
        snapshot = created(self, db_instance_identifier, *rest, **more)
        try:
            snapshot.dump = databases.dump(server) if server else None
        except BaseException:
            del self.database_snapshots[snapshot.db_snapshot_identifier]
            raise
        return snapshot

    # A copy holds what its original holds, which has to be available.
    def copy_db_snapshot(self: Any, source_db_snapshot_identifier: str, *rest: Any, **more: Any) -> Any:
        original = self.get_db_snapshot(source_db_snapshot_identifier)
        _available(original)
        copy = copied(self, source_db_snapshot_identifier, *rest, **more)
        copy.dump = original.dump
        return copy

    backend.create_db_snapshot = create_db_snapshot
    backend.copy_db_snapshot = copy_db_snapshot


def _available(snapshot: Any) -> None:
    if snapshot.status != "available":
        raise RDSClientError("InvalidDBSnapshotState", f"Snapshot {snapshot.db_snapshot_identifier} is in {snapshot.status} state.")


def _restores(backend: Any) -> None:
    # The call returns while the instance is `creating`. What is asked for counts, a `false` and a 0 as well, and what is not asked for is the source's
    # only in part: it is in one zone, not protected, in the region's default group. (moto takes everything from the source, its zone, its source and its
    # replicas included, and passes over what is false.) Tags are the request's, or without any the source instance's.
    def restore_db_instance_from_db_snapshot(self: Any, from_snapshot_id: str, asked: Any) -> Any:
        name = asked["db_instance_identifier"]
        self._validate_db_identifier(name)
        if name in self.databases:
            raise DBInstanceAlreadyExists()
        snapshot = self.database_snapshots.get(from_snapshot_id.rsplit(":", 1)[-1])
        if snapshot is None or from_snapshot_id.lower() not in (snapshot.db_snapshot_identifier, snapshot.arn):
            raise DBSnapshotNotFoundFault(from_snapshot_id)
        _available(snapshot)
        # It is encrypted as the snapshot is, by the same key, which has to be enabled.
        key = self._validate_kms_key(snapshot.kms_key_id) if snapshot.encrypted else None
        properties = {one: getattr(snapshot.database, one) for one in _INHERITED} | dict(asked.items())
        database: Any = rds.DBInstance(self, **{**properties, "storage_encrypted": key is not None, "kms_key_id": key})
        database.status, database.dump = "creating", snapshot.dump
        self.databases[name] = database
        database.add_event("DB_INSTANCE_CREATE")
        threading.Thread(target=_make, args=(self, database), daemon=True).start()
        return database

    backend.restore_db_instance_from_db_snapshot = restore_db_instance_from_db_snapshot


def _make(backend: Any, database: Any) -> None:
    name = database.db_instance_identifier
    server = _fresh(backend, name)
    try:
        databases.restore(_place[0], database.dump, server)
    except Exception as error:
        logging.exception("%s cannot be restored: %s", name, getattr(error, "stderr", ""))
        if database.status == "creating":
            database.status = "restore-error"
        return
    patches.admit(server, database)
    with forwarder.lock:
        # Otherwise it was undone meanwhile, or somebody was faster: see memory.py.
        wanted = backend.databases.get(name) is database and database.status == "creating" and patches.server_of(database) is None
        if wanted:
            patches.servers[server.region, name] = server
            _restored.add((server.region, name))
            database.status = "available"
    if not wanted:
        databases.remove(server)
    elif server.region in gate.gate.dark:
        databases.stop(server)


def _deletions(backend: Any) -> None:
    # The call returns while the instance is `deleting`, and only then it goes. One that is being made or deleted is refused, as is one that is protected;
    # a final snapshot is either named or skipped.
    def delete_db_instance(
        self: Any,
        db_instance_identifier: str,
        final_db_snapshot_identifier: str | None = None,
        skip_final_snapshot: bool | None = False,
        delete_automated_backups: bool | None = True,
    ) -> Any:
        database = self.databases.get(db_instance_identifier)
        if database is None:
            raise DBInstanceNotFoundError(db_instance_identifier)
        if database.deletion_protection:
            raise InvalidParameterCombination("Cannot delete protected DB Instance, please disable deletion protection and try again.")
        if bool(final_db_snapshot_identifier) == bool(skip_final_snapshot):
            raise InvalidParameterCombination("FinalDBSnapshotIdentifier is required unless SkipFinalSnapshot is specified, and not allowed with it.")
        if database.status in ("creating", "backing-up", "deleting"):
            raise RDSClientError("InvalidDBInstanceState", f"Instance {db_instance_identifier} is {database.status}.")
        if final_db_snapshot_identifier:
            self.create_db_snapshot(db_instance_identifier, final_db_snapshot_identifier)
        database.status, database.keeps_backups = "deleting", delete_automated_backups is False
        threading.Thread(target=_delete, args=(self, database), daemon=True).start()
        return database

    backend.delete_db_instance = delete_db_instance


def _delete(backend: Any, database: Any) -> None:
    time.sleep(_DELETING_SECONDS)
    _gone(backend, database, "deleting")


def _gone(backend: Any, database: Any, status: str) -> None:
    name = database.db_instance_identifier
    with forwarder.lock:
        if backend.databases.get(name) is not database or database.status != status:
            return  # Undone meanwhile: see memory.py.
        del backend.databases[name]
        patches.leave_source(backend, database)
        for snapshot in list(backend.database_snapshots.values()):
            if snapshot.snapshot_type == "automated" and snapshot.db_instance_identifier == name and not getattr(database, "keeps_backups", False):
                del backend.database_snapshots[snapshot.db_snapshot_identifier]
        server = patches.servers.pop((backend.region_name, name), None)
    if server is not None:
        databases.remove(server)


def _tags(backend: Any) -> None:
    found = backend._get_resource_for_tagging

    # Who tags what is not there is told so. (moto accepts it.)
    def resource_for_tagging(self: Any, arn: str) -> Any:
        resource = found(self, arn)
        kind, name = arn.split(":")[5:7]
        if resource is None and kind == "snapshot":
            raise DBSnapshotNotFoundFault(name)
        if resource is None and kind == "db":
            raise DBInstanceNotFoundError(name)
        return resource

    backend._get_resource_for_tagging = resource_for_tagging


def change_instance(region: str, name: str, status: str) -> None:
    """An instance has another status; `gone`: it is not there any more."""
    backend = rds.rds_backends[patches.ACCOUNT][region]
    database: Any = backend.databases[name]
    if status == "gone":
        _gone(backend, database, database.status)
    else:
        database.status = status


def settle() -> None:
    """After the estate was brought back (memory.py): what was restored has its server again, and what is not there any more has none."""
    for backend in rds.rds_backends[patches.ACCOUNT].values():
        for database in list(backend.databases.values()):
            if database.status == "deleting":
                threading.Thread(target=_delete, args=(backend, database), daemon=True).start()
            elif database.status == "creating":
                threading.Thread(target=_make, args=(backend, database), daemon=True).start()
            elif database.status == "available" and hasattr(database, "dump") and patches.server_of(database) is None:
                database.status = "creating"
                _make(backend, database)
    for region, name in list(_restored):
        if name not in rds.rds_backends[patches.ACCOUNT][region].databases and (server := patches.servers.pop((region, name), None)):
            databases.remove(server)


def apply(root: pathlib.Path, port: int) -> None:
    """Once, before the first request. Servers are made below `root`, and listen on `port`."""
    global _place
    _place = (root, port)
    for patch in (_snapshots, _restores, _deletions, _tags):
        patch(rds.RDSBackend)
