"""What stands in the way of a restore, found before anything is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from dbbackup.db.matching import listed
from dbbackup.db.mysql.contents import Contents
from dbbackup.db.mysql.facts import Facts
from dbbackup.db.mysql.names import described, quote_account, quote_name, quote_scope, quote_text

_WORDS = {"VIEW": "view", "SEQUENCE": "sequence"}


@dataclass(frozen=True)
class Choices:
    """How a restore is done."""

    exact: bool = False
    safety_dump: bool = True
    strip_definer: bool = False
    collations: Mapping[str, str] = field(default_factory=dict)
    """What stands in the place of each that the server does not know."""
    excluded: Sequence[str] = ()
    """The tables that the backup has not, which even an exact restore leaves alone."""
    needs_trailer: bool = True


def may_define(facts: Facts) -> bool:
    """Return whether the account may make objects that belong to others."""
    return facts.grants.everywhere("SUPER", "SET USER", "SET_USER_ID", "SET_ANY_DEFINER")


def foreign(definers: Mapping[str, Sequence[str]], account: str) -> dict[str, Sequence[str]]:
    """Return those of the definers, with their objects, who are not the account that CURRENT_USER() names.

    They may be quoted in any way.
    """

    def is_own(definer: str) -> bool:
        plain = definer.replace("`", "").replace("'", "").replace('"', "")
        return plain == account.replace("`", "") or definer.upper() in {"CURRENT_USER", "CURRENT_USER()"}

    return {definer: objects for definer, objects in definers.items() if not is_own(definer)}


class Obstacles:
    """The dump beside the database that it goes into."""

    def __init__(
        self, database: str, contents: Contents, facts: Facts, known_collations: set[str], choices: Choices
    ) -> None:
        self._database = database
        self._contents = contents
        self._facts = facts
        self._known = known_collations
        self._choices = choices

    def problems(self) -> list[str]:
        """Return every reason why the restore cannot be tried."""
        return [
            *self._of_the_dump(),
            *self._of_the_account(),
            *self._of_the_collations(),
            *self._clashes(),
        ]

    def _of_the_dump(self) -> Iterator[str]:
        contents, facts = self._contents, self._facts
        if contents.has_header and not contents.complete and self._choices.needs_trailer:
            yield "the dump lacks its last line: it was cut"
        if contents.other_databases:
            yield f"the dump reaches other databases ({listed(contents.other_databases)}): make it without --databases"
        if contents.problems:
            shown = listed([problem.rstrip(".") for problem in contents.problems])
            yield f"the dump has what is no SQL: {shown}"
        if contents.largest > facts.max_packet:
            yield (
                f"the largest statement has {contents.largest} bytes, and the server takes {facts.max_packet} "
                f"(SET GLOBAL max_allowed_packet = {_round_up(contents.largest)})"
            )

    def _of_the_account(self) -> Iterator[str]:
        contents, facts = self._contents, self._facts
        if not facts.may_write:
            yield "the server is read only: is it a replica?"
        wanted = ["CREATE", "DROP", "INSERT", "ALTER", "LOCK TABLES"]
        wanted += ["CREATE VIEW"] if contents.views else []
        wanted += ["TRIGGER"] if contents.triggers else []
        wanted += ["CREATE ROUTINE", "ALTER ROUTINE"] if contents.routines else []
        wanted += ["EVENT"] if contents.events else []
        if missing := [right for right in wanted if not facts.grants.here(right)]:
            here = f"ON {quote_scope(self._database)} TO {quote_account(facts.account)}"
            yield f"{facts.account} lacks rights (GRANT {', '.join(missing)} {here})"
        others = [
            f"{', '.join(objects[:3])} of {definer}"
            for definer, objects in foreign(contents.definers, facts.account).items()
        ]
        if others and not self._choices.strip_definer and not may_define(facts):
            yield (
                f"another DEFINER than {facts.account}: {listed(others)} (restore as that account or as one with "
                "SET USER or SET_ANY_DEFINER, or set STRIP_DEFINER in DBBACKUP_CONNECTORS)"
            )

    def _of_the_collations(self) -> Iterator[str]:
        mapped = {name: new.lower() for name, new in self._choices.collations.items()}
        unknown = {name: where for name, where in self._contents.collations.items() if name not in self._known}
        for name, where in unknown.items():
            if name not in mapped:
                near = self._suggestion(name)
                yield (
                    f"the server does not know collation {name} of {listed(where)} "
                    f"(DBBACKUP_CONNECTORS: 'COLLATIONS': {{{quote_text(name)}: {quote_text(near)}}})"
                )
        for name in sorted({mapped[name] for name in unknown if name in mapped} - self._known):
            yield f"COLLATIONS names {name}, which the server does not know either"

    def _suggestion(self, name: str) -> str:
        charset, _, rest = name.partition("_")
        wanted = ["uca1400_ai_ci", "0900_ai_ci", "unicode_520_ci", "unicode_ci", "general_ci"]
        if "as_cs" in rest or rest.endswith("bin"):
            wanted = ["uca1400_as_cs", "0900_as_cs", "bin"]
        return next(
            (f"{charset}_{end}" for end in wanted if f"{charset}_{end}" in self._known), f"{charset}_general_ci"
        )

    def _clashes(self) -> Iterator[str]:
        contents, choices = self._contents, self._choices
        called = str.lower if self._facts.folds_names else str
        coming = {
            **{called(name): "table" for name in contents.tables},
            **{called(name): "view" for name in contents.views},
            **{called(name): "sequence" for name in contents.sequences},
        }
        for name, table in sorted(self._facts.tables.items()):
            here, there = _WORDS.get(table.kind, "table"), coming.get(called(name))
            if there not in {None, here} and (not choices.exact or name in choices.excluded):
                way_out = "" if choices.exact else " (--exact empties the database first)"
                yield f"{quote_name(name)} is a {here} here and a {there} in the backup{way_out}"

    def warnings(self) -> list[str]:
        """Return what should be known of the restore."""
        contents, facts = self._contents, self._facts
        found = []
        ours = {
            *(("BASE TABLE", name) for name in contents.tables),
            *(("SYSTEM VERSIONED", name) for name in contents.tables),
            *(("VIEW", name) for name in contents.views),
            *(("SEQUENCE", name) for name in contents.sequences),
            *contents.routines,
            *(("EVENT", name) for name in contents.events),
        }
        gone_with_tables = {("TRIGGER", name) for name in facts.triggers}
        stay = [described(kind, name) for kind, name in sorted(facts.objects - ours - gone_with_tables)]
        if self._choices.exact:
            stay = [described(facts.tables[name].kind, name) for name in self._choices.excluded if name in facts.tables]
            if stay:
                found.append(f"{listed(stay)} was left out of the backup and stays as it is")
        elif stay:
            found.append(f"{listed(stay)} is not in the backup and stays (--exact removes it)")
            found += self._references()
        if contents.flavour and (contents.flavour == "MariaDB") != facts.is_mariadb:
            found.append(
                f"the backup is of {contents.flavour} {contents.server_version}, and the server is {facts.version}"
            )
        if contents.sets_replication:
            found.append("the place in the replication that the dump sets is left as it is")
        if not contents.has_header:
            found.append("no dump program says that it made this: whether it is whole cannot be told")
        return found

    def _references(self) -> Iterator[str]:
        restored = self._contents.tables
        for table, referred in self._facts.references:
            if table not in restored and referred in restored:
                yield f"table {quote_name(table)} may refer to rows of {quote_name(referred)} that the backup has not"


def _round_up(size: int) -> int:
    mebibyte = 1024 * 1024
    return (size // mebibyte + 1) * mebibyte
