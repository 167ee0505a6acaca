"""The ways Shepherd refuses, each with the exit code that a scheduler can act on.

A message names what was wrong, what was found, what was expected and how to mend it; where several things are wrong it
names all of them at once. Codes: 0 done, 1 our fault, 2 wrong usage, 3 bad data, 4 refused by a gate, 5 something it
depends on is down.
"""

from __future__ import annotations

from typing import ClassVar


class ShepherdError(Exception):
    """Anything Shepherd says no to on purpose; the command line prints the message and exits with the code."""

    exit_code: ClassVar[int] = 1


class UsageError(ShepherdError):
    """The call itself is wrong: an option, an argument, a declaration."""

    exit_code = 2


class DataError(ShepherdError):
    """The data handed in breaks a contract."""

    exit_code = 3


class GateRefused(ShepherdError):
    """A proof or a gate was not passed, so nothing was released."""

    exit_code = 4


class DependencyDown(ShepherdError):
    """Something outside Shepherd that this step needs is not there or does not answer."""

    exit_code = 5
