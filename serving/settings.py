"""What the environment says, read once and frozen. Variables start with `SHEPHERD_`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from data.contracts import REPEAT_DAYS
from data.errors import UsageError
from serving.access.limits import Bounds
from serving.bundle import Pointer
from serving.holdout import LONGEST_KEY, SHORTEST_KEY

DECIDES: Final = "offers"
RANKS: Final = "coupon"
_KEY: Final = re.compile(f"(?:[0-9a-fA-F]{{2}}){{{SHORTEST_KEY},{LONGEST_KEY}}}")

_SECRET: Final = re.compile("[0-9a-fA-F]{64}")


class Settings(BaseSettings):
    """Where the service finds its models and tables; read the environment with `read_settings`.

    Attributes:
        home: Where `shepherd` keeps what it makes (`SHEPHERD_HOME`); the other places follow from it.
        pointer: Which of the models of a task answers: `champion` or `challenger` (`SHEPHERD_POINTER`).
        bundles: Folder of all bundles (`SHEPHERD_BUNDLES`).
        task: The task that answers about offers (`SHEPHERD_TASK`): `offers`, which decides, where it has such a model,
            else `coupon`, which ranks.
        offers: What `build` or `shepherd offers` wrote for the task, Parquet (`SHEPHERD_OFFERS`).
        prices: The prices that `shepherd offers` found, JSON, instead of those of the bundle (`SHEPHERD_PRICES`).
        campaigns: The table `campaigns`, Parquet or CSV, if campaigns' times may have changed since the build
            (`SHEPHERD_CAMPAIGNS`).
        audiences: Folder of the saved audiences (`SHEPHERD_AUDIENCES`).
        holdout_key: The secret of the lot that lets some decisions through (`SHEPHERD_HOLDOUT_KEY`): 16 to 64 bytes in
            hexadecimal digits, drawn at random. Without one no lot is drawn.
        scan_task: The task that judges scans (`SHEPHERD_SCAN_TASK`); without such a model scans are not judged, and no
            log is kept.
        tables: Folder of the tables `members`, `batches`, `campaigns` and `products` that scans are joined with
            (`SHEPHERD_TABLES`).
        ledger: Folder of the log of decisions (`SHEPHERD_LEDGER`).
        secret: What pseudonyms and keys at rest hang on (`SHEPHERD_SECRET`): 32 bytes in hexadecimal digits; without
            one it is drawn at the first start and kept in the ledger's folder.
        durability: `process`: what is acknowledged outlives a killed process; `full`: a loss of power too
            (`SHEPHERD_DURABILITY`).
        deadline_ms: Milliseconds after which a scan is answered without judgement (`SHEPHERD_DEADLINE_MS`).
        canary: Share of scans that the challenger answers (`SHEPHERD_CANARY`).
        state: Where the one order is (`SHEPHERD_STATE`): in this process if empty; else `redis://HOST:PORT/DB`, a
            stream that all scorers of one secret share.
        stream_days: So many days the shared stream remembers an id (`SHEPHERD_STREAM_DAYS`); then `shepherd snapshot`
            lets it go of what every scorer has on its disk. 0: for ever.
        spans_to: Where OpenTelemetry spans go (`OTEL_EXPORTER_OTLP_ENDPOINT`); nowhere if not given.
        keys: File of API keys (`SHEPHERD_KEYS`); without one only the machine itself is answered.
        head_seconds: After so long an unfinished head of a request, or a connection without one, is refused
            (`SHEPHERD_HEAD_SECONDS`).
        body_seconds: In each such period a body has to end or to bring 16 KiB (`SHEPHERD_BODY_SECONDS`).
        most_connections: So many at once; one more is refused (`SHEPHERD_MOST_CONNECTIONS`). Keep it below the files
            that the process may open.
    """

    model_config = SettingsConfigDict(env_prefix="SHEPHERD_", frozen=True, extra="ignore")

    home: Path = Path("var")
    pointer: Pointer = "champion"
    bundles: Path = Field(default_factory=lambda known: known["home"] / "bundles")
    task: str = Field(default_factory=lambda known: _deciding(known["bundles"], known["pointer"]))
    offers: Path = Field(default_factory=lambda known: known["home"] / "features" / f"{known['task']}.parquet")
    prices: Path | None = None
    campaigns: Path | None = None
    audiences: Path = Field(default_factory=lambda known: known["home"] / "audiences")
    holdout_key: SecretStr | None = None
    scan_task: str = "fraud"
    tables: Path | None = Field(default_factory=lambda known: _example(known["home"]))
    ledger: Path = Field(default_factory=lambda known: known["home"] / "ledger")
    secret: SecretStr | None = None
    durability: Literal["process", "full"] = "process"
    deadline_ms: float = Field(default=50.0, gt=0, le=60_000)
    canary: float = Field(default=0.0, ge=0, le=1)
    state: str = Field(default="", pattern=r"^(rediss?://.*)?$")
    stream_days: float = Field(default=0.0, ge=0, le=3_650)
    spans_to: str | None = Field(default=None, validation_alias="OTEL_EXPORTER_OTLP_ENDPOINT")
    keys: Path = Field(default_factory=lambda known: known["home"] / "keys.json")
    head_seconds: float = Field(default=Bounds.head_seconds, gt=0, le=3_600)
    body_seconds: float = Field(default=Bounds.body_seconds, gt=0, le=3_600)
    most_connections: int = Field(default=Bounds.most_connections, ge=1, le=100_000)

    @field_validator("secret")
    @classmethod
    def _is_a_secret(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _SECRET.fullmatch(value.get_secret_value()):
            raise ValueError("expected 32 bytes in hexadecimal digits, such as `openssl rand -hex 32` gives")
        return value

    @field_validator("stream_days")
    @classmethod
    def _remembers_what_comes_again(cls, value: float) -> float:
        if 0 < value < REPEAT_DAYS:
            raise ValueError(f"expected 0, for ever, or at least {REPEAT_DAYS}, in which an id may come again")
        return value

    @field_validator("holdout_key")
    @classmethod
    def _is_a_key(cls, value: SecretStr | None) -> SecretStr | None:
        if value is not None and not _KEY.fullmatch(value.get_secret_value()):
            raise ValueError(f"expected {SHORTEST_KEY} to {LONGEST_KEY} bytes in hexadecimal digits")
        return value

    def bounds(self) -> Bounds:
        """How slow clients may be, and how many."""
        return Bounds(self.head_seconds, self.body_seconds, self.most_connections)

    def lottery_key(self) -> bytes | None:
        """The secret of the lot as bytes; None where there is none."""
        return None if self.holdout_key is None else bytes.fromhex(self.holdout_key.get_secret_value())


def _example(home: Path) -> Path | None:
    """The tables of the example that `shepherd run` makes where no others are named."""
    folder = home / "world"
    return folder if folder.is_dir() else None


def _deciding(bundles: Path, pointer: Pointer) -> str:
    return DECIDES if (bundles / DECIDES / pointer).is_file() else RANKS


def read_settings(home: Path | None = None, pointer: Pointer | None = None) -> Settings:
    """Read the environment.

    Args:
        home: Goes before the variable `SHEPHERD_HOME`.
        pointer: Goes before the variable `SHEPHERD_POINTER`.

    Raises:
        UsageError: Variables are wrong; all of them are named.
    """
    try:
        given = {"home": home, "pointer": pointer}
        return Settings.model_validate({name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        problems = "\n".join(
            f"- SHEPHERD_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}" for problem in error.errors()
        )
        raise UsageError(
            f"The environment says what cannot be served:\n{problems}\nMend these variables, or unset them for the "
            "places that `shepherd run` fills."
        ) from error
