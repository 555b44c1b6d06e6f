"""The configuration for neighbouring districts: who dials, and what passes between accounts."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from streams.authority import Pair
from streams.broker_config import BrokerSettings, Ports, Standing, render
from streams.broker_endpoints import kept_server_name
from streams.broker_leaves import changed_pairs, given
from streams.broker_neighbours import (
    NeighbourSettings,
    Remote,
    dialled,
    pair_account,
    read_remotes,
)
from streams.config import load
from streams.credentials import Credential, Roster, credential_path, issue, revoke
from streams.errors import ConfigError

URL = "tls://broker.example:7422"


def remote(own: str, region: str) -> Remote:
    """A neighbour to dial, with the credential that it gave."""
    credential = Credential(
        name=f"from-{own}", role="district", region=region, place=own, secret="s" * 43
    )
    return Remote(region, own, (URL,), credential, None)


def configuration(folder: Path, *remotes: Remote) -> dict[str, Any]:
    """The server's configuration with the roster in `folder`."""
    pair = Pair(folder / "c.pem", folder / "c.key")
    entries = Roster(folder).entries()
    standing = Standing(server_name="forerun-x", remotes=remotes)
    text = render(BrokerSettings(), Ports(), pair, folder / "js", entries, standing=standing)
    found: dict[str, Any] = json.loads(text)
    return found


def test_pair_s_account_has_the_exchange_of_the_two_and_nothing_else(tmp_path: Path) -> None:
    issue(tmp_path, "hub", "hub", "north")
    issue(tmp_path, "from-west", "district", "north", place="west")

    accounts = configuration(tmp_path, remote("north", "south"))["accounts"]

    assert set(accounts) == {"$SYS", "north", "north~south", "north~west", "NOBODY"}
    away, home = "dx.north.south.*", "dx.south.north.*"
    assert accounts["north~south"]["users"] == []
    assert "jetstream" not in accounts["north~south"]
    for tree in ("", "drill-"):
        assert {"stream": tree + away, "accounts": ["north~south"]} in accounts["north"]["exports"]
        passed = {"stream": {"account": "north", "subject": tree + away}}
        assert passed in accounts["north~south"]["imports"]
        given_back = {"stream": tree + home, "accounts": ["north"]}
        assert given_back in accounts["north~south"]["exports"]
        taken = {"stream": {"account": "north~south", "subject": tree + home}}
        assert taken in accounts["north"]["imports"]
    for side in ("exports", "imports"):
        assert len(accounts["north~south"][side]) == 2
        assert len(accounts["north"][side]) == 4


def test_neighbour_s_user_comes_in_by_the_leaf_node_port_and_no_other(tmp_path: Path) -> None:
    issue(tmp_path, "from-west", "district", "north", place="west")

    (user,) = configuration(tmp_path)["accounts"]["north~west"]["users"]

    assert user["user"] == "from-west"
    assert user["allowed_connection_types"] == ["LEAFNODE"]
    assert all(s.split(".")[:3] in (["dx", "west", "north"], ["drill-dx", "west", "north"])
               for s in user["permissions"]["publish"]["allow"])  # fmt: skip
    assert all(s.split(".")[:3] in (["dx", "north", "west"], ["drill-dx", "north", "west"])
               for s in user["permissions"]["subscribe"]["allow"])  # fmt: skip


def test_neighbour_is_dialled_into_the_pair_s_account_with_its_credential(tmp_path: Path) -> None:
    leaf = configuration(tmp_path, remote("north", "south"))["leafnodes"]

    (found,) = leaf["remotes"]
    assert found["account"] == "north~south"
    assert found["urls"] == [f"tls://from-north:{'s' * 43}@broker.example:7422"]
    assert "ca_file" not in found["tls"]
    assert leaf["no_advertise"] is True


@pytest.mark.parametrize(
    ("own", "other", "accepts", "dials"),
    [
        ("north", "south", False, True),
        ("north", "south", True, True),
        ("south", "north", False, True),
        ("south", "north", True, False),  # north's name comes first, and it can dial
    ],
)
def test_of_two_that_could_dial_the_one_whose_name_comes_first_does(
    tmp_path: Path, own: str, other: str, accepts: bool, dials: bool
) -> None:
    if accepts:
        issue(tmp_path, f"from-{other}", "district", own, place=other)
    one = remote(own, other)

    assert dialled([one], Roster(tmp_path).entries()) == ((one,) if dials else ())


def test_pairs_of_which_the_credential_changed_are_told(tmp_path: Path) -> None:
    for neighbour in ("south", "west"):
        issue(tmp_path, f"from-{neighbour}", "district", "north", place=neighbour)
    before = given(Roster(tmp_path).entries())
    revoke(tmp_path, "from-south")
    revoked = given(Roster(tmp_path).entries())
    issue(tmp_path, "from-south", "district", "north", place="south")

    assert changed_pairs(before, before) == frozenset()
    assert changed_pairs(before, revoked) == {"north~south"}
    assert changed_pairs(before, given(Roster(tmp_path).entries())) == {"north~south"}


def test_server_name_is_made_once_and_is_another_one_elsewhere(tmp_path: Path) -> None:
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()

    assert kept_server_name(here) == kept_server_name(here)
    assert kept_server_name(here) != kept_server_name(there)


def settings_for(tmp_path: Path, **changes: str) -> NeighbourSettings:
    """Settings that are right, with changes."""
    issue(tmp_path, "from-north", "district", "south", place="north")
    right = {
        "region": "south",
        "url": URL,
        "credential": str(credential_path(tmp_path, "from-north")),
    }
    return NeighbourSettings(**{**right, **changes})


def test_remote_is_read_with_its_own_region_from_the_credential(tmp_path: Path) -> None:
    (found,) = read_remotes([settings_for(tmp_path, url=f"{URL}, tls://second.example:7422")])

    assert (found.own, found.region) == ("north", "south")
    assert found.urls == (URL, "tls://second.example:7422")
    assert pair_account(found.own, found.region) == "north~south"


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"region": "west"}, "issued by 'west'"),
        ({"credential": "nowhere.toml"}, "nowhere.toml"),
        ({"authority": "nowhere.pem"}, "nowhere.pem"),
        ({"url": "broker.example"}, "tls://host:port"),
        ({"url": "tls://broker.example"}, "tls://host:port"),
        ({"url": "nats://broker.example:7422"}, "tls://host:port"),
        ({"url": "tls://someone:secret@broker.example:7422"}, "tls://host:port"),
        ({"url": "tls://broker.example:99999"}, "tls://host:port"),
    ],
)
def test_neighbour_that_cannot_be_is_refused_with_what_is_wrong(
    tmp_path: Path, changes: dict[str, str], word: str
) -> None:
    with pytest.raises(ConfigError, match=word):
        read_remotes([settings_for(tmp_path, **changes)])


def test_credential_of_another_role_is_refused(tmp_path: Path) -> None:
    issue(tmp_path, "hub", "hub", "south")
    with pytest.raises(ConfigError, match="hub"):
        read_remotes([settings_for(tmp_path, credential=str(credential_path(tmp_path, "hub")))])


def test_same_neighbour_twice_is_refused(tmp_path: Path) -> None:
    one = settings_for(tmp_path)
    with pytest.raises(ConfigError, match="twice"):
        read_remotes([one, one])


def test_neighbour_of_the_settings_file_is_read_and_an_unknown_key_stops(tmp_path: Path) -> None:
    file = tmp_path / "broker.toml"
    table = f'[[neighbours]]\nregion = "south"\nurl = "{URL}"\ncredential = "c.toml"\n'
    file.write_text(table)
    assert load(file, BrokerSettings).neighbours[0].region == "south"

    file.write_text(table + 'colour = "red"\n')
    with pytest.raises(ConfigError, match="colour"):
        load(file, BrokerSettings)
