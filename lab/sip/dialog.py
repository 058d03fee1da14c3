"""The two ends of one call on the wire (RFC 3261, section 12).

The addresses of both ends, and the numbers of the requests.
"""

from lab.sip.message import Address, SipMessage, new_branch


class Dialog:
    """One dialog. `local` and `remote` are our From and To.

    `target` is the address of requests, `here` our own address.
    """

    def __init__(self, *, call_id: str, local: str, remote: str, target: str, here: Address) -> None:
        self.call_id = call_id
        self.local, self.remote, self.target = local, remote, target
        self._here = here
        self._last = 0
        self._invited = 0  # the number of our last INVITE, which its ACK and CANCEL repeat

    @property
    def contact(self) -> tuple[str, str]:
        """The header that says where we want to be asked."""
        return "contact", "<sip:lab@{}:{}>".format(*self._here)

    def request(self, method: str, *more: tuple[str, str], body: str = "") -> SipMessage:
        """A new request, in a transaction of its own."""
        self._last += 1
        if method == "INVITE":
            self._invited = self._last
        return self._message(method, self._last, new_branch(), *more, body=body)

    def acknowledgement(self, branch: str | None = None) -> SipMessage:
        """The ACK of our last INVITE (17.1.1.3).

        For a 200 it has a transaction of its own, for a refusal that of the INVITE (`branch`).
        """
        return self._message("ACK", self._invited, branch or new_branch())

    def cancellation(self, branch: str) -> SipMessage:
        """The CANCEL of our INVITE in that transaction (9.1)."""
        return self._message("CANCEL", self._invited, branch)

    def _message(self, method: str, number: int, branch: str, *more: tuple[str, str], body: str = "") -> SipMessage:
        host, port = self._here
        return SipMessage(
            first=f"{method} {self.target} SIP/2.0",
            headers=(
                ("via", f"SIP/2.0/UDP {host}:{port};branch={branch}"),
                ("from", self.local),
                ("to", self.remote),
                ("call-id", self.call_id),
                ("cseq", f"{number} {method}"),
                self.contact,
                ("max-forwards", "70"),
                *more,
            ),
            body=body,
        )
