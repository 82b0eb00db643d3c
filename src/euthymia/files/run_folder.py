"""Run folders of virtual trials: what was asked for and what is done, so that a killed run can go on.

``manifest.json`` says what is run; ``replicates/batch-00000.json`` and so on hold replicates. Each is written
whole, so that a kill leaves complete ones alone. `euthymia.files.trial_results.write_trial` adds the result.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from platform import python_version
from typing import TYPE_CHECKING, Any

from euthymia.errors import InvalidInputError, RunFailedError, invalid
from euthymia.files.results import dump_json
from euthymia.files.trial_json import digest, protocol_json, replicate_from_json, replicate_json
from euthymia.files.writing import write_whole
from euthymia.population.run import ENGINE_VARIABLE

if TYPE_CHECKING:
    from euthymia.model.parameters import ParameterSet
    from euthymia.population.posterior import Posterior
    from euthymia.trials.design import Protocol
    from euthymia.trials.records import Replicate

RUN_SCHEMA, BATCH_SCHEMA = "euthymia.trial-run/1", "euthymia.trial-batch/1"
LIBRARIES = ("euthymia", "numpy", "scipy", "statsmodels")
"""Those whose version may change a result."""
BATCH = 10
"""Replicates of a batch, unless told otherwise."""
MOST_NAMED = 5
"""Differences between two runs that fit into one message."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifest:
    """What makes a run the run it is; use `create`, which adds the versions.

    Parameters
    ----------
    protocol : mapping
        Every field of the protocol; see `protocol_json`.
    seed : int
    parameters, parameters_digest : str
        Name of the set; digest of its values with overrides and mechanisms.
    engine : str
    versions : {library: version}
    posterior : str
        Name and digest of what replicates take draws of; empty for the prior.
    replicates_per_batch : int
        Changes no number; a folder keeps the one that it was begun with.
    """

    protocol: Mapping[str, Any]
    seed: int
    parameters: str
    parameters_digest: str
    engine: str
    versions: Mapping[str, str]
    posterior: str = ""
    replicates_per_batch: int = BATCH

    @classmethod
    def create(
        cls,
        protocol: Protocol,
        *,
        seed: int,
        parameters: str,
        parameters_digest: str,
        engine: str,
        posterior: str = "",
        replicates_per_batch: int = BATCH,
    ) -> Manifest:
        """Return the manifest of a run by this installation."""
        if replicates_per_batch < 1:
            raise invalid("replicates_per_batch", must="1 or more", got=replicates_per_batch)
        return cls(
            protocol=protocol_json(protocol),
            seed=seed,
            parameters=parameters,
            parameters_digest=parameters_digest,
            engine=engine,
            versions={"python": python_version()} | {name: version(name) for name in LIBRARIES},
            posterior=posterior,
            replicates_per_batch=replicates_per_batch,
        )

    @classmethod
    def of_run(
        cls,
        protocol: Protocol,
        parameters: ParameterSet,
        *,
        seed: int,
        engine: str | None = None,
        posterior: Posterior | None = None,
    ) -> Manifest:
        """Return the manifest of what `euthymia.trials.replicate.run_trial` runs, in batches of its size."""
        from euthymia.trials.replicate import PATIENTS_PER_BATCH, batches

        return cls.create(
            protocol,
            seed=seed,
            parameters=parameters.name,
            parameters_digest=parameters_digest(parameters),
            engine=engine or os.environ.get(ENGINE_VARIABLE) or "c",
            posterior="" if posterior is None else f"{posterior.name} {posterior.digest}",
            replicates_per_batch=len(batches(protocol, PATIENTS_PER_BATCH)[0].replicates),
        )

    def as_json(self) -> dict[str, Any]:
        """Return it in the shape of ``euthymia.trial-run/1``."""
        return {
            "schema": RUN_SCHEMA,
            "protocol_id": self.protocol["id"],
            "protocol_digest": digest(self.protocol),
            "seed": self.seed,
            "parameters": self.parameters,
            "parameters_digest": self.parameters_digest,
            **({"posterior": self.posterior} if self.posterior else {}),
            "engine": self.engine,
            "versions": dict(self.versions),
            "replicates_per_batch": self.replicates_per_batch,
            "protocol": dict(self.protocol),
        }


def parameters_digest(parameters: ParameterSet) -> str:
    """Return the digest of every value of a set, with its overrides and mechanisms."""
    rows = [repr(row) for row in (*parameters.rows.values(), *parameters.chain.values())]
    return digest([parameters.name, parameters.structure, repr(parameters.correlations), *rows])


class RunFolder:
    """A folder that holds a run, begun or gone on with.

    Parameters
    ----------
    path : Path
        Made where it does not exist.
    manifest : Manifest
        Of the run that is wanted.

    Attributes
    ----------
    manifest : Manifest
        That of the folder: the number of replicates in a batch is the one it was begun with.
    is_resumed : bool
        Whether the run had been begun before.
    notes : list of str
        What was found damaged and will be done again.

    Raises
    ------
    InvalidInputError
        The folder holds another run, or something else.
    RunFailedError
        Nothing can be written there.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.manifest, self.notes = path, manifest, list[str]()
        self.is_resumed = self._manifest_path.is_file()
        if self.is_resumed:
            self.manifest = self._checked(manifest)
            return
        if path.is_dir() and any(not one.name.startswith(".") for one in path.iterdir()):
            message = f"{str(path)!r} holds other files and no manifest.json of a trial. Give a new folder."
            raise InvalidInputError(message)
        _write_json(self._manifest_path, manifest.as_json())

    @property
    def first(self) -> Path:
        """Folder of the patients of replicate 0."""
        return self.path / "first"

    def batches(self, total: int) -> tuple[range, ...]:
        """Return the replicates of each batch of a run of ``total`` replicates."""
        if total < 1:
            raise invalid("replicates", must="1 or more", got=total)
        size = self.manifest.replicates_per_batch
        return tuple(range(start, min(start + size, total)) for start in range(0, total, size))

    def missing(self, total: int) -> tuple[int, ...]:
        """Return which batches must still be run; a damaged one counts, and a note says so."""
        return tuple(
            place for place, wanted in enumerate(self.batches(total)) if not self.has_batch(place, wanted)
        )

    def save_batch(self, index: int, replicates: Sequence[Replicate]) -> Path:
        """Write the replicates of one batch, whole or not at all.

        Raises
        ------
        InvalidInputError
            They are not those of the batch, in order.
        RunFailedError
            The disk is full, or the folder cannot be written.
        """
        size = self.manifest.replicates_per_batch
        wanted = list(range(index * size, index * size + len(replicates)))
        numbers = [one.replicate for one in replicates]
        if not 0 < len(numbers) <= size or numbers != wanted:
            must = f"{index * size} and on, at most {size}, in batch {index}"
            raise invalid("replicates", must=must, got=numbers)
        content = [replicate_json(one) for one in replicates]
        document = {
            "schema": BATCH_SCHEMA,
            "batch": index,
            "run": digest(self.manifest.as_json()),
            "digest": digest(content),
            "replicates": content,
        }
        return _write_json(self._batch_path(index), document)

    def load_batch(self, index: int) -> tuple[Replicate, ...]:
        """Return the replicates of one batch.

        Raises
        ------
        RunFailedError
            It is not there, damaged, or of another run.
        """
        path = self._batch_path(index)
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
            content = document["replicates"]
            if document["digest"] != digest(content) or document["batch"] != index:
                raise ValueError
            is_own = document["run"] == digest(self.manifest.as_json())
            found = tuple(replicate_from_json(one) for one in content)
        except FileNotFoundError:
            raise _unusable(path, "it is not there") from None
        except OSError as error:
            raise _unusable(path, str(error.strerror)) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            raise _unusable(path, "it is damaged") from None
        if not is_own:
            raise _unusable(path, "it is of another run")
        return found

    def load(self, total: int) -> tuple[Replicate, ...]:
        """Return the first ``total`` replicates of a run whose batches are all there."""
        every = [one for place in range(len(self.batches(total))) for one in self.load_batch(place)]
        return tuple(every[:total])

    def has_batch(self, index: int, wanted: range) -> bool:
        """Tell whether a batch holds what is wanted of it; where it is damaged a note says so."""
        if not self._batch_path(index).exists():
            return False
        try:
            return len(self.load_batch(index)) >= len(wanted)
        except RunFailedError as error:
            note = f"{error} Its replicates are run again."
            if note not in self.notes:
                self.notes.append(note)
            return False

    def store(self, total: int) -> BatchStore:
        """Return what keeps the batches of a run of ``total`` replicates, for ``run_trial``."""
        return BatchStore(folder=self, total=total)

    @property
    def _manifest_path(self) -> Path:
        return self.path / "manifest.json"

    def _batch_path(self, index: int) -> Path:
        return self.path / "replicates" / f"batch-{index:05d}.json"

    def _checked(self, wanted: Manifest) -> Manifest:
        """Return the manifest of the folder, which must be that of the same run."""
        try:
            there = json.loads(self._manifest_path.read_text(encoding="utf-8"))
            size = int(there["replicates_per_batch"])
            theirs = digest(there)
        except (OSError, ValueError, KeyError, TypeError):
            message = f"Cannot read {str(self._manifest_path)!r}: it is damaged. Give a new folder."
            raise InvalidInputError(message) from None
        own = replace(wanted, replicates_per_batch=size)
        if theirs != digest(own.as_json()):
            raise self._another(list(differences(there, own.as_json())))
        return own

    def _another(self, found: Sequence[str]) -> InvalidInputError:
        digests = ("protocol_digest", "protocol_id")
        told = [one for one in found if not one.startswith(digests)] or list(found)
        more = f"; and {len(told) - MOST_NAMED} more" if len(told) > MOST_NAMED else ""
        return InvalidInputError(
            f"{str(self.path)!r} holds another run: {'; '.join(told[:MOST_NAMED])}{more}. "
            "Give a new folder, or ask for what it was begun with to go on."
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class BatchStore:
    """Batches of a run of some length: what is there is given out, what is made is kept."""

    folder: RunFolder
    total: int

    def load(self, batch: int) -> tuple[Replicate, ...] | None:
        """Return the replicates of a batch, None where they must be run."""
        wanted = self.folder.batches(self.total)[batch]
        if not self.folder.has_batch(batch, wanted):
            return None
        return self.folder.load_batch(batch)[: len(wanted)]

    def save(self, batch: int, replicates: Sequence[Replicate]) -> None:
        """Keep a batch, whole."""
        self.folder.save_batch(batch, replicates)


def differences(there: object, here: object, name: str = "") -> Iterator[str]:
    """Yield where two JSON contents differ: ``seed is 3 there and 4 here``.

    Examples
    --------
    >>> list(differences({"seed": 3, "n": [1, 2]}, {"seed": 4, "n": [1, 5]}))
    ['seed is 3 there and 4 here', 'n.1 is 2 there and 5 here']
    """
    if isinstance(there, Mapping) and isinstance(here, Mapping):
        for key in dict.fromkeys((*there, *here)):
            yield from differences(there.get(key), here.get(key), f"{name}.{key}".strip("."))
        if list(there) != list(here) and set(there) == set(here):
            yield f"{name or 'fields'} stand in another order"
    elif isinstance(there, list) and isinstance(here, list) and len(there) == len(here):
        for place, (one, other) in enumerate(zip(there, here, strict=True)):
            yield from differences(one, other, f"{name}.{place}")
    elif there != here:
        yield f"{name} is {_shown(there)} there and {_shown(here)} here"


def _shown(value: object) -> str:
    text = "absent" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _unusable(path: Path, reason: str) -> RunFailedError:
    return RunFailedError(f"Cannot use {str(path)!r}: {reason}.")


def _write_json(path: Path, document: dict[str, Any]) -> Path:
    text = dump_json(document)
    write_whole(path, lambda target: target.write_text(text, encoding="utf-8"))
    return path
