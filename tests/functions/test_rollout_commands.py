"""New images and commands: the newest counts, the same again changes nothing, nonsense is refused."""

import itertools
from datetime import timedelta
from typing import Any

import pytest

from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.events import Event, EventKey, EventType, ImagePublished, RolloutCommand
from bigpanda_mlflow.rollout_commands import command, publish
from bigpanda_mlflow.rollout_state import RolloutPhase, move, newest_rollout, put_rollout, read_rollouts, stable_image
from support.builders import NOW

MINUTE = timedelta(minutes=1)


def image(digit: str, at: int) -> Event[ImagePublished]:
    data = ImagePublished(image=f"registry.example/mlflow@sha256:{digit * 64}", version=digit)
    return Event(EventKey(NOW + at * MINUTE, f"{digit}-{at}"), EventType.IMAGE_PUBLISHED, data)


def word(said: str, at: int, **more: Any) -> Event[RolloutCommand]:
    data = RolloutCommand.model_validate({"command": said, **more})
    return Event(EventKey(NOW + at * MINUTE, f"{said}-{at}"), EventType.ROLLOUT_COMMAND, data)


def publish_all(*events: Event[ImagePublished]) -> dict[str, str]:
    data: dict[str, str] = {}
    for event in events:
        data = publish(data, event, "settings", NOW)
    return data


def begun(phase: RolloutPhase = RolloutPhase.ROLLING) -> dict[str, str]:
    data = publish_all(image("1", 0))
    rollout = newest_rollout(data)
    assert rollout is not None
    return put_rollout(data, move(rollout, phase, NOW))


def test_in_whatever_order_images_arrive_the_one_published_last_counts() -> None:
    for order in itertools.permutations([image("1", 1), image("2", 2), image("3", 3)]):
        newest = newest_rollout(publish_all(*order, *order))
        assert newest is not None
        assert (newest.version, newest.stable_image) == ("3", "settings")


def test_a_newer_image_supersedes_what_is_open_and_says_so() -> None:
    newest, first = read_rollouts(publish_all(image("1", 1), image("2", 2)))
    assert (first.phase, first.reason) == (RolloutPhase.SUPERSEDED, f"{newest.name} is newer")
    assert newest.phase is RolloutPhase.PREPARING


@pytest.mark.parametrize("phase", RolloutPhase)
def test_the_same_image_again_is_a_rollout_only_if_it_was_given_up(phase: RolloutPhase) -> None:
    data = begun(phase)
    again = publish(data, image("1", 9), "settings", NOW)
    given_up = phase in {RolloutPhase.ROLLED_BACK, RolloutPhase.ABORTED}
    assert (len(read_rollouts(again)) == 2) is given_up
    assert given_up or again == data


def test_after_a_complete_rollout_its_image_is_the_stable_one_of_the_next() -> None:
    data = publish(begun(RolloutPhase.COMPLETED), image("2", 9), "settings", NOW)
    newest, first = read_rollouts(data)
    assert newest.stable_image == first.image == stable_image(data, "settings")
    assert first.phase is RolloutPhase.COMPLETED


@pytest.mark.parametrize(
    ("said", "phase", "after"),
    [
        ("pause", RolloutPhase.ROLLING, (RolloutPhase.ROLLING, True)),
        ("resume", RolloutPhase.HALTED, (RolloutPhase.PREPARING, False)),
        ("rollback", RolloutPhase.COMPLETED, (RolloutPhase.ROLLING_BACK, False)),
        ("rollback", RolloutPhase.ROLLED_BACK, (RolloutPhase.ROLLED_BACK, False)),
        ("abort", RolloutPhase.HALTED, (RolloutPhase.ABORTING, False)),
        ("promote", RolloutPhase.SOAKING, (RolloutPhase.SOAKING, False)),
        ("pause", RolloutPhase.HALTED, None),
        ("abort", RolloutPhase.COMPLETED, None),
        ("resume", RolloutPhase.ABORTED, None),
        ("rollback", RolloutPhase.SUPERSEDED, None),
    ],
)
def test_commands(said: str, phase: RolloutPhase, after: tuple[RolloutPhase, bool] | None) -> None:
    data = begun(phase)
    if after is None:
        with pytest.raises(Permanent, match=f"{said} means nothing to a rollout that is {phase}"):
            command(data, word(said, 1), NOW)
        return
    found = newest_rollout(command(data, word(said, 1), NOW))
    assert found is not None
    assert (found.phase, found.paused) == after
    assert (found.hurried_at is not None) is (said == "promote")


def test_a_command_again_or_one_that_is_older_changes_nothing() -> None:
    paused = command(begun(), word("pause", 5), NOW)
    resumed = command(paused, word("resume", 6), NOW)
    assert command(resumed, word("resume", 6), NOW) == resumed
    assert command(resumed, word("pause", 5), NOW) == resumed
    assert command(begun(), word("rollback", -1), NOW) == begun()


def test_who_means_another_rollout_is_told_the_newest() -> None:
    with pytest.raises(Permanent, match="which is 20261123t120000000-11111111") as refused:
        command(begun(), word("abort", 1, rollout="another"), NOW)
    assert refused.value.field == "data.rollout"
    with pytest.raises(Permanent, match="there is no rollout"):
        command({}, word("abort", 1), NOW)
