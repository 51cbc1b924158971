from __future__ import annotations

from datetime import datetime
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbbackup.catalog.naming import NameReader, alternatives, backup_name, check_name
from dbbackup.conf import get_settings
from dbbackup.exceptions import ConfigurationError, UsageError

WHEN = datetime(2026, 11, 22, 14, 1, 2)  # noqa: DTZ001 - names hold local time


def make(template="{databasename}-{servername}-{datetime}.{extension}", **values):
    given = {"databasename": "default", "servername": "web1", "date_format": "%Y-%m-%d-%H%M%S", "extension": "dump"}
    return backup_name(template, when=WHEN, **given | values)


def test_default_name():
    assert make() == "default-web1-2026-11-22-140102.dump"


def test_template_may_be_a_callable():
    def template(databasename, servername, datetime, extension, content_type):
        return f"{content_type}/{servername}/{databasename}-{datetime}.{extension}"

    assert make(template) == "db/web1/default-2026-11-22-140102.dump"


@pytest.mark.parametrize("template", ["{nosuch}-{datetime}", "{0}", "{datetime"])
def test_template_that_cannot_be_filled_in(template):
    with pytest.raises(ConfigurationError, match="cannot be filled in"):
        make(template)


@pytest.mark.parametrize(
    "name", ["", "/abs", "a//b", "../x", "a/../b", ".hidden", "a/.b", "x.metadata", "a\nb", "a\\..\\b"]
)
def test_names_that_are_refused(name):
    with pytest.raises(UsageError, match="no name for a backup"):
        check_name(name)


@pytest.mark.parametrize("name", ["-rf", "a b", "it's", 'q"q', "Ünïcode", "$(id)", "dir/x.dump", "a..b"])
def test_names_that_are_taken_as_they_are(name):
    assert check_name(name) == name


def test_alternatives_number_goes_before_the_ending():
    names = list(islice(alternatives("a-1.sqlite3.zst", ".sqlite3.zst"), 3))
    assert names == ["a-1.sqlite3.zst", "a-1-2.sqlite3.zst", "a-1-3.sqlite3.zst"]


class TestNameReader:
    @pytest.fixture
    def reader(self, settings):
        settings.DBBACKUP_HOSTNAME = "web1"
        return NameReader(get_settings())

    def test_reads_what_was_made(self, reader):
        said = reader.parse("default-web1-2026-11-22-140102.psql.bin.zst.age")
        assert said is not None
        assert (said.database, said.servername, said.made) == ("default", "web1", WHEN)
        assert said.codecs == ("zstd", "age")

    def test_a_number_for_a_taken_name_is_part_of_it(self, reader):
        said = reader.parse("default-web1-2026-11-22-140102-2.dump")
        assert said is not None
        assert said.made == WHEN

    def test_one_alias_is_not_taken_for_the_start_of_another(self, reader):
        assert reader.may_be("app-web1-2026-11-22-140102.dump", "app")
        assert not reader.may_be("app2-web1-2026-11-22-140102.dump", "app")

    def test_other_files_are_not_read(self, reader):
        assert reader.parse("README.txt") is None
        assert reader.made("holiday-20261122.jpg") is None

    def test_impossible_date_is_no_date(self, reader):
        assert reader.made("default-web1-2026-13-45-999999.dump") is None

    @pytest.mark.parametrize("date_format", ["%Y%m%d", "%d_%m_%y-%H%M", "%j-%Y", "%b-%d-%Y-%H%M%S", "%Y-%m-%dT%H%M%S"])
    def test_every_date_format_reads_its_own_names(self, settings, date_format):
        settings.DBBACKUP_DATE_FORMAT = date_format
        said = NameReader(get_settings()).parse(make(date_format=date_format))
        assert said is not None
        expected = datetime.strptime(WHEN.strftime(date_format), date_format)  # noqa: DTZ007
        assert said.made == expected

    def test_callable_template_is_not_read_back(self, settings):
        settings.DBBACKUP_FILENAME_TEMPLATE = lambda **kwargs: "x"
        reader = NameReader(get_settings())
        assert reader.parse("default-web1-2026-11-22-140102.dump") is None
        assert reader.made("default-web1-2026-11-22-140102.dump") == WHEN

    @given(st.text())
    def test_any_text_can_be_read(self, name):
        reader = NameReader(get_settings())
        reader.parse(name)
        reader.made(name)
        reader.may_be(name, "default")

    @given(alias=st.text(min_size=1), server=st.text())
    def test_every_alias_may_be_its_own(self, alias, server):
        reader = NameReader(get_settings())
        try:
            name = make(databasename=alias, servername=server)
        except (UsageError, ConfigurationError):
            return
        assert reader.may_be(name, alias)
