"""A mail server (aiosmtpd) that a test tells what to do: one JSON object as the argument, one JSON line for each mail.

It ends when its standard input does."""

import asyncio
import email
import email.policy
import json
import logging
import ssl
import sys
import warnings

from aiosmtpd.smtp import SMTP, AuthResult

# Connections that break are what tests are about.
logging.disable()
warnings.simplefilter("ignore")
ORDERS = json.loads(sys.argv[1])


def say(fact):
    print(json.dumps(fact), flush=True)


def tls():
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(ORDERS["certificate"], ORDERS["key"])
    return context


def login(server, session, envelope, mechanism, data):
    good = [data.login.decode(), data.password.decode()] == ORDERS["login"]
    session.user = data.login.decode() if good else None
    # Not handled: the server says 535 itself.
    return AuthResult(success=good, handled=False)


class Handler:
    async def handle_RCPT(self, server, session, envelope, address, options):
        answers = ORDERS["answers"].get(address, [])
        if answers:
            # The last one stays.
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        else:
            answer = "250 OK"
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server, session, envelope):
        if ORDERS["hangs"] == "data":
            await asyncio.Event().wait()
        mail = email.message_from_bytes(envelope.content, policy=email.policy.default)
        parts = {part.get_content_type(): part for part in mail.walk()}
        text = lambda kind: parts[kind].get_content() if kind in parts else None
        say({
            "from": envelope.mail_from,
            "to": envelope.rcpt_tos,
            "encrypted": session.ssl is not None or ORDERS["tls"] == "smtps",
            "user": getattr(session, "user", None),
            "headers": [[name, str(value)] for name, value in mail.items()],
            "text": text("text/plain"),
            "html": text("text/html"),
            "raw": envelope.content.decode("utf-8", "replace"),
        })
        if ORDERS["hangs"] == "after":
            server.transport.abort()
            await asyncio.Event().wait()
        return "250 OK"


def talk():
    kind = ORDERS["tls"]
    return SMTP(
        Handler(),
        hostname="mail.test",
        tls_context=tls() if kind == "starttls" else None,
        require_starttls=kind == "starttls",
        authenticator=login if ORDERS["login"] else None,
        auth_required=bool(ORDERS["login"]),
        auth_require_tls=kind == "starttls",
        loop=asyncio.get_running_loop(),
    )


async def main():
    loop = asyncio.get_running_loop()
    if ORDERS["hangs"] == "greeting":
        server = await loop.create_server(asyncio.Protocol, "127.0.0.1", 0)
    else:
        context = tls() if ORDERS["tls"] == "smtps" else None
        server = await loop.create_server(talk, "127.0.0.1", 0, ssl=context)
    say(server.sockets[0].getsockname()[1])
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(main())
