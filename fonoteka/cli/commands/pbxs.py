"""`fonoteka pbx`: the PBXs whose agents ship to this installation."""

import asyncio
from typing import Annotated

import typer

from fonoteka.cli.commands.options import Config, load

app = typer.Typer(no_args_is_help=True, help="The PBXs whose agents may ship to this installation.")


_DOMAIN_HELP = "A domain that the PBX serves; may be repeated."
Domains = Annotated[list[str] | None, typer.Option("--domain", metavar="NAME", help=_DOMAIN_HELP)]
AllDomains = Annotated[bool, typer.Option("--all-domains", help="The PBX serves every domain, also later ones.")]


@app.command("add")
def pbx_add(name: str, domain: Domains = None, all_domains: AllDomains = False, config: Config = None) -> None:
    """Register a PBX and the domains it serves; print its token, which is not stored."""
    from fonoteka.cli import pbx

    names = pbx.chosen_domains(domain, all_domains=all_domains)
    configuration, _ = load(config)
    print(asyncio.run(pbx.add(configuration, name, names)))


@app.command("domains")
def pbx_domains(name: str, domain: Domains = None, all_domains: AllDomains = False, config: Config = None) -> None:
    """Replace the domains that a registered PBX serves. Its token stays."""
    from fonoteka.cli import pbx

    names = pbx.chosen_domains(domain, all_domains=all_domains)
    configuration, _ = load(config)
    asyncio.run(pbx.set_domains(configuration, name, names))


@app.command("token")
def pbx_token(name: str, config: Config = None) -> None:
    """Print a new token for a registered PBX. The former one is no longer valid."""
    from fonoteka.cli import pbx

    configuration, _ = load(config)
    print(asyncio.run(pbx.renew(configuration, name)))


@app.command("list")
def pbx_list(config: Config = None) -> None:
    """Print the registered PBXs, each with the domains it serves."""
    from fonoteka.cli import pbx

    configuration, _ = load(config)
    for line in asyncio.run(pbx.listed(configuration)):
        print(line)
