"""Objects as a metav1.Table, which is what `kubectl get` prints. Pure.

Source: knative CRDs' additionalPrinterColumns and k8s.io/apiserver pkg/endpoints/handlers/response.go.
"""

import datetime as dt
from collections.abc import Sequence
from enum import StrEnum

from knative_embedded.kinds import Kind
from knative_embedded.objects import Object, meta


class Include(StrEnum):
    """What a row carries besides its cells."""

    NONE = "None"
    METADATA = "Metadata"
    OBJECT = "Object"


def wants_table(accept: str) -> bool:
    """Whether the client prefers a Table over the objects."""
    first = accept.split(",", maxsplit=1)[0]
    return "as=Table" in first and "g=meta.k8s.io" in first


def make_table(kind: Kind, things: Sequence[Object], now: dt.datetime, include: Include = Include.METADATA) -> Object:
    """A Table with the kind's columns; the caller adds the list's metadata."""
    definitions = [
        {
            "name": column.name,
            "type": column.type,
            "format": column.format,
            "description": column.name,
            "priority": column.priority,
        }
        for column in kind.columns
    ]
    return {
        "kind": "Table",
        "apiVersion": "meta.k8s.io/v1",
        "metadata": {},
        "columnDefinitions": definitions,
        "rows": [_make_row(kind, thing, now, include) for thing in things],
    }


def _make_row(kind: Kind, thing: Object, now: dt.datetime, include: Include) -> Object:
    row: Object = {"cells": [column.cell(thing, now) for column in kind.columns]}
    if include == Include.METADATA:
        row["object"] = {"kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": meta(thing)}
    elif include == Include.OBJECT:
        row["object"] = thing
    return row
