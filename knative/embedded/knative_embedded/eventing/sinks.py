"""Destinations (`ref`, `uri`) as URLs. Pure, given a way to look objects up.

Source: knative.dev/pkg resolver/addressable_resolver.go: an Addressable's status.address.url, joined with the URI.
"""

import dataclasses
from collections.abc import Callable
from urllib.parse import urljoin

from knative_embedded.kinds import BROKER, ROUTE, SERVICE, Kind
from knative_embedded.objects import Object, status_of

_ADDRESSABLE = {(kind.api_version, kind.kind): kind for kind in (SERVICE, ROUTE, BROKER)}

Find = Callable[[Kind, str, str], Object | None]


@dataclasses.dataclass(frozen=True)
class Resolution:
    """A URL, or why there is none."""

    url: str = ""
    problem: str = ""


def resolve(destination: Object | None, namespace: str, find: Find) -> Resolution:
    """The URL of a destination; an empty resolution for no destination."""
    if not destination:
        return Resolution()
    reference, uri = destination.get("ref"), destination.get("uri") or ""
    if not reference:
        return Resolution(uri)
    kind = _ADDRESSABLE.get((reference["apiVersion"], reference["kind"]))
    if kind is None:
        return Resolution(
            problem=f"address not set for {reference['apiVersion']}, Kind={reference['kind']}: not served here"
        )
    found = find(kind, reference.get("namespace") or namespace, reference["name"])
    if found is None:
        name = reference["name"]
        return Resolution(problem=f'failed to get object {namespace}/{name}: {kind.resource} "{name}" not found')
    url = (status_of(found).get("address") or {}).get("url", "")
    if not url:
        return Resolution(problem=f"address not set for {reference['kind']} {reference['name']}")
    return Resolution(urljoin(url + "/", uri) if uri else url)
