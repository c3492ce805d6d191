"""Lists in pieces, by `limit` and `continue`."""

from contract.kit import CONFIG_MAPS, SERVICES, Home, failure, make_config_map


def test_a_list_in_pieces_shows_what_was_when_it_began(home: Home) -> None:
    for name in "abcde":
        home.create(CONFIG_MAPS, make_config_map(name, mine="yes"))
    query = {"labelSelector": "mine=yes", "limit": "2"}
    pieces = [home.get(CONFIG_MAPS, **query)]
    home.create(CONFIG_MAPS, make_config_map("bb", mine="yes"))
    home.delete(CONFIG_MAPS, "c")
    home.patch(CONFIG_MAPS, "d", {"data": {"a": "2"}, "metadata": {"labels": {"mine": None}}})
    while token := pieces[-1]["metadata"].get("continue"):
        pieces.append(home.get(CONFIG_MAPS, **query, **{"continue": token}))
    shown = [[(one["metadata"]["name"], one["data"]["a"]) for one in piece["items"]] for piece in pieces]
    assert shown == [[("a", "1"), ("b", "1")], [("c", "1"), ("d", "1")], [("e", "1")]]
    assert len({piece["metadata"]["resourceVersion"] for piece in pieces}) == 1
    assert home.names(CONFIG_MAPS, **query | {"limit": "9"}) == ["a", "b", "bb", "e"]


def test_a_piece_of_a_list_says_how_much_is_left(home: Home) -> None:
    for name in "abc":
        home.create(SERVICES, home.make_service(name))
    piece = home.get(SERVICES, limit="1")
    assert ([one["metadata"]["name"] for one in piece["items"]], piece["metadata"]["remainingItemCount"]) == (["a"], 2)
    code, reason, _ = failure(home.cluster.api.get(home.path(SERVICES), params={"limit": "1", "continue": "nonsense"}))
    assert (code, reason) == (400, "BadRequest")
