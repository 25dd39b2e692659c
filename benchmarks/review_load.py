"""How fast people can review, and whether anything is lost or handed out twice.

`python benchmarks/review_load.py --reviewers 50 --seconds 60 --examples 100000` makes a project of that size in a
PostgreSQL of its own, starts the web server as the Procfile has it, signs every reviewer in with name and password, and
lets all of them review at once over loopback HTTP as the desk does: a hand of six, filled up when half of it is judged;
one verdict in twenty is sent twice, as after a lost answer. First each reviewer thinks two seconds before a verdict,
then none thinks at all. Afterwards the database is asked what became of it.

The last line is one JSON object. `claim` and `submit` are in milliseconds as the reviewer waits for them.
`leases_doubled`: live leases on one example at the same time by two people. `verdicts_lost`: acknowledged ones that are
not in the log. `verdicts_doubled`: examples with two standing verdicts, and keys that counted twice.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from benchmarks.browsing import Browser, serving  # noqa: E402 - found once the project's folder is on the path

PASSWORD = "a long enough password"
HAND, REFILL_BELOW = 6, 4  # as the desk: five ahead of the one in front, fetched when three are missing
RESENT = 0.05  # share of verdicts that are sent twice
THINK = 2.0  # seconds


@dataclass
class Log:
    """What one reviewer saw."""

    claims: list[float] = field(default_factory=list)
    submits: list[float] = field(default_factory=list)
    acknowledged: dict[str, tuple[int, int]] = field(default_factory=dict)  # key → verdict, example
    errors: list[str] = field(default_factory=list)


class Reviewer(Browser, threading.Thread):
    """One person with a browser, and a hand of items."""

    def __init__(self, port: int, name: str, slug: str) -> None:
        threading.Thread.__init__(self, name=name, daemon=True)
        Browser.__init__(self, port)
        self.slug, self.log = slug, Log()
        self.think, self.until, self.random = 0.0, 0.0, random.Random(name)

    def call(self, path: str, body: dict[str, Any], **headers: str) -> tuple[int, Any]:
        status, content = self.ask(
            "POST", f"/api/v1/projects/{self.slug}/review/{path}", json.dumps(body).encode(),
            Content_Type="application/json", X_CSRFToken=self.cookies["csrftoken"], **headers,
        )  # fmt: skip
        return status, json.loads(content) if status < 500 else {}

    def run(self) -> None:
        try:
            hand: list[dict[str, Any]] = []
            time.sleep(self.random.random() * self.think)  # people do not start in step
            while time.monotonic() < self.until:
                if len(hand) < REFILL_BELOW:
                    hand = self.claim()
                if not hand:
                    raise RuntimeError("nothing left to claim")
                time.sleep(self.think)
                self.judge(hand.pop(0))
        except Exception as error:  # counted, not raised: the other reviewers go on
            self.log.errors.append(f"{type(error).__name__}: {error}"[:200])

    def claim(self) -> list[dict[str, Any]]:
        began = time.perf_counter()
        status, answer = self.call("claim", {"n": HAND})
        self.log.claims.append(time.perf_counter() - began)
        if status != 200:
            self.log.errors.append(f"claim {status} {answer}"[:200])
            return []
        items: list[dict[str, Any]] = answer["items"]
        return items

    def judge(self, item: dict[str, Any]) -> None:
        key = str(uuid.uuid4())
        body = {
            "lease": item["lease"], "example": item["example"], "version": item["version"], "seconds": self.think,
            "active_seconds": self.think, "decision": self.random.choice(["accept", "accept", "accept", "reject"]),
        }  # fmt: skip
        for _ in range(2 if self.random.random() < RESENT else 1):
            began = time.perf_counter()
            status, answer = self.call("verdicts", body, Idempotency_Key=key)
            self.log.submits.append(time.perf_counter() - began)
            if status != 200:
                self.log.errors.append(f"verdict {status} {answer}"[:200])
            elif self.log.acknowledged.setdefault(key, (answer["verdict"], answer["example"]))[0] != answer["verdict"]:
                self.log.errors.append("two answers to one key")


# The world


@contextmanager
def world(arguments: argparse.Namespace) -> Iterator[tuple[int, int]]:
    """A database with the examples, and the web server in front of it; yields its port and process id."""
    var = Path(tempfile.mkdtemp(prefix="whetstone-bench-"))
    var.chmod(0o755)
    for name in ("DATABASE_URL", "REDIS_URL", "WHETSTONE_SECRET_KEY"):
        os.environ.pop(name, None)
    os.environ |= {"WHETSTONE_VAR": str(var), "DJANGO_SETTINGS_MODULE": "curation.settings"}
    from curation import services

    try:
        with services.held(var):
            fill(arguments)
            with serving() as place:
                yield place
    finally:
        shutil.rmtree(var, ignore_errors=True)


def fill(arguments: argparse.Namespace) -> None:
    """Tables, people, and the examples in one statement."""
    import django

    django.setup()
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from curation.models import Category, Membership, Policy, PolicyVersion, Project

    call_command("migrate", verbosity=0)
    version = PolicyVersion.objects.create(policy=Policy.objects.create(name="Bench"), number=1)
    for place, key in enumerate(("fraud", "hate", "self-harm", "privacy")):
        Category.objects.create(
            version=version, key=key, name=key.title(), definition="What it is.", position=place, severity=1 + place % 3
        )
    project = Project.objects.create(name="Bench", slug="bench", policy_version=version)
    for number in range(arguments.reviewers):
        user = User.objects.create_user(f"reviewer-{number}", password=PASSWORD)
        Membership.objects.create(project=project, user=user, role="annotator")
    with connection.cursor() as cursor:
        cursor.execute(EXAMPLES, [project.pk, arguments.examples])
        cursor.execute("VACUUM ANALYZE")


EXAMPLES = """
INSERT INTO curation_example (
    project_id, text, text_hash, language, origin, state, split, family, stage, stage_settings, prompt, model_digest,
    scores, proposed_label, proposed_categories, label, categories, priority, priority_reason, version, scored_version,
    reserved, created_at)
SELECT %s, 'message number ' || n || ' ' || repeat('some words of it ', 1 + (n %% 12)::int), md5(n::text), 'en',
    'augmented', 'queued', 'train', 'family-' || n / 4, 'paraphrase', '{}', '', '', '{"guard": 0.4}',
    CASE n %% 2 WHEN 0 THEN 'safe' ELSE 'unsafe' END,
    CASE n %% 8 WHEN 1 THEN '{fraud}' WHEN 3 THEN '{self-harm}' WHEN 5 THEN '{hate}' WHEN 7 THEN '{privacy}'
        ELSE '{}' END::varchar[], '', '{}', random(), 'the guard is torn', 1, 1,
    false, now()
FROM generate_series(1, %s) n
"""


# A run


def review(place: tuple[int, int], arguments: argparse.Namespace, think: float) -> dict[str, Any]:
    """Let everybody review for a while; return the figures."""
    port, server = place
    people = [Reviewer(port, f"reviewer-{number}", "bench") for number in range(arguments.reviewers)]
    began = time.perf_counter()
    for person in people:
        person.sign_in(person.name, PASSWORD)
    signed_in = time.perf_counter() - began
    for person in people:
        person.claim()  # the first hand warms the caches of the server, and is not measured
        person.log, person.think, person.until = Log(), think, time.monotonic() + arguments.seconds
    began, busy = time.perf_counter(), cpu_seconds(server)
    for person in people:
        person.start()
    for person in people:
        person.join()
    spent, busy = time.perf_counter() - began, {name: used - busy[name] for name, used in cpu_seconds(server).items()}
    logs = [person.log for person in people]
    found = figures(logs, spent) | {"sign_in_ms": round(signed_in / len(people) * 1000, 1)}
    cost = {name: round(used * 1000 / max(found["verdicts"], 1), 2) for name, used in busy.items()}
    found["reconnects"] = sum(person.reconnects for person in people)
    return found | {"cpu_ms_per_verdict": cost} | audit(logs)


def cpu_seconds(server: int) -> dict[str, float]:
    """Processor time used so far: it tells what a verdict costs even where other programs share the machine."""
    from curation import services

    roots = {"postgres": services.status(Path(os.environ["WHETSTONE_VAR"]))["postgres"], "web": server}
    used = {"reviewers": sum(os.times()[:2])}
    for name, pid in roots.items():
        root = psutil.Process(pid)
        used[name] = sum(sum(process.cpu_times()[:2]) for process in (root, *root.children(recursive=True)))
    return used


def figures(logs: list[Log], spent: float) -> dict[str, Any]:
    claims, submits = sorted(t for log in logs for t in log.claims), sorted(t for log in logs for t in log.submits)
    verdicts = sum(len(log.acknowledged) for log in logs)
    errors = [error for log in logs for error in log.errors]
    for error in sorted(set(errors))[:5]:
        print(error, file=sys.stderr)
    return {
        "verdicts": verdicts, "verdicts_per_s": round(verdicts / spent, 1),
        "claim_p50_ms": milliseconds(claims, 0.5), "claim_p95_ms": milliseconds(claims, 0.95),
        "submit_p50_ms": milliseconds(submits, 0.5), "submit_p95_ms": milliseconds(submits, 0.95),
        "errors": len(errors), 
    }  # fmt: skip


def milliseconds(times: list[float], share: float) -> float:
    return round(times[min(int(share * len(times)), len(times) - 1)] * 1000, 1) if times else 0.0


DOUBLED_LEASES = """
SELECT count(*) FROM curation_lease a JOIN curation_lease b
ON a.example_id = b.example_id AND a.id < b.id AND a.reviewer_id <> b.reviewer_id
AND tstzrange(a.granted_at, coalesce(a.closed_at, 'infinity'))
 && tstzrange(b.granted_at, coalesce(b.closed_at, 'infinity'))
"""
DOUBLED_VERDICTS = """
SELECT (SELECT count(*) FROM (SELECT 1 FROM curation_verdict v WHERE decision <> 'withdraw'
          AND NOT EXISTS (SELECT 1 FROM curation_verdict w WHERE w.supersedes_id = v.id)
          GROUP BY example_id HAVING count(*) > 1) twice)
     + (SELECT count(*) FROM (SELECT 1 FROM curation_verdict WHERE idempotency_key IS NOT NULL
          GROUP BY reviewer_id, idempotency_key HAVING count(*) > 1) twice)
"""


def audit(logs: list[Log]) -> dict[str, int]:
    """Ask the database what became of it."""
    from django.db import connection

    from curation.models import Verdict

    keys = {key: answer for log in logs for key, answer in log.acknowledged.items()}
    stored = {
        str(key): (pk, example)
        for key, pk, example in Verdict.objects.filter(idempotency_key__in=list(keys)).values_list(
            "idempotency_key", "pk", "example"
        )
    }
    with connection.cursor() as cursor:
        doubled = []
        for query in (DOUBLED_LEASES, DOUBLED_VERDICTS):
            cursor.execute(query)
            doubled.append(cursor.fetchone()[0])
    connection.close()
    lost = sum(stored.get(key) != answer for key, answer in keys.items())
    return {"leases_doubled": doubled[0], "verdicts_lost": lost, "verdicts_doubled": doubled[1]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--reviewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--examples", type=int, default=100_000)
    parser.add_argument("--quick", action="store_true", help="a few reviewers for a few seconds")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.reviewers, arguments.seconds, arguments.examples = 8, 6, 5_000
    with world(arguments) as place:
        load = os.getloadavg()[0]
        thinking = review(place, arguments, THINK)
        closed = review(place, arguments, 0.0)
    print(json.dumps({
        "reviewers": arguments.reviewers, "seconds": arguments.seconds, "examples": arguments.examples,
        "cores": os.cpu_count(), "load_before": round(load, 2), "load_after": round(os.getloadavg()[0], 2),
        "think_2s": thinking, "closed_loop": closed,
    }))  # fmt: skip


if __name__ == "__main__":
    main()
