"""Knative's messages in plain words: one example of each that it writes, and whatever else comes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bigpanda_ops.plain_words import explain

NAMED = 'Revision "task-1-00001" failed with message: '


@pytest.mark.parametrize(
    ("message", "text", "advice"),
    [
        (
            f'{NAMED}Unable to fetch image "r.example/mlflow:9": failed to resolve image to digest: 404 Not Found.',
            "the image r.example/mlflow:9 cannot be pulled: failed to resolve image to digest: 404 Not Found",
            "check that the image exists",
        ),
        (
            f'{NAMED}Back-off pulling image "r.example/mlflow:9": ErrImagePull.',
            "the image r.example/mlflow:9 cannot be pulled: ErrImagePull",
            "check that the image exists",
        ),
        (
            f'{NAMED}secret "bigpanda-mlflow-page" not found.',
            "its pod needs the secret bigpanda-mlflow-page, which does not exist",
            "create it in namespace physics",
        ),
        (
            f'{NAMED}pods "x" is forbidden: exceeded quota: q, requested: memory=192Mi.',
            "the namespace's quota leaves no room for its pod: exceeded quota: q, requested: memory=192Mi",
            "raise the ResourceQuota of namespace physics",
        ),
        (
            f"{NAMED}0/3 nodes are available: 3 Insufficient memory.",
            "no node takes its pod: 0/3 nodes are available: 3 Insufficient memory",
            "free a node",
        ),
        (
            f"{NAMED}Container failed with: BIGPANDA_JEDITASKID is not set.",
            "its process ends as soon as it starts: BIGPANDA_JEDITASKID is not set",
            "serving.knative.dev/service=task-1",
        ),
        (
            f"{NAMED}Initial scale was never achieved.",
            "its pod did not become ready in the time that Knative gives it",
            "describe pods",
        ),
        (
            'Revision "task-1-x" referenced in traffic not found.',
            "its traffic goes to the Revision task-1-x, which does not exist",
            "rollout rollback",
        ),
        (
            'Revision "task-1-x" failed to become ready.',
            "its traffic goes to the Revision task-1-x, which does not start",
            "rollout rollback",
        ),
        ("Something new.", "Knative says: Something new", "describe ksvc task-1"),
        ("", "Knative says: nothing", "describe ksvc task-1"),
    ],
)
def test_what_a_message_means(message: str, text: str, advice: str) -> None:
    said = explain(message, "physics", "task-1")
    assert said.text == text
    assert advice in said.advice
    assert "{" not in said.advice


@given(st.text())
def test_every_message_is_explained(message: str) -> None:
    said = explain(message, "physics", "task-1")
    assert said.text
    assert said.advice
