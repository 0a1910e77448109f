"""A bundle: what is in it, that it is always the same, and that nothing a stranger puts into one gets out of it."""

import gzip
import hashlib
import io
import json
import random
import re
import tarfile
from dataclasses import asdict, replace

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import UsageError
from harness.journal import Journal
from harness.replay import bundle, careful_tar
from harness.replay.bundle import lay_out, manifest_of, opened, pack
from harness.replay.careful_tar import Limits, unpack
from harness.run_folder import RunFolder
from harness.spec import CaseSpec, EtcdSpec, Target
from reports import verdicts
from reports.run import RunFacts, load_judged, save_facts

CASE = "rolling_replacement/incident/3-strict"
FILE = "rolling_replacement__incident__3-strict.afterfault.tar.gz"


def write_case(run, spec):
    folder = run.cases / spec.play_id.replace("/", "__")
    journal = Journal(folder / "journal.jsonl", lambda: 0.0)
    journal.append("case.opened", spec=spec.to_json(), harness_version="0.1.0")
    journal.append("cluster.started", release="3.5.1", cluster_id="1")
    journal.append("case.ended")
    journal.seal()
    (folder / "tool-1.log").write_text("it said\n")
    (folder / "kept.json").write_text("{}")
    (folder / "logs").mkdir()
    (folder / "logs" / "n1.log").write_text("it logged\n")
    (folder / "logs" / "outside").symlink_to("/etc/hostname")
    (folder / "elsewhere").symlink_to("/etc")


@pytest.fixture
def run(tmp_path):
    """A finished run of two cases, one of them played twice."""
    run = RunFolder(tmp_path / "20270301-020000-117")
    spec = CaseSpec("rolling_replacement", "002.txt", Target("reference", "incident"), EtcdSpec(), ("quorum-kept",), 7)
    for one in (spec, spec.play(2), replace(spec, scenario="another")):
        write_case(run, one)
    run.ledger.write_text("[]\n")
    mine, other = f"x.py::test_y[{spec.label}]: E boom", "x.py::test_y[other]: E boom"
    skipped = ("3 cases were not selected",)
    save_facts(run, RunFacts(run.run_id, 7, "0.1.0", seconds=12.0, skipped=skipped, problems=(mine, other)))
    verdicts.save(run, load_judged(run))
    return run


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_one_case_is_packed_and_nothing_of_the_others(run, tmp_path):
    with opened(pack(run, CASE, tmp_path)) as folder:
        assert folder.run_id == run.run_id
        names = {path.relative_to(folder.path).as_posix() for path in folder.path.rglob("*") if path.is_file()}
        place = "cases/rolling_replacement__incident__3-strict"
        assert names == {
            "README.txt", "bundle.json", "run.json", "verdicts.json", "known_defects.yaml",
            f"{place}/journal.jsonl", f"{place}/tool-1.log", f"{place}/logs/n1.log",
        }  # fmt: skip
        manifest = manifest_of(folder)
        assert (manifest.case_id, manifest.seed, manifest.cut) == (CASE, 7, "")
        assert manifest.versions == {"afterfault": "0.1.0", "etcd": "3.5.1"}
        assert manifest.left_out == ("elsewhere", "kept.json", "logs/outside")
        assert folder.path.exists()
    assert not folder.path.exists()


def test_the_run_in_it_is_as_if_it_had_been_this_case_only(run, tmp_path):
    with opened(pack(run, CASE, tmp_path)) as folder:
        result = load_judged(folder)
        assert [case.spec.play_id for case in result.cases] == [CASE]
        assert (result.facts.skipped, len(result.facts.problems)) == ((), 1)
        assert (result.facts.run_id, result.facts.seconds) == (run.run_id, 12.0)
        assert json.loads((folder.path / "run.json").read_text())["planned"] == [CASE]
        assert verdicts.differences(verdicts.load(folder), result) == []


def test_the_readme_says_the_three_commands(run, tmp_path):
    with opened(pack(run, CASE, tmp_path)) as folder:
        text = (folder.path / "README.txt").read_text()
    for command in (f"rejudge {FILE}", f"report {FILE}", f"repro {FILE} --keep"):
        assert f"  afterfault {command}\n" in text
    assert "seed 7, played with afterfault 0.1.0, etcd 3.5.1" in text


def test_the_same_run_makes_the_same_bytes(run, tmp_path):
    (tmp_path / "a").mkdir()
    first = pack(run, CASE, tmp_path / "a")
    again = pack(run, CASE, tmp_path / "b" / "other-name.afterfault.tar.gz")
    assert (first.name, digest(first)) == (FILE, digest(again))
    with tarfile.open(first) as tar:
        members = tar.getmembers()
    assert {(m.mtime, m.uid, m.gid, m.uname, m.mode) for m in members} == {(0, 0, 0, "", 0o644)}
    assert [m.name for m in members] == sorted(m.name for m in members)


def test_a_second_play_is_packed_by_its_own_name(run, tmp_path):
    with opened(pack(run, f"{CASE}~2", tmp_path)) as folder:
        [place] = folder.cases.iterdir()
        assert place.name.endswith("3-strict~2")
        assert [case["play_id"] for case in verdicts.load(folder)["cases"]] == [f"{CASE}~2"]


def test_a_run_that_never_came_to_verdicts_is_judged_as_it_is_packed(run, tmp_path):
    for name in ("verdicts.json", "run.json", "known_defects.yaml"):
        (run.path / name).unlink()
    with opened(pack(run, CASE, tmp_path)) as folder:
        [case] = verdicts.load(folder)["cases"]
        assert case["case_id"] == CASE


def test_a_journal_that_was_cut_goes_along_as_it_is(run, tmp_path):
    path = run.cases / CASE.replace("/", "__") / "journal.jsonl"
    path.write_text(path.read_text()[:-40])
    (run.path / "verdicts.json").unlink()
    done = CliRunner().invoke(main, ["rejudge", str(pack(run, CASE, tmp_path))])
    assert done.exit_code == 2
    assert "unreadable" in done.output


def test_a_case_with_too_much_is_refused(run, tmp_path, monkeypatch):
    monkeypatch.setattr(bundle, "LIMITS", Limits(10, 20))
    with pytest.raises(UsageError, match="a bundle holds"):
        pack(run, CASE, tmp_path)
    assert not list(tmp_path.glob("*.gz*"))


def test_a_folder_is_opened_as_it_is(run):
    with opened(run.path) as folder:
        assert folder.path == run.path
        assert manifest_of(folder) is None
    assert run.cases.is_dir()


# what strangers put into one


def tar_of(*members, **names):
    """An archive of these: (name, content), or a ready TarInfo."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", **names) as tar:
        for member in members:
            info, content = member if not isinstance(member, tarfile.TarInfo) else (member, b"")
            if not isinstance(info, tarfile.TarInfo):
                info, name = tarfile.TarInfo(info), info
                info.name, info.size = name, len(content)
            tar.addfile(info, io.BytesIO(content))
    return gzip.compress(file.getvalue())


def special(name, kind, link=""):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, link
    return info


def negative():
    """A member whose size is below nothing, in base 256."""
    raw = bytearray(gzip.decompress(tar_of(("x/a", b"1"))))
    raw[124:136] = b"\xff" * 12
    raw[148:156] = b" " * 8
    raw[148:156] = f"{sum(raw[:512]):06o}\0 ".encode()
    return gzip.compress(bytes(raw))


def long_header():
    """An extended header that claims half a gigabyte."""
    info = special("x/a", tarfile.XHDTYPE)
    info.size = 2**29
    return gzip.compress(info.tobuf() + b"\0" * 4096)


def nested_headers():
    """Headers of headers: the reader calls itself for each."""
    info = special("x/a", tarfile.XHDTYPE)
    info.size = 512
    return gzip.compress((info.tobuf() + b"9 a=bcd\n".ljust(512, b"\0")) * 3000)


HOSTILE = {
    "above": tar_of(("x/../../out", b"1")),
    "absolute": tar_of(("/tmp/afterfault-out", b"1")),
    "dot": tar_of(("x/./a", b"1")),
    "doubled-slash": tar_of(("x//a", b"1")),
    "link": tar_of(special("x/a", tarfile.SYMTYPE, "/etc/passwd")),
    "link-and-through": tar_of(special("x/a", tarfile.SYMTYPE, "/tmp"), ("x/a/out", b"1")),
    "hard-link": tar_of(special("x/a", tarfile.LNKTYPE, "/etc/passwd")),
    "device": tar_of(special("x/a", tarfile.CHRTYPE)),
    "pipe": tar_of(special("x/a", tarfile.FIFOTYPE)),
    "folder": tar_of(special("x/a", tarfile.DIRTYPE)),
    "sparse": tar_of(special("x/a", tarfile.GNUTYPE_SPARSE)),
    "twice": tar_of(("x/a", b"1"), ("x/a", b"2")),
    "file-as-folder": tar_of(("x/a", b"1"), ("x/a/b", b"2")),
    "too-many": tar_of(*((f"x/{number}", b"") for number in range(60))),
    "too-much": tar_of(("x/a", b"0" * 200_000)),
    "claims-too-much": gzip.compress(special("x/a", tarfile.REGTYPE).tobuf()[:124] + b"77777777777\0" + b"\0" * 400),
    "negative": negative(),
    "long-header": long_header(),
    "nested-headers": nested_headers(),
    "long-name": tar_of(("x/" + "a" * 300, b"1")),
    "no-gzip": b"hello",
    "no-tar": gzip.compress(b"hello" * 300),
    "empty": b"",
    "empty-tar": tar_of(),
    "cut": tar_of(("x/a", b"1" * 1000))[:-30],
    "cut-in-a-file": gzip.compress(gzip.decompress(tar_of(("x/a", b"1" * 5000)))[:2000]),
    "bad-checksum": tar_of(("x/a", b"1"))[:-8] + b"\0" * 8,
    "foreign": tar_of(("x/a", b"1")),
    "two-folders": tar_of(("x/bundle.json", b"{}"), ("y/a", b"1")),
    "no-folder": tar_of(("bundle.json", b"{}")),
    "no-manifest": tar_of(("x/bundle.json", b"[" * 100_00)),
    "other-schema": tar_of(("x/bundle.json", b'{"schema": 9, "case_id": "a", "files": {}}')),
    "no-cases": tar_of(("x/bundle.json", b'{"schema": 1, "case_id": "a", "files": {}}')),
    "odd-name": tar_of(("x/\udcff\n\x1b[31m", b"1")),
}


@pytest.fixture(autouse=True)
def small_limits(monkeypatch):
    monkeypatch.setattr(bundle, "LIMITS", Limits(150_000, 50))


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_archive_is_a_clear_error_and_leaves_nothing(tmp_path, monkeypatch, name):
    (tmp_path / "temp").mkdir()
    monkeypatch.setattr(careful_tar.tempfile, "tempdir", str(tmp_path / "temp"))
    file = tmp_path / FILE
    file.write_bytes(HOSTILE[name])
    for command in ("rejudge", "report", "gate", "repro"):
        done = CliRunner().invoke(main, [command, str(file)])
        assert done.exit_code == 2, (done.output, done.exception)
        assert done.output.startswith("afterfault: ")
        assert "\x1b" not in done.output
    assert sorted(path.name for path in tmp_path.rglob("*")) == [FILE, "temp"]


def test_bytes_that_were_changed_anywhere_are_never_more_than_an_error(run, tmp_path):
    """What is flipped in the tar, below the checksum of gzip, is met by tar's own checks or by ours."""
    whole = bytearray(gzip.decompress(pack(run, CASE, tmp_path).read_bytes()))
    chance, file, told = random.Random(7), tmp_path / FILE, set()
    for _ in range(150):
        spoilt = bytearray(whole)
        for _ in range(chance.choice((1, 1, 8))):
            spoilt[chance.randrange(len(spoilt))] = chance.randrange(256)
        file.write_bytes(gzip.compress(bytes(spoilt), 1))
        try:
            with opened(file) as folder:
                told.add("same" if manifest_of(folder).case_id == CASE else "other")
        except UsageError as error:
            told.add(str(error).partition("\n")[0][:60])
    assert "other" not in told
    assert len(told) > 3, told


def test_a_changed_file_is_named(run, tmp_path):
    file = pack(run, CASE, tmp_path)
    raw = gzip.decompress(file.read_bytes())
    file.write_bytes(gzip.compress(raw.replace(b"it said\n", b"it lied\n")))
    with pytest.raises(UsageError, match=r"damaged: .*tool-1.log' is not as it was packed"), opened(file):
        pass


def test_a_bundle_may_be_unpacked_by_hand(run, tmp_path):
    with opened(pack(run, CASE, tmp_path)) as folder, opened(lay_out(tmp_path / FILE, folder, None).path) as by_hand:
        assert manifest_of(by_hand).case_id == CASE


# commands


def call(*words):
    done = CliRunner().invoke(main, list(map(str, words)))
    return done.exit_code, done.output


def test_bundle_rejudge_report_and_gate(run, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("bundle", run.path, CASE) == (0, f"{FILE}\n")
    assert call("rejudge", FILE) == (0, "1 case, 1 findings judged again: 0 differ\n")
    assert call("gate", FILE)[0] == call("gate", run.path)[0] == 3
    code, said = call("report", FILE)
    page = tmp_path / FILE.replace(".tar.gz", "") / "report.html"
    assert (code, said) == (0, f"{page}\n")
    assert CASE in page.read_text()
    assert (page.parent / "cases" / CASE.replace("/", "__") / "journal.jsonl").exists(), "the page's links lead there"
    page.write_text("old")
    assert call("report", FILE)[0] == 0, "once more, into the same folder"
    assert page.read_text() != "old"


def test_report_goes_where_it_is_told(run, tmp_path):
    file = pack(run, CASE, tmp_path)
    assert call("report", file, "--output", tmp_path / "new")[0] == 0
    assert (tmp_path / "new" / "report.html").exists()
    (tmp_path / "used").mkdir()
    (tmp_path / "used" / "mine").touch()
    code, said = call("report", file, "--output", tmp_path / "used")
    assert (code, "holds something else" in said) == (2, True)
    assert [path.name for path in (tmp_path / "used").iterdir()] == ["mine"]
    assert call("report", run.path, "--output", tmp_path / "new")[0] == 2


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["bundle"], "Missing argument"),
        (["bundle", "RUN"], "Missing argument"),
        (["bundle", "RUN", "nothing"], "no case and no cut point nothing"),
        (["bundle", "RUN", ""], "no case and no cut point"),
        (["bundle", "RUN", f"{CASE}@x"], "no cut point x"),
        (["bundle", "RUN", "incident"], "is a part of 3 names here.*\n.*say which: another/incident/3-strict, roll"),
        (["bundle", "/nowhere", CASE], "is no run folder"),
        (["bundle", "BUNDLE", CASE], "is a file"),
        (["bundle", "RUN", CASE, "--output", "x.tar.gz"], "is no name for a bundle"),
        (["repro", f"gone/{FILE}"], "there is no bundle"),
        (["repro", "BUNDLE", "--run", "RUN"], "brings its own run"),
        (["repro", "BUNDLE", "--keep", "--no-keep"], "give one of them"),
    ],
)
def test_wrong_words_end_with_2(run, tmp_path, words, said):
    file = pack(run, CASE, tmp_path)
    named = {"RUN": str(run.path), "BUNDLE": str(file)}
    done = CliRunner().invoke(main, [named.get(word, word) for word in words])
    assert done.exit_code == 2, done.output
    assert re.search(said, done.output), done.output


def test_a_bundle_that_cant_be_written_ends_with_4(run, tmp_path):
    (tmp_path / "file").touch()
    code, said = call("bundle", run.path, CASE, "--output", tmp_path / "file" / FILE)
    assert (code, "cannot write the bundle" in said) == (4, True)


def test_unpacking_tells_what_each_file_was(tmp_path):
    file = tmp_path / "x.tar.gz"
    file.write_bytes(tar_of(("x/a", b"1"), ("x/b/c", b"2")))
    (tmp_path / "into").mkdir()
    found = unpack(file, tmp_path / "into", Limits(10, 2))
    assert found == {"x/a": hashlib.sha256(b"1").hexdigest(), "x/b/c": hashlib.sha256(b"2").hexdigest()}
    assert (tmp_path / "into/x/b/c").read_bytes() == b"2"
    assert asdict(Limits(10, 2)) == {"bytes": 10, "files": 2}
