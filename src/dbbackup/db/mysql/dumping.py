"""Before a dump: which program, which options of it, and whether it can succeed."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dbbackup.db.exceptions import CommandConnectorError, DumpError
from dbbackup.db.matching import listed, matches
from dbbackup.db.mysql.facts import NO_LIMIT, Facts, Table, find_facts
from dbbackup.db.mysql.names import described, quote_account, quote_name, quote_scope
from dbbackup.db.mysql.session import ANSWER_TIME, Session, answering
from dbbackup.db.mysql.tools import Tool, find_dump_tool

# Each is given if the program knows it.
_OPTIONS = {
    "single-transaction": "",
    "quick": "",
    "routines": "",
    "events": "",
    "triggers": "",
    "hex-blob": "",
    "no-tablespaces": "",
    # The last line of a dump is a comment, and equal databases give equal dumps.
    "comments": "",
    "skip-dump-date": "",
    "max-allowed-packet": "=1G",
    "column-statistics": "=0",
    "set-gtid-purged": "=OFF",
}
# What none of these undoes.
_LOSSY = frozenset({
    "compact", "compatible", "force", "ignore-database", "ignore-table", "ignore-table-data", "insert-ignore",
    "no-create-info", "no-data", "replace", "skip-add-drop-table", "skip-create-options", "skip-opt",
    "skip-quote-names", "skip-set-charset", "skip-tz-utc", "tab", "where", "xml",
})  # fmt: skip
_BROKEN = "references invalid"


@dataclass(frozen=True)
class DumpPlan:
    """What a dump of a database takes."""

    tool: Tool
    facts: Facts
    excluded: tuple[str, ...]
    warnings: tuple[str, ...]
    losses: tuple[str, ...]
    """Those of them that say what does not come back."""

    def arguments(self, database: str) -> list[str]:
        """Return the options and the name of the database."""
        wanted = dict(_OPTIONS)
        if self.facts.kinds("SYSTEM VERSIONED"):
            wanted["dump-history"] = ""
        if self.facts.kinds("SEQUENCE"):
            # Under LOCK TABLES a load cannot read a sequence that the default of a column names.
            wanted["skip-add-locks"] = ""
        left_out = [f"--ignore-table={database}.{name}" for name in self.excluded]
        # What begins with a dash would be read as an option; what stands behind the two dashes never is.
        end = ["--"] if database.startswith("-") else []
        return [*self.tool.known(wanted), *left_out, *end, database]


def plan_dump(session: Session, alias: str, *, given: str, exclude: Sequence[str]) -> DumpPlan:
    """Ask the server and return the plan; raise an error with every reason why a dump would fail or lack something."""
    facts = find_facts(session)
    _refuse_during_restore(facts, alias)
    known = {name: [name, f"{session.login.database}.{name}"] for name in facts.tables}
    excluded = tuple(matches(exclude, known, f"EXCLUDE: database {alias!r} has no table"))
    if problems := dump_problems(facts, session.login.database, excluded):
        raise DumpError(f"Cannot dump database {alias!r} as {facts.account}: {'; '.join(problems)}.")
    return make_plan(session, facts, given=given, excluded=excluded)


def make_plan(session: Session, facts: Facts, *, given: str, excluded: tuple[str, ...] = ()) -> DumpPlan:
    """Return the plan of a dump that nothing speaks against."""
    session.prefer(mariadb=facts.is_mariadb)
    tool = find_dump_tool(given, mariadb=facts.is_mariadb, path=session.path)
    if found := _machine_options(session, tool):
        raise DumpError(
            f"An option file of the machine has {listed(found)} for {tool.name}, which would leave something out of a "
            "dump, or write it otherwise. Take that out: my_print_defaults --verbose tells which file it is."
        )
    losses = _losses(facts, tool, excluded)
    return DumpPlan(tool, facts, excluded, (*_warnings(facts, tool, excluded), *losses), tuple(losses))


def _machine_options(session: Session, tool: Tool) -> list[str]:
    """Return the options that the machine's option files hold and that leave something out of a dump."""
    try:
        with session.start([tool.path, "--print-defaults"]) as output, answering(output, ANSWER_TIME):
            said = output.read().decode(errors="surrogateescape")
    except CommandConnectorError:
        # A program of the user's around it need not know the option.
        return []
    names = {name.replace("_", "-") for name in re.findall(r"(?:^|\s)--([a-z][\w-]*)", said.partition("\n")[2])}
    # The programs take the beginnings of names as well.
    return sorted(f"--{name}" for name in names if any(option.startswith(name) for option in _LOSSY))


def check_moment(session: Session, alias: str, before: Facts) -> None:
    """Raise DumpError if a dump is not of one moment: a restore is under way, or a table another than ``before``.

    A table that another session alters or empties meanwhile fails the dump; one that takes the name of another, by
    RENAME TABLE, would be read in its place without an error.
    """
    after = find_facts(session)
    _refuse_during_restore(after, alias)
    made = {name: table.made for name, table in after.tables.items()}
    changed = [name for name, table in before.tables.items() if table.made and made.get(name, table.made) != table.made]
    if changed:
        raise DumpError(
            f"Meanwhile {listed([quote_name(name) for name in sorted(changed)])} was altered, renamed or made anew, so "
            "the dump may not be of one moment.",
            transient=True,
        )


def _refuse_during_restore(facts: Facts, alias: str) -> None:
    if facts.is_being_restored:
        raise DumpError(f"A restore of database {alias!r} is under way: back it up afterwards.")


def dump_problems(facts: Facts, database: str, excluded: Sequence[str] = ()) -> list[str]:
    """Return the reasons why a dump would fail, or lack something in silence."""
    grants, here = facts.grants, f"ON {quote_scope(database)} TO {quote_account(facts.account)}"
    rights = [right for right in ("SELECT", "SHOW VIEW", "TRIGGER", "EVENT") if not grants.here(right)]
    found = []
    if facts.row_limit < NO_LIMIT:
        found.append(
            f"the server ends every answer after {facts.row_limit} rows, so that the rest would be left out in silence "
            "(SET GLOBAL sql_select_limit = DEFAULT)"
        )
    if rights:
        found.append(f"some of it would be left out in silence (GRANT {', '.join(rights)} {here})")
    if not grants.sees_routines():
        found.append(f"routines would be left out in silence ({_cure(facts, here)})")
    hidden = [described(kind, name) for kind, name in facts.hidden_routines]
    if hidden:
        found.append(f"the text of {listed(hidden)} belongs to another DEFINER ({_cure(facts, here)})")
    if endless := [described("EVENT", name) for name in facts.endless_events]:
        found.append(f"{listed(endless)} has ;; in its text, at which mariadb-dump hangs (alter or drop it)")
    broken = [
        quote_name(table.name)
        for table in facts.tables.values()
        if table.kind == "VIEW" and _BROKEN in table.comment and table.name not in excluded
    ]
    if broken:
        found.append(
            f"view {listed(broken)} refers to what is not there, or what its DEFINER has no right to "
            "(repair or drop it, or name it in EXCLUDE)"
        )
    return found


def _cure(facts: Facts, here: str) -> str:
    if not facts.is_mariadb:
        return f"GRANT SHOW_ROUTINE ON *.* TO {quote_account(facts.account)}"
    if facts.knows_show_create_routine:
        return f"GRANT SHOW CREATE ROUTINE {here}"
    return f"GRANT SELECT ON mysql.proc TO {quote_account(facts.account)}"


def _kept(facts: Facts, excluded: Sequence[str]) -> list[Table]:
    """Return the tables whose rows are dumped."""
    return [facts.tables[name] for name in facts.base_tables if name not in excluded]


def _warnings(facts: Facts, tool: Tool, excluded: Sequence[str]) -> list[str]:
    kept = _kept(facts, excluded)
    found = []
    outside = [
        f"{quote_name(table.name)} ({table.engine})" for table in kept if table.engine not in facts.transactional
    ]
    if outside:
        found.append(
            f"{listed(outside)} cannot be read in a transaction: rows written during the dump may be in it or not. "
            "ALTER TABLE … ENGINE=InnoDB makes the backup one moment's"
        )
    found += _references(facts, excluded)
    if facts.is_mariadb != tool.is_mariadb:
        found.append(f"the server is {facts.version}, and the program is {tool}: they do not belong together")
    return found


def _losses(facts: Facts, tool: Tool, excluded: Sequence[str]) -> list[str]:
    kept = _kept(facts, excluded)
    found = []
    rounded = [
        quote_name(table.name) + "." + quote_name(column)
        for table in kept
        for column in facts.floats.get(table.name, ())
    ]
    if rounded:
        found.append(
            f"{listed(rounded)} is FLOAT, of which {tool.name} writes six digits: the rest is lost. DOUBLE keeps all"
        )
    if (lost := facts.kinds("SYSTEM VERSIONED")) and not tool.knows("dump-history"):
        found.append(f"{tool} leaves out the history of {listed([quote_name(name) for name in lost])}")
    return found


def _references(facts: Facts, excluded: Sequence[str]) -> list[str]:
    broken: Mapping[str, list[str]] = {
        name: [quote_name(t) for t, referred in facts.references if referred == name and t not in excluded]
        for name in excluded
    }
    return [
        f"table {quote_name(name)} is left out, and foreign keys of {listed(referring)} refer to it"
        for name, referring in broken.items()
        if referring
    ]
