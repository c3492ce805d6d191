"""Knative's own messages about a Service or Revision that does not come up, in plain words and with what to do. Pure.

Messages as Serving 1.15 writes them (pkg/apis/serving/v1, pkg/reconciler/revision); an unknown one is passed on.
"""

import re
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Explanation:
    """A sentence without its full stop, and what to do."""

    text: str
    advice: str


_LOGS = "read what it wrote: kubectl -n {namespace} logs -l serving.knative.dev/service={service} -c mlflow --tail=50"
_PULL = "check that the image exists under this name and digest and that the namespace may pull it"
_KNOWN: Final = (
    (
        re.compile(r'Unable to fetch image "(?P<what>[^"]+)": (?P<why>.*)', re.DOTALL),
        "the image {what} cannot be pulled: {why}",
        f"{_PULL}; a page made with a wrong image needs another: bigpanda-mlflow rollout start, or rollback",
    ),
    (
        re.compile(r"(?:Back-off pulling image|failed to pull).*?\"(?P<what>[^\"]+)\"(?P<why>.*)", re.DOTALL),
        "the image {what} cannot be pulled{why}",
        _PULL,
    ),
    (
        re.compile(r'(?P<what>secret|configmap) "(?P<why>[^"]+)" not found'),
        "its pod needs the {what} {why}, which does not exist",
        "create it in namespace {namespace}: knative/secrets.example.yaml has its shape",
    ),
    (
        re.compile(r"(?P<what>[^:]*exceeded quota)(?P<why>.*)", re.DOTALL),
        "the namespace's quota leaves no room for its pod: {what}{why}",
        "raise the ResourceQuota of namespace {namespace}, or release pages that nobody needs",
    ),
    (
        re.compile(r"(?P<what>\d+/\d+ nodes are available)(?P<why>.*)", re.DOTALL),
        "no node takes its pod: {what}{why}",
        "free a node, or add one",
    ),
    (
        re.compile(r"(?:Container failed with|exit(?:ed)? (?:with )?code)(?P<what>[: ]*)(?P<why>.*)", re.DOTALL),
        "its process ends as soon as it starts: {why}",
        _LOGS,
    ),
    (
        re.compile(r"(?P<what>Initial scale was never achieved|has timed out progressing)(?P<why>.*)", re.DOTALL),
        "its pod did not become ready in the time that Knative gives it",
        "see why it did not start: kubectl -n {namespace} describe pods -l serving.knative.dev/service={service}",
    ),
    (
        re.compile(r'Revision "(?P<what>[^"]+)" (?P<why>referenced in traffic not found|failed to become ready)'),
        "its traffic goes to the Revision {what}, which {why}",
        "send it to one that serves: bigpanda-mlflow rollout rollback, or kubectl -n {namespace} edit ksvc {service}",
    ),
)
_PREFIX: Final = re.compile(r'^(?:Revision|Configuration) "[^"]+" failed with message: ')


def explain(message: str, namespace: str, service: str) -> Explanation:
    """What a condition's message means for this Service."""
    core = _PREFIX.sub("", message.strip()).rstrip(". ")
    for pattern, text, advice in _KNOWN:
        found = pattern.search(core)
        if found is not None:
            parts = {"what": found["what"], "why": _replace(found["why"])}
            return Explanation(text.format(**parts), advice.format(namespace=namespace, service=service))
    return Explanation(
        f"Knative says: {core or 'nothing'}", f"look closer: kubectl -n {namespace} describe ksvc {service}"
    )


def _replace(why: str) -> str:
    """Knative's own words, where they would not end a sentence."""
    return {"referenced in traffic not found": "does not exist", "failed to become ready": "does not start"}.get(
        why, " ".join(why.split())
    )
