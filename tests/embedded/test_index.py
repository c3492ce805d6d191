"""The index finds what a look at everything would."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from knative_embedded.api.selectors import equal_labels, parse_label_selector
from knative_embedded.kinds import CONFIG_MAP, ROUTE
from knative_embedded.state.index import HOST, OWNER, TARGET, Index, terms_of

LABELS = st.dictionaries(st.sampled_from("ab"), st.sampled_from(["x", "y", ""]))


@pytest.mark.parametrize("selector", ["a=x", "a==x,b=y", "b=", "a=x,b!=y"])
@given(st.lists(st.tuples(st.sampled_from("123"), st.none() | LABELS)))
def test_objects_by_their_labels(selector: str, changes: list[tuple[str, dict[str, str] | None]]) -> None:
    index, present = Index(), dict[str, dict[str, Any]]()
    for name, labels in changes:
        before = present.pop(name, None)
        if labels is not None:
            present[name] = {"metadata": {"namespace": "n", "name": name, "labels": labels}}
        index.follow(CONFIG_MAP, before, present.get(name))
    found = {present[name]["metadata"]["name"] for _, name in index.find(CONFIG_MAP, equal_labels(selector))}
    selects = parse_label_selector(selector)
    assert {name for name in found if selects(present[name])} == {name for name in present if selects(present[name])}
    if "!" not in selector:
        assert all(selects(present[name]) for name in found)


def test_a_route_by_its_owner_hosts_and_targets() -> None:
    route = {
        "metadata": {"namespace": "n", "name": "a", "ownerReferences": [{"uid": "u"}]},
        "spec": {"traffic": [{"configurationName": "a"}, {"revisionName": "a-2", "tag": "wanted"}]},
        "status": {"traffic": [{"revisionName": "a-1", "tag": "next"}]},
    }
    targets = {(TARGET, name) for name in ("a", "a-1", "a-2")}
    assert terms_of(ROUTE, route) == {(OWNER, "u"), (HOST, "a"), (HOST, "next-a"), *targets}
