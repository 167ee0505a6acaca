"""What the environment says, read once and frozen. Variables start with `SHEPHERD_`."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from data.errors import UsageError


class Settings(BaseSettings):
    """Where the service finds its models and tables; make one with `read_settings`.

    Attributes:
        bundles: Folder of all bundles (`SHEPHERD_BUNDLES`).
        offers: What `build` wrote for the offers, Parquet (`SHEPHERD_OFFERS`).
        campaigns: The table `campaigns`, a Parquet or CSV file or a folder of parts (`SHEPHERD_CAMPAIGNS`).
        task: The task that ranks offers (`SHEPHERD_TASK`).
        pointer: Which of its models answers: `champion` or `challenger` (`SHEPHERD_POINTER`).
    """

    model_config = SettingsConfigDict(env_prefix="SHEPHERD_", frozen=True, extra="ignore")

    bundles: Path
    offers: Path
    campaigns: Path
    task: str = "coupon"
    pointer: Literal["champion", "challenger"] = "champion"


def read_settings() -> Settings:
    """Read the environment.

    Raises:
        UsageError: Variables are missing or wrong; all of them are named.
    """
    try:
        return Settings()  # type: ignore[call-arg]  # the environment gives them
    except ValidationError as error:
        problems = "\n".join(
            f"- SHEPHERD_{'_'.join(map(str, problem['loc'])).upper()}: {problem['msg']}" for problem in error.errors()
        )
        raise UsageError(
            f"The environment does not say what to serve:\n{problems}\nSet these variables, or start the service with "
            "`shepherd serve`, which sets them."
        ) from error
