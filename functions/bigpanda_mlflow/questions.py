"""What a candidate is asked, made of what the present release recorded: a pure plan of requests and their answers.

Over the same tarballs, every recorded request must be answered the same. A task that still runs may have got further
tarballs between the two releases' ingests: then what was there before must be there still, run by run, and so must the
histories of these runs; what speaks of all runs together is left out.
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

from mlflow_on_demand.answers import Answer, Answers

SEARCH_RUNS: Final = "/ajax-api/2.0/mlflow/runs/search"
_GET_RUN: Final = "/ajax-api/2.0/mlflow/runs/get"
_HISTORIES: Final = "/ajax-api/2.0/mlflow/metrics/"
# Speaks of the release and what it can do, not of the task: another release says something else.
_OF_THE_RELEASE: Final = "/ajax-api/3.0/mlflow/server-info"
_MOST_RUNS: Final = 20


@dataclass(frozen=True)
class Question:
    """A request, what it is called in a reason, and what was answered before, which is unpacked when it is wanted: all
    answers of a large task at once would not fit into a small process. `body` is JSON, None for none.
    """

    name: str
    method: str
    path: str
    body: Any = field(repr=False)
    before: Callable[[], Any] = field(repr=False)


def make_questions(answers: Answers, *, is_whole: bool) -> list[Question]:
    """The requests for a candidate over the tarballs of these recorded answers, or, if not `is_whole`, over more."""
    recorded = [_read(key, answer) for key, answer in answers.items()]
    if is_whole:
        return [one for one in recorded if not one.path.startswith(_OF_THE_RELEASE)]
    runs = [run for one in recorded if one.path == SEARCH_RUNS for run in islice(_runs_of(one.before()), _MOST_RUNS)]
    return [*map(_ask_for, runs), *(one for one in recorded if one.path.startswith(_HISTORIES))]


def _read(key: str, answer: Answer) -> Question:
    """A recorded request from its key (see `request_key`)."""
    method, path, fields, body = json.loads(key)
    query = urlencode([(name, value) for name, value in fields])
    address = f"{path}?{query}" if query else path
    return Question(_name(path, query, body), method, address, body, lambda: json.loads(answer.body()))


def _name(path: str, query: str, body: Any) -> str:
    """The end of its path, and which of several it is."""
    short = path.partition("/mlflow/")[2] or path.lstrip("/")
    metric = dict(parse_qsl(query)).get("metric_key")
    if metric is not None:
        return f"{short} of {metric}"
    experiments = body.get("experiment_ids") if isinstance(body, dict) else None
    return f"{short} in {', '.join(map(str, experiments))}" if experiments else short


def _runs_of(page: Any) -> Iterator[dict[str, Any]]:
    yield from page.get("runs", [])


def _ask_for(run: dict[str, Any]) -> Question:
    run_id = run["info"]["run_id"]
    return Question(
        f"runs/get of {run_id}", "GET", f"{_GET_RUN}?{urlencode({'run_id': run_id})}", None, lambda: {"run": run}
    )
