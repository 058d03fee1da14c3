"""Compare the kit (asterisk_conf) with the running Asterisk, line by line."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Final

from agent.ami.client import AmiClient
from fonoteka.cli.doctor import conf, dialplan
from fonoteka.cli.doctor.conf import ConfLine
from fonoteka.cli.doctor.finding import Finding
from fonoteka.cli.doctor.needs import CALLS, DIALPLAN, FILES, MODULES, KitFile, Use
from fonoteka.core.config import Configuration
from fonoteka.core.errors import AmiActionFailed

PART: Final = "kit"
UNKNOWN: Final = "the API did not return the settings of the domains"


def texts(kit: str) -> dict[str, str]:
    """Return path → text of a file of the kit, or of each .conf in a folder of the kit."""
    root = files("asterisk_conf") / kit
    if root.is_file():
        return {kit: root.read_text(encoding="utf-8")}
    if not root.is_dir():
        return {}
    there = sorted(root.iterdir(), key=lambda entry: entry.name)
    return {f"{kit}/{entry.name}": entry.read_text(encoding="utf-8") for entry in there if entry.name.endswith(".conf")}


def fitted(text: str, configuration: Configuration) -> str:
    """Return a file of the kit with the account, agent address and journal of a configuration."""
    pbx = configuration.pbx
    here = {"[fonoteka]": f"[{pbx.ami_user}]", "127.0.0.1:4573": pbx.agi}
    if pbx.cel_journal is not None:
        here["fonoteka.csv"] = pbx.cel_journal.name
    for default, configured in here.items():
        text = text.replace(default, configured)
    return text


@dataclass(kw_only=True, slots=True)
class Pbx:
    """The running PBX; the dialplan is read once."""

    client: AmiClient
    configuration: Configuration
    _dialplan: list[dialplan.Step] | None = field(default=None, init=False)

    async def lines(self, name: str) -> list[ConfLine]:
        """Return a configuration file as Asterisk reads it, with includes; [] if there is none.

        Raises AmiActionFailed.
        """
        try:
            return conf.read_answer(await self.client.action("GetConfig", Filename=name))
        except AmiActionFailed as error:
            if "not found" in str(error):
                return []
            raise

    async def dialplan(self) -> list[dialplan.Step]:
        """Return the running dialplan. Raises AmiActionFailed if the account may not ask."""
        if self._dialplan is None:
            self._dialplan = dialplan.running(await self.client.listing("ShowDialPlan", timeout_s=30))
        return self._dialplan


async def check(pbx: Pbx, use: Use) -> AsyncIterator[Finding]:
    """Check the modules, every line of every file, and the calls in the operator's dialplan."""
    for module, needed in MODULES:
        if needed(use):
            yield await _module(pbx, module)
    for kit_file in FILES:
        for path, text in texts(kit_file.kit).items():
            if not kit_file.needed(use):
                yield _not_needed(path, kit_file, use)
                continue
            try:
                missing = await _missing(pbx, kit_file, text)
            except AmiActionFailed as error:
                yield may_not_ask(path, error, f"compare asterisk_conf/{path} with what is in Asterisk's {kit_file.conf}")
                continue
            for finding in _findings(path, kit_file, missing):
                yield finding
    for call, needed, line in CALLS:
        if needed(use):
            yield await _called(pbx, call, line)


def _not_needed(path: str, kit_file: KitFile, use: Use) -> Finding:
    if kit_file.by_settings and not use.known:
        return Finding(part=PART, check=path, ok=None, detail=UNKNOWN, mend="fix the connection to the API first")
    return Finding(part=PART, check=path, ok=True, detail=f"not needed: {kit_file.unless}")


async def _missing(pbx: Pbx, kit_file: KitFile, text: str) -> list[str]:
    """Return the lines of the kit that the PBX lacks."""
    wanted = conf.parse(fitted(text, pbx.configuration))
    if kit_file.conf == DIALPLAN:
        return missing_steps(dialplan.steps(wanted), await pbx.dialplan())
    present = await pbx.lines(kit_file.conf)
    there = {(line.section, line.key) for line in present}
    unwanted = [f"[{section}] {key} must stay unset" for section, key in kit_file.unset if (section, key) in there]
    return missing_lines([*kit_file.besides, *wanted], present) + unwanted


def missing_lines(wanted: Iterable[ConfLine], present: list[ConfLine]) -> list[str]:
    """Return the lines of `wanted` that are missing, as `[section] key = value`."""
    return [f"[{line.section}] {line}" for line in wanted if not conf.does(line, present)]


def missing_steps(wanted: Iterable[dialplan.Step], present: list[dialplan.Step]) -> list[str]:
    """Return the steps of `wanted` that are missing; a missing context is one line."""
    there, contexts = frozenset(present), {step.context for step in present}
    lines = (f"[{step.context}]" + (f" {step}" if step.context in contexts else "") for step in wanted if step not in there)
    return list(dict.fromkeys(lines))


def _findings(path: str, kit_file: KitFile, missing: list[str]) -> Iterator[Finding]:
    if not missing:
        yield Finding(part=PART, check=path, ok=True, detail=f"every line is in {kit_file.conf}")
    for line in missing:
        yield Finding(
            part=PART,
            check=path,
            ok=False,
            detail=f"{kit_file.conf} lacks this line or has another value: {line}",
            mend=f"take it from asterisk_conf/{path} (its README.md says where it goes), then asterisk -rx '{kit_file.reload}'",
        )


async def _module(pbx: Pbx, module: str) -> Finding:
    check, mend = f"module {module}", f"asterisk -rx 'module load {module}.so', and no `noload` of it in modules.conf"
    try:
        await pbx.client.action("ModuleCheck", Module=module)
    except AmiActionFailed as error:
        if "not loaded" in str(error):
            return Finding(part=PART, check=check, ok=False, detail="is not loaded", mend=mend)
        return may_not_ask(check, error, f"asterisk -rx 'module show like {module}'")
    return Finding(part=PART, check=check, ok=True, detail="is loaded")


async def _called(pbx: Pbx, call: str, line: str) -> Finding:
    check = f"dialplan uses {call.strip(',')}"
    try:
        users = {
            step.context
            for step in await pbx.dialplan()
            if call in step.arguments.replace("^", ",") and not step.context.startswith("fonoteka-")
        }
    except AmiActionFailed as error:
        return may_not_ask(check, error, f"asterisk -rx 'dialplan show' must have: {line}")
    return Finding(
        part=PART,
        check=check,
        ok=bool(users),
        detail=f"in {', '.join(sorted(users))}" if users else "nowhere",
        mend=f"add to your dialplan: {line}; then asterisk -rx 'dialplan reload'",
    )


def may_not_ask(check: str, error: AmiActionFailed, look: str) -> Finding:
    """Return an unknown finding, as the account has no right to ask; `look` is the alternative."""
    return Finding(part=PART, check=check, ok=None, detail=f"this account may not ask ({error})", mend=look)
