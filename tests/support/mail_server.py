"""A real SMTP server on a free port that keeps what it takes, and servers that do not."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

import trustme
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from fonoteka.core.config import MailSection, MailSecurity

USER, PASSWORD = "fonoteka", "mail-secret"
FROM, SUPPORT, SECOND = "fonoteka@acme.example", "help@support.example", "second@support.example"


@dataclass(frozen=True, kw_only=True, slots=True)
class Taken:
    """A message and the recipients of its envelope."""

    recipients: tuple[str, ...]
    message: EmailMessage
    logged_in: bool
    encrypted: bool


@dataclass(kw_only=True)
class MailServer:
    """The configured refusals, and the messages taken."""

    refused: frozenset[str] = frozenset()
    full: bool = False
    taken: list[Taken] = field(default_factory=list)

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """aiosmtpd's hook."""
        if address in self.refused:
            return "550 no such user here"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        """aiosmtpd's hook."""
        if self.full:
            return "452 insufficient system storage"
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        recipients = tuple(str(one) for one in envelope.rcpt_tos)
        logged_in = bool(session.authenticated)
        encrypted = server.transport is not None and server.transport.get_extra_info("ssl_object") is not None
        self.taken.append(Taken(recipients=recipients, message=message, logged_in=logged_in, encrypted=encrypted))
        return "250 taken"


class _Running(Controller):
    def _trigger_server(self) -> None:
        """Look whether it runs. Controller's own look would not trust the certificate."""
        line = socket.create_connection((self.hostname, self.port), 5)
        if self.ssl_context is not None:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            line = context.wrap_socket(line)
        with line:
            line.recv(100)


@contextmanager
def mail_server(
    folder: Path, *, security: MailSecurity = MailSecurity.NONE, login: bool = False, **behaviour: Any
) -> Iterator[tuple[MailServer, MailSection]]:
    """The server, and the configuration that reaches it."""
    server, authority = MailServer(**behaviour), trustme.CA()
    options: dict[str, Any] = {"auth_require_tls": False, "auth_required": login, "authenticator": _authenticate if login else None}
    if security is not MailSecurity.NONE:
        context = _server_context(authority)
        options |= {"ssl_context": context} if security is MailSecurity.TLS else {"tls_context": context, "require_starttls": True}
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    controller = _Running(server, hostname="127.0.0.1", port=port, **options)
    controller.start()
    try:
        yield server, mail_section(port, folder, security=security, login=login)
    finally:
        controller.stop()


def mail_section(port: int, folder: Path, *, security: MailSecurity = MailSecurity.NONE, login: bool = False) -> MailSection:
    """The configuration of a server on this machine."""
    return MailSection.model_validate(
        {
            "smtp": f"127.0.0.1:{port}",
            "security": security,
            "ca_file": folder / "ca.pem",
            "from_address": FROM,
            "support": (SUPPORT, SECOND),
            "timeout": 2,
        }
        | ({"user": USER, "password": PASSWORD} if login else {})
    )


@contextmanager
def mute_server(folder: Path) -> Iterator[MailSection]:
    """A server that takes the connection and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        held: list[socket.socket] = []

        def hold() -> None:
            try:
                while True:
                    held.append(listening.accept()[0])
            except OSError:
                return

        thread = threading.Thread(target=hold, name="mute mail server")
        thread.start()
        yield mail_section(listening.getsockname()[1], folder)
        listening.shutdown(socket.SHUT_RDWR)
        thread.join(5)
        for one in held:
            one.close()


def _server_context(authority: trustme.CA) -> Any:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


def _authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, data: Any) -> AuthResult:
    right = isinstance(data, LoginPassword) and (data.login, data.password) == (USER.encode(), PASSWORD.encode())
    return AuthResult(success=right, handled=False)
