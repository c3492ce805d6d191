"""What a deployment lets an event ask for: which URIs it may point at, and for how long a page may stay.

Whoever may send an event decides what this deployment's credentials read, so a URI counts only when it has one meaning
and lies under a store that the deployment lists (`mlflow_on_demand.allowed`). To which addresses a host's name may lead
is looked at where it is connected to (`mlflow_on_demand.reach`).
"""

from collections.abc import Sequence

from bigpanda_mlflow.errors import Permanent
from bigpanda_mlflow.events import Results, Visualize
from bigpanda_mlflow.settings import Settings
from mlflow_on_demand.allowed import lies_under, read_place, read_store
from mlflow_on_demand.errors import StoreUriError


def check_request(data: Visualize | Results, settings: Settings) -> None:
    """Raises Permanent, naming the field, for what this deployment does not do."""
    check_artifacts(data.artifacts or (), settings.artifact_stores)
    if isinstance(data, Visualize) and data.lifetime > settings.max_lifetime:
        raise Permanent(f"is longer than this deployment's {settings.max_lifetime}", "data.lifetime")


def check_artifacts(uris: Sequence[str], stores: Sequence[str]) -> None:
    """Raises Permanent, naming the field, at the first URI that this deployment must not read."""
    for position, uri in enumerate(uris):
        reason = _objection(uri, stores)
        if reason is not None:
            raise Permanent(reason, f"data.artifacts[{position}]")


def _objection(uri: str, stores: Sequence[str]) -> str | None:
    try:
        place = read_place(uri)
    except StoreUriError as error:
        return str(error)
    if not any(lies_under(place, read_store(store)) for store in stores):
        return "is outside the stores that this deployment reads"
    return None
