"""What an operator's procedure on kubeadm machines tells of a command that failed."""

import pytest

from harness.tools.reference import machines
from harness.tools.reference.etcdctl import StepFailed

PREFLIGHT = """[preflight] Running pre-flight checks
error execution phase preflight: [preflight] Some fatal errors occurred:
\t[ERROR Port-10250]: Port 10250 is in use
\t[ERROR FileExisting-conntrack]: conntrack not found
To see the stack trace of this error execute with --v=5 or higher
"""
PREFLIGHT_TOLD = (
    "error execution phase preflight: [preflight] Some fatal errors occurred:; "
    "[ERROR Port-10250]: Port 10250 is in use; [ERROR FileExisting-conntrack]: conntrack not found"
)


@pytest.mark.parametrize(
    ("printed", "told"),
    [
        ({"stderr": PREFLIGHT}, PREFLIGHT_TOLD),
        ({"stderr": "first\nno such container\n\n"}, "no such container"),
        ({"stdout": "only here\n"}, "only here"),
        ({}, "exit 7"),
    ],
    ids=["kubeadm", "last-line", "on-stdout", "silent"],
)
def test_a_command_that_failed_tells_its_error(monkeypatch, printed, told):
    answer = {"stdout": "", "stderr": "", "exit_code": 7, **printed}
    monkeypatch.setattr(machines, "ask", lambda *_, **__: answer)
    with pytest.raises(StepFailed) as error:
        machines.run_on("n1", "kubeadm", "join")
    assert str(error.value) == f"kubeadm on n1: {told}"


def test_what_is_told_has_an_end(monkeypatch):
    answer = {"stdout": "", "stderr": "error: " + "x" * 10_000, "exit_code": 1}
    monkeypatch.setattr(machines, "ask", lambda *_, **__: answer)
    with pytest.raises(StepFailed) as error:
        machines.run_on("n1", "kubeadm")
    assert len(str(error.value)) < 1100
