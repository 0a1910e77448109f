"""The S3 server is built once, under a key of its inputs, and looked for nowhere else."""

import io

import pytest
from click.testing import CliRunner

from harness import cli
from harness.errors import MachineError
from harness.nodeimage import s3_server
from harness.nodeimage.steps import steps_folder


@pytest.fixture
def built(tmp_path, monkeypatch):
    """Builds that were made; the compiler is left out."""
    made = []

    def build(programs, folder):
        made.append(programs)
        (folder / "bin").mkdir()
        (folder / "bin/minio").write_text("program")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(s3_server, "build", build)
    monkeypatch.setattr(s3_server, "check_go", lambda: None)
    return made


def test_it_is_missing_at_first(built):
    with pytest.raises(MachineError, match="not built here\n  mend: afterfault images s3-server"):
        s3_server.find_s3_server()
    assert built == []


def test_it_is_built_once(built):
    place = s3_server.build_s3_server(io.StringIO())
    assert place == s3_server.find_s3_server() == s3_server.build_s3_server(io.StringIO())
    assert place.read_text() == "program"
    assert s3_server.s3_server_step().key in str(place)
    assert len(built) == 1
    assert [path.name for path in steps_folder().iterdir()] == ["lock"]


def test_without_go(built, monkeypatch):
    def none():
        raise MachineError("there is no Go on this machine", mend="sudo scripts/image-tools")

    monkeypatch.setattr(s3_server, "check_go", none)
    told = CliRunner().invoke(cli.main, ["images", "s3-server"])
    assert told.exit_code == 4
    assert "sudo scripts/image-tools" in told.output
    assert built == []


def test_the_command(built):
    told = CliRunner().invoke(cli.main, ["images", "s3-server"])
    assert told.exit_code == 0
    assert told.output.splitlines()[-1] == str(s3_server.find_s3_server())
    assert len(built) == 1
