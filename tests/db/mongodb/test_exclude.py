"""Collections that a backup leaves out."""

from __future__ import annotations

import io

import pytest

from dbbackup.db.exceptions import DumpError
from tests.db.mongodb.everything import NAMED, NAMES, fill
from tests.mongo_tools.archive import Reader
from tests.requirements import requires

pytestmark = requires("mongodb")

LOGS = ["log", "log_1", "log_10", "log_2", "logs"]


def collections(*names):
    return [{"insert": name, "documents": [{"_id": 1}]} for name in names]


def names(dump):
    """Return what an archive lists."""
    return {found.collection for found in Reader(io.BytesIO(dump)).prelude()[1]}


def test_collections_of_any_name_are_left_out_one_by_one(database):
    fill(database, NAMED)
    everything = names(database.dump())
    assert {*NAMES} < everything
    left_out = NAMES[::2]
    assert names(database.dump(EXCLUDE=left_out)) == everything - {*left_out}
    assert names(database.dump(EXCLUDE=NAMES)) == everything - {*NAMES}


@pytest.mark.parametrize(
    ("exclude", "left"),
    [
        (["log_?"], {"log", "log_10", "logs", "view"}),
        (["log*"], {"view"}),
        (["log_1", "v*"], {"log", "log_10", "log_2", "logs"}),
        ("log", {"log_1", "log_10", "log_2", "logs", "view"}),
    ],
    ids=["one-character", "any", "two", "text"],
)
def test_patterns_mean_what_fits_them(database, exclude, left):
    fill(database, [*collections(*LOGS), {"create": "view", "viewOn": "log", "pipeline": []}])
    assert names(database.dump(EXCLUDE=exclude)) == left


def test_exact_name_goes_before_a_pattern_and_may_have_the_name_of_the_database(database):
    fill(database, collections("star*", "stars", "starts"))
    assert names(database.dump(EXCLUDE=["star*", f"{database.name}.starts"])) == {"stars"}


def test_unknown_name_is_an_error_with_a_hint(store, make_database):
    database = make_database(alias="shop")
    fill(database, collections("django_session", "my things"))
    with pytest.raises(DumpError, match=r"EXCLUDE.*no collection 'quark' or 'zzz\*'\.$"):
        database.dump(EXCLUDE=["my things", "quark", "zzz*"])
    run = store.run("dbbackup", "--exclude-tables", "my things,django_sesion")
    assert run.status == 1
    assert "database 'shop' has no collection 'django_sesion'. Did you mean 'django_session'" in run.error
    assert store.stored() == []


def test_excluded_collections_are_in_the_manifest_and_stay_at_an_exact_restore(store, make_database):
    database = make_database(alias="shop")
    fill(database, collections("a", "log_1", "log_2", "my things"))
    store.settings.DBBACKUP_CONNECTORS = {"shop": {"EXCLUDE": ["log_*"]}}
    assert store.manifest(store.backup())["limits"] == {"exclude": ["log_1", "log_2"]}
    # The flag takes the place of the setting.
    assert store.manifest(store.backup("-x", "my things"))["limits"] == {"exclude": ["my things"]}
    fill(database, [{"insert": "my things", "documents": [{"_id": 7}]}, {"drop": "a"}, *collections("other")])
    assert store.run("dbrestore", "--noinput", "--exact").error == ""
    assert {*database.state()} == {"a", "log_1", "log_2", "my things"}
    assert [found["_id"] for found in database.db["my things"].find()] == [1, 7]


def test_whole_backup_has_no_limits(store, make_database):
    fill(make_database(alias="shop"), collections("a"))
    assert not store.manifest(store.backup())["limits"]


def test_everything_may_be_left_out(database):
    fill(database, collections("a", "b.c"))
    assert names(database.dump(EXCLUDE=["*"])) == set()
