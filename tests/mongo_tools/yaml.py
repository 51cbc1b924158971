"""A strict reader for the little YAML of a configuration file: lines of a known key and a string."""

from __future__ import annotations

import re
from collections.abc import Collection

from tests.mongo_tools.console import UsageError

_LINE = re.compile(r"""(?P<key>[A-Za-z]+|"[A-Za-z]+"|'[A-Za-z]+')[ ]*:(?:[ ]+(?P<value>.*))?""")
_DOUBLE = re.compile(r'"((?:[^"\\]|\\.)*)"[ ]*(?:[ ]#.*)?')
_SINGLE = re.compile(r"'((?:[^']|'')*)'[ ]*(?:[ ]#.*)?")
_ESCAPE = re.compile(r"\\(x(?P<x>.{0,2})|u(?P<u>.{0,4})|U(?P<U>.{0,8})|.)")
_DIGITS = {"x": 2, "u": 4, "U": 8}
_NAMED = {
    "0": "\0", "a": "\a", "b": "\b", "t": "\t", "\t": "\t", "n": "\n", "v": "\v", "f": "\f", "r": "\r", "e": "\x1b",
    " ": " ", '"': '"', "'": "'", "\\": "\\", "N": "\x85", "_": "\xa0", "L": "\u2028", "P": "\u2029",
}  # fmt: skip


def read(data: bytes, keys: Collection[str]) -> dict[str, str]:
    """Return what a file says of these keys; another key is an error, and so is one that is there twice."""
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise UsageError("yaml: invalid leading UTF-8 octet") from error
    if re.search(r"[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]", text):
        raise UsageError("yaml: control characters are not allowed")
    found: dict[str, str] = {}
    for number, line in enumerate(re.split(r"\r\n|\r|\n", text), 1):
        if not line.strip() or line.startswith("#") or line in {"---", "..."}:
            continue
        match = _LINE.fullmatch(line)
        if match is None:
            raise UsageError(f"yaml: line {number}: not a key and a string")
        key = match["key"].strip("'\"")
        if key not in keys:
            raise UsageError(f"yaml: unmarshal errors:\n  line {number}: field {key} not found in type struct")
        if key in found:
            raise UsageError(f"yaml: unmarshal errors:\n  line {number}: field {key} already set in type struct")
        found[key] = _string(match["value"] or "", number)
    return found


def _string(text: str, number: int) -> str:
    text = text.strip(" \t")
    if text.startswith('"'):
        return _ESCAPE.sub(_unescaped, _quoted(_DOUBLE, text, number))
    if text.startswith("'"):
        return _quoted(_SINGLE, text, number).replace("''", "'")
    text = re.sub(r"(^|\s+)#.*", "", text)
    if text.startswith(("@", "`", "%")):
        raise UsageError("yaml: found character that cannot start any token")
    if text.startswith(("[", "]", "{", "}", ",", "&", "*", "!", "|", ">", "? ", "- ")):
        raise UsageError(f"yaml: unmarshal errors:\n  line {number}: cannot unmarshal into string")
    if re.search(r":(\s|$)", text):
        raise UsageError("yaml: mapping values are not allowed in this context")
    return "" if text in {"~", "null", "Null", "NULL"} else text


def _quoted(pattern: re.Pattern[str], text: str, number: int) -> str:
    match = pattern.fullmatch(text)
    if match is None:
        raise UsageError(f"yaml: line {number + 1}: found unexpected end of stream")
    return match[1]


def _unescaped(match: re.Match[str]) -> str:
    name = match[1][0]
    if name not in "xuU":
        if name not in _NAMED:
            raise UsageError("yaml: found unknown escape character")
        return _NAMED[name]
    digits = match[name]
    if not re.fullmatch(f"[0-9A-Fa-f]{{{_DIGITS[name]}}}", digits):
        raise UsageError("yaml: did not find expected hexdecimal number")
    code = int(digits, 16)
    # JSON's pairs for what is beyond 16 bits are no YAML.
    if 0xD800 <= code <= 0xDFFF or code > 0x10FFFF:
        raise UsageError("yaml: found invalid Unicode character escape code")
    return chr(code)
