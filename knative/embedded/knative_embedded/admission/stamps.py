"""Who made an object and who changed its spec last, as Knative's webhooks write it into annotations. Pure.

Source: knative.dev/pkg apis/user_info.go, knative/serving pkg/apis/serving/metadata_validation.go.
"""

from knative_embedded import labels
from knative_embedded.admission.fielderrors import Errors, FieldError
from knative_embedded.kinds import Kind
from knative_embedded.objects import Object, annotations_of, spec_of

_UNSTAMPED = {"revisions.serving.knative.dev"}


def stamp(kind: Kind, new: Object, old: Object | None) -> None:
    """Write the user into `new`, which is changed in place: at creation, and when the spec changes."""
    if kind.resource in _UNSTAMPED:
        return
    annotations = new["metadata"].get("annotations") or {}
    if old is None:
        annotations[f"{kind.group}/creator"] = annotations[f"{kind.group}/lastModifier"] = labels.USER
    elif spec_of(new) != spec_of(old):
        annotations[f"{kind.group}/lastModifier"] = labels.USER
    if annotations:
        new["metadata"]["annotations"] = annotations


def validate_stamps(new: Object, old: Object | None) -> Errors:
    """The creator stays."""
    before = annotations_of(old or {}).get(labels.CREATOR)
    if not before or annotations_of(new).get(labels.CREATOR) == before:
        return []
    return [FieldError("annotation value is immutable", (f"metadata.annotations.{labels.CREATOR}",))]
