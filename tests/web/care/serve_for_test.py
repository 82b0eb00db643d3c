"""Serve a record with one nurse signed in, and say where: what the tests of durability start and kill."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn

from euthymia.web.care.accounts import read_account
from euthymia.web.care.app import create_care_app
from euthymia.web.care.settings import CareSettings, Hashing


def main(data: Path) -> None:
    """Print port, cookie and token of forms, then serve."""
    app = create_care_app(CareSettings(data=data, hashing=Hashing(time_cost=1, memory_KiB=8, lanes=1)))
    care = app.state.care
    with care.store.reading() as connection:
        account = read_account(connection, "nurse")
    if account is None:
        care.accounts.invite(account="nurse", name="Nurse", roles=["nurse"], actor="console", role="")
        with care.store.reading() as connection:
            account = read_account(connection, "nurse")
    token, session = care.sessions.begin(account, stage="full")
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    print(listening.getsockname()[1], token, session.csrf, flush=True)
    config = uvicorn.Config(app, log_config=None, access_log=False, timeout_graceful_shutdown=1)
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(Path(sys.argv[1]))
