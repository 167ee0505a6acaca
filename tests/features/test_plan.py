from features.log import GAP
from features.plan import Group, Measure, Operation, compile_plan
from features.spec import (
    DAY,
    HOUR,
    LIFETIME,
    FeatureSet,
    Log,
    Operator,
    Where,
    column,
    count,
    derived,
    distinct,
    mean,
    share,
    since,
    std,
)

SCANS = Log("scans", entities=("member_id", "device_id"))
NIGHT = Where("hour", "<", 5, "night")

DECLARED = FeatureSet(
    derived(
        "rate", lambda member_scan_count_1d, doubled: member_scan_count_1d / doubled, "1", "Derived before its input"
    ),
    derived(
        "doubled", lambda member_mean_scan_gap_seconds_lifetime: member_mean_scan_gap_seconds_lifetime * 2, "s", ""
    ),
    std(SCANS, "prize_fen", by="member_id", over=(DAY, LIFETIME)),
    mean(SCANS, "prize_fen", by="member_id", over=HOUR),
    mean(SCANS, GAP, by="member_id", over=LIFETIME),
    count(SCANS, by="member_id", over=(DAY, HOUR)),
    share(SCANS, where=NIGHT, by="member_id", over=DAY),
    since(SCANS, by="member_id", where=NIGHT),
    distinct(SCANS, "member_id", by="device_id", over=LIFETIME, cap=50),
    column("lat_micro", "micro-degrees", "Where the scan was"),
)

HOURS = 3_600_000_000


def test_a_set_becomes_one_group_for_each_log_and_key():
    plan = compile_plan(DECLARED)
    assert plan.groups == (
        Group(
            log="scans",
            key=("device_id",),
            windows=(None,),
            measures=(Measure("member_id", None, coded=True),),
            operations=(Operation("device_distinct_member_lifetime", Operator.DISTINCT, 0, 0, 50),),
        ),
        Group(
            log="scans",
            key=("member_id",),
            windows=(HOURS, 24 * HOURS, None),
            measures=(
                Measure("prize_fen", None, coded=False),
                Measure(GAP, None, coded=False),
                Measure(None, None, coded=False),
                Measure(None, NIGHT, coded=False),
            ),
            operations=(
                Operation("member_mean_prize_fen_1h", Operator.MEAN, 0, 0, 0),
                Operation("member_std_prize_fen_1d", Operator.STD, 1, 0, 0),
                Operation("member_std_prize_fen_lifetime", Operator.STD, 2, 0, 0),
                Operation("member_mean_scan_gap_seconds_lifetime", Operator.MEAN, 2, 1, 0),
                Operation("member_scan_count_1h", Operator.COUNT, 0, 2, 0),
                Operation("member_scan_count_1d", Operator.COUNT, 1, 2, 0),
                Operation("member_scan_share_night_1d", Operator.SHARE, 1, 3, 0),
                Operation("member_scan_since_night", Operator.SINCE, 2, 3, 0),
            ),
        ),
    )
    assert [group.needs_gap for group in plan.groups] == [False, True]


def test_a_plan_says_what_it_needs():
    plan = compile_plan(DECLARED)
    assert plan.names == DECLARED.names
    assert plan.keys == ("device_id", "member_id")
    assert plan.columns_by_log == {"scans": ("device_id", "member_id", "prize_fen", "hour")}
    assert [fact.name for fact in plan.facts] == ["lat_micro"]
    assert plan.exact == {"member_scan_count_1d", "doubled", "member_mean_scan_gap_seconds_lifetime"}


def test_derived_features_come_after_what_they_are_derived_from():
    assert [feature.name for feature in compile_plan(DECLARED).derived] == ["doubled", "rate"]


def test_equal_declarations_give_equal_plans():
    assert compile_plan(FeatureSet(DECLARED)) == compile_plan(DECLARED)
