"""The estate as it is, kept under a name and brought back: so that a test can try one thing after another from the same beginning.

Kept: Muster's table, parameters, alarms, global datastores, RDS instances and snapshots, Auto Scaling groups and their instances, launch templates, records.
An instance that was restored from a snapshot and is gone meanwhile is restored once more.
Not kept: what PostgreSQL has stored, objects in buckets, metrics, executions, messages.
"""

import copy
from collections.abc import Iterator
from typing import Any

import patches
import restores
from ministack.services import cloudwatch, dynamodb, ssm
from moto.autoscaling.models import autoscaling_backends
from moto.ec2.models import ec2_backends
from moto.rds.models import rds_backends
from moto.route53.models import route53_backends

#: name -> what was kept: plain data, for each of moto's objects its attributes, and which RDS instances and snapshots were there
_kept: dict[str, tuple[dict[str, Any], list[tuple[Any, dict[str, Any]]], list[tuple[Any, dict[str, Any]]]]] = {}


def _objects() -> Iterator[tuple[Any, tuple[str, ...] | None]]:
    """moto's objects, and which of their attributes count; None: all."""
    for backend in rds_backends[patches.ACCOUNT].values():
        yield from ((database, None) for database in backend.databases.values())
        yield from ((snapshot, None) for snapshot in backend.database_snapshots.values())
    for backend in autoscaling_backends[patches.ACCOUNT].values():
        yield from ((group, None) for group in backend.autoscaling_groups.values())
    for backend in ec2_backends[patches.ACCOUNT].values():
        yield backend, ("reservations",)
        yield from ((template, None) for template in backend.launch_templates.values())
    for backend in route53_backends[patches.ACCOUNT].values():
        yield from ((zone, None) for zone in backend.zones.values())


def _copied(attributes: dict[str, Any]) -> dict[str, Any]:
    """A list that is changed later must not change what was kept."""
    return {name: copy.copy(value) if isinstance(value, list | dict | set) else value for name, value in attributes.items()}


def _data() -> dict[str, Any]:
    return {
        "items": {key: table["items"] for key, table in dynamodb._tables._data.items()},
        "parameters": ssm._parameters._data,
        "alarms": cloudwatch._alarms._data,
        "datastores": patches.datastores,
        "tokens": patches.template_tokens,
    }


def keep(name: str) -> None:
    """Keeps everything, as it is now."""
    objects = [(thing, vars(thing) if counting is None else {one: vars(thing)[one] for one in counting}) for thing, counting in _objects()]
    held = [there for backend in rds_backends[patches.ACCOUNT].values() for there in (backend.databases, backend.database_snapshots)]
    _kept[name] = (copy.deepcopy(_data()), [(thing, _copied(attributes)) for thing, attributes in objects], [(there, dict(there)) for there in held])


def restore(name: str) -> None:
    """Everything as it was when it was kept."""
    data, objects, held = _kept[name]
    data = copy.deepcopy(data)
    for key, items in data["items"].items():
        dynamodb._tables._data[key]["items"] = items
    for kind, present in _data().items():
        if kind != "items":
            present.clear()
            present.update(data[kind])
    # In place: moto has more than one reference to it.
    for present, then in held:
        present.clear()
        present.update(then)
    for thing, attributes in objects:
        vars(thing).update(_copied(attributes))
    restores.settle()
