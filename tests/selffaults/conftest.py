"""The table that the campaign ends with: ``pytest tests/selffaults -m "" -s`` prints it for docs/reliability.md."""

import pytest

HEAD = "| what happens to the harness | when | exit code | what it says | left behind |\n|---|---|---|---|---|"
TOLD = 170


@pytest.fixture(scope="session")
def table():
    rows = []
    yield rows
    print("\n\n" + "\n".join([HEAD, *(f"| {' | '.join(row)} |" for row in rows)]))


@pytest.fixture
def judge(table):
    """Holds how a run ended against what it should, and tells it in the table."""

    def one(what, when, ended, codes, pattern):
        told = ended.sentence(pattern)
        table.append((what, when, str(ended.code), told[:TOLD].replace("|", "/"), "; ".join(ended.left) or "nothing"))
        assert ended.code in codes, ended.said[-3000:]
        assert "NOT_RECOVERED" not in ended.verdicts, "the tool is blamed"
        assert "is broken" not in ended.said, "the tool is blamed"
        assert told, ended.said[-3000:]
        assert ended.left == []

    return one
