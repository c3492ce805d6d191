"""From a task to its names in the cluster and on the network, and back.

Promises: a name is a valid DNS-1035 label (it begins with a letter, as Knative demands), is unique to the task, short
enough to carry any tag prefix in a host name, and `jeditaskid_of` undoes `service_name`.
"""

import re
from typing import Final

from mlflow_on_demand.settings import MAX_JEDITASKID

INGEST: Final = "ingest"
"""The function's Service, which a rollout asks for snapshots."""
_SERVICE = re.compile(r"task-([1-9][0-9]{0,9})", re.ASCII)


def service_name(jeditaskid: int) -> str:
    """The Knative Service of a task. Raises ValueError outside 1 … MAX_JEDITASKID."""
    if not 1 <= jeditaskid <= MAX_JEDITASKID:
        raise ValueError(f"a jeditaskid is between 1 and {MAX_JEDITASKID}, not {jeditaskid}")
    return f"task-{jeditaskid}"


def jeditaskid_of(name: str) -> int | None:
    """The task of a Service by its name; None for a Service that is not a task's."""
    match = _SERVICE.fullmatch(name)
    if match is None or int(match[1]) > MAX_JEDITASKID:
        return None
    return int(match[1])


def page_url(template: str, jeditaskid: int) -> str:
    """The address of a task's page: `template` holds `{service}` where the Service's name goes."""
    return template.replace("{service}", service_name(jeditaskid))
