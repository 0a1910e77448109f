"""A real cluster plays a run's shards: it comes back as the run that one machine plays, and nothing stays there."""

import contextlib
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from harness.errors import UsageError
from harness.fan_out.engine import Engine
from harness.fan_out.job import Order, manifest
from harness.judging import Verdict
from harness.nodeimage.harness_image import build_harness_image
from harness.run_folder import RunFolder
from harness.spec import KindSpec
from harness.waiting import until
from reports.run import load_facts, load_judged
from tests.kind.conftest import living_cluster
from tests.kind.needs import kind_needed

pytestmark = [pytest.mark.kind, pytest.mark.slow]
ROOT = Path(__file__).parents[2]
SEED = "11"
TWELVE = ("-k", "rolling_replacement and 3-relaxed", "-n", "0", "--seed", SEED)
ONE = ("-k", "rolling_replacement and documented-3-relaxed", "-n", "0", "--seed", SEED)


@pytest.fixture(scope="module")
def image(pytestconfig):
    with kind_needed(pytestconfig):
        return build_harness_image(sys.stderr)


@pytest.fixture(scope="module")
def cluster(tmp_path_factory, pytestconfig, image):
    with living_cluster(tmp_path_factory.mktemp("kind"), KindSpec(), pytestconfig) as cluster:
        cluster.load_image(image)
        yield cluster


@pytest.fixture(scope="module")
def engine(cluster):
    with contextlib.closing(Engine(cluster.kubeconfig)) as engine:
        yield engine


def order(image, **more):
    return Order(**{"image": image, "shards": 2, "seconds": 600, "until": 4e9, "options": ONE, **more})


def words_of(cluster, image, into, shards, options, minutes="20"):
    place = ("--kubeconfig", str(cluster.kubeconfig), "--into", str(into), "--image", image)
    return [
        sys.executable, "-c", "from harness.cli import main; main()", "fan-out", *place, "--shards", str(shards),
        "--timeout", minutes, "--", *options,
    ]  # fmt: skip


def fan_out(*words):
    done = subprocess.run(words_of(*words), cwd=ROOT, capture_output=True, text=True, timeout=2400, check=False)
    return done.returncode, done.stdout + done.stderr


def verdicts_of(path):
    run = load_judged(RunFolder(path), ROOT / "scenarios" / "known_defects.yaml")
    assert not run.unreadable
    return {case.spec.play_id: what_came_of(case) for case in run.cases}


def what_came_of(case):
    """Each guarantee of one that was kept; of a red the defects that it shows.

    What a defect breaks besides differs from play to play, on one machine too.
    """
    if case.verdict is Verdict.RECOVERED:
        return {finding.guarantee: finding.verdict for finding in case.findings}
    return case.standing, sorted(set(case.known.values()))


def left_in(engine):
    """Jobs and pods of any fan-out."""
    selector = "app.kubernetes.io/managed-by=afterfault"
    jobs = engine._jobs.list_namespaced_job(engine.namespace, label_selector=selector).items
    return [job.metadata.name for job in jobs] + [pod.name for pod in engine.pods(selector)]


def test_the_server_takes_the_job_word_for_word(engine, image):
    engine.create_job(manifest(order(image, durations={"a/b": 1.0})), dry_run=True)
    assert left_in(engine) == []
    spoilt = manifest(order(image))
    spoilt["spec"]["template"]["spec"]["restartPolicy"] = "Always"
    with pytest.raises(UsageError, match="restartPolicy"):
        engine.create_job(spoilt, dry_run=True)
    engine.namespace, before = "nowhere", engine.namespace
    try:
        with pytest.raises(UsageError, match='namespaces "nowhere" not found'):
            engine.create_job(manifest(order(image)), dry_run=True)
    finally:
        engine.namespace = before


def test_four_shards_come_back_as_the_run_that_one_machine_plays(cluster, engine, image, tmp_path):
    code, said = fan_out(cluster, image, tmp_path / "wide", 4, TWELVE)
    whole = [sys.executable, "-m", "pytest", "scenarios", "-p", "no:cacheprovider", "-m", "not slow and not kind"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    here = subprocess.run(
        [*whole, "--run-dir", str(tmp_path / "whole"), *TWELVE[:2], "--seed", SEED],
        cwd=ROOT, env=environment, capture_output=True, text=True, timeout=1200, check=False,
    )  # fmt: skip
    wide = verdicts_of(tmp_path / "wide")
    assert len(wide) == 12
    assert code == here.returncode, said + here.stdout
    assert wide == verdicts_of(tmp_path / "whole")
    facts = load_facts(RunFolder(tmp_path / "wide"))
    assert (facts.seed, facts.problems, facts.notes) == (int(SEED), (), ())
    parts = [json.loads(path.read_text())["shard"] for path in sorted(tmp_path.glob("wide/machines/*/shard.json"))]
    assert parts == ["1/4", "2/4", "3/4", "4/4"]
    assert left_in(engine) == []
    assert [path.name for path in tmp_path.iterdir() if "shards" in path.name] == []


def test_a_shard_that_dies_is_named_and_the_rest_is_kept(cluster, engine, image, tmp_path):
    words = words_of(cluster, image, tmp_path / "wide", 2, TWELVE)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        selector = "app.kubernetes.io/managed-by=afterfault"

        def second():
            return [pod for pod in engine.pods(selector) if pod.index == 1 and pod.phase == "Running"]

        [pod] = until(second, what="the second shard to run", deadline_seconds=600, every_seconds=1)
        engine._pods.delete_namespaced_pod(pod.name, engine.namespace, grace_period_seconds=0)
        said = process.communicate(timeout=1800)[0]
    assert process.returncode == 3, said
    assert f"shard 2 of 2 is gone with its pod {pod.name}" in said
    facts = load_facts(RunFolder(tmp_path / "wide"))
    assert any("shard 2 of 2" in problem for problem in facts.problems)
    assert (tmp_path / "wide" / "machines" / "shard-2-of-2" / "pod.log").exists()
    assert len(verdicts_of(tmp_path / "wide")) == 6
    assert left_in(engine) == []


def test_an_image_that_nobody_has_ends_it_at_once(cluster, engine, tmp_path):
    code, said = fan_out(cluster, "afterfault/harness:never", tmp_path / "wide", 2, ONE)
    assert code == 4, said
    assert "can't start" in said
    assert "kind load docker-image afterfault/harness:never" in said
    assert left_in(engine) == []
    assert list(tmp_path.iterdir()) == []


def test_a_rest_of_one_that_was_killed_goes_by_itself(cluster, engine, image, tmp_path):
    words = words_of(cluster, image, tmp_path / "wide", 1, ONE)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        [name, *_] = until(lambda: left_in(engine), what="the Job", deadline_seconds=600, every_seconds=1)
        process.send_signal(signal.SIGKILL)
    job = engine._jobs.read_namespaced_job(name, engine.namespace)
    assert job.spec.active_deadline_seconds == 20 * 60 + 600
    assert job.spec.ttl_seconds_after_finished == 300
    # what Kubernetes will do then, now
    soon = {"spec": {"activeDeadlineSeconds": 1, "ttlSecondsAfterFinished": 1}}
    engine._jobs.patch_namespaced_job(name, engine.namespace, soon)
    until(lambda: left_in(engine) == [], what="the Job to go", deadline_seconds=180, every_seconds=1)


def test_ctrl_c_takes_everything_away(cluster, engine, image, tmp_path):
    words = words_of(cluster, image, tmp_path / "wide", 1, ONE)
    with subprocess.Popen(words, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True) as process:
        until(lambda: left_in(engine), what="the Job", deadline_seconds=600, every_seconds=1)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=300)[0]
    assert process.returncode == 130, said
    assert left_in(engine) == []
    assert list(tmp_path.iterdir()) == []


def test_the_context_decides_the_namespace(cluster, tmp_path):
    told = yaml.safe_load(cluster.kubeconfig.read_text())
    told["contexts"][0]["context"]["namespace"] = "kube-public"
    (tmp_path / "k").write_text(yaml.safe_dump(told))
    with contextlib.closing(Engine(tmp_path / "k")) as there:
        assert there.namespace == "kube-public"
        assert left_in(there) == []
