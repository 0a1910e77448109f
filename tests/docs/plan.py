"""Which commands of the docs are played, how each of those is trimmed, and why each other one is not played.

The rules of trimming, all there are:

* `nox -s scenarios -- WORDS` is played as `pytest scenarios WORDS`, and `tests` likewise: nox would first make an
  environment from requirements.lock; the one that plays this has it already.
* Upper-case placeholders are filled in as PLACEHOLDERS has it.
* Words of `add` are put behind a command: a selection (`-k`, `--case`: of two, the last one counts) where all of it
  would take hours, `--dry-run` where it would reach beyond the copy it is played in.
"""

from __future__ import annotations

from dataclasses import dataclass

# A finished run that lies in each copy, under the name that pages give to theirs; it is in runs/history.jsonl there.
RUN = "runs/20270301-020000-117"
PLAYED_CASE = "rolling_replacement/incident/3-relaxed"
# A store with a backup cannot be had in a second: this one is empty, which is told as a danger.
PLACEHOLDERS = {"RUN": RUN, "ID": PLAYED_CASE, "STORE": "store", "DIR": "runs/made"}

# Not in a clone until an earlier command of the same page has made them.
MADE = ("scenarios/node_upgraded", "tests/contract/test_ringer.py")


@dataclass(frozen=True)
class Play:
    """How a command is played.

    Args:
        add: words put behind it.
        why: what they are for; said wherever there are some.
        exits: exit codes it may end with.
        slow: it takes more than a minute.
        told: whether the lines below it in the page have to be what it prints, figures aside.
    """

    add: str = ""
    why: str = ""
    exits: tuple[int, ...] = (0,)
    slow: bool = False
    told: bool = False


ONE_CASE = Play(f"--case {PLAYED_CASE}", "all of them take a quarter of an hour")
OWN_TOOL = Play(
    "--case rolling_replacement/replace-node.sh/3-relaxed", "one shape of cluster instead of six", slow=True
)
TWICE = Play("--case rolling_replacement/documented/3-relaxed --repeat 2", "fifty take hours", slow=True)
SHOWN = Play("--dry-run", "playing it is repro's own test")
# What is asked of one case's run: the nightly's cases are not in it.
NIGHT = Play("--dry-run", "a night is its own test", exits=(0, 4))
THINNED_OUT = Play(exits=(3,))
_BUNDLE = "rolling_replacement__incident__3-relaxed.afterfault.tar.gz"
LOOKED_AT = Play(exits=(0, 4))
_OWN_CASE = "pytest scenarios --replace-command ./replace-node.sh --case rolling_replacement/replace-node.sh/3-relaxed"

# Two or three minutes each, and each command needs those before it.
LONG_PAGES = ("docs/tutorial.md", "docs/write-a-tool-adapter.md")
PLAYED = {
    "README.md": {
        "nox -s scenarios": ONE_CASE,
        "afterfault doctor": LOOKED_AT,
        'nox -s scenarios -- --replace-command "./replace-node.sh --yes"': OWN_TOOL,
        "nox -s scenarios -- --require etcd,s3 -k control_files": Play(
            "--case bad_name/wishes/managed-3-file/wrong-name --require etcd",
            "all of them take minutes, and the S3 server is built by hand",
            slow=True,
        ),
        "afterfault etcd-store check STORE": Play(exits=(1,)),
        "afterfault rejudge RUN": Play(),
        "afterfault report RUN": Play(),
        "afterfault gate RUN": Play(),
        "afterfault gate RUN --baseline RUN": Play(),
        "afterfault ledger suggest RUN": Play(),
        "afterfault nightly --minutes 60": NIGHT,
        "afterfault history show --file runs/history.jsonl": Play(),
        "afterfault merge RUN RUN --into DIR": Play(),
        "afterfault repro ID": SHOWN,
        "afterfault bundle RUN ID": Play(),
        "afterfault gc": Play("--dry-run", "other runs of this machine are not ours to tidy up"),
    },
    "docs/tutorial.md": {
        "afterfault doctor --only etcd": Play(told=True),
        "cp docs/tutorial/replace-node.sh .": Play(),
        "cat replace-node.sh": Play(told=True),
        f"{_OWN_CASE} --run-dir runs/first": Play(exits=(1,), told=True),
        "afterfault gate runs/first": Play(exits=(1,), told=True),
        """grep -h '"action":"destroy"' runs/first/cases/*/journal.jsonl""": Play(told=True),
        "afterfault rejudge runs/first": Play(told=True),
        "git apply docs/tutorial/remove-the-old-member.diff": Play(),
        f"{_OWN_CASE} --run-dir runs/second": Play(told=True),
        "afterfault gate runs/second": Play(told=True),
    },
    "docs/your-own-tool.md": {
        'nox -s scenarios -- --replace-command "./replace-node.sh --yes"': OWN_TOOL,
        'nox -s scenarios -- --replace-command "./replace-node.sh --yes" --replace-timeout 120': OWN_TOOL,
    },
    "docs/etcd-store-check.md": {
        "afterfault etcd-store check /backups/etcd/main --max-age 1800 --json": Play(exits=(1,))
    },
    "docs/write-a-scenario.md": {
        "afterfault new scenario node_upgraded": Play(told=True),
        "pytest scenarios/node_upgraded -v": Play(told=True),
        "ruff check scenarios && ruff format --check scenarios": Play(),
        "mypy": Play(slow=True),
        "pytest tests/architecture -q": Play(slow=True),
        "scripts/expected-cases --write": Play(),
        'pytest scenarios/node_upgraded -m "" --run-dir runs/node-upgraded': Play(slow=True),
        "afterfault gate runs/node-upgraded": Play(slow=True),
    },
    "docs/write-a-tool-adapter.md": {
        "cp docs/adapter/ringer.py harness/tools/ringer.py": Play(),
        "cp docs/adapter/test_ringer.py tests/contract/": Play(),
        "pytest tests/contract/test_ringer.py": Play(told=True),
        "ruff check harness tests/contract": Play(),
        "pytest tests/architecture -q": Play(told=True),
    },
    "docs/gate.md": {
        "afterfault gate RUN": Play(),
        "afterfault gate RUN --baseline RUN --markdown release.md": Play(),
        "afterfault gate RUN --expect scenarios/expected/nightly.txt --json gate.json": THINNED_OUT,
        "afterfault ledger check": Play(exits=(0, 1)),
        "afterfault ledger check --history runs/history.jsonl --runs 5": Play(exits=(0, 1)),
        "afterfault ledger suggest RUN": Play(),
    },
    "docs/nightly.md": {
        "afterfault nightly --dry-run": Play(exits=(0, 4)),
        "afterfault nightly --minutes 60": NIGHT,
        "afterfault nightly --leg etcd-3.6 --require": NIGHT,
        "afterfault history add RUN --file runs/history.jsonl": Play(),
        "afterfault history show --file runs/history.jsonl": Play(),
        "afterfault history show --file runs/history.jsonl --html runs/trends.html": Play(),
        # the copy's history has no such leg
        "afterfault history show --file runs/history.jsonl --leg etcd-3.5 --case 'rolling_*'": Play(exits=(2,)),
    },
    "docs/reliability.md": {
        'pytest scenarios -k "rolling_replacement and documented" --repeat 50 -n 2': TWICE,
        "pytest scenarios --case rolling_replacement/documented/3-relaxed --repeat 50": TWICE,
        'pytest scenarios -m "" --case rolling_replacement/documented/3-relaxed~7 --repeat 50': Play(slow=True),
    },
    "docs/side-by-side.md": {
        "pytest scenarios --shard-index 0 --shard-count 4 --seed 7 --run-dir DIR": Play(
            "-k unclean_membership", "a quarter of one story", slow=True
        ),
        "afterfault merge RUN RUN RUN RUN --into DIR": Play("--into runs/merged", "DIR is what the shard took"),
    },
    "docs/repro.md": {
        f"afterfault repro {PLAYED_CASE}": SHOWN,
        f"afterfault repro {PLAYED_CASE} --run RUN": SHOWN,
        f"afterfault bundle RUN {PLAYED_CASE}": Play(),
        f"afterfault rejudge {_BUNDLE}": Play(),
        f"afterfault report {_BUNDLE}": Play(),
        f"afterfault gate {_BUNDLE}": Play(),
        f"afterfault repro {_BUNDLE} --keep": SHOWN,
    },
    "docs/machine.md": {"afterfault doctor --only kind": LOOKED_AT},
    "docs/read-a-report.md": {
        f"afterfault repro {PLAYED_CASE} --run {RUN}": SHOWN,
    },
}

_ROOT = "needs root"
_KIND = "needs Docker, kind and minutes"
_BUILD = "needs a build of the tool"
_LACONIC = "nox -s scenarios -- --require docker,kind --laconic-so ./laconic-so -m ''"
_BUILDS = "--laconic-so release=PATH --laconic-so main=PATH --laconic-so known-bad=PATH"
_STORE = "asks an S3 store of the reader's"
_CUT = "every_cut/ingress-skip/kind-1-new@api:create:namespaces:caddy-system:1:after"
_NOX = "makes an environment from requirements.lock; every run of this test is in one"

NOT_PLAYED = {
    "README.md": {
        "nox -s tests": "this test is one of them",
        "afterfault fan-out --shards 4 --into DIR": _KIND,
        "sudo scripts/docker-engine": _ROOT,
        "sudo scripts/image-tools": _ROOT,
        "nox -s images": _ROOT,
        "nox -s scenarios -- --require etcd,docker,kind": _KIND,
        f"{_LACONIC} -k laconic-so": _BUILD,
        f"{_LACONIC} -k every_cut --cuts sample:8": _BUILD,
        "afterfault images s3-server": "builds from the Go module proxy for minutes; nox -s images does it",
        "nox -s scenarios -- -m '' -k control_files --etcd-manager DIR": _BUILD,
    },
    "docs/tutorial.md": {
        "python3 -m venv .venv": _NOX,
        ".venv/bin/pip install nox": _NOX,
        ".venv/bin/nox -s environment": _NOX,
        'export PATH="$PWD/.nox/environment/bin:$PATH"': _NOX,
    },
    "docs/etcd-manager.md": {
        "pytest scenarios/control_files --etcd-manager DIR": _BUILD,
        'pytest tests/contract/test_managed_cluster.py -m "" --etcd-manager DIR': _BUILD,
    },
    "docs/etcd-store-check.md": {
        "afterfault etcd-store check s3://state/prod.example.com/backups/etcd/main": _STORE,
        "afterfault etcd-store check s3://state --cluster prod.example.com --etcd events": _STORE,
    },
    "docs/laconic-so.md": {
        "pytest scenarios --laconic-so VENV/bin/laconic-so": _BUILD,
        "pytest scenarios --laconic-so VENV/bin/laconic-so --require docker,kind": _BUILD,
        "pytest scenarios --laconic-so VENV/bin/laconic-so --laconic-so-stack test": _BUILD,
    },
    "docs/node-image.md": {
        "sudo scripts/docker-engine": _ROOT,
        "sudo scripts/image-tools": _ROOT,
        "sudo afterfault images build": _ROOT,
        "afterfault images list": "needs an engine; tests/kind/test_node_image.py asks it the same",
        "afterfault images check": _KIND,
    },
    "docs/nightly.md": {
        "nox -s nightly -- --minutes 60": _NOX,
        f"afterfault nightly --minutes 120 {_BUILDS}": _BUILD,
    },
    "docs/repro.md": {
        f"afterfault repro {_CUT}": _KIND,
        "afterfault repro every_cut/laconic-so/kind-1-new -- --laconic-so ./laconic-so": _BUILD,
        f"afterfault bundle RUN {_CUT} --output DIR": _KIND,
    },
    "docs/side-by-side.md": {
        "afterfault images harness": _ROOT,
        "kind load docker-image REFERENCE --name NAME": _KIND,
        "afterfault fan-out --kubeconfig FILE --shards 4 --into DIR -- -k rolling_replacement": _KIND,
    },
    "docs/your-own-tool.md": {
        'nox -s scenarios -- --replace-control-plane-command "./replace-control-plane.sh" --replace-timeout 900': _KIND,
    },
    "docs/read-a-report.md": {
        f"afterfault repro {_CUT}": _KIND,
        "afterfault repro every_cut/laconic-so/kind-1-new -- --laconic-so ./laconic-so": _BUILD,
    },
}
