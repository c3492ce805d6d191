"""Stock `mlflow server` and ours over the same task."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx

from bench.stock import prepare_stock, running_stock, until_answered
from support.hpo_files import TASK
from support.parity_requests import Read, told
from support.rich_task import RichTask, make_rich_task
from support.task_server import PATIENCE, TaskServer, serving

# Not below localhost, which browsers trust more than other hosts; they must be told where it is.
PUBLIC_HOST = f"task-{TASK}.mlflow.test"


@dataclass(frozen=True)
class Both:
    """The two servers, ready, and the task that they show; `stock` is an address."""

    task: RichTask
    stock: str
    ours: TaskServer

    def ask_stock(self, read: Read) -> httpx.Response:
        address = f"{self.stock}{read.path}"
        return httpx.request(read.method, address, content=read.body, headers=read.headers, timeout=PATIENCE)

    def ask_ours(self, read: Read) -> httpx.Response:
        return self.ours.ask(read.method, read.path, read.headers, content=read.body)

    def assert_same(self, read: Read) -> int:
        """Both give the same answer but for the URIs in it; its status. A file's own content is sent as it is."""
        stock, ours = self.ask_stock(read), self.ask_ours(read)
        is_file = "content-disposition" in ours.headers
        assert told(ours, ours.content) == told(
            stock, stock.content if is_file else self.task.as_ours(stock.content)
        ), read
        return ours.status_code


@contextmanager
def serving_both(folder: Path) -> Iterator[Both]:
    """Make the task in an empty folder, and start both; most of a minute."""
    (folder / "rich").mkdir()
    task = make_rich_task(folder / "rich")
    with (
        running_stock(prepare_stock(), task.database) as stock,
        serving(task.store, str(folder), host=PUBLIC_HOST) as ours,
    ):
        until_answered(f"{stock.url}/health")
        ours.wait_for("ready")
        yield Both(task, stock.url, ours)
