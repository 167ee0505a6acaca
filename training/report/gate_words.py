"""What gates say of their figures, in Chinese: each sentence of `training.gates` by its shape."""

from __future__ import annotations

import re
from typing import Final

from training.report import terms

_N: Final = r"([-+]?[\d,.]+(?:e[-+]\d+)?)"
_SHAPES: Final = (
    ("no figure", "无数据"),
    ("some", "至少一项"),
    ("none", "无"),
    ("0 of some", "0 处，且确有比对"),
    ("0 and 0.0", "0 与 0.0"),
    ("more than 0", "大于 0"),
    ("0 or more", "不小于 0"),
    ("no champion when it was made", "训练时尚无现任模型"),
    ("that of the champion, where there is one", "与现任相近（若有现任）"),
    ("an upper end of 0 fen a row or more", "区间上限不低于每行 0 分"),
    ("an upper end of 0 fen a row or more over the best constant", "相对最佳一律决策，区间上限不低于每行 0 分"),
    (f"{_N} rows that keep it", r"\1 行符合契约"),
    (f"{_N} rows that stay the same without what came later", r"\1 行去掉后来的数据仍不变"),
    (f"{_N} differences in {_N} values", r"\2 个取值中 \1 处不同"),
    (f"{_N} wrong leaves, raw difference {_N}", r"\1 个叶子不符，原始分差 \2"),
    (f"p99 of {_N} ms a row", r"单行 p99 为 \1 毫秒"),
    (f"at most {_N} ms", r"不超过 \1 毫秒"),
    (f"{_N} figures of the test", r"测试集指标 \1 项"),
    (f"a stability index of {_N}", r"稳定性指数 \1"),
    (f"at most {_N}", r"不超过 \1"),
    ("no figure against champion (.+)", r"无相对现任 \1 的数据"),
    ("no figure against best constant", "无相对最佳一律决策的数据"),
    (f"{_N} against best constant, at most {_N}", r"比最佳一律决策多 \1，上限 \2"),
    (f"{_N} against champion (.+), at most {_N}", r"比现任 \2 多 \1，上限 \3"),
    (f"off by {_N}% of the base rate; chance alone gives up to {_N}%", r"偏差为基准比例的 \1%；仅随机波动可达 \2%"),
    (f"at most {_N}% of the base rate, or what chance alone gives", r"不超过基准比例的 \1%，或随机波动所及"),
    (f"within {_N}% of that of champion (.+), or what chance explains", r"与现任 \2 相差 \1% 以内，或随机波动所及"),
    (f"{_N} against {_N}", r"\1，现任为 \2"),
    (_N, r"\1"),
)
_TOLD: Final = tuple((re.compile(shape), chinese) for shape, chinese in _SHAPES)
_SLICE: Final = re.compile(rf"at most {_N} in ([^/]+)/(.+)")


def chinese(told: str) -> str:
    """What a gate found or requires, in Chinese; a version or a text that is of no known shape stays as it is.

    >>> chinese("p99 of 0.021 ms a row"), chinese("at most +1.5000 in entry/link")
    ('单行 p99 为 0.021 毫秒', '扫码入口为“链接”的分组上限 +1.5000')
    """
    named = _SLICE.fullmatch(told)
    if named:
        most, column, value = named.groups()
        return f"{terms.column(column).chinese}为“{terms.value(value).chinese}”的分组上限 {most}"
    for shape, said in _TOLD:
        found = shape.fullmatch(told)
        if found:
            return found.expand(said)
    return told
