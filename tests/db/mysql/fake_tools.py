"""Stand-ins for MySQL's own programs, which the machines of the tests do not have.

``write_tools(folder, "8.0.36")`` writes a ``mysqldump`` and a ``mysql`` that answer ``--version`` and ``--help`` as
that version's do, going by the manuals, and otherwise do what a connector can tell from without a server:

- Each records its call: ``tools.calls()`` returns them in their order, with arguments, option file, HOME and input.
- Each refuses what its version does not know, among the arguments as well as in the option file: status 2 or 7.
- ``mysqldump`` prints the header of a dump, ``tools.body`` and the trailer.
- ``mysql`` takes its input. It prints an answer for each of ``answers``, a mapping from a regular expression to what
  is printed, in the order in which they are found in the input: rows of columns divided by tabs. The first of
  ``errors`` that is found there is printed as an error instead, and ends it with status 1.

Both mappings may be changed between calls by ``tools.configure()``. ``SERVER`` are answers of no server in particular.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dbbackup.db.mysql.tools import Tool

VERSIONS = ["5.7.44", "8.0.36", "8.0.36-28", "8.4.3", "9.4.0"]
"""Of MySQL, and one of Percona's."""

_CONNECTION = """
bind-address character-sets-dir compress default-auth default-character-set enable-cleartext-plugin help host
max-allowed-packet net-buffer-length password plugin-dir port protocol socket ssl-ca ssl-capath ssl-cert ssl-cipher
ssl-crl ssl-crlpath ssl-key ssl-mode tls-version user verbose version
"""
_DUMP = """
add-drop-database add-drop-table add-drop-trigger add-locks all-databases all-tablespaces comments compact compatible
complete-insert create-options databases disable-keys dump-date events extended-insert fields-enclosed-by
fields-escaped-by fields-optionally-enclosed-by fields-terminated-by flush-logs flush-privileges force hex-blob
ignore-error ignore-table insert-ignore lines-terminated-by lock-all-tables lock-tables log-error no-autocommit
no-create-db no-create-info no-data no-set-names no-tablespaces opt order-by-primary quick quote-names replace
result-file routines set-charset set-gtid-purged single-transaction skip-opt tab tables triggers tz-utc where xml
"""
_CLIENT = """
auto-rehash auto-vertical-output batch binary-as-hex binary-mode column-names column-type-info comments
connect-expired-password connect-timeout database delimiter execute force histignore html ignore-spaces init-command
line-numbers local-infile max-join-size named-commands no-beep one-database pager prompt quick raw reconnect
safe-updates select-limit show-warnings sigint-ignore silent skip-column-names syslog table tee unbuffered vertical
wait xml
"""
_UNTIL_8_0 = "apply-slave-statements delete-master-logs dump-slave include-master-host-port master-data"
_OF_5_7 = "secure-auth ssl ssl-verify-server-cert"
_SINCE_8_0 = """
compression-algorithms get-server-public-key server-public-key-path ssl-fips-mode tls-ciphersuites
zstd-compression-level
"""
_DUMP_SINCE_8_0 = """
apply-replica-statements column-statistics delete-source-logs dump-replica include-source-host-port
mysqld-long-query-time network-timeout show-create-table-skip-secondary-engine skip-generated-invisible-primary-key
source-data
"""
_SINCE_8_4 = "ssl-session-data ssl-session-data-continue-on-failed-reuse tls-sni-servername"
_SHORT = {"quote-names": "Q", "execute": "e", "batch": "B", "all-databases": "A", "where": "w"}

SERVER: dict[str, str] = {r"SELECT VERSION\(\)": "8.0.36\n"}
BODY = "CREATE TABLE `t` (`a` int);\nINSERT INTO `t` VALUES (1);\n"

_PROGRAM = r"""
import json, os, re, sys

config = json.loads(open(os.path.abspath(__file__) + ".json").read())
name, known, args = config["name"], set(config["options"]), sys.argv[1:]


def fail(text, status):
    sys.stderr.write(text + "\n")
    sys.exit(status)


def check(option, kind, status):
    long = option.partition("=")[0].replace("_", "-")
    if not {long, re.sub("^(skip|disable|enable)-", "", long)} & known:
        fail(f"{name}: {config['error']}unknown {kind}{config['end']}" % option, status)


if args == ["--print-defaults"]:
    sys.exit()
if args[:1] == ["--no-defaults"] and args[1:] in (["--version"], ["--help"]):
    sys.stdout.write(config[args[1][2:]])
    sys.exit()
call = {"program": name, "args": args, "home": os.environ.get("HOME"), "input": "", "option_file": None, "mode": None}
if args and args[0].startswith(("--defaults-extra-file=", "--defaults-file=")):
    path = args.pop(0).partition("=")[2]
    call["option_file"], call["mode"] = open(path).read(), oct(os.stat(path).st_mode & 0o7777)
    for line in call["option_file"].splitlines()[1:]:
        if line:
            check(line, "variable '%s'" if "=" in line else "option '--%s'", 7 if "=" in line else 2)
options = args[: args.index("--")] if "--" in args else args
for option in options:
    if option.startswith("--"):
        check(option[2:], "variable '%s'" if "=" in option else "option '--%s'", 7 if "=" in option else 2)
if name == "mysql":
    call["input"] = sys.stdin.buffer.read().decode(errors="surrogateescape")
descriptor = os.open(config["log"], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
os.write(descriptor, json.dumps(call).encode() + b"\n")
for pattern, text in config["errors"].items():
    if re.search(pattern, call["input"] or " ".join(args)):
        fail(text, 1 if name == "mysql" else 2)
if name == "mysqldump":
    sys.stdout.write(config["header"] + config["body"] + config["trailer"])
else:
    found = ((re.search(pattern, call["input"]), text) for pattern, text in config["answers"].items())
    for _, text in sorted((match.start(), text) for match, text in found if match):
        sys.stdout.write(text)
"""

_HEADER = r"""-- MySQL dump 10.13  Distrib {version}, for Linux (x86_64)
--
-- Host: localhost    Database: shop
-- ------------------------------------------------------
-- Server version	{version}

/*!40101 SET @OLD_CHARACTER_SET_CLIENT=@@CHARACTER_SET_CLIENT */;
/*!50503 SET NAMES utf8mb4 */;
"""
_TRAILER = """/*!40101 SET CHARACTER_SET_CLIENT=@OLD_CHARACTER_SET_CLIENT */;

-- Dump completed on 2026-01-02  3:04:05
"""


@dataclass(frozen=True)
class FakeTools:
    """A folder with a mysqldump and a mysql of one version."""

    folder: Path
    version: str

    @property
    def dump(self) -> Path:
        return self.folder / "mysqldump"

    @property
    def client(self) -> Path:
        return self.folder / "mysql"

    def configure(self, **changes: Any) -> None:
        """Change ``answers``, ``errors``, ``body``, ``header`` or ``trailer`` of both programs."""
        for program in (self.dump, self.client):
            path = program.with_name(f"{program.name}.json")
            path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    def calls(self, program: str = "") -> list[dict[str, Any]]:
        """Return the calls so far, or those of one program; not the looks at version and options."""
        log = self.folder / "calls"
        calls = [json.loads(line) for line in log.read_text().splitlines()] if log.exists() else []
        return [call for call in calls if program in {"", call["program"]}]


def write_tools(folder: Path, version: str, *, answers: Mapping[str, str] = SERVER, body: str = BODY) -> FakeTools:
    """Write the programs of a version into a folder, which is made."""
    folder.mkdir(parents=True, exist_ok=True)
    tools = FakeTools(folder, version)
    for path in (tools.dump, tools.client):
        config = {
            "name": path.name,
            "version": version_line(path.name, version),
            "help": help_text(path.name, version),
            "options": sorted(options_of(path.name, version)),
            "error": "" if version.startswith("5") else "[ERROR] ",
            "end": "" if version.startswith("5") else ".",
            "header": _HEADER.format(version=version),
            "body": body,
            "trailer": _TRAILER,
            "answers": dict(answers),
            "errors": {},
            "log": str(folder / "calls"),
        }
        path.with_name(f"{path.name}.json").write_text(json.dumps(config))
        # Without the site packages it starts in a few milliseconds.
        path.write_text(f"#!{sys.executable} -SE\n{_PROGRAM}")
        path.chmod(0o755)
    return tools


def options_of(program: str, version: str) -> frozenset[str]:
    """Return the long options of a program."""
    number = tuple(int(part) for part in version.partition("-")[0].split("."))
    dumps = program == "mysqldump"
    groups = {
        _CONNECTION: True,
        _DUMP: dumps,
        _CLIENT: not dumps,
        _UNTIL_8_0: dumps and number < (8, 4),
        _OF_5_7: number < (8,),
        _SINCE_8_0: number >= (8,),
        _DUMP_SINCE_8_0: dumps and number >= (8,),
        _SINCE_8_4: number >= (8, 4),
        "output-as-version init-command": dumps and number >= (8, 4),
        "commands": not dumps and number >= (9, 4),
    }
    return frozenset(name for names, there in groups.items() if there for name in names.split())


def version_line(program: str, version: str) -> str:
    """Return what a program prints for --version."""
    if version.startswith("5"):
        old = "10.13" if program == "mysqldump" else "14.14"
        wrapper = "" if program == "mysqldump" else " using  EditLine wrapper"
        return f"{program}  Ver {old} Distrib {version}, for Linux (x86_64){wrapper}\n"
    maker = "MySQL Community Server - GPL"
    if release := version.partition("-")[2]:
        maker = f"Percona Server (GPL), Release {release}, Revision 47601f19"
    return f"{program}  Ver {version} for Linux on x86_64 ({maker})\n"


def help_text(program: str, version: str) -> str:
    """Return what a program prints for --help: its options, in the middle of a text that speaks of others."""
    lines = [version_line(program, version), f"Usage: {program} [OPTIONS] database [tables]\n\n"]
    for name in sorted(options_of(program, version)):
        short = f"-{_SHORT[name]}, " if name in _SHORT else ""
        lines.append(f"  {short}--{name}{'=name' if len(name) % 2 else ' '}\n")
        lines.append("                      What it does. Enables options\n")
        lines.append("                      --not-an-option --nor-this-one, see --help.\n")
    return "".join([*lines, "\nVariables (--variable-name=value)\n", "max-allowed-packet                25165824\n"])


_TLS = frozenset({"ssl", "ssl-ca", "ssl-capath", "ssl-cert", "ssl-key", "ssl-cipher", "ssl-verify-server-cert"})
_OF_MARIADB = _TLS | {"compress", "default-auth", "plugin-dir", "protocol", "tls-version"}

# Descriptions of programs that are not there, for what only depends on those.
MARIADB_DUMP = Tool(
    "/d", "mariadb-dump", "10.11.19-MariaDB", True, (10, 11, 19), _OF_MARIADB | {"single-transaction", "opt"}
)
MARIADB = Tool(
    "/c", "mariadb", "11.4.5-MariaDB", True, (11, 4, 5), _OF_MARIADB | {"connect-timeout", "execute", "batch"}
)
MYSQLDUMP = Tool("/d", "mysqldump", "8.0.36", False, (8, 0, 36), options_of("mysqldump", "8.0.36"))
MYSQLDUMP_5 = Tool("/d", "mysqldump", "5.7.44", False, (5, 7, 44), options_of("mysqldump", "5.7.44"))
MYSQL = Tool("/c", "mysql", "8.4.3", False, (8, 4, 3), options_of("mysql", "8.4.3"))
