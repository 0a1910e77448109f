"""What an operator's procedure on kubeadm machines tells of a failed command, and waits for before a join."""

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


@pytest.fixture
def calls(tmp_path, monkeypatch):
    """A kubectl whose calls are counted, and of which those in the file `bad` fail."""
    program, seen, bad = tmp_path / "kubectl", tmp_path / "seen", tmp_path / "bad"
    seen.touch()
    bad.touch()
    program.write_text(
        "#!/bin/sh\n"
        f'echo "$*" >> {seen}\n'
        f"n=$(wc -l < {seen})\n"
        f'grep -qx -e $n -e all {bad} && echo "Unable to connect to the server: EOF" >&2 && exit 1\n'
        "exit 0\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return lambda: seen.read_text().splitlines(), bad


def test_the_load_balancer_has_to_answer_as_often_as_it_may_send_elsewhere(calls):
    seen, bad = calls
    bad.write_text("3\n8\n")
    machines.await_balancer()
    assert len(seen()) == 8 + 6
    assert set(seen()) == {"--request-timeout=2s get --raw=/readyz"}


def test_a_load_balancer_that_never_does_is_told(calls, monkeypatch):
    _, bad = calls
    bad.write_text("all\n")
    monkeypatch.setattr(machines, "_API_SECONDS", 1.0)
    with pytest.raises(StepFailed, match=r"load balancer to answer 6 times in a row.*EOF"):
        machines.await_balancer()
