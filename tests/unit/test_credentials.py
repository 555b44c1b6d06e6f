"""Credentials: issued once, verified by hash, revoked for all who look."""

from __future__ import annotations

import stat
import subprocess
import sys
from pathlib import Path

import bcrypt
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from streams.credentials import (
    Roster,
    Verified,
    credential_path,
    issue,
    read_credential,
    read_own_credential,
    revoke,
)
from streams.errors import ConfigError, CredentialError, MalformedError


def test_issued_credential_is_verified_as_what_it_is(tmp_path: Path) -> None:
    unit = issue(tmp_path, "unit-7", "unit", "north")
    drill = issue(tmp_path, "unit-7-drill", "unit", "north", drill=True)
    roster = Roster(tmp_path)

    assert roster.verify(unit.token) == Verified("unit-7", "unit", "north", drill=False)
    assert roster.verify(drill.token).drill


def test_issued_file_is_the_owner_s_and_holds_the_credential(tmp_path: Path) -> None:
    unit = issue(tmp_path, "unit-7", "unit", "north")
    path = credential_path(tmp_path, "unit-7")

    assert read_credential(path) == unit
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "roster.toml").stat().st_mode) == 0o600


def test_roster_has_no_secret_and_a_hash_that_the_broker_takes(tmp_path: Path) -> None:
    unit = issue(tmp_path, "unit-7", "unit", "north")

    assert unit.secret not in (tmp_path / "roster.toml").read_text()
    hashed = Roster(tmp_path).entries()["unit-7"].bcrypt
    assert hashed.startswith("$2a$")
    assert bcrypt.checkpw(unit.secret.encode(), hashed.encode())


def test_secret_is_not_in_what_is_printed(tmp_path: Path) -> None:
    unit = issue(tmp_path, "unit-7", "unit", "north")

    assert unit.secret not in f"{unit} {unit!r}"


def test_issue_again_gives_the_same_and_another_role_is_refused(tmp_path: Path) -> None:
    unit = issue(tmp_path, "unit-7", "unit", "north")

    assert issue(tmp_path, "unit-7", "unit", "north") == unit
    with pytest.raises(CredentialError, match="taken"):
        issue(tmp_path, "unit-7", "hospital", "north")
    with pytest.raises(CredentialError, match="taken"):
        issue(tmp_path, "unit-7", "unit", "north", drill=True)


def test_seat_is_at_one_place_and_says_so_when_its_token_is_verified(tmp_path: Path) -> None:
    desk = issue(tmp_path, "desk", "seat", "north", place="first-hospital")

    verified = Roster(tmp_path).verify(desk.token)
    assert (verified.role, verified.place) == ("seat", "first-hospital")
    assert issue(tmp_path, "desk", "seat", "north", place="first-hospital") == desk
    with pytest.raises(CredentialError, match="taken by a seat at first-hospital"):
        issue(tmp_path, "desk", "seat", "north", place="second-hospital")


def test_seat_without_a_place_and_a_unit_with_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="at one place"):
        issue(tmp_path, "desk", "seat", "north")
    with pytest.raises(CredentialError, match="only a seat"):
        issue(tmp_path, "unit-7", "unit", "north", place="hub")
    with pytest.raises(MalformedError):
        issue(tmp_path, "desk", "seat", "north", place="First Hospital")
    assert not list(tmp_path.iterdir())


def test_issue_again_after_the_secret_was_handed_out_is_refused(tmp_path: Path) -> None:
    issue(tmp_path, "unit-7", "unit", "north")
    credential_path(tmp_path, "unit-7").unlink()

    with pytest.raises(CredentialError, match="handed out"):
        issue(tmp_path, "unit-7", "unit", "north")


def test_revoked_credential_is_refused_by_a_roster_that_is_open(tmp_path: Path) -> None:
    unit, other = (issue(tmp_path, name, "unit", "north") for name in ("unit-7", "unit-8"))
    roster = Roster(tmp_path)
    roster.verify(unit.token)

    revoke(tmp_path, "unit-7")

    with pytest.raises(CredentialError):
        roster.verify(unit.token)
    assert roster.verify(other.token).name == "unit-8"
    with pytest.raises(CredentialError, match="unit-7"):
        revoke(tmp_path, "unit-7")
    assert issue(tmp_path, "unit-7", "unit", "north").secret != unit.secret


def test_hub_for_exercises_only_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match="drill"):
        issue(tmp_path, "hub-north", "hub", "north", drill=True)


def test_service_with_a_credential_for_exercises_does_not_start(tmp_path: Path) -> None:
    for name, drill in (("unit-7", False), ("unit-8", True)):
        issue(tmp_path, name, "unit", "north", drill=drill)
    assert read_own_credential(credential_path(tmp_path, "unit-7"), "unit", "unit-7", "north")
    with pytest.raises(ConfigError, match="exercises"):
        read_own_credential(credential_path(tmp_path, "unit-8"), "unit", "unit-8", "north")


@pytest.mark.parametrize("name", ["", "Unit", "a.b", "../x", "a/b", "x" * 41])
def test_name_that_is_no_name_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(MalformedError):
        issue(tmp_path, name, "unit", "north")


def test_damaged_roster_stops_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "roster.toml").write_text("[credentials.unit-7]\nrole = 'king'\n")

    with pytest.raises(ConfigError, match=r"roster\.toml"):
        Roster(tmp_path).verify("unit-7.secret")


def test_processes_that_issue_at_once_lose_no_entry(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from streams.credentials import issue\n"
        "for n in range(5): issue(Path(sys.argv[1]), f'{sys.argv[2]}-{n}', 'unit', 'north')"
    )
    children = [
        subprocess.Popen([sys.executable, "-c", program, str(tmp_path), name])
        for name in ("a", "b", "c")
    ]
    assert [child.wait(timeout=60) for child in children] == [0, 0, 0]

    assert len(Roster(tmp_path).entries()) == 15


@settings(
    max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(token=st.one_of(st.text(), st.text().map(lambda text: f"unit-7.{text}")))
def test_any_other_token_raises_credential_error(tmp_path: Path, token: str) -> None:
    unit = issue(tmp_path, "unit-7", "unit", "north")
    roster = Roster(tmp_path)

    for wrong in (token, unit.token + token, unit.token[:-1] + token, "\udcff" + token):
        if wrong != unit.token:
            with pytest.raises(CredentialError):
                roster.verify(wrong)


def test_district_s_credential_names_the_neighbour_and_carries_both_trees(tmp_path: Path) -> None:
    given = issue(tmp_path, "from-north", "district", "south", place="north")

    assert read_credential(credential_path(tmp_path, "from-north")) == given
    assert Roster(tmp_path).entries()["from-north"].place == "north"
    for place in ("", "south"):
        with pytest.raises(CredentialError, match="neighbour"):
            issue(tmp_path, "other", "district", "south", place=place)
    with pytest.raises(CredentialError, match="live and drill"):
        issue(tmp_path, "other", "district", "south", place="north", drill=True)
