"""Writes the model registries of a task's tarballs into one: its names are of the whole task, not of a segment.

Every job has a registry of its own, and calls its version 1. In the order of the tarballs, a version keeps its number
if no other has it, and else gets the next one behind the highest; one that is the same in several tarballs, because all
jobs began with the same registry, is there once. Tags say where each came from: `panda.tarball`, its number there
(`panda.version`) and its aliases there (`panda.aliases`). Of an alias, a model's tag or its description that several
tarballs set, the last counts. What names a version by number, in tags of runs, logged models and traces, is renumbered
(`registry.renumber`). The versions of a run that gives way to a better one, from another tarball, go with it.

Addresses of artifacts become those in the snapshot. What lies elsewhere keeps its `source`, for the reader: there is
nothing to open here, for a tarball must not make the server read an address of its choice.
"""

import hashlib
from collections.abc import Collection
from dataclasses import astuple, replace

from mlflow_on_demand.database import SnapshotDatabase
from mlflow_on_demand.layers import NoLayer
from mlflow_on_demand.registry import ModelVersion, Numbers, RegisteredModel, find_member, read_version
from mlflow_on_demand.snapshot import SCHEME
from mlflow_on_demand.taken import RegisteredTaken
from mlflow_on_demand.tarballs import TarballName

# MLflow's own tag of a prompt.
_EXPERIMENTS = "_mlflow_experiment_ids"
_TARBALL, _VERSION, _ALIASES = "panda.tarball", "panda.version", "panda.aliases"
_OF_A_MODEL = "models:/"
# A folder of the bundle in which nothing is.
_ELSEWHERE = "elsewhere"

_ADD_MODEL = """
INSERT INTO registered_models (name, creation_time, last_updated_time, description) VALUES (?, ?, ?, ?)
ON CONFLICT DO UPDATE SET
    creation_time = min(ifnull(creation_time, excluded.creation_time), ifnull(excluded.creation_time, creation_time)),
    last_updated_time = max(ifnull(last_updated_time, excluded.last_updated_time),
                            ifnull(excluded.last_updated_time, last_updated_time)),
    description = ifnull(excluded.description, description)
"""
_ADD_VERSION = """
INSERT INTO model_versions (version, creation_time, last_updated_time, description, user_id, current_stage,
    source, storage_location, run_id, run_link, status, status_message, name)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
"""
_NUMBERS = """
SELECT EXISTS(SELECT 1 FROM model_versions WHERE workspace = 'default' AND name = ?1 AND version = ?2),
       (SELECT max(version) FROM model_versions WHERE workspace = 'default' AND name = ?1)
"""
_OF_A_RUN = """
SELECT name, version FROM model_versions JOIN model_version_tags AS brought USING (workspace, name, version)
WHERE run_id = ? AND brought.key = ? AND brought.value = ?
"""
_TABLES = ("model_version_tags", "model_versions")


class Registry:
    """The model registry of one build; `known` are the names in a snapshot whose layer it becomes."""

    def __init__(self, database: SnapshotDatabase, jeditaskid: int, known: tuple[str, ...]) -> None:
        self._database = database
        self._root = f"{SCHEME}:/{jeditaskid}"
        self._known = frozenset(known)
        # By the digest of all that its tarball says of a version: its model's name, and its number here.
        self._same: dict[str, tuple[str, int]] = {}

    def add(
        self,
        tarball: TarballName,
        experiment_id: int,
        registered: dict[str, RegisteredTaken],
        passed_over: Collection[str],
    ) -> Numbers:
        """Add what one tarball's registry holds, but versions of runs that are passed over. NoLayer if it has a model
        of a known name.
        """
        numbers: dict[tuple[str, int], int] = {}
        for _, model in sorted(registered.items()):
            if model.meta is None:
                continue
            if model.meta.name in self._known:
                raise NoLayer(f"registered model {model.meta.name} is known")
            self._add_model(experiment_id, model, model.meta)
            numbers |= self._add_versions(tarball, model, model.meta.name, passed_over)
        return numbers

    def remove_of_run(self, run_uuid: str, tarball: str) -> None:
        """Forget the versions of a run that a tarball brought, and aliases that point at them."""
        for name, version in self._database.query(_OF_A_RUN, run_uuid, _TARBALL, tarball):
            for table in (*_TABLES, "registered_model_aliases"):
                self._remove(table, name, version)
            self._same = {key: one for key, one in self._same.items() if one != (name, version)}

    def find_names(self) -> tuple[str, ...]:
        """Those of the models that were added, sorted."""
        return tuple(str(name) for (name,) in self._database.query("SELECT name FROM registered_models ORDER BY name"))

    def _add_model(self, experiment_id: int, model: RegisteredTaken, meta: RegisteredModel) -> None:
        self._database.write(_ADD_MODEL, [astuple(meta)])
        tags = dict(model.tags)
        if _EXPERIMENTS in tags:
            former = self._database.query(
                "SELECT value FROM registered_model_tags WHERE name = ? AND key = ?", meta.name, _EXPERIMENTS
            )
            ids = {one for (value,) in former for one in str(value).split(",") if one} | {str(experiment_id)}
            tags[_EXPERIMENTS] = f",{','.join(sorted(ids))},"
        self._database.write(
            "INSERT OR REPLACE INTO registered_model_tags (name, key, value) VALUES (?, ?, ?)",
            [(meta.name, key, value) for key, value in sorted(tags.items())],
        )

    def _add_versions(
        self, tarball: TarballName, model: RegisteredTaken, name: str, passed_over: Collection[str]
    ) -> dict[tuple[str, int], int]:
        numbers = {}
        aliases = {alias: read_version(text) for alias, text in sorted(model.aliases.items())}
        for meta, tags in sorted(model.readable_versions(), key=lambda one: one[0].version):
            if meta.run_id in passed_over:
                continue
            number = numbers[name, meta.version] = self._choose_number(name, meta, tags)
            own = ", ".join(alias for alias, version in aliases.items() if version == meta.version)
            origin = {_TARBALL: tarball.name, _VERSION: str(meta.version), **({_ALIASES: own} if own else {})}
            self._insert(name, replace(meta, version=number), {**tags, **origin})
        self._database.write(
            "INSERT OR REPLACE INTO registered_model_aliases (name, alias, version) VALUES (?, ?, ?)",
            [
                (name, alias, numbers[name, version])
                for alias, version in aliases.items()
                if version is not None and (name, version) in numbers
            ],
        )
        return numbers

    def _choose_number(self, name: str, meta: ModelVersion, tags: dict[str, str]) -> int:
        facts = repr((name, meta, sorted(tags.items())))
        key = hashlib.sha256(facts.encode("utf-8", "replace")).hexdigest()
        if key not in self._same:
            ((is_taken, highest),) = self._database.query(_NUMBERS, name, meta.version)
            self._same[key] = (name, int(str(highest)) + 1 if is_taken else meta.version)
        return self._same[key][1]

    def _insert(self, name: str, meta: ModelVersion, tags: dict[str, str]) -> None:
        """Add a version, in place of the same one from another tarball."""
        for table in _TABLES:
            self._remove(table, name, meta.version)
        self._database.write(_ADD_VERSION, [(*astuple(self._readdress(meta)), name)])
        self._database.write(
            "INSERT INTO model_version_tags (name, version, key, value) VALUES (?, ?, ?, ?)",
            [(name, meta.version, key, value) for key, value in sorted(tags.items())],
        )

    def _readdress(self, meta: ModelVersion) -> ModelVersion:
        source, stored = find_member(meta.source), find_member(meta.storage_location or meta.source)
        is_kept = source is None or (meta.source or "").startswith(_OF_A_MODEL)
        return replace(
            meta,
            source=meta.source if is_kept else f"{self._root}/{source}",
            storage_location=f"{self._root}/{stored or _ELSEWHERE}",
        )

    def _remove(self, table: str, name: object, version: object) -> None:
        self._database.write(
            f"DELETE FROM {table} WHERE workspace = 'default' AND name = ? AND version = ?",  # noqa: S608 (our own names)
            [(name, version)],
        )
