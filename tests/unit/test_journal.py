import itertools
import json

import pytest

from harness.errors import HarnessError, JournalError, JournalWriteError
from harness.journal import SEAL, Journal, read


@pytest.fixture
def ticks():
    return itertools.count(100.0, 0.5)


@pytest.fixture
def whole(tmp_path, ticks):
    journal = Journal(tmp_path / "case" / "journal.jsonl", lambda: next(ticks))
    for number in range(4):
        journal.append("case.step", text=f"step {number}")
    journal.seal()
    return journal.path


def lines(path):
    return path.read_text().splitlines()


def test_what_is_written_is_read_back(whole):
    entries = read(whole).entries
    assert [entry.data["text"] for entry in entries] == ["step 0", "step 1", "step 2", "step 3"]
    assert [entry.at for entry in entries] == [0.5, 1.0, 1.5, 2.0]
    assert [entry.seq for entry in entries] == [0, 1, 2, 3]


def test_the_digest_tells_two_journals_apart(whole, tmp_path, ticks):
    other = Journal(tmp_path / "other.jsonl", lambda: next(ticks))
    other.append("case.step", text="another")
    other.seal()
    assert read(whole).digest != read(other.path).digest


def cut_at_the_end(text):
    return "\n".join(text.splitlines()[:-1]) + "\n", 4, "without its seal"


def cut_in_a_line(text):
    return text[: len(text) // 2], 3, "cut"


def a_line_removed(text):
    rows = text.splitlines()
    return "\n".join(rows[:1] + rows[2:]) + "\n", 2, "missing or out of order"


def a_value_edited(text):
    return text.replace("step 2", "step 9"), 4, "edited"


def the_last_step_edited(text):
    return text.replace("step 3", "step 9"), 5, "edited"


def lines_swapped(text):
    rows = text.splitlines()
    return "\n".join([rows[0], rows[2], rows[1], *rows[3:]]) + "\n", 2, "out of order"


def reformatted(text):
    rows = text.splitlines()
    return "\n".join([rows[0], json.dumps(json.loads(rows[1])), *rows[2:]]) + "\n", 2, "edited"


def something_else(_):
    return "hello\n", 1, "not a whole journal entry"


def nothing(_):
    return "", 1, "without its seal"


@pytest.mark.parametrize(
    "damage",
    [
        cut_at_the_end, cut_in_a_line, a_line_removed, a_value_edited, the_last_step_edited, lines_swapped,
        reformatted, something_else, nothing,
    ],
)  # fmt: skip
def test_a_damaged_journal_is_named_with_its_line(whole, damage):
    text, line, why = damage(whole.read_text())
    whole.write_text(text)
    with pytest.raises(JournalError, match=why) as caught:
        read(whole)
    assert caught.value.line == line
    assert caught.value.exit_code == 2


def test_binary_and_missing_files_are_told(tmp_path):
    binary = tmp_path / "binary.jsonl"
    binary.write_bytes(bytes(range(256)))
    with pytest.raises(JournalError, match="not text"):
        read(binary)
    with pytest.raises(JournalError, match="cannot be read"):
        read(tmp_path / "nowhere.jsonl")


def test_a_seal_is_the_end(tmp_path, ticks):
    journal = Journal(tmp_path / "sealed.jsonl", lambda: next(ticks))
    journal.seal()
    journal.seal()
    with pytest.raises(JournalWriteError, match="came too late"):
        journal.append("case.step", text="late")
    assert json.loads(lines(journal.path)[-1])["kind"] == SEAL


def test_a_full_disk_is_the_machine_s_fault(tmp_path, ticks):
    journal = Journal(tmp_path / "journal.jsonl", lambda: next(ticks))
    journal._file.close()
    journal._file = open("/dev/full", "w")  # noqa: PTH123, SIM115 - the kernel's own full disk
    with pytest.raises(JournalWriteError, match="No space left") as caught:
        journal.append("case.step", text="x")
    assert caught.value.exit_code == 4
    assert journal.entries() == ()
    with pytest.raises(JournalWriteError, match="No space left"):
        journal.seal()


def test_a_journal_is_never_overwritten(whole, ticks):
    with pytest.raises(HarnessError, match="is there already") as caught:
        Journal(whole, lambda: next(ticks))
    assert caught.value.exit_code == 3, "no fault of this machine"
