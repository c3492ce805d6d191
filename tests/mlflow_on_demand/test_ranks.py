from pathlib import Path

from mlflow_on_demand.ranks import Rank, Ranks
from mlflow_on_demand.tarballs import TarballName

LATE = TarballName("calo", 10**30, "late.tgz")


def test_the_better_run_is_the_greater_rank() -> None:
    early = TarballName("calo", 2, "early.tgz")
    ranks = [Rank(False, 9, 9, LATE), Rank(True, 1, 9, LATE), Rank(True, 2, -1, LATE), Rank(True, 2, 0, early)]
    assert sorted([Rank(True, 2, 0, LATE), *ranks]) == [*ranks, Rank(True, 2, 0, LATE)]


def test_ranks_are_kept_and_changed(tmp_path: Path) -> None:
    ranks = Ranks(tmp_path / "ranks.db")
    ranks["b"] = Rank(True, 2**62, -1, LATE)
    ranks["a"] = Rank(False, 0, 5, LATE)
    ranks["a"] = Rank(True, 1, 5, LATE)
    assert (ranks.get("a"), ranks.get("b"), ranks.get("c")) == (
        Rank(True, 1, 5, LATE),
        Rank(True, 2**62, -1, LATE),
        None,
    )
    assert list(ranks) == ["a", "b"]
    ranks.close()
