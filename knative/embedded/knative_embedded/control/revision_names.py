"""The names that templates ask for: which Revision they mean, and whether somebody else has it already. Pure.

Source: knative/serving pkg/reconciler/configuration/configuration.go: CheckNameAvailability, getSortedCreatedRevisions.
"""

from knative_embedded import labels
from knative_embedded.kinds import REVISION
from knative_embedded.objects import Object, generation_of, labels_of, meta, name_of, spec_of, uid_of


def asked_name(configuration: Object) -> str:
    """The name that the template asks for; empty where Knative is to choose one."""
    return str(meta(spec_of(configuration)["template"]).get("name") or "")


def is_taken(configuration: Object, existing: Object | None) -> bool:
    """Whether the Revision of the asked name is another one: of somebody else, or with another spec.

    One of the same Configuration with the same spec is the one that is meant: a template can go back to it.
    """
    if existing is None or not asked_name(configuration):
        return False
    controllers = [one["uid"] for one in meta(existing).get("ownerReferences") or [] if one.get("controller")]
    if controllers != [uid_of(configuration)]:
        return True
    if labels_of(existing).get(labels.CONFIGURATION_GENERATION) == str(generation_of(configuration)):
        return False
    return bool(spec_of(existing) != spec_of(configuration)["template"]["spec"])


def say_taken(configuration: Object) -> str:
    """What the API server would say to whoever wanted to create that Revision."""
    return f'{REVISION.resource} "{asked_name(configuration)}" already exists'


def latest_first(configuration: Object, revisions: list[Object]) -> list[Object]:
    """The Configuration's Revisions, that of the asked name first, then by generation, the latest first."""

    def order(revision: Object) -> tuple[bool, int]:
        generation = int(labels_of(revision).get(labels.CONFIGURATION_GENERATION, "0"))
        return name_of(revision) != asked_name(configuration), -generation

    return sorted(revisions, key=order)
