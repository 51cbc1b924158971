from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.catalog.catalog import Backup, Status
from dbbackup.catalog.retention import expired

NOW = datetime(2026, 11, 22, tzinfo=UTC)


def backup(days: float, status: Status = Status.COMPLETE) -> Backup:
    return Backup(name=f"{days}", status=status, size=1, made=NOW - timedelta(days=days))


def names(backups, keep, keep_filter=lambda _: False):
    return {gone.name for gone in expired(backups, keep, keep_filter, NOW)}


def test_newest_stay():
    assert names([backup(3), backup(1), backup(2)], 2) == {"3"}


@pytest.mark.parametrize("keep", [0, 1])
def test_newest_complete_one_always_stays(keep):
    assert names([backup(2), backup(1)], keep) == {"2"}


def test_filter_keeps_more():
    assert names([backup(1), backup(2), backup(3)], 1, lambda name: name == "3") == {"2"}


def test_unverified_and_bad_ones_count_for_nothing_and_stay():
    backups = [backup(1, Status.UNVERIFIED), backup(2, Status.BAD), backup(3), backup(4)]
    assert names(backups, 1) == {"4"}


def test_one_from_the_future_takes_nobody_s_place_and_stays():
    assert names([backup(-5), backup(1), backup(2)], 1) == {"2"}


@given(
    st.lists(st.tuples(st.integers(-10, 1000), st.sampled_from(Status)), unique_by=lambda item: item[0]),
    st.integers(0, 5),
)
def test_whatever_the_dates(ages, keep):
    backups = [backup(days, status) for days, status in ages]
    gone = names(backups, keep)
    past = sorted((days for days, status in ages if status is Status.COMPLETE and days >= 0))
    assert gone == {f"{days}" for days in past[max(keep, 1) :]}
