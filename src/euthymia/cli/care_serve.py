"""``euthymia care serve | verify | backup | restore | reset | rebuild``: the clinic's record as a service."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from euthymia.errors import RunFailedError, invalid, missing_extra

if TYPE_CHECKING:
    from euthymia.web.care.settings import CareSettings

RECORD, DEMO = Path("care.sqlite"), Path("care-demo.sqlite")
HERE = ("127.0.0.1", "localhost", "::1")
NEEDED = ("alembic", "argon2", "fastapi", "multipart", "pyotp", "sqlalchemy", "uvicorn")

Demo = Annotated[bool, typer.Option("--demo", help="Invented patients, in a file of their own.")]
Data = Annotated[
    Path | None,
    typer.Option("--data", metavar="FILE", help="The record. [default: care.sqlite, demo: care-demo.sqlite]"),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def serve(
    demo: Demo = False,
    port: Annotated[int, typer.Option("--port", metavar="N", min=1, max=65535, help="Port.")] = 8765,
    data: Data = None,
    host: Annotated[str, typer.Option("--host", metavar="NAME", help="Address to listen on.")] = "127.0.0.1",
    name: Annotated[
        list[str] | None,
        typer.Option("--name", metavar="HOST", help="Further name under which browsers ask."),
    ] = None,
    certificate: Annotated[
        Path | None, typer.Option("--certificate", metavar="FILE", help="TLS certificate (PEM).")
    ] = None,
    key: Annotated[Path | None, typer.Option("--key", metavar="FILE", help="Key of the certificate.")] = None,
    behind_proxy: Annotated[
        bool, typer.Option("--behind-proxy", help="A proxy on this machine does TLS.")
    ] = False,
) -> None:
    """Serve the record of a clinic to browsers in the same building.

    The first start makes the file and prints a token, once, for the first account. Other machines are let
    in by TLS only. Research and record-keeping software: it monitors nobody, raises no dependable alarm and
    gives no dosing advice.

    Example: euthymia care serve --demo --port 8765
    """
    _require_extra()
    is_tls = certificate is not None or behind_proxy
    if host not in HERE and not is_tls:
        cure = "Add --certificate and --key, or --behind-proxy."
        raise invalid("--host", must="this machine's own address without TLS", got=host, cure=cure)
    os.umask(0o077)
    from euthymia.web.care.rules import CoreRules
    from euthymia.web.care.settings import HOSTS, CareSettings

    rules = CoreRules()
    settings = CareSettings(
        data=_file(data, demo=demo),
        is_demo=demo,
        is_tls=is_tls,
        decide=rules,
        pass_time=rules.pass_time,
        hosts=tuple(dict.fromkeys((*HOSTS, host, *(name or ())))),
    )
    _run(
        settings,
        host=host,
        port=port,
        ssl_certfile=certificate,
        ssl_keyfile=key,
        proxy_headers=behind_proxy,
    )


def _run(settings: CareSettings, *, host: str, port: int, **options: Any) -> None:
    import uvicorn

    from euthymia.web.care.app import create_care_app

    logging.basicConfig(level=logging.INFO, stream=sys.stderr, format="%(asctime)s %(name)s %(message)s")
    logging.getLogger("alembic").setLevel(logging.WARNING)
    app = create_care_app(settings)
    _greet(app.state.care, f"{'https' if options['ssl_certfile'] else 'http'}://{host}:{port}/")
    uvicorn.run(
        app, host=host, port=port, access_log=False, log_config=None, server_header=False, workers=1,
        timeout_graceful_shutdown=3, **options,
    )  # fmt: skip


def _greet(care: Any, address: str) -> None:
    if care.settings.is_demo:
        from euthymia.web.care.invented import fill_demo

        with care.store.reading() as connection:
            is_new = not connection.exec_driver_sql("SELECT count(*) FROM accounts").scalar()
        if is_new:
            fill_demo(care.store)
        print(f"A demonstration with invented patients: {address}login", file=sys.stderr)
        return
    token = care.accounts.set_up_token()
    if token:
        print(f"One-time token for the first account, at {address}set-up:\n\n    {token}\n", file=sys.stderr)
    head = care.store.anchor(why="served")
    print(f"The record is served at {address} (trail: row {head.seq}, {head.hash[:16]}).", file=sys.stderr)


def verify(
    file: Annotated[Path | None, typer.Argument(metavar="[FILE]", help="The record or a backup.")] = None,
    as_json: Json = False,
) -> None:
    """Find any row of a record that was edited, removed, put in or moved.

    The chain of the trail, the events, who patients and accounts are, the schema, and the heads kept beside
    the file. Exit code 1 where anything does not hold. Run it while nobody serves the file, or on a backup.

    Example: euthymia care verify care.sqlite --json
    """
    _require_extra()
    from euthymia.web.care.audit import Anchors
    from euthymia.web.care.verify import verify as look

    path = file or RECORD
    _require_file(path)
    verdict = look(path, anchors=Anchors(path))
    if as_json:
        print(json.dumps(verdict.to_dict(), indent=1))
    else:
        _print_verdict(verdict)
    if verdict.count:
        raise typer.Exit(1)


def _print_verdict(verdict: Any) -> None:
    for problem in verdict.problems:
        print(f"PROBLEM  {problem}")
    if verdict.count > len(verdict.problems):
        print(f"... and {verdict.count - len(verdict.problems)} more")
    held = "does not hold" if verdict.count else "holds"
    print(
        f"{verdict.rows['events']} events, {verdict.head.seq} rows of the trail, "
        f"{verdict.anchors} anchors: {held}"
    )
    print(f"head {verdict.head.hash}")


def backup(
    data: Data = None,
    demo: Demo = False,
    to: Annotated[Path | None, typer.Option("--to", metavar="FOLDER", help="Where it goes.")] = None,
    as_json: Json = False,
) -> None:
    """Back up a record that nobody serves now, and check the copy.

    A served record backs itself up every quarter of an hour, and on its Backups page.

    Example: euthymia care backup --data care.sqlite
    """
    _require_extra()
    from euthymia.web.care.backup import back_up
    from euthymia.web.care.store import Store

    settings = _settings(data, demo=demo)
    _require_file(settings.data)
    store = Store.open(settings)
    try:
        found = back_up(store, to or settings.backups)
    finally:
        store.close()
    print(
        json.dumps(found.to_dict(), indent=1)
        if as_json
        else f"{found.path}: {found.rows['events']} events, checked"
    )


def restore(
    file: Annotated[
        Path, typer.Argument(metavar="BACKUP", help="A .sqlite file made by euthymia care backup.")
    ],
    data: Data = None,
    demo: Demo = False,
) -> None:
    """Put a backup in the place of a record; the old file and its journals are moved aside.

    Rows and head are compared with what was noted at the backup, and the trail says that the record went
    back.

    Example: euthymia care restore care-backups/care-20261122T070000Z-120.sqlite --data care.sqlite
    """
    _require_extra()
    from euthymia.web.care.backup import restore as put_back

    settings = _settings(data, demo=demo)
    verdict = put_back(file, settings.data, kind=settings.kind, now=settings.clock())
    _print_verdict(verdict)
    print(f"{settings.data} is as it was at that backup; what was there lies beside it.")


def reset(
    account: Annotated[str, typer.Argument(metavar="ACCOUNT", help="Whose secrets were lost.")],
    data: Data = None,
) -> None:
    """Take an account's secrets back on the machine itself, and print a one-time token.

    For an owner who has lost passphrase, authenticator and recovery codes; the trail says that it was done
    here.

    Example: euthymia care reset owner --data care.sqlite
    """
    _require_extra()
    from euthymia.web.care.accounts import Accounts
    from euthymia.web.care.store import Store

    settings = _settings(data, demo=False)
    _require_file(settings.data)
    store = Store.open(settings)
    try:
        token = Accounts(store).reset(account, actor="console", role="")
    finally:
        store.close()
    print(f"One-time token for {account}, at /join:\n\n    {token}")


def rebuild(data: Data = None, demo: Demo = False) -> None:
    """Throw the read models of a record away and make them anew from its events.

    Example: euthymia care rebuild --data care.sqlite
    """
    _require_extra()
    from euthymia.web.care.store import Store

    settings = _settings(data, demo=demo)
    _require_file(settings.data)
    store = Store.open(settings)
    try:
        print(f"{store.rebuild()} rows of read models")
    finally:
        store.close()


def _settings(data: Path | None, *, demo: bool) -> CareSettings:
    from euthymia.web.care.settings import CareSettings

    return CareSettings(data=_file(data, demo=demo), is_demo=demo)


def _file(data: Path | None, *, demo: bool) -> Path:
    return data or (DEMO if demo else RECORD)


def _require_file(path: Path) -> None:
    if not path.is_file():
        raise invalid("FILE", must="a record that euthymia care made", got=path, cure="Is the name right?")


def _require_extra() -> None:
    from importlib.util import find_spec

    if os.name != "posix":
        message = "euthymia care runs on Linux and macOS: it needs their file locks."
        raise RunFailedError(message)
    for library in NEEDED:
        if find_spec(library) is None:
            raise missing_extra(library, extra="care", needed_for="euthymia care")
