import gzip
import io
import random
import tarfile
from collections.abc import Callable
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.errors import TarballError
from mlflow_on_demand.unpack import Limits, read_members
from support.hpo_files import pack


def unpack(content: bytes, limits: Limits | None = None) -> dict[str, bytes]:
    members = read_members(io.BytesIO(content), limits or Limits())
    return {"/".join(member.path): member.content.read() for member in members}


def special(kind: bytes, name: str = "mlruns/0/x", target: str = "") -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type = kind
    info.linkname = target
    return info


def test_files_come_out_under_their_normal_path() -> None:
    files = {"mlruns/0/meta.yaml": b"a", "./mlruns//1/b": b"", "ünï/" + "long" * 60: b"c" * 100_000}
    assert unpack(pack(files, special(tarfile.DIRTYPE))) == {
        "mlruns/0/meta.yaml": b"a",
        "mlruns/1/b": b"",
        "ünï/" + "long" * 60: b"c" * 100_000,
    }


@pytest.mark.parametrize("form", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_every_format_of_tar_is_read_as_tarfile_reads_it(form: int) -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", format=form) as archive:
        for path in ("plain", "a/" * 60 + "long", "grün"):
            info = tarfile.TarInfo(path)
            info.size, info.mtime, info.uname = 1000, 1_700_000_000, "atlas"
            archive.addfile(info, io.BytesIO(b"x" * 1000))
    assert unpack(target.getvalue()) == dict.fromkeys(("plain", "a/" * 60 + "long", "grün"), b"x" * 1000)


def test_what_is_behind_an_unusual_entry_is_read_too() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        for path in ("first", "grün/" * 40, "last"):
            info = tarfile.TarInfo(path)
            info.size = 700
            archive.addfile(info, io.BytesIO(b"x" * 700))
    assert unpack(target.getvalue()) == dict.fromkeys(("first", ("grün/" * 40).rstrip("/"), "last"), b"x" * 700)


@pytest.mark.parametrize(("end", "reason"), [(b"x" * 512, "is damaged"), (b"x", "is damaged"), (b"", None)])
def test_what_is_no_header_is_damage_and_the_end_needs_no_mark(end: bytes, reason: str | None) -> None:
    content = gzip.compress(gzip.decompress(pack({"a": b"1"}))[:1024] + end)
    if reason is None:
        assert unpack(content) == {"a": b"1"}
        return
    with pytest.raises(TarballError, match=reason):
        unpack(content)


def test_content_that_nobody_reads_is_skipped() -> None:
    content = pack({"a": b"1" * 200_000, "b": b"2"})
    assert [(member.path, member.size) for member in read_members(io.BytesIO(content), Limits())] == [
        (("a",), 200_000),
        (("b",), 1),
    ]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (pack({"/etc/passwd": b""}), "leads out"),
        (pack({"mlruns/../../x": b""}), "leads out"),
        (pack({}, special(tarfile.SYMTYPE, target="/etc")), "link"),
        (pack({}, special(tarfile.LNKTYPE, target="mlruns/0")), "link"),
        (pack({}, special(tarfile.CHRTYPE)), "neither a file nor a directory"),
        (pack({}, special(tarfile.FIFOTYPE)), "neither a file nor a directory"),
        (pack({}, special(tarfile.GNUTYPE_SPARSE)), "neither a file nor a directory|damaged"),
        (b"", "cut short|is damaged"),
        (b"no gzip at all", "no gzip file"),
        (gzip.compress(b"no tar at all" * 1000), "damaged"),
    ],
)
def test_what_could_hurt_is_refused(content: bytes, reason: str) -> None:
    with pytest.raises(TarballError, match=reason):
        unpack(content)


NOISE = random.Random(1).randbytes(200_000)


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.999])
def test_a_truncated_stream_is_lost(keep: float) -> None:
    content = pack({"a": NOISE, "b": NOISE})
    with pytest.raises(TarballError, match="cut short"):
        unpack(content[: int(len(content) * keep)])


def test_a_wrong_checksum_at_the_very_end_is_noticed() -> None:
    content = bytearray(pack({"a": b"x"}))
    content[-5] ^= 1
    with pytest.raises(TarballError, match="damaged"):
        unpack(bytes(content))


@pytest.mark.parametrize(
    ("limits", "reason"),
    [
        (Limits(max_bytes=50_000), "more than 50000 bytes"),
        (Limits(max_ratio=10), "more than 10 times"),
    ],
)
def test_bombs_are_stopped(limits: Limits, reason: str) -> None:
    with pytest.raises(TarballError, match=reason):
        unpack(pack({"a": b"\0" * 40_000_000, "b": b""}), limits)


def test_too_many_files_are_stopped() -> None:
    with pytest.raises(TarballError, match="more than 1 files"):
        unpack(pack({"a": b"", "b": b""}), Limits(max_members=1))


@pytest.mark.parametrize("size", [2**60, -1])
def test_a_header_that_lies_about_its_size_is_stopped(size: int) -> None:
    info = tarfile.TarInfo("a")
    info.size = size
    header = info.tobuf(tarfile.GNU_FORMAT)
    # A size below zero is refused by Python itself from 3.15 on.
    with pytest.raises(TarballError, match=r"more than|is damaged"):
        unpack(gzip.compress(header + b"\0" * 10_240))


def test_an_oversized_header_is_stopped() -> None:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", format=tarfile.PAX_FORMAT) as archive:
        info = tarfile.TarInfo("a")
        info.pax_headers = {"comment": "x" * 5_000_000}
        archive.addfile(info)
    with pytest.raises(TarballError, match="oversized header"):
        unpack(target.getvalue())


def test_a_name_that_is_no_text_is_refused() -> None:
    info = tarfile.TarInfo("mlruns/\udcff")
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:gz", format=tarfile.GNU_FORMAT, errors="surrogateescape") as archive:
        archive.addfile(info)
    with pytest.raises(TarballError, match="no UTF-8"):
        unpack(target.getvalue())


def damage(content: bytes, at: int, value: int) -> bytes:
    changed = bytearray(content)
    changed[at % len(changed)] = value
    return bytes(changed)


MUTATIONS: list[Callable[[bytes, int, int], bytes]] = [
    damage,
    lambda content, at, value: content[: at % len(content)],
    lambda content, at, value: content + bytes([value]) * (at % 2000),
    lambda content, at, value: gzip.compress(damage(gzip.decompress(content), at, value)),
]


@given(st.sampled_from(MUTATIONS), st.integers(0, 10**6), st.integers(0, 255))
def test_damage_is_told_and_nothing_else_is_raised(
    mutate: Callable[[bytes, int, int], bytes], at: int, value: int
) -> None:
    content = mutate(pack({"mlruns/0/meta.yaml": b"name: x\n", "mlruns/0/b": NOISE[:3000]}), at, value)
    with suppress(TarballError):
        unpack(content)
