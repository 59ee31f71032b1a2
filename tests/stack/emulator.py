"""The process that is AWS on this machine: ministack, moto behind it, the names, the applications and the control server.

    python emulator.py CONFIGURATION.json      started and ended by stack.py
"""

import asyncio
import json
import logging
import os
import pathlib
import signal
import sys
import threading
import time
from typing import Any

# ministack reads its environment when it is imported: stack.py sets it (BIND_HOST, GATEWAY_PORT, AUTH, ...).
from ministack import app

import application
import authorisation
import builds
import caches
import clients
import control
import databases
import forwarder
import gate
import names
import patches
import restores
import roles
import trials
from ministack.services import cloudwatch, ssm

#: What moto answers, behind ministack's authentication and authorisation.
FORWARDED = ("rds", "elasticache", "route53", "ec2", "autoscaling", "servicequotas")
# AWS publishes an instance's metrics once a minute.
METRICS_SECONDS = 15


class World:
    """What is in the two regions beside AWS's own services."""

    def __init__(self, configuration: dict[str, Any]) -> None:
        self.configuration = configuration
        self.port = configuration["servers"][0]["port"]
        self.applications = [
            application.Application(where["address"], where["port"], where["region"], self._instances(where), self._database(where))
            for where in configuration["applications"]
        ]
        self.clients = clients.Clients(self._reached)

    def _reached(self) -> str:
        """The database of the service that clients reach by its public name."""
        found = names.lookup(self.configuration["publicName"])
        reached = [one for one in self.applications if found is not None and one.address in found[0] and one.is_up and one.instances()]
        return reached[0].database() if reached else ""

    def _instances(self, where: dict[str, Any]) -> Any:
        from moto.autoscaling.models import autoscaling_backends

        def count() -> int:
            group = autoscaling_backends[patches.ACCOUNT][where["region"]].autoscaling_groups.get(where["group"])
            states = group.instance_states if group else []
            return sum(state.lifecycle_state == "InService" for state in states)

        return count

    def _database(self, where: dict[str, Any]) -> Any:
        # A workload is told its database's host; the port is the engine's.
        def endpoint() -> str:
            patches.act_in(where["region"])
            parameter = ssm._parameters.get(where["parameter"])
            return f"{parameter['Value']}:{self.port}" if parameter else ""

        return endpoint

    def darken(self, region: str) -> None:
        gate.gate.dark.add(region)
        for server in list(patches.servers.values()):
            if server.region == region:
                databases.stop(server)
        for one in self.applications:
            if one.region == region:
                one.stop()

    def lighten(self, region: str) -> None:
        for server in list(patches.servers.values()):
            if server.region == region and not databases.is_running(server):
                databases.start(server)
        for one in self.applications:
            if one.region == region and not one.is_up:
                one.start()
        gate.gate.dark.discard(region)

    def state(self) -> dict[str, Any]:
        return {
            **gate.gate.as_json(),
            "functions": gate.processes(),
            "applications": [{"region": one.region, "url": f"http://{one.address}:{one.port}", "up": one.is_up} for one in self.applications],
            "clients": self.clients.as_json(),
            "databases": [{**server.as_json(), "running": databases.is_running(server)} for server in list(patches.servers.values())],
        }

    def publish_metrics(self) -> None:
        """What RDS and the load balancers publish by themselves, each in its own region."""
        for server in list(patches.servers.values()):
            if databases.is_running(server) and databases.is_standby(server):
                lag = databases.lag_seconds(server)
                if lag is not None:
                    self._record(server.region, "AWS/RDS", "ReplicaLag", lag, "Seconds", {"DBInstanceIdentifier": server.instance})
        for balancer in self.configuration["loadBalancers"]:
            self._record(balancer["region"], "AWS/ApplicationELB", "HTTPCode_Target_5XX_Count", 0, "Count", {"LoadBalancer": balancer["name"]})

    def _record(self, region: str, *datum: Any) -> None:
        if region not in gate.gate.dark:
            patches.act_in(region)
            cloudwatch.record_metric(*datum)


def _every(seconds: float, work: Any) -> None:
    def loop() -> None:
        while True:
            try:
                work()
            except Exception:
                logging.exception("%s", work)
            time.sleep(seconds)

    threading.Thread(target=loop, daemon=True).start()


async def _forward(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, list[str]]) -> forwarder.Response:
    return await asyncio.to_thread(forwarder.ask_moto, method, path, headers, body, query)


async def _serve(port: int) -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config, stopping = Config(), asyncio.Event()
    config.bind = [f"127.0.0.1:{port}"]
    config.keep_alive_timeout = 75
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    await serve(app.app, config, shutdown_trigger=stopping.wait)


def main() -> None:
    configuration = json.loads(pathlib.Path(sys.argv[1]).read_text())
    patches.apply()
    authorisation.apply()
    roles.apply()
    trials.apply()
    gate.apply()
    for service in FORWARDED:
        app.SERVICE_HANDLERS[service] = _forward
    world = World(configuration)
    patches.run_instances_on([databases.Server(**server) for server in configuration["servers"]], set(configuration["quarantine"]))
    restores.apply(pathlib.Path(configuration["root"]), world.port)
    builds.apply(pathlib.Path(configuration["root"]))
    patches.run_groups_on([caches.Server(**server) for server in configuration["caches"]])
    for global_datastore in configuration["globalDatastores"]:
        patches.create_global_datastore(global_datastore["id"], tuple(global_datastore["primary"]), tuple(global_datastore["secondary"]))
    for server in (names.serve(configuration["dns"]), control.serve(configuration["control"], world.state, world.darken, world.lighten)):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    for one in world.applications:
        one.start()
    world.clients.start()
    _every(METRICS_SECONDS, world.publish_metrics)
    _every(10, lambda: patches.evaluate_alarms(configuration["regions"]))
    asyncio.run(_serve(int(os.environ["GATEWAY_PORT"])))
    # Executions that wait for time or for people are threads, which nobody waits for.
    os._exit(0)


if __name__ == "__main__":
    main()
