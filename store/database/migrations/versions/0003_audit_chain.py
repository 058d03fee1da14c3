"""Make the audit append-only, and chain the entries of each domain."""

import hashlib
import json

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_HASHED = ("at", "login", "address", "action", "subject")
_REFUSED = "the audit is append-only"
_NEXT = "(SELECT COALESCE(MAX(seq), 0) + 1 FROM audit WHERE domain_id = NEW.domain_id)"
_TAKEN = "NEW.id IN (SELECT id FROM audit)"


def upgrade() -> None:
    """Add the columns, chain the entries that are there, and create the triggers."""
    for number in ("seq", "continues"):
        op.add_column("audit", sa.Column(number, sa.BigInteger()))
    for digest in ("listening", "hash"):
        op.add_column("audit", sa.Column(digest, sa.String(64)))
    _chain(op.get_bind())
    with op.batch_alter_table("audit") as batch:
        batch.alter_column("seq", existing_type=sa.BigInteger(), nullable=False)
        batch.alter_column("hash", existing_type=sa.String(64), nullable=False)
        batch.create_unique_constraint("uq_audit_domain_id_seq", ["domain_id", "seq"])
    for name in ("continues", "listening"):
        given = sa.text(f"{name} IS NOT NULL")
        op.create_index(f"ix_audit_domain_id_{name}", "audit", ["domain_id", name], sqlite_where=given, postgresql_where=given)
    if op.get_bind().dialect.name == "sqlite":
        _refuse_on_sqlite()
    else:
        _refuse_on_postgresql()


def _chain(connection: sa.Connection) -> None:
    """Number the entries and write their hashes, in the order in which they were written.

    The hash is that of `store.audit.chain.entry_hash`, version 1; a migration stays as it is.
    """
    columns = [sa.column("id"), sa.column("domain_id"), sa.column("at"), sa.column("detail", sa.JSON())]
    columns += [sa.column(name) for name in _HASHED[1:]]
    audit = sa.table("audit", *columns, sa.column("seq"), sa.column("hash"))
    heads: dict[int, tuple[int, str]] = {}
    last = 0
    batch = sa.select(*columns).order_by(audit.c.id).limit(1000)
    while rows := connection.execute(batch.where(audit.c.id > last)).mappings().all():
        changes = []
        for row in rows:
            seq, previous = heads.get(row["domain_id"], (0, "0" * 64))
            content = [1, previous, row["domain_id"], seq + 1, *(row[name] for name in _HASHED), row["detail"], None, None]
            digest = hashlib.sha256(json.dumps(content, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
            heads[row["domain_id"]] = seq + 1, digest
            changes.append({"key": row["id"], "number": seq + 1, "digest": digest})
        update = sa.update(audit).where(audit.c.id == sa.bindparam("key"))
        connection.execute(update.values(seq=sa.bindparam("number"), hash=sa.bindparam("digest")), changes)
        last = rows[-1]["id"]


def _refuse_on_sqlite() -> None:
    """REPLACE deletes without a trigger, so that an INSERT must have a new id and the next seq."""
    for action in ("UPDATE", "DELETE"):
        op.execute(
            f"CREATE TRIGGER audit_refuses_{action.lower()} BEFORE {action} ON audit BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
        )
    op.execute(
        "CREATE TRIGGER audit_appends BEFORE INSERT ON audit"
        f" WHEN NEW.seq IS NOT {_NEXT} OR {_TAKEN} BEGIN SELECT RAISE(ABORT, '{_REFUSED}'); END"
    )


def _refuse_on_postgresql() -> None:
    op.execute(
        "CREATE FUNCTION audit_refuses() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'restrict_violation'; END $$"
    )
    op.execute(
        "CREATE FUNCTION audit_appends() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN IF NEW.seq IS DISTINCT FROM {_NEXT} THEN "
        f"RAISE EXCEPTION '{_REFUSED}' USING ERRCODE = 'restrict_violation'; END IF; RETURN NEW; END $$"
    )
    for action, level in (("UPDATE OR DELETE", "ROW"), ("TRUNCATE", "STATEMENT")):
        name = f"audit_refuses_{action.split()[0].lower()}"
        op.execute(f"CREATE TRIGGER {name} BEFORE {action} ON audit FOR EACH {level} EXECUTE FUNCTION audit_refuses()")
    op.execute("CREATE TRIGGER audit_appends BEFORE INSERT ON audit FOR EACH ROW EXECUTE FUNCTION audit_appends()")
