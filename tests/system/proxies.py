"""Owns a real nginx or Caddy before a gateway, with the configuration that `deploy/` ships."""

from __future__ import annotations

__all__ = ["DOMAIN", "Proxy", "caddy", "nginx"]

import os
import pwd
import shutil
import socket
import ssl
import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.authority import Authority
from tests.system.gateway import ROOT, Gateway, wait_until

DOMAIN = "chat.example"
DEPLOY = Path(ROOT) / "deploy"


class Proxy:
    """A running proxy.

    Args:
        command: what runs it, in the foreground.
        directory: its own.
        port: where it speaks TLS.
    """

    def __init__(self, command: list[str], directory: Path, port: int, environment: dict[str, str]) -> None:
        self.port = port
        self._log = directory / "log"
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                command, cwd=directory, env=environment, stdout=log, stderr=log, stdin=subprocess.DEVNULL
            )
        wait_until(self._listens, deadline_s=30.0, what="the proxy listens")

    def _listens(self) -> bool:
        assert self._process.poll() is None, self._log.read_text()
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def close(self) -> None:
        self._process.terminate()
        self._process.wait(20)


def nginx(gateway: Gateway, authority: Authority, directory: Path) -> Proxy:
    """`deploy/nginx.conf`, with the ports and the files of the test."""
    plain, secured = _free_ports()
    text = (DEPLOY / "nginx.conf").read_text()
    for name, file in (("fullchain", authority.certificate), ("privkey", authority.key)):
        text = _replaced(text, f"/etc/letsencrypt/live/{DOMAIN}/{name}.pem", str(file))
    for old, new in (("listen 80;", plain), ("listen 443 ssl;", f"{secured} ssl")):
        text = _replaced(text, old, f"listen 127.0.0.1:{new};")
    text = _replaced(_replaced(text, "    listen [::]:80;\n", ""), "    listen [::]:443 ssl;\n", "")
    text = _to_ports_of(gateway, text)
    places = "\n".join(
        f"{name}_temp_path {directory / name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    user = f"user {pwd.getpwuid(os.getuid()).pw_name};" if os.getuid() == 0 else ""
    main = directory / "nginx.conf"
    main.write_text(
        f"{user}\nworker_processes 1;\npid {directory / 'pid'};\nerror_log stderr;\nevents {{}}\n"
        f"http {{\naccess_log off;\n{places}\n{text}\n}}\n"
    )
    program = _found("nginx")
    command = [program, "-e", "stderr", "-p", str(directory), "-c", str(main), "-g", "daemon off;"]
    return Proxy(command, directory, secured, dict(os.environ))


def caddy(gateway: Gateway, authority: Authority, directory: Path) -> Proxy:
    """`deploy/Caddyfile`, with the ports and, in the place of ACME's, the certificate of the test."""
    _, secured = _free_ports()
    text = _to_ports_of(gateway, (DEPLOY / "Caddyfile").read_text(), "{$OPENCLAW_UPSTREAM:127.0.0.1}")
    site = "{$OPENCLAW_DOMAIN:chat.example} {\n"
    text = _replaced(text, site, f"{site}\ttls {authority.certificate} {authority.key}\n")
    file = directory / "Caddyfile"
    file.write_text(f"{{\n\tadmin off\n\tauto_https disable_redirects\n}}\n{text}")
    environment = {
        **os.environ,
        "OPENCLAW_DOMAIN": f"https://{DOMAIN}:{secured}",
        "XDG_DATA_HOME": str(directory),
        "XDG_CONFIG_HOME": str(directory),
    }
    command = [_found("caddy"), "run", "--config", str(file), "--adapter", "caddyfile"]
    return Proxy(command, directory, secured, environment)


MAKERS: dict[str, Callable[[Gateway, Authority, Path], Proxy]] = {"nginx": nginx, "caddy": caddy}


def _to_ports_of(gateway: Gateway, text: str, host: str = "127.0.0.1") -> str:
    for port, url in ((18789, gateway.ws_url), (18790, gateway.http_url)):
        real = url.rpartition(":")[2].partition("/")[0]
        text = _replaced(text, f"{host}:{port}", f"{host}:{real}")
    return text


def _replaced(text: str, old: str, new: str) -> str:
    assert old in text, f"{old!r} does not stand there any more"
    return text.replace(old, new)


def _found(program: str) -> str:
    path = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin")
    assert path is not None, program
    return path


def _free_ports() -> tuple[int, int]:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        return one.getsockname()[1], two.getsockname()[1]


def is_installed(program: str) -> bool:
    """Whether the machine has this proxy."""
    return shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/bin") is not None


def connected(port: int, context: ssl.SSLContext, *, source: str) -> ssl.SSLSocket:
    """A TLS connection to a proxy, from another address of this machine."""
    plain = socket.create_connection(("127.0.0.1", port), timeout=15, source_address=(source, 0))
    return context.wrap_socket(plain, server_hostname=DOMAIN)
