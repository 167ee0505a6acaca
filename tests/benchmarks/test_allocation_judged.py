"""The benchmark's recount finds nothing in an answer, and finds what is broken on purpose."""

from dataclasses import replace

import numpy as np

from benchmarks import allocation
from benchmarks.allocation import beside_highs, measure
from serving.allocation.problem import Problem
from serving.allocation.solver import solve


def test_a_few_members_are_measured_and_nothing_is_broken():
    measured = measure(3_000, 20)
    assert measured["violations"] == 0
    assert measured["overspend"] <= 0
    assert measured["dual_gap"] < 0.001
    assert measured["sent"] > 300


def test_what_breaks_rules_is_counted(monkeypatch):
    caught = {}

    def careless(problem: Problem, threads=None):
        found = solve(problem, threads=threads)
        caught["broken"] = allocation._broken(problem, replace(found, choice=np.zeros_like(found.choice)))
        return found

    monkeypatch.setattr(allocation, "solve", careless)
    measure(2_000, 20)
    broken = caught["broken"]
    assert broken["guardrails"] > 500
    assert broken["budgets"] == 1
    assert broken["stock"] == 1
    assert broken["service"] == 0  # everybody got something


def test_the_bound_is_that_of_an_exact_solver():
    assert beside_highs(members=200, offers=6)["bound_difference"] < 1e-7
