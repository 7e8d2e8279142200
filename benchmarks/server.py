"""The process of the service: the dialects under TLS, and a control URL without."""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from aiohttp import web

from .certificates import HOST, Certificates
from .dialects import Voice, make_app, make_control
from .processes import parent_gone, run_precisely, say


async def _main(folder: Path) -> None:
    # Asyncio warns of each piece that a stubborn server writes after its client has gone.
    logging.getLogger("asyncio").setLevel(logging.ERROR)
    certificates = Certificates.of(folder)
    voice = Voice()
    service = web.AppRunner(make_app(voice), access_log=None, shutdown_timeout=0.1)
    control = web.AppRunner(make_control(voice), access_log=None, shutdown_timeout=0.1)
    for runner in (service, control):
        await runner.setup()
    await web.TCPSite(service, HOST, 0, ssl_context=certificates.server_context()).start()
    await web.TCPSite(control, HOST, 0).start()
    say(service=service.addresses[0][1], control=control.addresses[0][1])
    await parent_gone()
    for runner in (service, control):
        await runner.cleanup()


if __name__ == "__main__":
    run_precisely(_main(Path(sys.argv[1])))
