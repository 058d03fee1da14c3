"""`fonoteka user`: the users who log in."""

import asyncio
import sys
from typing import Annotated

import typer

from fonoteka.cli.commands.options import Config, load

app = typer.Typer(no_args_is_help=True, help="The users who log in.")


@app.command("passwd")
def user_passwd(
    domain: str,
    login: str,
    config: Config = None,
    password_stdin: Annotated[bool, typer.Option("--password-stdin", help="Read it from standard input.")] = False,
) -> None:
    """Give a user a new password and end their sessions."""
    from store.database.store import Store
    from store.people.accounts import set_password

    password = (
        sys.stdin.readline().rstrip("\n") if password_stdin else typer.prompt("Password", hide_input=True, confirmation_prompt=True)
    )
    configuration, _ = load(config)

    async def work() -> None:
        store = await Store.open(configuration.store)
        try:
            await set_password(store, domain, login, password)
        finally:
            await store.close()

    asyncio.run(work())


@app.command("remove")
def user_remove(domain: str, login: str, config: Config = None) -> None:
    """Remove a user for good, so that the login can be given to another person."""
    from store.database.store import Store
    from store.provisioning.apply import remove_user

    configuration, _ = load(config)

    async def work() -> None:
        store = await Store.open(configuration.store)
        try:
            await remove_user(store, domain, login)
        finally:
            await store.close()

    asyncio.run(work())
