"""The contract for anybody's tool, proven by the script that docs/your-own-tool.md begins with."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from harness.expectations import NO_GHOST, REPLACEMENT_COMPLETE
from harness.judging import Verdict, judge_all
from harness.judging.guarantees import GUARANTEES
from harness.lab import Lab
from harness.spec import CaseSpec, EtcdSpec
from harness.taps import node_command
from harness.tools.deploy_tool import replace_command
from harness.tools.tasks import ReplaceNode

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.etcd
JUDGED = tuple(GUARANTEES)[: list(GUARANTEES).index("service-restored")]


@pytest.fixture
def script(tmp_path):
    text = (ROOT / "docs" / "your-own-tool.md").read_text()
    path = tmp_path / "replace-node.sh"
    path.write_text(re.search(r"```sh\n(.*?)```", text, re.DOTALL).group(1))
    path.chmod(0o755)
    return path


@pytest.mark.parametrize(
    "spec", [EtcdSpec(3), EtcdSpec(3, strict_reconfig_check=False, mutual_tls=True)], ids=lambda s: s.label
)
def test_the_documented_script_keeps_every_guarantee(settings, script, spec):
    lab, tool = Lab(settings), replace_command(str(script), 60)
    with lab.start(CaseSpec("rolling_replacement", "002", tool.target, spec, JUDGED)):
        assert lab.run(tool, ReplaceNode("n1")).exit_code == 0
        assert lab.run(tool, ReplaceNode("n2")).exit_code == 0
        lab.observe(NO_GHOST, REPLACEMENT_COMPLETE)
    red = [finding for finding in judge_all(lab.entries) if finding.verdict is not Verdict.RECOVERED]
    assert not red


def test_the_node_command_teaches_and_refuses(settings, tmp_path):
    tool_log = tmp_path / "seen"
    script = tmp_path / "tool.sh"
    calls = ["list", "start n1 x existing", "juggle", "stop n9", "stop", "wipe n1"]
    lines = [f'$AFTERFAULT_NODE {call} >>"{tool_log}" 2>&1; echo "{call}: $?" >>"{tool_log}"' for call in calls]
    script.write_text("#!/bin/sh\n" + "\n".join(lines) + '\nenv >"$AFTERFAULT_SNAPSHOTS/../env"\n')
    script.chmod(0o755)
    lab, tool = Lab(settings), replace_command(str(script), 60)
    with lab.start(CaseSpec("contract", "002", tool.target, EtcdSpec(3), JUDGED)) as cluster:
        lab.run(tool, ReplaceNode("n1"))
        environment = (cluster.work / "snapshots" / "env").read_text()
    seen = tool_log.read_text()
    assert '"running": true' in seen
    for line in ("list: 0", "start n1 x existing: 1", "juggle: 2", "stop n9: 1", "stop: 2", "wipe n1: 1"):
        assert line in seen
    for sentence in ("etcd on node n1 runs already", "no node 'n9'", "can't be wiped under it"):
        assert sentence in seen
    documented = re.findall(
        r"`(AFTERFAULT_[A-Z_]+|ETCDCTL_ENDPOINTS)`", (ROOT / "docs" / "your-own-tool.md").read_text()
    )
    for name in documented:
        assert f"{name}=" in environment
    assert "AFTERFAULT_OLD_PEER_URL=" in environment


def test_a_stranger_without_the_token_is_turned_away(settings):
    lab = Lab(settings)
    tool = replace_command("true", 10)
    with lab.start(CaseSpec("token", "002", tool.target, EtcdSpec(1), JUDGED)):
        url = lab._stage.tap.url
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("AFTERFAULT_NODE_URL", url)
            patch.setenv("AFTERFAULT_NODE_TOKEN", "guessed")
            with pytest.raises(node_command.NodeRefused, match="wrong token"):
                node_command.ask("stop", node="n1")


@pytest.mark.parametrize("words", [["--help"], ["nonsense"]])
def test_the_reference_tool_teaches_its_words(words):
    done = subprocess.run(
        [sys.executable, "-m", "harness.tools.reference", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == (0 if words == ["--help"] else 2)
    assert "documented" in done.stdout + done.stderr
