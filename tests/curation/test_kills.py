"""The whole site as real processes, and what happens when they are killed in mid-round.

One site for the three tests: services, web, workers and reconciler under the supervisor, real programs, real weights
for the guard. The recipe spells seeds as in chats, which needs no language model, so a round takes half a minute.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import psycopg
import pytest

from curation import services

pytestmark = [pytest.mark.processes, pytest.mark.slow]
ROOT = Path(__file__).resolve().parent.parent.parent
PATIENCE = 400.0  # seconds for a round to end by itself

START = """
import json
from curation.models import Project
from curation.operations import demo, rounds, recipes
project = demo.make()
body = recipes.default()
body["generate"] |= {"augmenters": [{"key": "chat-spelling"}], "paraphrasers": [], "seeds": 160}
body["train"] = {"epochs": 1, "max_length": 32, "checkpoint_steps": 10}
body["attack"] = None
print(rounds.start(project, None, body, review="auto").pk)
"""


class Site:
    """A site of its own, with short patience, so that a death is noticed in seconds."""

    def __init__(self, folder: Path) -> None:
        self.var = folder / "var"
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        kept = {k: v for k, v in os.environ.items() if not k.startswith(("WHETSTONE_", "DATABASE_", "REDIS_"))}
        self.env = {
            **kept, "WHETSTONE_VAR": str(self.var), "WHETSTONE_CACHE": os.environ["WHETSTONE_CACHE"],
            "WHETSTONE_PORT": str(self.port), "WHETSTONE_JOB_HEARTBEAT_SECONDS": "0.5",
            "WHETSTONE_JOB_DEAD_AFTER_SECONDS": "4", "WHETSTONE_JOB_RERING_SECONDS": "2",
            "WHETSTONE_RECONCILE_SECONDS": "1",
        }  # fmt: skip
        self.log = (folder / "up.log").open("wb")
        self.process = self._manage("up", stdout=self.log, stderr=subprocess.STDOUT)

    def _manage(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        return subprocess.Popen([sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.env, **options)

    def wait_until_up(self) -> None:
        def answers() -> bool:
            try:
                return bool(urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=2).status == 200)
            except OSError:
                return False

        wait_for(answers, "the site to answer", 60)

    def start_round(self) -> int:
        asked = self._manage("shell", "--verbosity", "0", "-c", START, stdout=subprocess.PIPE)
        out, _ = asked.communicate(timeout=60)
        return int(out.split()[-1])

    def ask(self, query: str, *values: Any) -> list[tuple[Any, ...]]:
        with psycopg.connect(services.database_url(self.var)) as connection:
            return connection.execute(query, values).fetchall()  # type: ignore[arg-type]

    def state(self, round_id: int) -> str:
        return str(self.ask("SELECT state FROM curation_round WHERE id = %s", round_id)[0][0])

    def steps(self, round_id: int) -> int:
        """Training steps that the round's program has left in its trace."""
        rows = self.ask("SELECT id FROM curation_job WHERE round_id = %s AND kind = 'train'", round_id)
        trace = self.var / "artifacts" / "runs" / str(rows[0][0]) / "steps.jsonl" if rows else None
        return len(trace.read_text().splitlines()) if trace and trace.exists() else 0

    def processes(self, *words: str) -> list[psutil.Process]:
        """Descendants of the supervisor whose command line has all these words."""
        found = psutil.Process(self.process.pid).children(recursive=True)
        return [process for process in found if all(word in process.cmdline() for word in words)]

    def stop(self) -> None:
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        self.process.wait(60)
        self.log.close()
        assert not [process for process in family if is_alive(process)], "an orphan was left"
        assert services.status(self.var) == {"postgres": None, "redis": None}


def is_alive(process: psutil.Process) -> bool:
    """Running, and not only waiting for somebody to read its exit status."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_for(condition: Callable[[], bool], what: str, patience: float = PATIENCE) -> None:
    until = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < until, f"waited {patience:.0f} s for {what}"
        time.sleep(0.2)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("site")
    for above in (folder, *folder.parents[:2]):
        above.chmod(above.stat().st_mode | 0o001)
    site = Site(folder)
    try:
        site.wait_until_up()
        yield site
    finally:
        site.stop()


def assert_done_once(site: Site, round_id: int) -> None:
    """The round ended by itself, and nothing was trained, counted or stored twice."""
    jobs = dict(site.ask("SELECT kind, state FROM curation_job WHERE round_id = %s", round_id))
    assert jobs == dict.fromkeys(("generate", "filter", "auto-review", "train", "evaluate"), "done")
    assert site.ask("SELECT count(*) FROM curation_job WHERE round_id = %s", round_id) == [(5,)]
    assert site.ask("SELECT count(*) FROM curation_guard WHERE round_id = %s", round_id) == [(1,)]
    made, different = site.ask(
        "SELECT count(*), count(DISTINCT made_as) FROM curation_example WHERE round_id = %s", round_id
    )[0]
    assert made == different > 100
    twice = "SELECT example_id FROM curation_verdict WHERE maker = 'machine' GROUP BY example_id HAVING count(*) > 1"
    assert site.ask(twice) == []
    trained_on, accepted = site.ask(
        """SELECT guard.dataset_rows, (SELECT count(*) FROM curation_example
           WHERE state = 'accepted' AND split <> 'evaluation') FROM curation_guard guard WHERE round_id = %s""",
        round_id,
    )[0]
    assert trained_on == accepted
    for (digest,) in site.ask("SELECT digest FROM curation_guard WHERE round_id = %s", round_id):
        assert (site.var / "artifacts" / "guards" / digest / "MANIFEST.json").exists()
    moves = site.ask("SELECT new FROM curation_move WHERE subject = %s ORDER BY id", f"round:{round_id}")
    assert [new for (new,) in moves] == ["generating", "filtering", "reviewing", "training", "evaluating", "closed"]


def attempts(site: Site, round_id: int, kind: str) -> int:
    return int(site.ask("SELECT attempt FROM curation_job WHERE round_id = %s AND kind = %s", round_id, kind)[0][0])


def test_the_round_survives_a_killed_worker(site: Site) -> None:
    round_id = site.start_round()
    wait_for(lambda: site.steps(round_id) > 12, "training to be under way")

    (worker,) = [process for process in site.processes("compute") if os.getpgid(process.pid) == process.pid]
    os.killpg(worker.pid, signal.SIGKILL)

    wait_for(lambda: site.state(round_id) == "closed", "the round to end")
    assert_done_once(site, round_id)
    assert attempts(site, round_id, "train") == 2


def test_the_round_survives_a_killed_training_program(site: Site) -> None:
    round_id = site.start_round()
    wait_for(lambda: site.steps(round_id) > 12, "training to be under way")

    (program,) = site.processes("classifier", "train")
    program.kill()

    wait_for(lambda: site.state(round_id) == "closed", "the round to end")
    assert_done_once(site, round_id)
    assert attempts(site, round_id, "train") == 2
    trace = [json.loads(line)["step"] for line in _trace(site, round_id).read_text().splitlines()]
    assert trace[-1] == max(trace)
    assert trace.count(1) == 1, "it went on from its checkpoint, not from the start"


def _trace(site: Site, round_id: int) -> Path:
    ((job,),) = site.ask("SELECT id FROM curation_job WHERE round_id = %s AND kind = 'train'", round_id)
    return site.var / "artifacts" / "runs" / str(job) / "steps.jsonl"


def test_the_round_survives_a_killed_redis(site: Site) -> None:
    round_id = site.start_round()
    wait_for(lambda: site.state(round_id) in ("filtering", "training"), "the round to be under way")
    before = services.status(site.var)["redis"]
    assert before is not None

    os.kill(before, signal.SIGKILL)

    wait_for(lambda: site.state(round_id) == "closed", "the round to end")
    assert_done_once(site, round_id)
    assert services.status(site.var)["redis"] not in (None, before)
