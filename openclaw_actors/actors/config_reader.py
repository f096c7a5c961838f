"""ConfigurationReader: a process that reads the configuration again, and ends. Nobody else has to see its secrets."""

from __future__ import annotations

import os
import traceback

from openclaw_actors.actorsystem import AsyncActor, handles
from openclaw_actors.config import GatewayConfig, decode, encode, examine, mask
from openclaw_actors.config.environment import CONFIG_PATH_VARIABLE
from openclaw_actors.config.lastgood import encode_last_good
from openclaw_actors.config.origin import decode_origin, encode_origin
from openclaw_actors.config.rereading import reread
from openclaw_actors.config.vault import vault_path
from openclaw_actors.messages import Address, ConfigurationRead, ReadConfiguration

__all__ = ["ConfigurationReader"]

# It is forked from a process that has imported this: none of them works the types out.
examine(None, {"HOME": "/", CONFIG_PATH_VARIABLE: "/dev/null"}, {})
mask(GatewayConfig())


class ConfigurationReader(AsyncActor):
    """Reads once. It blocks: the supervisor waits with a deadline, and kills what does not come back."""

    process_name = "configuration"

    @handles(ReadConfiguration)
    def read(self, message: ReadConfiguration, sender: Address) -> ConfigurationRead:
        """Says what there is now, without values of secrets."""
        try:
            found = reread(
                decode_origin(message.origin), os.environ, decode(message.settings), message.secrets
            )
        except Exception as error:
            # Not let to crash: a traceback's last line could quote what it stumbled over.
            frames = traceback.extract_tb(error.__traceback__)
            where = f" at {os.path.basename(frames[-1].filename)}:{frames[-1].lineno}" if frames else ""
            text = f"the configuration cannot be read: internal error: {type(error).__name__}{where}"
            return ConfigurationRead(problems=(text,))
        if found.problems:
            return ConfigurationRead(problems=tuple(map(str, found.problems)))
        return ConfigurationRead(
            warnings=found.warnings,
            settings=encode(found.config),
            wanted=encode(found.wanted),
            secrets=found.secrets,
            origin=encode_origin(found.origin),
            other_values=found.other_values,
            vault=vault_path(found.vault) if found.vault >= 0 else "",
            good=encode_last_good(found.good),
        )
