"""Alembic's environment: runs the migrations on the connection given to `upgrade`."""

from alembic import context

from store.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # all in the caller's transaction
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
