"""The routes of saved audiences (人群): what they are, who belongs to them, and new ones.

The service reads no tables: counting an audience scans every purchase, which is work for `shepherd audience refresh`
and not for a process that answers in milliseconds. A definition is checked and saved here at once, by the same parser
as the command line's; its members, size and profile are those of the last refresh, with its moment, and are answered
only while they belong to the definition that is saved.
"""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Final, Literal

from fastapi import APIRouter, Depends, Path, Query, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from data.errors import DataError, UsageError
from features.audience.chinese import sentence_zh
from features.audience.counted import Counted, counted_of
from features.audience.library import (
    LONGEST_NAME,
    LONGEST_NOTE,
    AudienceInUse,
    Library,
    Saved,
    UnknownAudience,
)
from features.audience.parser import parse
from features.audience.problems import FilterRefused
from features.audience.tokens import LONGEST_FILTER
from serving.contracts import LONGEST_ID, ErrorAnswer, Problem
from serving.edge import refusal

if TYPE_CHECKING:
    from fastapi.responses import JSONResponse

MOST_MEMBERS: Final = 10_000
"""Members in one answer; a caller who wants more asks again from where it ended."""

audiences: Final = APIRouter(prefix="/v1/audiences", tags=["audiences"])
_REFUSALS: Final[dict[int | str, dict[str, Any]]] = {status: {"model": ErrorAnswer} for status in (404, 409, 413, 422)}
_EXAMPLE: Final = 'bought(category="kiwifruit", within=90d) and not bought(brand="Green Ridge", ever)'


class _Body(BaseModel):
    """A body with exactly the declared keys, frozen."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


class AudienceBody(_Body):
    """Who is to belong to an audience."""

    filter: str = Field(max_length=LONGEST_FILTER, description="The filter, in one line.", examples=[_EXAMPLE])
    note: str = Field(default="", max_length=LONGEST_NOTE, description="What it is for.")


class FilterAnswer(_Body):
    """A filter that means something."""

    filter: str = Field(description="As it is printed back.")
    sentence_zh: str = Field(description="The same in Chinese.")
    fingerprint: str = Field(description="Of the filter with all that it refers to, and of its features.")


class CountBody(_Body):
    """What the last refresh found."""

    as_of: datetime
    size: int
    everybody: int
    share: float = Field(ge=0, le=1)


class AudienceAnswer(FilterAnswer):
    """A saved audience."""

    name: str
    note: str
    counted: CountBody | None = Field(description="Null until the definition that is saved has been counted.")


class AudiencesAnswer(_Body):
    """All saved audiences, by name."""

    audiences: tuple[AudienceAnswer, ...]
    damaged: tuple[str, ...] = Field(
        default=(), description="Names of those that cannot be read; `shepherd audience list` says why."
    )


class MembersAnswer(_Body):
    """Some members of an audience, in order of their id."""

    name: str
    fingerprint: str
    as_of: datetime
    size: int
    members: tuple[str, ...]
    next_offset: int | None = Field(description="Where to go on; null at the end. Start again if `as_of` has changed.")


class MemberAnswer(_Body):
    """Whether a member belongs to an audience."""

    name: str
    as_of: datetime
    belongs: bool


class ProfileAnswer(_Body):
    """What an audience is like beside everybody."""

    name: str
    as_of: datetime
    profile: dict[str, Any] = Field(
        description="For region, channel, segment and demand the share in the audience and among everybody, and the "
        "index of the first over the second; each with its 95 % interval."
    )


class AudienceMissing(Exception):
    """An audience that is not saved."""


class AudienceRefused(Exception):
    """A request that cannot be granted; `status` says how it is told, `problems` why."""

    def __init__(self, status: Literal[404, 409, 422], problems: tuple[Problem, ...]) -> None:
        self.status = status
        self.problems = problems
        super().__init__(problems[0].found)


def _library(request: Request) -> Library:
    library: Library = request.app.state.audiences
    return library


Shelf = Annotated[Library, Depends(_library)]
Name = Annotated[str, Path(min_length=1, max_length=LONGEST_NAME, description="Name of a saved audience.")]


# Plain functions: they read files, and FastAPI runs them beside the event loop.
@audiences.get("", summary="All saved audiences")
def every(library: Shelf) -> AudiencesAnswer:
    """List what is saved, with the size each had when it was last counted."""
    found, damaged = [], []
    for name in library.names():
        try:
            found.append(_described(library, library.get(name)))
        except (DataError, UsageError):
            damaged.append(name)
    return AudiencesAnswer(audiences=tuple(found), damaged=tuple(damaged))


@audiences.post("/check", summary="Whether a filter means something", responses=_REFUSALS)
def check(library: Shelf, body: AudienceBody) -> FilterAnswer:
    """Print a filter back, in its own words and in Chinese, or list everything that is wrong with it."""
    try:
        condition = parse(body.filter, library.names())
        fingerprint = library.fingerprint(condition)
    except UsageError as error:
        raise _refused(error) from error
    return FilterAnswer(filter=str(condition), sentence_zh=sentence_zh(condition), fingerprint=fingerprint)


@audiences.get("/{name}", summary="One saved audience", responses=_REFUSALS)
def one(library: Shelf, name: Name) -> AudienceAnswer:
    """Say who belongs to it, and how many did when it was last counted."""
    return _described(library, _saved(library, name))


@audiences.put("/{name}", summary="Save an audience", responses=_REFUSALS)
def put(library: Shelf, name: Name, body: AudienceBody) -> AudienceAnswer:
    """Save a filter under a name, in place of what was there; it is counted at the next refresh."""
    try:
        return _described(library, library.save(name, parse(body.filter, library.names()), body.note))
    except UsageError as error:
        raise _refused(error) from error


@audiences.delete("/{name}", summary="Remove an audience", status_code=204, responses=_REFUSALS)
def delete(library: Shelf, name: Name) -> Response:
    """Remove an audience that no other refers to."""
    _saved(library, name)
    try:
        library.remove(name)
    except UsageError as error:
        raise _refused(error) from error
    return Response(status_code=204)


@audiences.get("/{name}/members", summary="Who belongs to it", responses=_REFUSALS)
def members(
    library: Shelf,
    name: Name,
    offset: Annotated[int, Query(ge=0, description="How many to leave out.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MOST_MEMBERS, description="How many at most.")] = 1_000,
) -> MembersAnswer:
    """Some of the members as of the last refresh, in order of their id."""
    found = _counted(library, name)
    listed = found.members(offset, limit)
    after = offset + len(listed)
    return MembersAnswer(
        name=name,
        fingerprint=found.fingerprint,
        as_of=found.as_of,
        size=found.size,
        members=listed,
        next_offset=after if listed and after < found.size else None,
    )


@audiences.get("/{name}/members/{member_id}", summary="Whether a member belongs to it", responses=_REFUSALS)
def member(
    library: Shelf, name: Name, member_id: Annotated[str, Path(min_length=1, max_length=LONGEST_ID)]
) -> MemberAnswer:
    """Whether a member belonged to it at the last refresh; one who is not known does not."""
    found = _counted(library, name)
    return MemberAnswer(name=name, as_of=found.as_of, belongs=found.holds(member_id))


@audiences.get("/{name}/profile", summary="What its members are like", responses=_REFUSALS)
def profile(library: Shelf, name: Name) -> ProfileAnswer:
    """Its members beside everybody, as of the last refresh: region, channel, segment, demand."""
    found = _counted(library, name)
    return ProfileAnswer(name=name, as_of=found.as_of, profile=dict(found.profile))


async def audience_missing(_: Request, _error: Exception) -> JSONResponse:
    """Answer 404 for an audience that is not saved."""
    problem = Problem(
        where="path.name",
        found="a name under which nothing is saved",
        expected="a name that /v1/audiences lists",
        fix="check the name, or save the audience with PUT",
    )
    return refusal(404, "This audience is not saved.", [problem])


async def audience_refused(_: Request, error: Exception) -> JSONResponse:
    """Answer 422 for what means nothing, 409 for what does not go now."""
    refused = error if isinstance(error, AudienceRefused) else AudienceRefused(422, ())
    return refusal(refused.status, "This cannot be done with an audience.", refused.problems)


def _described(library: Library, saved: Saved) -> AudienceAnswer:
    found = counted_of(library, saved)
    count = None
    if found is not None:
        share = found.size / found.everybody if found.everybody else 0.0
        count = CountBody(as_of=found.as_of, size=found.size, everybody=found.everybody, share=share)
    return AudienceAnswer(
        filter=str(saved.condition),
        sentence_zh=sentence_zh(saved.condition),
        fingerprint=library.fingerprint(saved.condition),
        name=saved.name,
        note=saved.note,
        counted=count,
    )


def _saved(library: Library, name: str) -> Saved:
    try:
        return library.get(name)
    except UnknownAudience as error:
        raise AudienceMissing from error
    except UsageError as error:
        raise _refused(error) from error


def _counted(library: Library, name: str) -> Counted:
    found = counted_of(library, _saved(library, name))
    if found is None:
        problem = Problem(
            where="path.name",
            found="an audience that was not counted as it stands",
            expected="one that was counted since it was saved",
            fix="run `shepherd audience refresh` on the tables, then ask again",
        )
        raise AudienceRefused(409, (problem,))
    return found


def _refused(error: UsageError) -> AudienceRefused:
    """What the library refused, in the one shape of refusals, which never repeats what was sent."""
    if isinstance(error, FilterRefused):
        return AudienceRefused(
            422,
            tuple(
                Problem(
                    where=f"body.filter.{problem.at}" if problem.at else "body.filter",
                    found=problem.sort.rstrip(":"),
                    expected=problem.expected,
                    fix=problem.hint or "mend the filter there; docs/audiences.md has its grammar",
                )
                for problem in error.problems
            ),
        )
    if isinstance(error, AudienceInUse):
        problem = Problem(
            where="path.name",
            found="an audience that others refer to",
            expected="one that no other refers to",
            fix="remove or change those that name it first",
        )
        return AudienceRefused(409, (problem,))
    problem = Problem(
        where="request",
        found="a name, a circle or a number that no library of audiences takes",
        expected=f"at most {LONGEST_NAME} lower-case letters, digits, - and _; no audience within itself",
        fix="choose another name, or refer to fewer audiences",
    )
    return AudienceRefused(422, (problem,))
