"""A rolling upgrade meets the tool half way: members of two etcd releases in one cluster."""

from dataclasses import replace

import pytest

pytestmark = pytest.mark.etcd


@pytest.fixture
def another(releases):
    """A second release; give its folder by putting its etcd first on PATH."""
    found = [release for release in releases if release.version != releases[0].version]
    return found[0] if found else pytest.skip(f"only one etcd release is here ({releases[0].version})")


def test_members_of_two_releases_serve_as_one_cluster(build, another):
    cluster = build()
    node = cluster.node("n1")
    with cluster.client(cluster.node("n2")) as client:
        client.put({"from": "before"})
    node.terminate()
    node.setup = replace(node.setup, release=another)
    node.start("", "existing")
    cluster.await_healthy(node)
    assert cluster.status(node).version == another.version
    assert cluster.status(cluster.node("n2")).version == cluster.release.version
    with cluster.client(node) as client:
        assert client.get("from")[1].value == "before"
        assert client.put({"from": "after"}).cluster_id == cluster.cluster_id
