"""Mails about runs: through a real SMTP server on loopback, and through sendmail."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from aiosmtpd.handlers import Message as MessageHandler
from aiosmtpd.smtp import SMTP
from tests.releng.test_releng_report import ENTRIES

from cloche.errors import ClocheError
from cloche.releng import mail
from cloche.releng.mail import Mail, check_mail, message_of, send
from cloche.releng.report import report_of

REPORT = report_of(ENTRIES)


class Inbox(MessageHandler):
    """Keeps what arrives."""

    def __init__(self) -> None:
        super().__init__()
        self.got: list[Message] = []

    def handle_message(self, message: Message) -> None:
        self.got.append(message)


@pytest.fixture
def server() -> Iterator[tuple[str, Inbox]]:
    """A server on a free port."""
    inbox = Inbox()
    loop = asyncio.new_event_loop()
    started = loop.run_until_complete(
        loop.create_server(lambda: SMTP(inbox, loop=loop, hostname="localhost"), "127.0.0.1", 0)
    )
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    port = started.sockets[0].getsockname()[1]
    yield f"127.0.0.1:{port}", inbox
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    started.close()
    loop.close()


def test_a_report_arrives_by_smtp(server: tuple[str, Inbox]) -> None:
    address, inbox = server
    send(REPORT, Mail("a@example.org, b@example.org", "x@example.org", "[x-auto]", address))
    (message,) = inbox.got
    assert message["Subject"] == "[x-auto] 1 of 3 specs failed: b.spec"
    assert message["X-RcptTo"] == "a@example.org, b@example.org"
    text = message.get_payload(decode=True)
    assert isinstance(text, bytes)
    assert "a/z-1: it <b>broke" in text.decode()


def test_a_report_goes_through_sendmail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "sendmail"
    program.write_text(
        f'#!/bin/sh\nprintf "%s\\n" "$@" > {tmp_path}/words\ncat > {tmp_path}/mail\n'
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    send(REPORT, Mail("a@example.org,b@example.org", "x@example.org", "[x-auto]"))
    words = (tmp_path / "words").read_text().split()
    assert words == ["-i", "-f", "x@example.org", "--", "a@example.org", "b@example.org"]
    message = message_from_bytes((tmp_path / "mail").read_bytes())
    assert message["Subject"] == "[x-auto] 1 of 3 specs failed: b.spec"
    program.write_text("#!/bin/sh\necho no such user >&2\nexit 67\n")
    with pytest.raises(ClocheError, match="no such user"):
        send(REPORT, Mail("a@example.org", "x@example.org"))


def test_what_cannot_be_sent_is_said() -> None:
    with pytest.raises(ClocheError, match="was not sent"):
        send(REPORT, Mail("a@example.org", "x@example.org", server="127.0.0.1:1"))
    with pytest.raises(ClocheError, match="cannot be sent"):
        message_of(REPORT, Mail("a@example.org\nBcc: c@example.org", "x@example.org"))


@pytest.mark.parametrize("server", ["127.0.0.1:port", "127.0.0.1:0", "127.0.0.1:99999", ":25"])
def test_a_wrong_server_is_known_before_the_run(server: str) -> None:
    with pytest.raises(ClocheError, match="is not HOST or HOST:PORT"):
        check_mail(Mail("a@example.org", "x@example.org", server=server))


def test_a_missing_sendmail_is_known_before_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/none")
    monkeypatch.setattr(mail, "_SENDMAIL", ())
    with pytest.raises(ClocheError, match="sendmail not found"):
        check_mail(Mail("a@example.org", "x@example.org"))
    check_mail(Mail("a@example.org", "x@example.org", server="localhost"))
