"""What the adapter of ringer has to pass, on a real cluster of three."""

from pathlib import Path

import pytest

from harness.errors import MachineError, UsageError
from harness.expectations import NO_GHOST, REPLACEMENT_COMPLETE
from harness.judging import Verdict, judge_all
from harness.lab import Lab
from harness.spec import CaseSpec, EtcdSpec
from harness.tools import ringer
from harness.tools.tasks import ReplaceNode

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "docs" / "adapter" / "ringer"
SHAPE = EtcdSpec(3, strict_reconfig_check=False)
GUARANTEES = ("quorum-kept", "no-ghost-member", "replacement-complete", "success-is-true", "acknowledged-writes-kept")


def play(settings, build):
    """One node is replaced by it; what is red comes back."""
    lab = Lab(settings)
    with lab.start(CaseSpec("rolling_replacement", "002", build.target, SHAPE, GUARANTEES)):
        lab.run(build, ReplaceNode("n1"))
        lab.observe(NO_GHOST, REPLACEMENT_COMPLETE)
    return [finding.guarantee for finding in judge_all(lab.entries) if finding.verdict is not Verdict.RECOVERED]


def program(folder, text):
    """A program of that name, with this text."""
    path = folder / "ringer"
    path.write_text(text)
    path.chmod(0o755)
    return str(path)


@pytest.mark.etcd
def test_a_faithful_build_keeps_every_guarantee(settings):
    """What the adapter tells the tool is all it needs."""
    assert play(settings, ringer.Ringer.examine(str(BUILD))) == []


@pytest.mark.etcd
def test_a_defect_is_caught_by_its_guarantee(settings, tmp_path):
    """Two-sided: a build that forgets to remove the old member is red, by the guarantee that says so."""
    removing = '    etcdctl(others, "member", "remove", listed[0])\n'
    broken = program(tmp_path, BUILD.read_text().replace(removing, ""))
    assert "no-ghost-member" in play(settings, ringer.Ringer.examine(broken))


def test_a_build_is_known_by_what_it_says():
    """Reports tell builds apart by their version."""
    target = ringer.Ringer.examine(str(BUILD)).target
    assert (target.label, target.version) == ("ringer:ringer", "0.3.1")


@pytest.mark.parametrize("path", ["", "/nowhere/ringer", ".", "README.md", "/bin/true"])
def test_whatever_else_is_given_is_wrong_usage(path):
    """A clear sentence, before anything is started."""
    with pytest.raises(UsageError, match="mend: give the path"):
        ringer.Ringer.examine(path)


def test_one_that_hangs_is_this_machines_trouble(tmp_path):
    """It is killed, and nobody calls it a verdict."""
    with pytest.raises(MachineError, match="did not end"):
        ringer.Ringer.examine(program(tmp_path, "#!/bin/sh\nsleep 60\n"), answer_seconds=0.5)
