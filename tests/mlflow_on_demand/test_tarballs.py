import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.tarballs import MAX_MISSING, TarballName, missing_serials, parse_tarball_name

segments = st.text(st.characters(exclude_characters="/\0\n", exclude_categories=["Cs"]), max_size=20)


@given(segments, st.integers(1, 10**9), st.integers(0, 10**6))
def test_every_name_of_a_task_is_taken_apart(segment: str, jeditaskid: int, serial: int) -> None:
    name = f"{segment}.{jeditaskid}.metrics.{serial:06d}.tgz" if segment else f"{jeditaskid}.metrics.{serial:06d}.tgz"
    assert parse_tarball_name(name, jeditaskid) == TarballName(segment, serial, name)


@given(st.integers(1, 10**9), st.integers(1, 10**9))
def test_another_task_is_not_ours(ours: int, theirs: int) -> None:
    parsed = parse_tarball_name(f"{theirs}.metrics.000001.tgz", ours)
    assert (parsed is not None) == (ours == theirs)


@given(st.text(max_size=60))
def test_any_text_is_ours_or_not(text: str) -> None:
    parsed = parse_tarball_name(text, 7)
    assert parsed is None or parsed.name == text


@pytest.mark.parametrize(
    "name",
    [
        "7.metrics.1.tar",
        "7.metrics..tgz",
        "7.metrics.x.tgz",
        "7.metrics.tgz",
        "17.metrics.1.tgz",
        "a.17.metrics.1.tgz",
        ".7.metrics.1.tgz",
        "x7.metrics.1.tgz",
        "a/b.7.metrics.1.tgz",
        "7.metrics.1.tgz.part",
        "7.metrics.²1.tgz",
        "log.7.1.tgz",
    ],
)
def test_what_is_no_metrics_tarball(name: str) -> None:
    assert parse_tarball_name(name, 7) is None


def test_segments_may_contain_dots() -> None:
    assert parse_tarball_name("calo.eta_0.5.7.metrics.12.tgz", 7) == TarballName(
        "calo.eta_0.5", 12, "calo.eta_0.5.7.metrics.12.tgz"
    )


def test_tarballs_are_ingested_by_segment_and_serial() -> None:
    names = ["b.7.metrics.1.tgz", "a.7.metrics.10.tgz", "a.7.metrics.9.tgz"]
    parsed = sorted(found for name in names if (found := parse_tarball_name(name, 7)))
    assert [found.name for found in parsed] == ["a.7.metrics.9.tgz", "a.7.metrics.10.tgz", "b.7.metrics.1.tgz"]


@given(st.sets(st.integers(1, 500)))
def test_gaps_are_missing(serials: set[int]) -> None:
    assert missing_serials(serials) == tuple(n for n in range(1, max(serials, default=0)) if n not in serials)


def test_gaps_beyond_reason_are_not_told() -> None:
    assert missing_serials([10**12]) == ()
    assert len(missing_serials([5000])) == MAX_MISSING
