"""The stack's plan: `plan.yaml` with its variables filled in, compiled by Muster itself."""

import pathlib
import string
import subprocess
from json import loads
from typing import Any

ACCEPTED_LAG = '{kind: lastKnown, within: 3m, upTo: 2m, by: VP Engineering, reason: "The primary being dark is the case this plan is for"}'
ACCEPTED_FENCE = (
    '{kind: accept, by: VP Engineering, reason: "A primary that nobody can reach takes no writes from clients; what it holds is reconciled when it returns"}'
)

#: Where the dumps of the stack's database are, as if somebody else wrote them.
DUMPS, DUMPS_THERE = "basecoat-portal-dumps", "basecoat-portal-dumps-dr"
BACKUPS = """
backups:
  - name: portal-db-automated
    method: {kind: automatedBackups}
    of: databases.portal-db
    on: continuous
    maxAge: 15m
  - name: portal-db-snapshots
    method: {kind: databaseSnapshot}
    of: databases.portal-db
    every: EVERY
    retention: {kind: versions, keep: 2}
    copy: {kmsKey: alias/basecoat-portal}
    maxAge: 5m
    encryption: AES-256
  - name: portal-db-dump
    method: {kind: s3Objects, bucket: basecoat-portal-dumps, prefix: nightly/}
    of: databases.portal-db
    every: DUMPED
    maxAge: 26h
    encryption: AES-256
"""


def backups(every: str, dumped: str, more: str = "") -> str:
    """Snapshots and dumps, so often."""
    return BACKUPS.replace("EVERY", every).replace("DUMPED", dumped) + more


#: The dumps are where a clone is, too.
COPIED = "    copy: {bucket: basecoat-portal-dumps-dr, prefix: nightly/}\n"

#: Where a clone goes, and what has to be the same in it. A row that was begun before the snapshot may be committed after it: here each is an insert of its
#: own, which takes no ten seconds. Users stay as they are.
RESTORE_TEST = """
    restoreTest:
      subnetGroup: basecoat-isolated
      securityGroups: [sg-0b5ec0a7c00000001]
      compare:
        - {name: orders, query: "select count(*) || ',' || coalesce(sum(id), 0) from orders where created_at < timestamptz '{takenAt}' - interval '10 seconds'"}
        - {name: users, query: "select count(*) || ',' || md5(string_agg(id || name, ',' order by id)) from users"}
      dump: {backup: portal-db-dump, project: basecoat-pg-restore}
"""
DRILLS = """
drills:
  - name: portal-db-restore
    every: EVERY
    flow: restore-test
    on: clone
    parts: [databases.portal-db]
    duration: 10m
    pass: {within: 10m}
"""

#: Nobody is asked, and what cannot be proven about a dark primary was accepted beforehand.
AUTOMATIC = {
    "DECISION": "{kind: automatic}", "LAG_WHEN_UNKNOWN": ACCEPTED_LAG, "FENCE_WHEN_UNREACHABLE": ACCEPTED_FENCE, "HOLD": "1m",
    "RESTORE_TEST": "", "BACKUPS": "", "DRILLS": "",
}
VETO = {"DECISION": "{kind: veto, window: 30s}"}
#: Each variant of the plan, as what it has otherwise than the first.
VARIANTS: dict[str, dict[str, str]] = {
    "automatic": {},
    # No standing acceptance: a run holds when the primary is dark.
    "holding": {"LAG_WHEN_UNKNOWN": "{kind: hold}", "FENCE_WHEN_UNREACHABLE": "{kind: hold}", "HOLD": "2m"},
    # It fails over unless somebody says no.
    "veto": VETO,
    # Backups every minute.
    "backups": {"BACKUPS": backups("every 1m", "daily 02:00 UTC")},
    # A restore test every minute. Backups are made by hand, so that it is known which one is restored.
    "restores": {
        "BACKUPS": backups("daily 02:00 UTC", "every 1m", COPIED), "RESTORE_TEST": RESTORE_TEST, "DRILLS": DRILLS.replace("EVERY", "every 1m"),
    },
    # Something of everything that a policy is about.
    "policies": {
        **VETO, "BACKUPS": backups("daily 02:00 UTC", "daily 02:00 UTC", COPIED), "RESTORE_TEST": RESTORE_TEST, "DRILLS": DRILLS.replace("EVERY", "daily 03:00 UTC"),
    },
}


def fill(template: pathlib.Path, variant: str, variables: dict[str, str]) -> str:
    """The plan's YAML; a variable that is missing is an error."""
    return string.Template(template.read_text()).substitute(AUTOMATIC | VARIANTS[variant] | variables)


def compile_plan(compiler: pathlib.Path, plan: pathlib.Path) -> dict[str, Any]:
    """The canonical JSON, as a run pins it."""
    compiled: dict[str, Any] = loads(subprocess.run([compiler, plan], check=True, capture_output=True, text=True).stdout)
    return compiled
