"""A start through the taps ends in the same state as one without: the tool has no way to tell, nor has the cluster."""

import pytest

from harness.clusters.kube_ready import await_ready
from harness.judging.state import compare, state_of
from harness.judging.state_told import told
from harness.probes.kubernetes.state import StateLook, seen_state
from tests.kind.needs import kind_needed
from tests.kind.sites import PlainSite, TappedSite, settings_in, site

pytestmark = [pytest.mark.kind, pytest.mark.slow]


def state_after_a_start(sort, settings):
    with site(sort, sort.__name__, settings) as made:
        made.start()
        await_ready(made.cluster.kubeconfig, 1)
        names = dict.fromkeys(made.cluster.names, "<cluster>") | {str(made.work / "site"): "<site>"}
        seen = seen_state(made.world, StateLook(names))
        calls = sum(entry.kind in ("tap.command", "tap.api_call") for entry in made.journal.entries())
    return seen, calls


def test_a_start_through_the_taps_ends_in_the_state_of_one_without(tmp_path, pytestconfig):
    with kind_needed(pytestconfig), settings_in(tmp_path, "transparent") as settings:
        plain, unseen = state_after_a_start(PlainSite, settings)
        tapped, calls = state_after_a_start(TappedSite, settings)
    assert unseen == 0
    assert calls > 20
    assert plain["at_rest"], plain["moving"]
    assert tapped["at_rest"], tapped["moving"]
    assert told(compare(state_of(plain), state_of(tapped))) == []
