"""A run that would not fit is refused, with the figure and the number of workers that would do."""

import re
from io import StringIO

import pytest

from harness import admission
from harness.admission import Machine, check_fits, clusters_at_once, most_at_once, needs, read_machine
from harness.clusters.docker_engine import EngineFacts
from harness.errors import MachineError
from harness.spec import KindSpec

PLENTY = Machine(memory_mib=10**6, disk_mib=10**7, cpus=64, inotify_instances=10**5, inotify_watches=10**6)
ONE, THREE, TWO_AND_WORKERS = KindSpec(), KindSpec(control_planes=3), KindSpec(control_planes=2, workers=2)


def machine(**less):
    return Machine(**{name: getattr(PLENTY, name) for name in Machine.__dataclass_fields__} | less)


def refused(there, workers, demand):
    with pytest.raises(MachineError) as raised:
        check_fits(there, workers, demand)
    assert raised.value.exit_code == 4
    return str(raised.value)


def test_the_figure_and_the_mend_are_told():
    said = refused(machine(memory_mib=7800), 4, [THREE] * 9)
    assert said.startswith("4 clusters of 3 control planes need 13.2 GiB of memory at once (available: 7.6 GiB)")
    assert "mend: use --kind-at-once 2" in said


@pytest.mark.parametrize(
    ("less", "words"),
    [
        ({"memory_mib": 1000}, r"memory at once \(available: 1\.0 GiB\)"),
        ({"disk_mib": 2000}, r"disk at once \(available: 2\.0 GiB\)"),
        ({"cpus": 1}, r"2 cores at once \(available: 1\)"),
        ({"inotify_instances": 40}, r"90 inotify instances at once \(available: 40\)"),
        ({"inotify_watches": 5000}, r"8192 inotify watches at once \(available: 5000\)"),
    ],
)
def test_each_resource_alone_refuses(less, words):
    said = refused(machine(**less), 1, [THREE])
    assert re.match(rf"a cluster of 3 control planes needs [0-9.]+ (GiB of )?{words}|.*{words}", said)
    assert "leave kind out: -m 'not kind'" in said
    assert ";" not in said.partition("mend")[0]  # nothing else is short


@pytest.mark.parametrize(
    ("less", "mend"),
    [
        ({"inotify_instances": 40}, "sysctl -w fs.inotify.max_user_instances="),
        ({"inotify_watches": 5000}, "sysctl -w fs.inotify.max_user_watches="),
        ({"memory_mib": 1000}, "docker ps"),
        ({"disk_mib": 2000}, "docker system df"),
    ],
)
def test_each_resource_has_its_own_mend(less, mend):
    assert mend in refused(machine(**less), 1, [THREE]).partition("mend:")[2]


def test_no_more_clusters_than_cases_are_counted():
    check_fits(machine(memory_mib=2000), 50, [ONE])


def test_the_biggest_cases_are_those_that_meet():
    said = refused(machine(memory_mib=6000), 3, [ONE, THREE, ONE, THREE, ONE])
    assert said.startswith("3 clusters of up to 3 control planes need")
    assert "use --kind-at-once 1;" in said
    check_fits(machine(memory_mib=3 * 1024 + 400), 3, [ONE] * 5)


def test_workers_and_zero_workers_count_as_one():
    check_fits(machine(memory_mib=3700), 0, [THREE] * 3)
    said = refused(machine(memory_mib=100), 1, [TWO_AND_WORKERS])
    assert said.startswith("a cluster of 2 control planes and 2 workers needs")


@pytest.mark.parametrize("shape", [ONE, THREE, TWO_AND_WORKERS], ids=lambda shape: shape.label)
@pytest.mark.parametrize("less", [{"memory_mib": 9000}, {"cpus": 3}, {"disk_mib": 20000}, {"inotify_instances": 128}])
def test_what_is_said_to_fit_fits_and_one_more_does_not(shape, less):
    there = machine(**less)
    count = most_at_once(there, shape)
    assert count >= 1
    check_fits(there, count, [shape] * 100)
    assert f"use --kind-at-once {count}" in refused(there, count + 1, [shape] * 100)


def test_nothing_fits_on_nothing():
    assert most_at_once(Machine(0, 0, 0, 0, 0), ONE) == 0


def test_needs_grow_with_each_node():
    small, big = needs(PLENTY, [ONE]), needs(PLENTY, [ONE, THREE])
    assert all(less.needed <= more.needed for less, more in zip(small, big, strict=True))
    assert small[0].needed < big[0].needed


def test_a_run_without_kind_cases_looks_at_nothing(monkeypatch):
    monkeypatch.setattr(admission, "open_engine", lambda: pytest.fail("the engine was asked"))
    assert clusters_at_once(8, []) == 8
    assert clusters_at_once(None, []) == 1


def test_a_run_with_kind_cases_and_no_engine_is_refused(monkeypatch):
    monkeypatch.setenv("DOCKER_HOST", "unix:///nonexistent.sock")
    with pytest.raises(MachineError, match="no Docker engine answers"):
        clusters_at_once(1, [ONE])


@pytest.mark.parametrize(
    ("less", "count"), [({}, 32), ({"cpus": 4}, 2), ({"cpus": 2}, 1), ({"memory_mib": 8000}, 2), ({"cpus": 3}, 1)]
)
def test_unasked_there_is_one_for_every_two_cores_if_they_fit(monkeypatch, less, count):
    monkeypatch.setattr(admission, "open_engine", StringIO)
    monkeypatch.setattr(admission, "read_engine", lambda engine: engine)
    monkeypatch.setattr(admission, "read_machine", lambda _: machine(**less))
    assert clusters_at_once(None, [THREE] * 40) == count
    assert clusters_at_once(1, [THREE] * 40) == 1


def test_what_was_asked_for_is_refused_rather_than_made_less(monkeypatch):
    monkeypatch.setattr(admission, "open_engine", StringIO)
    monkeypatch.setattr(admission, "read_engine", lambda engine: engine)
    monkeypatch.setattr(admission, "read_machine", lambda _: machine(memory_mib=8000))
    with pytest.raises(MachineError, match="4 clusters of 3 control planes need"):
        clusters_at_once(4, [THREE] * 40)
    monkeypatch.setattr(admission, "read_machine", lambda _: machine(memory_mib=800))
    with pytest.raises(MachineError, match="a cluster of 3 control planes needs"):
        clusters_at_once(None, [THREE])


def facts(tmp_path, memory_mib=10**9, cpus=10**3):
    return EngineFacts("26.1.5", "1.1.15", "overlay2", 2, cpus, memory_mib, tmp_path / "not" / "there")


def test_the_machine_is_read(tmp_path):
    there = read_machine(facts(tmp_path))
    assert 0 < there.memory_mib < 10**8
    assert there.disk_mib > 0
    assert there.cpus >= 1
    assert there.inotify_watches > 0
    assert read_machine(None).cpus == there.cpus


def test_an_engine_with_less_is_believed(tmp_path):
    assert read_machine(facts(tmp_path, memory_mib=17)).memory_mib == 17
    assert read_machine(facts(tmp_path, cpus=0)).cpus == 0


@pytest.mark.parametrize(
    ("files", "room"),
    [
        ({"memory.max": "max", "memory.current": "5", "memory.stat": ""}, []),
        ({"memory.max": str(2**30), "memory.current": str(2**29), "memory.stat": "file 3\ninactive_file 0"}, [512]),
        # page cache that nobody uses is given back when it is needed
        ({"memory.max": str(2**30), "memory.current": str(2**30), "memory.stat": f"inactive_file {2**29}"}, [512]),
        ({}, []),
    ],
)
def test_a_container_s_own_limit_counts(tmp_path, monkeypatch, files, room):
    for name, text in files.items():
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(admission, "_CGROUPS", ((tmp_path, "memory.max", "memory.current", "inactive_file"),))
    assert admission._cgroup_room_mib() == room


@pytest.mark.parametrize(
    ("name", "size"),
    [
        ("scenarios/a/test_b.py::test_c[documented-kind-3-strict]", KindSpec(3)),
        ("scenarios/a/test_b.py::test_c[x-mankind-1+2w-k1.33.1]", None),
        ("scenarios/a/test_b.py::test_c[x-kind-1+2w-k1.33.1]", KindSpec(1, 2)),
        ("control_plane_recovery/wait-and-hope/kind-3-relaxed", KindSpec(3)),
        ("scenarios/a/test_b.py::test_c[of-a-kind-3x]", None),
        ("scenarios/a/test_b.py::test_c[documented-3-strict]", None),
    ],
)
def test_the_size_is_read_from_a_case_name(name, size):
    assert KindSpec.size_in(name) == size


@pytest.mark.parametrize("shape", [ONE, THREE, TWO_AND_WORKERS, KindSpec(kubernetes="1.33.13", etcd="3.5.21")])
def test_every_label_tells_its_size(shape):
    assert KindSpec.size_in(f"story/tool/{shape.label}") == KindSpec(shape.control_planes, shape.workers)
