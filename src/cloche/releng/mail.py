"""Sends a report: through the host's sendmail(1), as catalyst-auto does, or to a server by SMTP."""

from __future__ import annotations

import re
import shutil
import smtplib
import subprocess
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import formatdate, make_msgid

from cloche.errors import ClocheError, Exit
from cloche.releng.report import Report
from cloche.releng.report_text import as_text, subject

_SECONDS = 60.0
_PORTS = range(1, 1 << 16)
_SENDMAIL = ("/usr/sbin/sendmail", "/usr/lib/sendmail")


@dataclass(frozen=True, slots=True)
class Mail:
    """How a report is sent. ``to`` has one address, or several with commas between them.

    ``server`` is HOST or HOST:PORT; without it sendmail is run.
    """

    to: str
    sender: str
    prefix: str = ""
    server: str | None = None


def message_of(report: Report, mail: Mail) -> EmailMessage:
    """The message. Raises ClocheError for addresses that cannot be in a header."""
    message = EmailMessage()
    try:
        message["From"] = mail.sender
        message["To"] = mail.to
        message["Subject"] = f"{mail.prefix} {subject(report)}".strip()
    except (ValueError, IndexError) as error:  # a line end, for example
        raise ClocheError(f"mail cannot be sent to “{mail.to}”: {error}") from error
    message["Date"] = formatdate()
    message["Message-ID"] = make_msgid(domain="cloche.invalid")
    message.set_content(as_text(report).encode("utf-8", "replace").decode("utf-8"))
    return message


def check_mail(mail: Mail) -> None:
    """See that there is a way to send, before a run begins. Raises ClocheError."""
    if mail.server is None:
        _sendmail()
    else:
        _host_and_port(mail.server)


def send(report: Report, mail: Mail) -> None:
    """Send it. Raises ClocheError."""
    message = message_of(report, mail)
    if mail.server is None:
        _by_sendmail(message, mail)
        return
    host, port = _host_and_port(mail.server)
    try:
        with smtplib.SMTP(host, port, timeout=_SECONDS) as server:
            refused = server.send_message(message, from_addr=mail.sender, to_addrs=_to(mail))
    except (OSError, smtplib.SMTPException) as error:
        raise _not_sent(mail.server, str(error)) from error
    if refused:
        raise _not_sent(mail.server, f"it refused {', '.join(refused)}")


def _by_sendmail(message: EmailMessage, mail: Mail) -> None:
    program = _sendmail()
    words = [program, "-i", "-f", mail.sender, "--", *_to(mail)]
    try:
        done = subprocess.run(
            words,
            input=message.as_bytes(),
            capture_output=True,
            check=False,
            timeout=_SECONDS,
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _not_sent(program, str(error)) from error
    if done.returncode:
        raise _not_sent(program, done.stderr.decode(errors="replace").strip())


def _sendmail() -> str:
    program = shutil.which("sendmail") or next(filter(shutil.which, _SENDMAIL), None)
    if program is None:
        what = "sendmail not found, which sends the report"
        todo = "name a server with --smtp, or set EMAIL_TO to nothing"
        raise ClocheError(what, todo=todo, status=Exit.HOST)
    return program


def _host_and_port(server: str) -> tuple[str, int]:
    host, _, port = server.partition(":")
    if not host or not re.fullmatch("[0-9]{0,5}", port) or int(port or 25) not in _PORTS:
        raise ClocheError(f"--smtp: “{server}” is not HOST or HOST:PORT")
    return host, int(port or 25)


def _to(mail: Mail) -> list[str]:
    return [each.strip() for each in mail.to.split(",") if each.strip()]


def _not_sent(where: str, what: str) -> ClocheError:
    todo = "name a server with --smtp, or show the report with `cloche releng report`"
    return ClocheError(f"the report was not sent: {what}", where=where, todo=todo, status=Exit.HOST)
