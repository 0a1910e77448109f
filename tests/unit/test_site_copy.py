"""A deployment's folder is brought back to what it was, around what a node has open."""

import pytest

from harness.tools.site_copy import SiteCopy


def told(folder):
    return {
        str(path.relative_to(folder)): (
            str(path.readlink()) if path.is_symlink() else "" if path.is_dir() else path.read_text(),
            oct(path.lstat().st_mode),
        )
        for path in sorted(folder.rglob("*"))
    }


@pytest.fixture
def site(tmp_path):
    site = tmp_path / "site"
    (site / "data" / "etcd" / "member").mkdir(parents=True)
    (site / "data" / "etcd" / "member" / "db").write_text("old")
    (site / "data" / "state").write_text("created")
    (site / "home").mkdir(mode=0o700)
    (site / "home" / "config").write_text("a")
    (site / "link").symlink_to("home/config")
    return site


def spoil(site):
    (site / "data" / "state").write_text("restored")
    (site / "home" / "config").unlink()
    (site / "home" / "new" / "deep").mkdir(parents=True)
    (site / "home" / "new" / "deep" / "file").write_text("x")
    (site / "home").chmod(0o755)
    (site / "link").unlink()
    (site / "link").mkdir()
    (site / "link" / "inner").write_text("y")
    (site / "other").symlink_to("nowhere")
    (site / "data" / "etcd" / "member" / "db").write_text("new")
    (site / "data" / "etcd" / "wal").write_text("w")


def test_everything_is_what_it_was(site, tmp_path):
    before, identity = told(site), (site / "home").stat().st_ino
    copy = SiteCopy(site, tmp_path / "copy")
    for _ in range(2):
        spoil(site)
        copy.restore()
        assert told(site) == before
    assert (site / "home").stat().st_ino == identity, "a node may have it mounted"


def test_a_file_that_became_a_folder_and_the_other_way_round(site, tmp_path):
    before = told(site)
    copy = SiteCopy(site, tmp_path / "copy")
    (site / "data" / "state").unlink()
    (site / "data" / "state").mkdir()
    (site / "home" / "config").unlink()
    (site / "home").rmdir()
    (site / "home").write_text("no folder")
    copy.restore()
    assert told(site) == before


def test_what_a_node_has_open_is_left_alone(site, tmp_path):
    copy = SiteCopy(site, tmp_path / "copy", [site / "data" / "etcd"])
    assert not (tmp_path / "copy" / "data" / "etcd").exists()
    spoil(site)
    copy.restore()
    assert (site / "data" / "state").read_text() == "created"
    assert (site / "data" / "etcd" / "member" / "db").read_text() == "new"
    assert (site / "data" / "etcd" / "wal").read_text() == "w"


def test_an_older_copy_goes(site, tmp_path):
    SiteCopy(site, tmp_path / "copy")
    (site / "link").unlink()
    SiteCopy(site, tmp_path / "copy")
    assert told(tmp_path / "copy") == told(site)
