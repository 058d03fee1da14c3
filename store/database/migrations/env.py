"""What alembic runs: our steps, on the connection that `store.database.migrations.upgrade` was given."""

from alembic import context

from store.database.tables import metadata

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    transactional_ddl=False,  # the caller's transaction holds all of it
    render_as_batch=True,  # SQLite alters a table by copying it
)
context.run_migrations()
