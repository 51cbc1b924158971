"""What is there after a restore, whatever the tool made of it."""

from __future__ import annotations

from dbbackup.db.exceptions import RestoreError
from dbbackup.db.matching import listed
from dbbackup.db.mongodb.facts import Facts, count_documents, find_facts, find_indexes
from dbbackup.db.mongodb.namespaces import shown
from dbbackup.db.mongodb.obstacles import Target
from dbbackup.db.mongodb.session import Session


def check_there(session: Session, target: Target) -> None:
    """Raise RestoreError if something of the archive is not there."""
    if target.whole_server:
        # The oplog may have removed it again.
        return
    there = find_facts(session).namespaces
    missing = [shown(name) for name in sorted(target.namespaces) if name not in there]
    counts = target.counts()
    for name, wanted in target.namespaces.items():
        if name not in there or wanted.kind != "collection":
            continue
        indexes = find_indexes(session, name)
        missing += [
            f"the index {index} of {shown(name)}" for index, keys in wanted.keys.items() if indexes.get(index) != keys
        ]
        if wanted.expires or wanted.options.get("capped"):
            # The server removes old documents by itself.
            continue
        if (counted := count_documents(session, name, at_least=counts[name])) < counts[name]:
            missing.append(f"{counts[name] - counted} of the {counts[name]} documents of {shown(name)}")
    if missing:
        raise RestoreError(f"After the restore {listed(missing)} is not there.")


def check_told(session: Session, target: Target, told: int | None, before: Facts | None) -> None:
    """Raise RestoreError if the tool has not done its work, however many documents are there.

    ``told`` is how many it says to have restored, None if it says nothing; ``before`` what was there that it had to
    replace, None if it had not.
    """
    # Of users it does not tell.
    wanted = sum(count for name, count in target.counts().items() if name[0] != "admin")
    if told is not None and told < wanted:
        raise RestoreError(f"mongorestore has restored {told} of the {wanted} documents.")
    if told is not None:
        return
    if target.whole_server:
        if wanted:
            raise RestoreError(f"mongorestore has not said that it restored the {wanted} documents.")
    elif before is not None:
        _check_replaced(session, target, before)


def _check_replaced(session: Session, target: Target, before: Facts) -> None:
    old, new = before.namespaces, find_facts(session).namespaces
    same = [
        shown(name)
        for name, found in target.namespaces.items()
        if found.kind == "collection" and not name[1].startswith("system.")
        if name in old and name in new and new[name].uuid and new[name].uuid == old[name].uuid
    ]
    if same:
        raise RestoreError(f"mongorestore has not replaced {listed(same)}.")
