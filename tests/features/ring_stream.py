"""Small networks that are nasty on purpose: ties, nulls, hubs, generations that end."""

from hypothesis import strategies as st

from features.network import ring_bad_marks, ring_bad_nodes, ring_edges, ring_marks, ring_nodes, ring_recent
from features.spec import HOUR, Edge, FeatureSet, Log, Marks, Network, Where, Window

MINUTE = 60_000_000
START = 1_700_000_000_000_000 // (90 * MINUTE) * (90 * MINUTE)
MEETINGS = Log("meetings", entities=("member_id",))
PAYMENTS = Log("payments", entities=("member_id",))
OPINIONS = Log("opinions", entities=("member_id",))
CLUB = Network(
    name="club",
    person="member_id",
    edges=(Edge(MEETINGS, ("member_id", "device_id")), Edge(PAYMENTS, ("account_id", "member_id"))),
    marks=Marks(OPINIONS, "member_id", bad=Where("is_bad", "==", 1, "bad")),
    cap=2,
    period=Window("90m", 90 * MINUTE),
    generations=2,
)
HALF_HOUR = Window("30m", 30 * MINUTE)


def _of(by):
    return (
        *(ring_nodes(CLUB, column, by=by, meaning="Nodes") for column in CLUB.kinds),
        ring_edges(CLUB, by=by, meaning="Edges"),
        ring_recent(CLUB, by=by, over=HALF_HOUR, meaning="Recent"),
        ring_recent(CLUB, by=by, over=HOUR, meaning="Recent"),
        ring_marks(CLUB, "opinions", by=by, meaning="Opinions"),
        ring_bad_marks(CLUB, "bad_opinions", by=by, meaning="Bad opinions"),
        ring_bad_nodes(CLUB, "bad_members", by=by, meaning="Bad members"),
    )


CLUB_SET = FeatureSet(*_of("member_id"), *_of("device_id"))

instants = st.builds(
    lambda minutes, nudge: START + minutes * MINUTE + nudge,
    st.sampled_from([-200, -91, -90, -60, -30, -1, 0, 1, 29, 30, 59, 60, 61, 89, 90, 120, 179, 180, 181, 300]),
    st.sampled_from([-1, 0, 0, 0, 0, 1]),
)
members = st.sampled_from(["ann", "bo", "cy", "di", "ed", None])
devices = st.sampled_from(["d1", "d2", "d3", "ann", None])
accounts = st.sampled_from([1, 2, 3, None])
logs = st.fixed_dictionaries(
    {
        "meetings": st.lists(
            st.fixed_dictionaries({"seen_at": instants, "member_id": members, "device_id": devices}), max_size=25
        ),
        "payments": st.lists(
            st.fixed_dictionaries({"seen_at": instants, "member_id": members, "account_id": accounts}), max_size=8
        ),
        "opinions": st.lists(
            st.fixed_dictionaries({"seen_at": instants, "member_id": members, "is_bad": st.sampled_from([0, 1, None])}),
            max_size=8,
        ),
    }
)
questions = st.lists(
    st.fixed_dictionaries(
        {
            "as_of": instants,
            "member_id": st.sampled_from(["ann", "bo", "cy", "new", None]),
            "device_id": st.sampled_from(["d1", "d2", "new", None]),
        }
    ),
    min_size=1,
    max_size=12,
)
