"""Check the mail server: connect, encrypt and log in as configured."""

from collections.abc import AsyncIterator

from fonoteka.cli.doctor.finding import Finding
from fonoteka.core.config import Configuration
from fonoteka.core.errors import MailError, MailRefused
from fonoteka.core.mail import connected


async def check(configuration: Configuration) -> AsyncIterator[Finding]:
    """Yield one finding, or none if no mail server is configured. Nothing is sent."""
    section = configuration.mail
    if section.smtp is None:
        return
    try:
        async with connected(section) as client:
            await client.noop()
    except MailError as error:
        mend = (
            "look at mail.security, mail.user and mail.password: the server answered and refused"
            if isinstance(error, MailRefused)
            else "is mail.smtp right, does mail.security fit its port (587: starttls, 465: tls), is mail.ca_file its authority?"
        )
        yield Finding(part="mail", check="lets us in", ok=False, detail=str(error), mend=mend)
    else:
        how = "logged in" if section.user else "without a login"
        yield Finding(part="mail", check="lets us in", ok=True, detail=f"{section.smtp}, security {section.security}, {how}")
