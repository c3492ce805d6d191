import asyncio
from threading import Thread

from mlflow_on_demand.mlflow_facts import mlflow_version
from mlflow_on_demand.stage import Progress, Stage, Status


def pass_stages(progress: Progress) -> None:
    for stage in (Stage.LOADING, Stage.READY):
        progress.set(Status(stage))


def test_it_starts_at_the_start() -> None:
    assert Progress().status == Status(Stage.STARTING)
    said = {"stage": "failed", "version": mlflow_version(), "reason": "Broken."}
    assert Status(Stage.FAILED, "Broken.").as_json() == said


def test_another_thread_wakes_all_who_wait() -> None:
    progress = Progress()
    ready = Status(Stage.READY)

    async def wait() -> list[Status]:
        waiting = [asyncio.create_task(progress.wait_until(lambda status: status == ready, 30)) for _ in range(3)]
        await asyncio.sleep(0)
        thread = Thread(target=pass_stages, args=(progress,))
        thread.start()
        found = await asyncio.gather(*waiting)
        thread.join()
        return found

    assert asyncio.run(wait()) == [ready] * 3


def test_patience_ends() -> None:
    progress = Progress()
    assert asyncio.run(progress.wait_until(lambda _: False, 0.01)) == Status(Stage.STARTING)


def test_who_went_away_is_not_woken() -> None:
    progress = Progress()
    asyncio.run(progress.wait_until(lambda _: False, 0.01))
    progress.set(Status(Stage.READY))
    assert progress.status == Status(Stage.READY)
