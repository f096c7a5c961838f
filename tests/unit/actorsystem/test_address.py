"""Addresses compare, hash and travel by their path; names are never used twice."""

from __future__ import annotations

import pickle

from openclaw_actors.actorsystem.address import (
    MAX_SOCKET_PATH,
    Address,
    AddressManager,
    address_key,
    run_dir_fits,
    socket_name,
)


def test_an_address_is_equal_and_hashed_by_its_path_and_survives_pickling() -> None:
    one, same, other = Address("/r/a"), Address("/r/a"), Address("/r/b")
    assert one == same
    assert one != other
    assert {one: 1}[same] == 1
    assert pickle.loads(pickle.dumps(one)) == one
    assert address_key(one) == address_key("/r/a") == "/r/a"


def test_names_of_sockets_differ_and_fit() -> None:
    names = {socket_name() for _ in range(1000)}
    assert len(names) == 1000
    longest = "/" + "x" * (MAX_SOCKET_PATH - 1 - 24)
    assert run_dir_fits(longest)
    assert not run_dir_fits(longest + "x")


def test_the_table_forgets_what_nobody_holds() -> None:
    table = AddressManager(Address("/r/m"), Address("/r/a"))
    for _ in range(100):
        table.createLocalAddress()
    assert len(table._pending) == 0
    kept = table.createLocalAddress()
    table.associateUseableAddress(Address("/r/a"), kept.addressDetails.addressInstanceNum, Address("/r/b"))
    assert kept == Address("/r/b")
    assert pickle.loads(pickle.dumps(kept)) == Address("/r/b")
