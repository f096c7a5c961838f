"""Owns the names of actors: socket names that are never used twice, addresses that stand for them, and their
equality.

An address is the path of the Unix socket on which an actor listens. The parent chooses the path and binds the socket
before it forks, so `createActor` knows the true address of the child at once. Thespian's own bases hand out a local
number first and learn the address later (`thespian/system/addressManager.py:117`); that table never shrinks and is
scanned linearly. Ours is needed only where the admin creates an actor for another one, and it forgets.
"""

# ruff: noqa: N802, N803 - the names and signatures are Thespian's
from __future__ import annotations

__all__ = [
    "MAX_SOCKET_PATH",
    "Address",
    "AddressManager",
    "LocalAddress",
    "address_key",
    "run_dir_fits",
    "socket_name",
]

import itertools
import os
import weakref
from pathlib import Path
from typing import Any

from thespian.actors import ActorAddress
from thespian.system.addressManager import ActorAddressManager, ActorLocalAddress, CannotPickleAddress

MAX_SOCKET_PATH = 107
"""Bytes of a Unix socket's path on Linux, the final NUL not counted (`sun_path` in unix(7))."""

_NAME_BYTES = 24  # the longest name that socket_name() makes, with the slash before it

_numbers = itertools.count(1)


def socket_name(kind: str = "a") -> str:
    """Make a file name for a socket that no other process of this boot has used or will use.

    Args:
        kind: one letter: `a` an actor, `m` the admin, `x` an endpoint outside the system.
    """
    return f"{kind}{os.getpid():x}-{next(_numbers):x}-{os.urandom(3).hex()}"


def run_dir_fits(run_dir: str | os.PathLike[str]) -> bool:
    """Say whether every socket of an actor system can live in `run_dir`, by the length of its absolute path."""
    return len(os.fsencode(os.path.abspath(run_dir))) + _NAME_BYTES <= MAX_SOCKET_PATH


class Address(ActorAddress):
    """The address of an actor: the absolute path of its socket. Can be pickled, compared and hashed."""

    def __init__(self, path: str) -> None:
        self._aaddr = path

    def settle(self, path: str) -> None:
        """Give an address that was made before its actor its path; nobody has hashed it yet."""
        self._aaddr = path

    def __eq__(self, other: object) -> bool:
        if other.__class__ is Address:
            return bool(self._aaddr == other._aaddr)
        if isinstance(other, LocalAddress):
            return other == self
        return isinstance(other, ActorAddress) and bool(self._aaddr == other.addressDetails)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash(self._aaddr)

    def __reduce__(self) -> tuple[Any, ...]:
        return Address, (self._aaddr,)

    def __repr__(self) -> str:
        return f"Address({Path(self._aaddr).name})"


class LocalAddress(ActorAddress):
    """An address whose actor another process is still creating; Thespian's placeholder.

    It equals the true address, and is pickled as such, from the moment at which that is known. Before it,
    pickling raises `CannotPickleAddress`, and Thespian keeps the message until then (`systemCommon.py:176`).
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, details: ActorLocalAddress) -> None:
        self._aaddr = details

    @property
    def real(self) -> Address | None:
        """The true address, once known."""
        return getattr(self._aaddr, "real", None)

    def eqOverride(self, other: object) -> bool:
        return self == other

    def __eq__(self, other: object) -> bool:
        if isinstance(other, LocalAddress):
            return bool(self._aaddr == other._aaddr) or (self.real is not None and self.real == other.real)
        return self.real is not None and bool(self.real == other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __reduce__(self) -> tuple[Any, ...]:
        if self.real is None:
            raise CannotPickleAddress(self, "the actor is still being created")
        return self.real.__reduce__()

    def __str__(self) -> str:
        return f"ActorAddr-{self.real or self._aaddr}"


def address_key(address: Any) -> str:
    """Return a stable, hashable string for an address: the path of the socket. A string is returned unchanged.

    Raises:
        ValueError: another process still creates the actor, so its address is not known yet.
    """
    if address.__class__ is Address:
        return str.__str__(address._aaddr)
    if isinstance(address, str):
        return address
    details = address.addressDetails
    if isinstance(details, str):
        return details
    real: Address | None = getattr(details, "real", None)
    if real is None:
        raise ValueError("the actor is still being created: its address is not known yet")
    return str(real.addressDetails)


class AddressManager(ActorAddressManager):
    """Thespian's table of local addresses without its growth: nothing is kept for an actor whose address is known."""

    def __init__(self, admin: ActorAddress, own: ActorAddress) -> None:
        super().__init__(admin, own)
        self._number = itertools.count()
        self._pending: weakref.WeakValueDictionary[int, Any] = weakref.WeakValueDictionary()

    def createLocalAddress(self) -> LocalAddress:
        return self.getLocalAddress(next(self._number))

    def getLocalAddress(self, instanceNum: int) -> LocalAddress:
        details = self._pending.get(instanceNum)
        if details is None:
            details = ActorLocalAddress(self._thisActorAddr, instanceNum, self)
            self._pending[instanceNum] = details
        return LocalAddress(details)

    def importAddr(self, anAddr: ActorAddress) -> None:
        """Nothing to do: our addresses compare by themselves."""

    def deadAddress(self, address: ActorAddress) -> None:
        """Nothing to remember: a socket name is never used again, and connecting to a dead one fails at once."""

    def isDeadAddress(self, address: ActorAddress) -> bool:
        return False

    def remove_dead_address(self, address: ActorAddress) -> None:
        """Nothing is remembered."""

    def associateUseableAddress(
        self,
        ownerAddress: ActorAddress,
        ownerInstance: int,
        useableAddress: ActorAddress,
    ) -> None:
        details = self._pending.get(ownerInstance)
        if details is not None and ownerAddress == self._thisActorAddr:
            details.real = useableAddress

    def compareAddressEq(self, addr1: ActorAddress, addr2: ActorAddress) -> bool:
        return bool(addr1 == addr2)

    def exportAddr(self, anAddress: Any) -> ActorAddress | None:
        details = getattr(anAddress, "addressDetails", anAddress)
        if isinstance(details, ActorLocalAddress):
            return getattr(details, "real", None)
        return anAddress

    def prepMessageSend(self, anAddress: ActorAddress, msg: object) -> tuple[ActorAddress | None, object]:
        return self.exportAddr(anAddress), msg
