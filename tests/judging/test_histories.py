"""Random histories of a correct store are accepted, and each way of spoiling one is caught."""

from hypothesis import given, settings
from hypothesis import strategies as st

from harness.judging import Verdict, judge
from tests.judging.story import Story

# How long an example takes says nothing here but how busy the machine is.
settings.register_profile("unhurried", deadline=None)
settings.load_profile("unhurried")

steps = st.lists(st.tuples(st.sampled_from(["write", "read"]), st.sampled_from("01")), min_size=6, max_size=40)


def play(operations, spoil=None):
    """A store with one copy and calls one after the other; `spoil` changes the chosen read or the final store."""
    story, registers, keys, revision = Story(), {"0": (None, 0), "1": (None, 0)}, [], 1
    for number, (operation, register) in enumerate(operations):
        at = 1 + number / 10
        if operation == "write":
            revision += 1
            registers[register] = (f"v{number}", revision)
            keys.append(f"v{number}")
            story.write(at, f"v{number}", register=register, revision=revision)
        else:
            value, mod_revision = registers[register]
            seen = spoil(value, mod_revision, revision) if spoil else (value, mod_revision, revision)
            story.read(at, *seen, register=register)
    return story, keys


@given(steps.filter(lambda ops: {"write", "read"} <= {op for op, _ in ops}))
def test_a_correct_store_is_accepted(operations):
    story, keys = play(operations)
    entries = story.end(99, keys=keys)
    for guarantee in ("reads-linearizable", "revisions-monotonic", "acknowledged-writes-kept"):
        assert judge(guarantee, entries).verdict is Verdict.RECOVERED


@given(steps.filter(lambda ops: any(op == "write" for op, _ in ops)), st.data())
def test_one_lost_write_is_caught(operations, data):
    story, keys = play(operations)
    keys.remove(data.draw(st.sampled_from(keys)))
    assert judge("acknowledged-writes-kept", story.end(99, keys=keys)).verdict is Verdict.NOT_RECOVERED


@given(steps)
def test_a_read_of_the_past_is_caught(operations):
    operations = [("write", "0"), *operations, ("write", "0"), ("read", "0")]
    story, keys = play(
        operations, lambda _value, mod, revision: ("v0", 2, revision) if mod > 2 else (_value, mod, revision)
    )
    assert judge("reads-linearizable", story.end(99, keys=keys)).verdict is Verdict.NOT_RECOVERED


@given(steps.filter(lambda ops: sum(op == "write" for op, _ in ops) > 1))
def test_an_answer_from_an_earlier_revision_is_caught(operations):
    story, keys = play(operations)
    story.read(50, None, 0, 1)
    assert judge("revisions-monotonic", story.end(99, keys=keys)).verdict is Verdict.NOT_RECOVERED
