"""The model bundle: a folder that holds everything one answer rests on, written and read in this file.

`bundles/TASK/VERSION/` holds `manifest.json` (for people and checks) and `model.onnx` (for the scorer); beside the
versions stand the pointers `champion` and `challenger`, text files with a version, replaced in one step. A version
never changes after it was written, nothing in it can execute, and reading refuses whatever is not as it was written.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import stat
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from data.errors import DataError, UsageError
from serving.allocation.policy import OfferPolicy
from serving.graph import graph_problems
from serving.holdout import Holdout
from serving.payoff import Payoff, Prices
from serving.reason_codes import OTHER
from serving.response import Response
from serving.shrinkage import Shrinkage
from serving.site_bundle import SiteBundle
from serving.telemetry.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Mapping

FORMAT_VERSION: Final = 2
MANIFEST: Final = "manifest.json"
MODEL: Final = "model.onnx"
Pointer = Literal["champion", "challenger"]
POINTERS: Final[tuple[Pointer, ...]] = ("champion", "challenger")

LARGEST_MANIFEST: Final = 16 << 20
LARGEST_PART: Final = 1 << 30
MOST_TABLE_ROWS: Final = 20_000_000
"""Rows of a table in all: a file of a kilobyte can say that it holds a billion."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")


class Feature(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One input of the model, and how it speaks when it is a reason.

    Attributes:
        name: Its name.
        unit: What it counts.
        meaning: What it says in retail terms.
        null_rule: When it is null.
        code: The kind of evidence it is, stable across versions.
        sentence: The same with gaps for its value and plural, in English; empty where only the meaning is known.
        sentence_zh: Likewise in Chinese.
        usual: Its median where the outcome did not come about; None where nothing is known.
    """

    name: str
    unit: str
    meaning: str
    null_rule: str
    code: str = OTHER
    sentence: str = ""
    sentence_zh: str = ""
    usual: float | None = None


class Parity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The proof that the exported graph is the trained model, as found at export.

    Attributes:
        rows: Rows of the test set that were compared.
        edge_rows: Rows made for the comparison: thresholds, their float32 neighbours, unknown and extreme values.
        wrong_leaves: Leaves that differ, over all rows and trees.
        max_raw_difference: Largest difference of raw scores.
        max_probability_difference: Largest difference of the probability to the calibrator outside the graph.
        max_contribution_gap: Largest difference of base plus contributions to the raw score, on a sample.
    """

    rows: int
    edge_rows: int
    wrong_leaves: int
    max_raw_difference: float
    max_probability_difference: float
    max_contribution_gap: float


class Criteria(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a version has to show on the test to become champion, as its task declared it.

    Attributes:
        metrics: Names of those that decide.
        rivals: What would be used instead of the model, which has to be ahead of each.
        ablations: The model with something left out; none may be surely better than the model.
        inapplicable: Gates that have no meaning for the task, such as calibration of an order.
    """

    metrics: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()
    ablations: tuple[str, ...] = ()
    inapplicable: tuple[str, ...] = ()


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One further forest of a bundle, in a graph of its own, and how it is asked.

    Attributes:
        kind: Whether its answer is a chance (its graph's probability) or an amount (its graph's raw score; the
            probability that every graph has means nothing then).
        score_base: Raw score before anything is known.
        parity: The proof of its graph.
        sees_arm: Whether it has one column behind the features: 1 where the offer is sent, 0 where it is withheld.
        dose: The column that is 0 where the offer is withheld; None where there is none.
    """

    kind: Literal["chance", "amount"]
    score_base: float
    parity: Parity
    sees_arm: bool = False
    dose: int | None = None


class Term(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One summand of an effect: what a head says, with the offer sent or withheld, times a weight."""

    head: str
    weight: float
    sent: bool


class Effects(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What an offer changes and what that is worth, beside the chance that it is redeemed.

    Attributes:
        learner: How the effect was learned.
        heads: The further forests, by name.
        terms: The summands of the effect on the chance to buy.
        constant: What is added to them.
        shrinkage: How the effect is drawn towards its segment.
        basket: The head that says what a basket that the offer won earns.
        usual: The head that says what those earn who buy without it.
        top_up: The head that says what redeeming adds to a purchase made anyway.
        face_value: The feature that says what redeeming takes off.
        caution: How many standard deviations below its mean a value is counted on.
        price: What a fen of cost has to bring beyond itself, at the budget that the report compares policies at.
        policy: The rules and prices by which offers are given out; None for `price` and the usual limits.
        response: Who is won and who is put off, in place of the summands; None where they are not told apart.
    """

    learner: str
    heads: dict[str, Head]
    terms: tuple[Term, ...]
    constant: float
    shrinkage: Shrinkage
    basket: str
    usual: str
    top_up: str
    face_value: str
    caution: float
    price: float
    policy: OfferPolicy | None = None
    response: Response | None = None


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a bundle is: read it before trusting a number that came out of it.

    Attributes:
        format_version: Of this file; a reader refuses one that it does not know.
        task: Name of the task.
        version: Name of this version among the task's.
        features: Inputs of the model in their order.
        feature_fingerprint: Hash of the declarations that computed them.
        payoff: What each action is worth under each outcome.
        prices: What keeping the pay-off's cap on harm costs.
        calibrator: Kind and numbers of the calibrator; it is part of the graph and stands here to be read.
        score_base: Raw score before anything is known; contributions are added to it.
        versions: Software that made the bundle.
        data_hash: Hash of the data it was trained on.
        created: UTC instant, ISO 8601.
        parity: The proof of the graph.
        metrics: Figures of the test set.
        files: sha256 of every other file.
        criteria: What the figures have to show before it becomes champion.
        holdout: How many decisions a lot lets through whatever the score; None where the task has none. The lot's key
            is the service's own and stands in no bundle.
        lists: The column that names a row's list, where the model puts the rows of a list in order: its score is then
            no probability, and it has neither calibrator nor actions. Empty where rows are decided one by one.
        effects: What an offer changes, where the model is of offers; None elsewhere.
        site: How what a site sells is forecast, where the model is of sites; None elsewhere.
        reference: How features and scores were spread over the test, which live drift is measured against; None where
            the bundle was written without it, and no drift is shown.
        champion: The version whose money it was compared with when it was written; empty where there was none.
    """

    format_version: int
    task: str
    version: str
    features: tuple[Feature, ...]
    feature_fingerprint: str
    payoff: Payoff
    prices: Prices
    calibrator: dict[str, str | float | tuple[float, ...]]
    score_base: float
    versions: dict[str, str]
    data_hash: str
    created: str
    parity: Parity
    metrics: dict[str, float]
    files: dict[str, str]
    criteria: Criteria = Criteria()
    holdout: Holdout | None = None
    lists: str = ""
    effects: Effects | None = None
    site: SiteBundle | None = None
    reference: Reference | None = None
    champion: str = ""

    @property
    def head_names(self) -> tuple[str, ...]:
        """Names of the further forests."""
        return (*(self.effects.heads if self.effects else ()), *(self.site.heads if self.site else ()))

    @property
    def table_names(self) -> tuple[str, ...]:
        """Names of the tables that answers rest on."""
        return self.site.tables if self.site else ()

    @property
    def feature_names(self) -> tuple[str, ...]:
        """Names of the inputs in their order."""
        return tuple(feature.name for feature in self.features)

    def parity_as_dict(self) -> dict[str, int | float]:
        """The proof as plain names and numbers."""
        return msgspec.structs.asdict(self.parity)


class _Format(msgspec.Struct):
    format_version: int


@dataclass(frozen=True)
class Bundle:
    """A manifest with the model that it describes, as bytes of the hash in the manifest.

    Attributes:
        manifest: What the bundle is.
        model: The ONNX graph.
        folder: Where it lies, or will lie once written: `bundles/TASK/VERSION`.
        heads: The graphs of further forests, by the name of the head.
        tables: Parquet files of tables that answers rest on, by the name of the table.
    """

    manifest: Manifest
    model: bytes
    folder: Path
    heads: Mapping[str, bytes] = field(default_factory=dict)
    tables: Mapping[str, bytes] = field(default_factory=dict)


def make(
    root: Path,
    manifest: Manifest,
    model: bytes,
    heads: Mapping[str, bytes] | None = None,
    tables: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Join a manifest, its graphs and its tables for `root/TASK/VERSION`, entering their hashes in the manifest."""
    parts = {
        MODEL: model,
        **{head_file(name): graph for name, graph in (heads or {}).items()},
        **{table_file(name): table for name, table in (tables or {}).items()},
    }
    files = {name: hashlib.sha256(part).hexdigest() for name, part in parts.items()}
    manifest = msgspec.structs.replace(manifest, format_version=FORMAT_VERSION, files=files)
    return Bundle(manifest, model, root / manifest.task / manifest.version, dict(heads or {}), dict(tables or {}))


def head_file(name: str) -> str:
    """The file of a head's graph, beside that of the model.

    >>> head_file("basket")
    'head-basket.onnx'
    """
    return f"head-{name}.onnx"


def table_file(name: str) -> str:
    """The file of a table, beside the model.

    >>> table_file("cells")
    'table-cells.parquet'
    """
    return f"table-{name}.parquet"


def write(bundle: Bundle) -> Path:
    """Write a bundle to its folder, aside first and renamed when complete; gives that folder.

    Raises:
        UsageError: The names cannot be folders, or this version exists already (a version never changes).
    """
    version, folder = bundle.manifest.version, bundle.folder
    _require_names(bundle.manifest.task, version)
    if folder.exists():
        raise UsageError(
            f"Bundle {folder}: found this version already written, expected a new one, because a version never "
            "changes; name another version, or delete the folder if nothing points to it."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{version}-", dir=folder.parent))
    try:
        _write_durably(aside / MODEL, bundle.model)
        for name, graph in bundle.heads.items():
            _write_durably(aside / head_file(name), graph)
        for name, table in bundle.tables.items():
            _write_durably(aside / table_file(name), table)
        _write_durably(aside / MANIFEST, msgspec.json.format(msgspec.json.encode(bundle.manifest), indent=2) + b"\n")
        aside.chmod(0o755)
        aside.rename(folder)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder


def read(folder: Path) -> Bundle:
    """Read a bundle and verify every file against the manifest; only then is anything of it parsed.

    Raises:
        DataError: A file is missing, too large, no plain file or not of this bundle; a byte was changed; the format is
            unknown; a key is missing, extra or of another type; or a graph or table holds what export never writes.
    """
    manifest = _read_manifest(folder)
    heads, tables = manifest.head_names, manifest.table_names
    _require_alone(folder, manifest)
    parts = {
        name: _read_part(folder, name, manifest) for name in (MODEL, *map(head_file, heads), *map(table_file, tables))
    }
    problems = [f"{name}: {one}" for name in (MODEL, *map(head_file, heads)) for one in graph_problems(parts[name])]
    problems += [f"{table_file(name)}: {one}" for name in tables for one in _table_problems(parts[table_file(name)])]
    if problems:
        raise DataError(
            f"Bundle {folder}: " + "; ".join(problems) + "; expected what export writes, so do not trust who wrote it."
        )
    return Bundle(
        manifest,
        parts[MODEL],
        folder,
        {name: parts[head_file(name)] for name in heads},
        {name: parts[table_file(name)] for name in tables},
    )


def point(root: Path, task: str, pointer: Pointer, version: str) -> Path:
    """Let `root/TASK/champion` (or `challenger`) name a version, in one step, after reading that version.

    Raises:
        DataError: The version cannot be read.
        UsageError: A name cannot be a folder.
    """
    _require_names(task, version)
    read(root / task / version)
    target = root / task / pointer
    descriptor, aside = tempfile.mkstemp(prefix=f".{pointer}-", dir=target.parent)
    os.close(descriptor)
    _write_durably(Path(aside), f"{version}\n".encode())
    Path(aside).chmod(0o644)
    Path(aside).replace(target)
    return target


def resolve(root: Path, task: str, pointer: Pointer) -> Path:
    """Give the folder of the version that a pointer names.

    Raises:
        DataError: There is no such pointer, or what it holds is no name of a version.
    """
    path = root / task / pointer
    if not path.is_file():
        raise DataError(
            f"Pointer {path}: found no such file, expected one with the version to serve; train and promote a model of "
            f"the task {task!r} first (`shepherd run` does both)."
        )
    version = path.read_text(encoding="utf-8").strip()
    if not _NAME.fullmatch(version):
        raise DataError(
            f"Pointer {path}: found content that names no version, expected the name of a folder beside it; promote "
            "the model again."
        )
    return path.parent / version


def _require_alone(folder: Path, manifest: Manifest) -> None:
    """Refuse a folder that holds anything besides the bundle: it has no business there."""
    strange = sorted(path.name for path in folder.iterdir() if path.name not in {MANIFEST, *manifest.files})
    if strange:
        shown = ", ".join(map(ascii, strange[:3]))
        raise DataError(
            f"Bundle {folder}: found {len(strange)} files that are none of its own ({shown}), expected only what "
            f"{MANIFEST} lists; remove the bundle, or restore it."
        )


def _read_part(folder: Path, name: str, manifest: Manifest) -> bytes:
    graph = _read_file(folder / name, LARGEST_PART)
    found = hashlib.sha256(graph).hexdigest()
    if found != manifest.files[name]:
        raise DataError(
            f"Bundle {folder}: found {name} with sha256 {found}, expected {manifest.files[name]}; the file was "
            "changed after export, so export the bundle again or restore it."
        )
    return graph


def _read_manifest(folder: Path) -> Manifest:
    content = _read_file(folder / MANIFEST, LARGEST_MANIFEST)
    try:
        found = msgspec.json.decode(content, type=_Format).format_version
        if found != FORMAT_VERSION:
            raise DataError(
                f"Bundle {folder}: found format version {found}, expected {FORMAT_VERSION}; read it with the release "
                "of Shepherd that wrote it, or export it again."
            )
        manifest = msgspec.json.decode(content, type=Manifest)
    except (msgspec.DecodeError, UnicodeDecodeError, UsageError, RecursionError) as error:
        raise DataError(
            f"Bundle {folder}: found a {MANIFEST} that breaks its format ({error}), expected exactly the keys of "
            f"format version {FORMAT_VERSION}; export the bundle again."
        ) from error
    problems = _manifest_problems(folder, manifest)
    if problems:
        raise DataError(f"Bundle {folder}: " + "; ".join(problems) + "; export the bundle again.")
    return manifest


def _manifest_problems(folder: Path, manifest: Manifest) -> list[str]:
    problems = []
    expected = (MODEL, *sorted(map(head_file, manifest.head_names)), *sorted(map(table_file, manifest.table_names)))
    if set(manifest.files) != set(expected):
        problems.append(
            f"found the files {sorted(manifest.files)} in {MANIFEST}, expected exactly {', '.join(expected)}"
        )
    wrong = [name for name in (*manifest.head_names, *manifest.table_names) if not _NAME.fullmatch(name)]
    if wrong:
        problems.append(
            f"found {len(wrong)} names of heads and tables that are none, expected letters, digits, dot, dash and "
            "underscore"
        )
    if manifest.reference:
        problems += manifest.reference.problems(len(manifest.features))
    if manifest.effects:
        problems += _effect_problems(manifest.effects, manifest.feature_names)
    if (manifest.task, manifest.version) != (folder.parent.name, folder.name):
        problems.append(
            f"found task {manifest.task!r} and version {manifest.version!r} in {MANIFEST}, expected those of the "
            f"folder, {folder.parent.name!r} and {folder.name!r}"
        )
    if not manifest.features or len(set(manifest.feature_names)) != len(manifest.features):
        problems.append("found no features, or one twice, expected each name once")
    return problems


def _effect_problems(effects: Effects, features: tuple[str, ...]) -> list[str]:
    response = effects.response
    asked = {effects.basket, effects.usual, effects.top_up, *(term.head for term in effects.terms)}
    asked |= {response.anyway} if response else set()
    facts = (*response.gain.facts, *response.loss.facts) if response else ()
    unknown = sorted(asked - set(effects.heads))
    named = (
        effects.face_value,
        *(one.feature for one in effects.shrinkage.divisions),
        *(name for one in facts for name in one.asks),
    )
    strange = [name for name in named if name not in features]
    problems = [f"found no heads {unknown} that effects ask, expected each"] * bool(unknown)
    return problems + [f"found the features {strange} in effects, expected the model's"] * bool(strange)


def _table_problems(content: bytes) -> list[str]:
    """What is wrong with a table, by what its file says of itself; nothing of it is unpacked."""
    try:
        with pq.ParquetFile(pa.BufferReader(content)) as file:
            rows: int = file.metadata.num_rows
    except (pa.ArrowException, OSError):
        return ["found bytes that are no Parquet file"]
    return [f"found {rows:,} rows, expected at most {MOST_TABLE_ROWS:,}"] * (rows > MOST_TABLE_ROWS)


def _read_file(path: Path, largest: int) -> bytes:
    """The bytes of a plain file: a link may lead anywhere, a pipe never ends."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        with open(descriptor, "rb") as file:  # noqa: PTH123 - a descriptor has no path
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode) or found.st_size > largest:
                raise DataError(
                    f"Bundle file {path}: found no plain file of at most {largest:,} bytes, expected what export "
                    "wrote; export the bundle again."
                )
            return file.read(largest)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "no name of a file"
        raise DataError(
            f"Bundle file {path}: found none that can be read ({reason}), expected it where export wrote it; "
            "export the bundle again or mend the path."
        ) from error


def _write_durably(path: Path, content: bytes) -> None:
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def _require_names(task: str, version: str) -> None:
    wrong = [name for name in (task, version) if not _NAME.fullmatch(name) or name in POINTERS]
    if wrong:
        raise UsageError(
            f"Bundle: found the names {wrong}, expected letters, digits, dot, dash and underscore (at most 100, none "
            f"of {list(POINTERS)}) for task and version; choose another name."
        )
