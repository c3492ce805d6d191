"""What of a task's folder may go: by table, and for any folder whatever."""

import dataclasses
from collections.abc import Mapping
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mlflow_on_demand.retention import Folder, Memory, Plan, Reason, Rules, fingerprint, plan_folder
from mlflow_on_demand.snapshot import Layer, Manifest, ObjectRef, object_names
from mlflow_on_demand.store import StoredObject
from support.snapshots import MANIFEST

DAY = 86_400
NOW = 1_000 * DAY
RULES = Rules(lifetime=timedelta(days=180))
OLD, NEW = "a1b2c3", "d4e5f6"


def digest(letter: str) -> str:
    return letter * 64


def ref(letter: str, suffix: str) -> ObjectRef:
    return ObjectRef(f"{digest(letter)}{suffix}", 1, digest(letter))


def manifest(database: str = "a", layers: str = "") -> Manifest:
    """One whose objects are named by these letters."""
    return dataclasses.replace(
        MANIFEST,
        digest=digest("f"),
        database=ref(database, ".db.gz"),
        bundle=ref("b", ".zip"),
        summary=ref("c", ".json"),
        index=ref("d", ".json.gz"),
        layers=tuple(Layer(ref(one, ".db.gz"), None, 1) for one in layers),
    )


def listed(key: str, age: float) -> StoredObject:
    """An object of ten bytes, as many days old."""
    return StoredObject(key, 10, NOW - int(age * DAY), f"etag of {key}")


def folder(ages: Mapping[str, float], manifests: Mapping[str, Manifest], **more: object) -> Folder:
    known = {"since": {}, "standing": False, **more}
    return Folder(tuple(listed(key, age) for key, age in sorted(ages.items())), manifests, **known)  # type: ignore[arg-type]


def snapshot(schema: str, present: Manifest, age: float) -> dict[str, float]:
    return {f"{schema}/{name}": age for name in ("manifest.json", *object_names(present))}


def collected(plan: Plan) -> dict[str, Reason]:
    return {victim.found.key: victim.reason for victim in (*plan.collect, *plan.unfinished)}


def test_a_snapshot_lives_as_long_as_its_last_use_is_young() -> None:
    whole = snapshot(NEW, manifest(), 181)
    gone = plan_folder(folder(whole, {NEW: manifest()}), RULES, NOW)
    # The manifest first; what it named is in its grace now.
    assert collected(gone) == {f"{NEW}/manifest.json": Reason.EXPIRED}
    assert set(gone.since) == whole.keys() - {f"{NEW}/manifest.json"}
    for kept in (
        folder({**whole, "used": 179}, {NEW: manifest()}),
        folder(snapshot(NEW, manifest(), 179), {NEW: manifest()}),
        folder(whole, {NEW: manifest()}, standing=True),
        folder({**whole, **snapshot(OLD, manifest(), 179)}, {NEW: manifest(), OLD: manifest()}, standing=True),
    ):
        plan = plan_folder(kept, RULES, NOW)
        assert (collected(plan), plan.since) == ({}, {})


def test_what_lay_around_for_its_grace_goes_and_the_mark_of_use_last() -> None:
    ages = {f"{NEW}/{digest('a')}.db.gz": 200, f"{NEW}/reading.json": 3, "used": 300.0}
    first = plan_folder(folder(ages, {}), RULES, NOW)
    assert (collected(first), first.waiting != ()) == ({}, True)
    then = plan_folder(folder(ages, {}, since=first.since), RULES, NOW + DAY)
    assert set(collected(then).values()) == {Reason.UNREFERENCED}
    assert collected(then).keys() == ages.keys() - {"used"}
    last = plan_folder(folder({"used": 300}, {}, since={}), RULES, NOW + DAY)
    assert collected(last) == {"used": Reason.EXPIRED}


def test_one_that_was_written_again_or_is_named_again_stays() -> None:
    key = f"{NEW}/{digest('e')}.db.gz"
    since = {key: NOW - 2 * DAY}
    young = plan_folder(folder({key: 0.5}, {}, since=since), RULES, NOW)
    assert (collected(young), young.since) == ({}, since)
    named = plan_folder(folder(snapshot(NEW, manifest("e"), 9), {NEW: manifest("e")}, since=since), RULES, NOW)
    assert (collected(named), named.since) == ({}, {})


def test_answers_go_with_their_snapshot_whatever_their_version() -> None:
    kept = {f"{NEW}/answers/{version}/{digest('f')}": 9.0 for version in ("3.17.2", "3.18.0")}
    other = f"{NEW}/answers/3.17.2/{digest('0')}"
    ages = {**snapshot(NEW, manifest(), 9), **kept, other: 9}
    plan = plan_folder(folder(ages, {NEW: manifest()}, since={other: NOW - 2 * DAY}), RULES, NOW)
    assert collected(plan) == {other: Reason.UNREFERENCED}


@pytest.mark.parametrize(
    ("age", "standing", "in_use", "goes"),
    [
        (181, False, None, True),
        (179, False, None, False),
        (181, True, None, False),  # a Service may go back to it
        (181, True, frozenset({OLD, NEW}), False),
        (2, True, frozenset({NEW}), True),
        (2, True, frozenset(), True),
    ],
)
def test_an_older_schema_goes_when_nothing_points_at_it(
    age: float, standing: bool, in_use: frozenset[str] | None, goes: bool
) -> None:
    ages = {**snapshot(OLD, manifest(), age), **snapshot(NEW, manifest(), 1)}
    found = folder(ages, {OLD: manifest(), NEW: manifest()}, standing=standing, schemas_in_use=in_use)
    wanted = {f"{OLD}/manifest.json": Reason.OLD_SCHEMA} if goes else {}
    assert collected(plan_folder(found, RULES, NOW)) == wanted


def test_what_was_looked_at_needs_no_second_look_until_something_changes() -> None:
    found = folder({**snapshot(NEW, manifest(), 9), "used": 2, "unreferenced.json": 1}, {}).objects
    memory = Memory(fingerprint(found), {})
    own = tuple(listed(one.key, 0) if one.key in ("used", "unreferenced.json") else one for one in found)
    assert memory.covers(own)
    assert not Memory(memory.listing, {"x": 1}).covers(found)
    older = folder(snapshot(OLD, manifest(), 9), {}).objects
    assert not Memory(fingerprint(found + older), {}).covers(found + older)  # its time may come
    for changed in (found[1:], (*found, listed(f"{NEW}/{digest('0')}.zip", 9)), (listed(found[0].key, 8), *found[1:])):
        assert not memory.covers(changed)


def test_use_is_noted_once_a_day_while_there_is_a_page() -> None:
    whole = snapshot(NEW, manifest(), 9)
    for ages, standing, renewed in (
        (whole, True, True),
        ({**whole, "used": 1.1}, True, True),
        ({**whole, "used": 0.9}, True, False),
        (whole, False, False),
        ({}, True, False),
    ):
        plan = plan_folder(folder(ages, {NEW: manifest()} if ages else {}, standing=standing), RULES, NOW)
        assert plan.renew_use is renewed


def test_what_cannot_be_read_keeps_all_beside_it() -> None:
    ages = {f"{NEW}/manifest.json": 2.0, f"{NEW}/{digest('a')}.db.gz": 9}
    since = {f"{NEW}/{digest('a')}.db.gz": NOW - 9 * DAY}
    plan = plan_folder(folder(ages, {}, unreadable=frozenset({NEW}), since=since), RULES, NOW)
    assert (collected(plan), plan.since) == ({}, {})


def test_nothing_is_touched_that_is_not_recognised() -> None:
    strange = {
        "30456789.metrics.000001.tgz": 900.0,
        f"{NEW}/30456789.metrics.000001.tgz": 900,
        f"{NEW}/notes.json": 900,
        f"{NEW}/{digest('a')}.tgz": 900,
        f"{NEW}/sub/manifest.json": 900,
        f"{NEW}/answers/3.17.2/notes": 900,
        f"ünder/{digest('a')}.zip": 900,
        f"{digest('a')}.zip": 900,
    }
    plan = plan_folder(folder(strange, {}, since=dict.fromkeys(strange, 0)), RULES, NOW)
    assert (collected(plan), plan.since) == ({}, {})
    assert {found.key for found in plan.unknown} == strange.keys()


def test_writes_that_never_ended_go_when_they_are_old() -> None:
    half = {f"{NEW}/.unfinished-x": 2.0, ".unfinished-y": 2, f"{NEW}/{digest('a')}.zip": 2}
    others = {f"{NEW}/.unfinished-z": 0.5, f"{NEW}/deep/.unfinished-x": 2, f"{NEW}/upload.tgz": 2}
    found = folder({}, {}, unfinished=tuple(listed(key, age) for key, age in {**half, **others}.items()))
    assert collected(plan_folder(found, RULES, NOW)) == dict.fromkeys(half, Reason.UNFINISHED)


letters = st.sampled_from("0123456789abcde")
some_manifests = st.builds(manifest, letters, st.text("01234567", max_size=3))
ages_in_days = st.floats(0, 400)


@given(
    manifests=st.dictionaries(st.sampled_from([OLD, NEW, "0815"]), some_manifests),
    others=st.dictionaries(
        st.builds(
            lambda schema, letter, suffix: f"{schema}/{digest(letter)}{suffix}",
            st.sampled_from([OLD, NEW, "0815"]),
            letters,
            st.sampled_from([".db.gz", ".zip", ".json", ".json.gz"]),
        ),
        ages_in_days,
    ),
    ages=st.lists(ages_in_days, min_size=4, max_size=4),
    since=ages_in_days,
    standing=st.booleans(),
    in_use=st.none() | st.frozensets(st.sampled_from([OLD, NEW, "0815"])),
)
def test_what_a_manifest_that_stays_reaches_is_never_collected(
    *,
    manifests: dict[str, Manifest],
    others: dict[str, float],
    ages: list[float],
    since: float,
    standing: bool,
    in_use: frozenset[str] | None,
) -> None:
    every = dict(others)
    for (schema, present), age in zip(sorted(manifests.items()), ages, strict=False):
        every |= snapshot(schema, present, age)
    seen = dict.fromkeys(every, NOW - int(since * DAY))  # as if all had been unreferenced once
    found = folder({**every, "used": ages[3]}, manifests, since=seen, standing=standing, schemas_in_use=in_use)
    gone = collected(plan_folder(found, RULES, NOW))
    kept = {schema: one for schema, one in manifests.items() if f"{schema}/manifest.json" not in gone}
    for schema, present in kept.items():
        assert not snapshot(schema, present, 0).keys() & gone.keys()
    if standing:
        assert Reason.EXPIRED not in gone.values()
        newest = min(manifests, key=lambda schema: every[f"{schema}/manifest.json"], default=None)
        assert newest is None or newest in kept
    for key, reason in gone.items():
        if reason is Reason.UNREFERENCED:
            assert min(since, every[key]) >= 1 - 1 / DAY
