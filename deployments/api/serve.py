"""Opens, starts and stops the API of one study, as the settings say."""

from __future__ import annotations

import socket

from deployments.api.app import create_app
from deployments.api.background import Background
from deployments.api.http.dependencies import ApiContext
from deployments.api.http.doorkeeper import Doorkeeper
from deployments.api.http.listening import listen
from deployments.api.http.server import ApiServer
from deployments.api.http.sign_on import SignOn
from deployments.api.http.tokens import SETTING, Tokens
from deployments.api.redcap.again import FetchAgain
from deployments.api.redcap.catch_up import CatchUp
from deployments.api.redcap.project import Project
from deployments.api.routes.webhook import read_secrets
from deployments.bootstrap.settings import Settings
from deployments.http.connection import raise_descriptor_limit
from deployments.http.origin import is_loopback
from flows.study.runtime import Runtime
from itp_events.errors import BadInput


class Api:
    """The API of one study: started, asked, stopped."""

    def __init__(self, settings: Settings, study: Runtime, listener: socket.socket | None = None) -> None:
        """Open it; it serves from `start` on, on a socket that several processes share if there is one.

        Raises:
            ItpError: its port is taken, its tokens cannot be read, or it would be open to the network.
        """
        tokens = Tokens.from_setting(settings.api_tokens.get_secret_value(), settings.data_dir)
        doorkeeper = Doorkeeper(study.store, tokens, study.wall)
        doorkeeper.take_over()
        if not (is_loopback(settings.api_host) or doorkeeper.is_any()):
            raise BadInput(
                "without accounts the API serves this machine alone: make one with itp token new "
                f"(see {SETTING}), or leave it at 127.0.0.1",
                "ITP_API_HOST",
            )
        assert study.channels.links is not None, "a study is opened with the links of its notices"
        raise_descriptor_limit()
        self.project = Project.from_settings(settings, study)
        secrets = read_secrets(settings.webhook_secrets.get_secret_value())
        self._follower = Background(study)
        sign_on = _sign_on(settings)
        watching = study.store.apart(0)
        hours = settings.backup_hours if settings.backup_dir else None
        self.api = ApiContext(
            study, doorkeeper, self._follower, study.channels.links, secrets, watching, hours, sign_on
        )
        self._redcap = (
            (FetchAgain(self.api, self.project), CatchUp(self.api, self.project)) if self.project else ()
        )
        listener = listener or listen(settings.api_host, settings.api_port)
        self._server = ApiServer(create_app(self.api, self.project), listener, sign_on)

    @property
    def port(self) -> int:
        """The port it listens on."""
        return self._server.port

    def start(self) -> None:
        """Serve, in a thread of its own."""
        self._server.start()
        for thread in self._redcap:
            thread.start()

    def stop(self) -> bool:
        """Answer the requests that have begun, and end; False when a hand-over did not end."""
        self._server.stop()
        for thread in self._redcap:
            thread.stop()
        return self._follower.close()


def _sign_on(settings: Settings) -> SignOn | None:
    """The hospital's own sign-on; raises BadInput where one of its two settings is missing."""
    header, networks = settings.proxy_account_header, settings.proxy_addresses
    if not (header or networks):
        return None
    if not (header and networks):
        missing = "ITP_PROXY_ADDRESSES" if header else "ITP_PROXY_ACCOUNT_HEADER"
        raise BadInput("the header of a proxy and the proxy's addresses are set together", missing)
    return SignOn(header, networks)
