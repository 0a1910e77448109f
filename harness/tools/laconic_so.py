"""The real laconic-so (stack orchestrator) as a tool under test: what a build is, and how it is called.

Nothing is guessed from a version: a build is asked what it knows. How to run the harness against one,
what that needs and where its limits are is in docs/laconic-so.md.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from harness.errors import ClusterError, MachineError, UsageError
from harness.tools.bounded_answer import Answer, ask
from harness.tools.laconic_stack import (
    MINI,
    Deployment,
    DeploymentPlan,
    app_namespace,
    edit_deployment,
    edit_kind_config,
    edit_spec,
    etcd_mount,
    write_stack,
)

OPTION = "--laconic-so"
NAME = "laconic-so"
# Ansible's limit for `deployment start` in incident 001.
START_SECONDS = 600.0
_ANSWER_SECONDS, _CREATE_SECONDS = 30.0, 120.0
_VERSION = re.compile(r"^(?:Version:\s*)?v?(\d+\.\d+\.\d+[\w.+-]*)$", re.MULTILINE)
_FLAG = re.compile(r"(?<![\w-])--[a-z][a-z-]+")
_PERFORM = "--perform-cluster-management"
_MEND = f"give {OPTION} the path of the program, as VENV/bin/{NAME}"
_NEWER = f"take a build whose `{NAME} deployment start --help` names {_PERFORM}"
# A `kind` that knows of no cluster: `deploy create` takes over the name of the first one it hears of.
_NO_CLUSTER = "#!/bin/sh\nexit 0\n"


class InFolder(Protocol):
    """What lies in a folder that ``deployment --dir`` can be given."""

    @property
    def folder(self) -> Path:
        """That folder."""


@dataclass(frozen=True, slots=True)
class LaconicSo:
    """A build under test.

    Args:
        program: absolute path.
        version: what ``laconic-so version`` says.
        start_flags: options that its ``deployment start`` knows.
        stop_flags: options that its ``deployment stop`` knows.
    """

    program: Path
    version: str
    start_flags: frozenset[str]
    stop_flags: frozenset[str]

    @classmethod
    def examine(cls, path: str, answer_seconds: float = _ANSWER_SECONDS) -> LaconicSo:
        """Find out what a program is, by asking it; no cluster and no engine is touched.

        Args:
            path: what the user gave.
            answer_seconds: for each of at most four questions.

        Raises:
            UsageError: it is not there, not executable, not laconic-so, or too old to be driven.
            MachineError: it can't be started here, or does not answer in time.
        """
        program = _named(path)
        with tempfile.TemporaryDirectory(prefix="afterfault-laconic-so-") as folder:
            questions = _Questions(program, Path(folder), answer_seconds)
            version = questions.version()
            questions.check_subcommands(version)
            start, stop = questions.flags("start", version), questions.flags("stop", version)
        return cls(program, version, start, stop)

    @classmethod
    def from_json(cls, text: str) -> LaconicSo:
        """What `to_json` gave: the same build, not asked again."""
        told = json.loads(text)
        return cls(Path(told["program"]), told["version"], frozenset(told["start"]), frozenset(told["stop"]))

    def to_json(self) -> str:
        """All that is known of it, for another process of the run."""
        flags = {"start": sorted(self.start_flags), "stop": sorted(self.stop_flags)}
        return json.dumps({"program": str(self.program), "version": self.version, **flags})

    @property
    def cluster_flags(self) -> bool:
        """Whether it is to be told that it manages the cluster; it must be where it can: the default has changed."""
        return _PERFORM in self.start_flags and _PERFORM in self.stop_flags

    def start_command(self, deployment: InFolder) -> tuple[str, ...]:
        """The call that brings a deployment up, the cluster included."""
        return (*self._deployment(deployment), "start", *self._known(self.start_flags, _PERFORM))

    def stop_command(
        self, deployment: InFolder, *, delete_volumes: bool = False, delete_namespace: bool = False
    ) -> tuple[str, ...]:
        """The call that takes a deployment down, the cluster included.

        Raises:
            UsageError: this build can't delete the namespace on its own.
        """
        volumes = "--delete-volumes" if delete_volumes else "--preserve-volumes"
        wanted = [_PERFORM, volumes]
        if delete_namespace:
            if "--delete-namespace" not in self.stop_flags:
                raise UsageError(f"{NAME} {self.version} has no `stop --delete-namespace`")
            wanted.append("--delete-namespace")
        return (*self._deployment(deployment), "stop", *self._known(self.stop_flags, *wanted))

    def environment(self, folder: Path, network: str, path: str = "") -> dict[str, str]:
        """What a call finds of the world: nothing of the user's.

        Args:
            folder: gets the home, the kubeconfig and the folders for temporary files and repositories.
            network: of the Docker engine; nodes are put there.
            path: folders of programs that come before those of the caller's PATH.

        Leaves behind: empty folders.
        """
        home, repositories, temporary = (folder / name for name in ("home", "repositories", "tmp"))
        for place in (home, repositories, temporary):
            place.mkdir(parents=True, exist_ok=True)
        return {
            "HOME": str(home),
            "KUBECONFIG": str(folder / "kubeconfig"),
            "CERC_REPO_BASE_DIR": str(repositories),
            "TMPDIR": str(temporary),
            "PYTHONUNBUFFERED": "1",  # or nothing it says is seen before its end, and no cut can wait for a line
            "KIND_EXPERIMENTAL_DOCKER_NETWORK": network,
            "KIND_EXPERIMENTAL_PROVIDER": "docker",
            # its scripts call sleep, date and rm
            "PATH": os.pathsep.join(filter(None, (path, os.environ.get("PATH", os.defpath)))),
        }

    def deploy(
        self, plan: DeploymentPlan, folder: Path, environment: Mapping[str, str], certs: Path | None = None
    ) -> Deployment:
        """Make a deployment by the build's own ``init`` and ``deploy create``, and adapt it; starts nothing.

        Args:
            plan: what is to be deployed.
            folder: gets the stack, the spec and the deployment; made here.
            environment: the whole of a call's.
            certs: containerd's ``certs.d`` for the node, by which it finds a mirror.

        Raises:
            ClusterError: a call failed, or left something that is not understood.
        """
        folder = folder.resolve()
        folder.mkdir(parents=True)
        made, spec, mounts = folder / "deployment", folder / "spec.yml", folder / "mounts"
        stack = str(write_stack(folder / "source", plan.app_image)) if plan.stack == MINI else plan.stack
        alone = _without_clusters(folder / "no-cluster", environment)
        self._call(alone, "init", stack, ("--deploy-to", "k8s-kind"), ("--output", str(spec)))
        mounts.mkdir()
        edit_spec(spec, plan, mounts)
        self._call(alone, "create", stack, (), ("--spec-file", str(spec), "--deployment-dir", str(made)))
        edit_deployment(made, plan)
        http, https = edit_kind_config(made, plan, certs)
        return Deployment(
            made, plan.cluster, plan.cluster, app_namespace(plan.cluster), plan.host, http, https, mounts,
            etcd_mount(made),
        )  # fmt: skip

    def _call(
        self, environment: Mapping[str, str], verb: str, stack: str, before: tuple[str, ...], after: tuple[str, ...]
    ) -> None:
        words = (str(self.program), "--stack", stack, "deploy", *before, verb, *after)
        answer = ask(words, environment, _CREATE_SECONDS, cwd=environment.get("HOME", "/"))
        if answer.exit_code != 0:
            raise ClusterError(f"`{NAME} deploy {verb}` {_how(answer)}", log_tail=answer.last_lines)

    def _deployment(self, deployment: InFolder) -> tuple[str, ...]:
        return (str(self.program), "deployment", "--dir", str(deployment.folder))

    @staticmethod
    def _known(flags: frozenset[str], *wanted: str) -> tuple[str, ...]:
        return tuple(flag for flag in wanted if flag in flags)


class _Questions:
    """The questions to a program that says it is laconic-so.

    Args:
        program: absolute path.
        folder: empty; becomes its home, with the least that ``deployment --dir`` takes.
        seconds: for each question.
    """

    def __init__(self, program: Path, folder: Path, seconds: float) -> None:
        self._program, self._folder, self._seconds = program, folder, seconds
        (folder / "spec.yml").write_text("stack: none\ndeploy-to: k8s-kind\n")
        (folder / "stack.yml").write_text("name: none\n")
        self._environment = {"HOME": str(folder), "PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}

    def version(self) -> str:
        answer = self._ask("version")
        found = _VERSION.search(answer.text.strip())
        if answer.exit_code != 0 or found is None or answer.text.count("\n") > 5:
            raise UsageError(
                f"{self._program} is not {NAME}: `version` {_how(answer)} and said {answer.first_words!r}", mend=_MEND
            )
        return found[1]

    def check_subcommands(self, version: str) -> None:
        known = self._ask("--help").text
        missing = [word for word in ("deploy", "deployment") if not re.search(rf"^\s+{word}\s", known, re.MULTILINE)]
        if missing:
            raise UsageError(f"{self._program} ({version}) is too old: it has no `{NAME} {missing[0]}`", mend=_NEWER)

    def flags(self, verb: str, version: str) -> frozenset[str]:
        answer = self._ask("deployment", "--dir", str(self._folder), verb, "--help")
        if answer.exit_code != 0:
            raise UsageError(
                f"{self._program} ({version}) is too old: `{NAME} deployment {verb} --help` {_how(answer)}"
                f" and said {answer.first_words!r}",
                mend=_NEWER,
            )
        return frozenset(_FLAG.findall(answer.text))

    def _ask(self, *words: str) -> Answer:
        answer = ask((str(self._program), *words), self._environment, self._seconds, cwd=str(self._folder))
        if answer.flaw.startswith("did not end"):
            said = f"{NAME} {' '.join(words)}"
            raise MachineError(f"{self._program}: `{said}` {answer.flaw}", mend=f"see why it hangs: {said}")
        return answer


def _named(word: str) -> Path:
    """The program that a user named."""
    if not word.strip():
        raise UsageError(f"{OPTION} is empty", mend=_MEND)
    found = shutil.which(word) if os.sep not in word else None
    path = Path(found or word)
    wrong, mend = (
        ("is not there", _MEND) if not path.exists()
        else ("is a folder", _MEND) if path.is_dir()
        else ("is not executable", f"chmod +x {word}") if not os.access(path, os.X_OK)
        else ("", "")
    )  # fmt: skip
    if wrong:
        raise UsageError(f"{OPTION} {word} {wrong}", mend=mend)
    # links are not followed: a program of a virtual environment finds its packages by where it is called
    return path.absolute()


def _how(answer: Answer) -> str:
    return answer.flaw or f"ended with {answer.exit_code}"


def _without_clusters(folder: Path, environment: Mapping[str, str]) -> dict[str, str]:
    folder.mkdir()
    kind = folder / "kind"
    kind.write_text(_NO_CLUSTER)
    kind.chmod(kind.stat().st_mode | stat.S_IXUSR)
    return {**environment, "PATH": f"{folder}{os.pathsep}{environment.get('PATH', os.defpath)}"}
