"""The connector and the codec of the how-to guides work as they are printed there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from django.db import connection

from dbbackup.testing import CodecConformance, ConnectorConformance

HOWTO = Path(__file__).parent.parent / "docs" / "howto"


def first_example(page: str) -> dict[str, Any]:
    """Return what the first block of Python on a page defines."""
    code = re.findall(r"```python\n(.*?)```", (HOWTO / page).read_text(), flags=re.DOTALL)[0]
    names: dict[str, Any] = {"__name__": page}
    exec(compile(code, page, "exec"), names)
    return names


class TestCodec(CodecConformance):
    def make_codec(self):
        return first_example("custom-codec.md")["Bzip2Codec"]()


@pytest.mark.django_db(transaction=True)
class TestConnector(ConnectorConformance):
    notices_cuts = False

    @pytest.fixture(autouse=True)
    def _table(self, db):
        with connection.cursor() as cursor:
            cursor.execute("CREATE TABLE app_keyvalue (key text, value text)")
        yield
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE app_keyvalue")

    def make_connector(self):
        return first_example("custom-connector.md")["KeyValueConnector"]()

    def fill(self):
        with connection.cursor() as cursor:
            rows = [(f"key {number}", f"Zürich {number}") for number in range(100)]
            cursor.executemany("INSERT INTO app_keyvalue VALUES (%s, %s)", rows)

    def state(self):
        with connection.cursor() as cursor:
            cursor.execute("SELECT * FROM app_keyvalue ORDER BY key")
            return cursor.fetchall()

    def empty(self):
        with connection.cursor() as cursor:
            cursor.execute("DELETE FROM app_keyvalue")
