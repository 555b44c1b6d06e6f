"""Rights follow from the table of topics; the generated configuration says the same."""

from __future__ import annotations

import json
from itertools import product
from pathlib import Path

import pytest

from streams.authority import Pair
from streams.broker_config import (
    MAX_PAYLOAD,
    BrokerSettings,
    Ports,
    check_version,
    render,
)
from streams.broker_log import refusal
from streams.broker_rights import FLOWS, flow_subjects, rights_of, stream_name, subject, topic
from streams.config import example, load
from streams.credentials import PLACED, Role, Roster, issue
from streams.errors import ConfigError, CredentialError
from streams.topics import LARGEST_BYTES, TOPICS, kinds, path
from streams.transport.jetstream import stream_config

SCOPES = ("unit", "hospital")
DRILL = (False, True)


def every_topic(region: str, name: str) -> list[tuple[str, str, str, bool]]:
    return [
        (path(scope, region, name, kind, drill=drill), scope, kind, drill)
        for kind, row in TOPICS.items()
        for scope in SCOPES
        if scope in row.scopes
        for drill in DRILL
    ]


@pytest.mark.parametrize("role", SCOPES)
@pytest.mark.parametrize("drill", DRILL)
def test_unit_and_hospital_publish_what_they_make_and_read_what_the_hub_makes(
    role: str, drill: bool
) -> None:
    rights = rights_of(role, "north", "own-name", drill=drill)  # type: ignore[arg-type]
    for found, scope, kind, tree in every_topic("north", "own-name"):
        here = scope == role and tree is drill
        assert rights.may_publish(found) is (here and role in TOPICS[kind].makers), found
        by_hub = "hub" in TOPICS[kind].makers
        # A hospital reads facts from its consumer, not from their topic.
        readable = by_hub and (role == "unit" or not TOPICS[kind].is_fact)
        assert rights.may_subscribe(found) is (here and readable), found


@pytest.mark.parametrize("role", SCOPES)
@pytest.mark.parametrize(("region", "name"), [("north", "other"), ("south", "own-name")])
def test_unit_and_hospital_have_no_right_below_another_name(
    role: str, region: str, name: str
) -> None:
    for drill in DRILL:
        rights = rights_of(role, "north", "own-name", drill=drill)  # type: ignore[arg-type]
        for found, *_ in every_topic(region, name):
            assert not rights.may_publish(found)
            assert not rights.may_subscribe(found)


@pytest.mark.parametrize("role", SCOPES)
def test_unit_and_hospital_have_no_right_to_any_pattern(role: str) -> None:
    rights = rights_of(role, "north", "own-name")  # type: ignore[arg-type]
    root = "ems" if role == "unit" else "er"
    for tokens in product(("+", root), ("+", "north"), ("+", "own-name"), ("+", "receipt_down")):
        pattern = "/".join(tokens)
        assert rights.may_subscribe(pattern) is ("+" not in pattern)


def test_hub_reads_its_region_and_publishes_what_hubs_make() -> None:
    rights = rights_of("hub", "north", "hub-north")
    for found, scope, kind, _ in every_topic("north", "anybody"):
        assert rights.may_subscribe(found)
        assert rights.may_publish(found) is (kind in kinds("hub", scope))  # type: ignore[arg-type]
    for found, *_ in every_topic("south", "anybody"):
        assert not rights.may_subscribe(found)
        assert not rights.may_publish(found)


def test_hub_tells_neighbours_in_its_own_name_and_reads_what_is_for_it() -> None:
    rights = rights_of("hub", "north", "hub-north")
    for kind in kinds("hub", "district"):
        for drill in DRILL:
            told = path("district", "north", "south", kind, drill=drill)
            heard = path("district", "south", "north", kind, drill=drill)
            others = path("district", "south", "west", kind, drill=drill)
            assert rights.may_publish(told)
            assert rights.may_subscribe(heard)
            assert not rights.may_publish(heard)
            assert not rights.may_subscribe(told)
            assert not rights.may_publish(others)
            assert not rights.may_subscribe(others)


def test_district_has_the_exchange_of_its_pair_and_nothing_else() -> None:
    rights = rights_of("district", "north", "south")

    assert rights.doors == ("LEAFNODE",)
    for found, *_ in [*every_topic("north", "south"), *every_topic("south", "north")]:
        assert not rights.may_publish(found)
        assert not rights.may_subscribe(found)
    for kind in kinds("hub", "district"):
        for drill in DRILL:
            home = path("district", "south", "north", kind, drill=drill)
            away = path("district", "north", "south", kind, drill=drill)
            other = path("district", "west", "north", kind, drill=drill)
            assert (rights.may_publish(home), rights.may_subscribe(home)) == (True, False)
            assert (rights.may_publish(away), rights.may_subscribe(away)) == (False, True)
            assert not rights.may_publish(other)
            assert not rights.may_subscribe(other)
    assert not any(right[0] in "$_>*" for right in (*rights.publish, *rights.subscribe))


def test_no_flow_carries_what_districts_tell_each_other() -> None:
    subjects = [
        found
        for flow in FLOWS
        for drill in DRILL
        for found in flow_subjects(flow, "north", drill=drill)
    ]
    told = kinds("hub", "district")
    assert told
    assert not [found for found in subjects if found.rpartition(".")[2] in told]


def test_hospital_has_jetstream_rights_to_its_own_consumer_only() -> None:
    rights = rights_of("hospital", "north", "first-hospital")

    assert {right for right in rights.publish if right.startswith("$")} == {
        "$JS.API.CONSUMER.MSG.NEXT.to_hospitals-north.first-hospital",
        "$JS.ACK.to_hospitals-north.first-hospital.>",
    }
    assert "_INBOX_first-hospital.>" in rights.subscribe


@pytest.mark.parametrize("role", sorted(PLACED))
def test_seats_exchanges_and_partners_have_no_rights_at_the_broker(role: Role) -> None:
    with pytest.raises(CredentialError, match=role):
        rights_of(role, "north", "anna")


def test_flows_carry_every_fact_once_and_no_stream() -> None:
    subjects = [
        found for flow in FLOWS for drill in DRILL
        for found in flow_subjects(flow, "north", drill=drill)
    ]  # fmt: skip
    assert len(subjects) == len(set(subjects))
    wanted = {
        subject(path(scope, "north", "+", row.kind, drill=drill))
        for row in TOPICS.values()
        for scope in SCOPES
        for drill in DRILL
        if row.is_fact
        and scope in row.scopes
        # What goes from the hub to a unit needs no stream: the hub's outbox repeats it.
        and (scope == "hospital" or "unit" in row.makers)
    }
    assert set(subjects) == wanted


def test_stream_limits_follow_the_table() -> None:
    live, drill = (stream_config("from_units", "north", drill=drill) for drill in DRILL)

    assert live.name == stream_name("from_units", "north") == "from_units-north"
    assert drill.name == "drill-from_units-north"
    assert live.max_msg_size == LARGEST_BYTES
    assert (live.max_bytes or 0) > (drill.max_bytes or 0) > 0
    assert live.max_age == 3 * 24 * 3600
    assert set(live.subjects or ()).isdisjoint(drill.subjects or ())


def test_topic_and_subject_are_each_other_s_inverse() -> None:
    assert subject("ems/north/+/vitals") == "ems.north.*.vitals"
    assert topic("ems.north.unit-7.vitals") == "ems/north/unit-7/vitals"


def test_configuration_has_one_account_per_region_and_no_seat(tmp_path: Path) -> None:
    issue(tmp_path, "unit-7", "unit", "north")
    issue(tmp_path, "unit-9", "unit", "south")
    for name, role in (("anna", "seat"), ("pbx", "exchange"), ("police", "partner")):
        issue(tmp_path, name, role, "north", place="hub")  # type: ignore[arg-type]
    pair = Pair(tmp_path / "c.pem", tmp_path / "c.key")
    entries = Roster(tmp_path).entries()

    config = json.loads(render(BrokerSettings(), Ports(), pair, tmp_path / "js", entries))

    users = {
        region: [user["user"] for user in account["users"]]
        for region, account in config["accounts"].items()
    }
    assert users == {
        "$SYS": ["BROKER"],
        "north": ["unit-7"],
        "south": ["unit-9"],
        "NOBODY": ["NOBODY"],
    }
    unit = config["accounts"]["north"]["users"][0]
    rights = rights_of("unit", "north", "unit-7")
    assert unit["permissions"]["publish"]["allow"] == list(rights.publish)
    assert unit["permissions"]["subscribe"]["allow"] == list(rights.subscribe)
    assert unit["allowed_connection_types"] == ["MQTT", "MQTT_WS"]
    assert config["max_payload"] == MAX_PAYLOAD > LARGEST_BYTES
    assert config["http"].startswith("127.0.0.1:")
    for listener in (config, config["mqtt"], config["websocket"], config["leafnodes"]):
        assert listener["tls"]["cert_file"]


@pytest.mark.parametrize("answer", ["nats-server: v2.14.3", "nats-server: v2.15.1\n", "v3.0.0"])
def test_version_that_is_new_enough_is_taken(answer: str) -> None:
    check_version("nats-server", answer)


@pytest.mark.parametrize(
    "answer",
    ["nats-server: v2.14.2", "nats-server: v2.9.10", "nats-server: v2.14.3-RC.1", "v1.99", "hello"],
)
def test_version_that_is_too_old_or_none_is_refused_with_what_is_wanted(answer: str) -> None:
    with pytest.raises(ConfigError, match=r"2\.14\.3"):
        check_version("nats-server", answer)


def test_packaged_settings_are_the_defaults(tmp_path: Path) -> None:
    file = tmp_path / "broker.toml"
    file.write_text(example("streams", "broker.toml"))

    assert load(file, BrokerSettings) == BrokerSettings()


@pytest.mark.parametrize("line", ["colour = 1", "[ports]\nfax = 1", "ports = {mqtt = 70000}"])
def test_settings_unknown_or_impossible_stop_with_the_key(tmp_path: Path, line: str) -> None:
    file = tmp_path / "broker.toml"
    file.write_text(line)

    with pytest.raises(ConfigError, match=r"colour|fax|mqtt"):
        load(file, BrokerSettings)


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('127.0.0.1:1 - mid:7 - "unit-7-ab" - Publish Violation - Subject "ems.x"', "publish"),
        ('127.0.0.1:1 - cid:6 - "v" - "n/user:h" - Subscription Violation - Subject ">", SID 2',
         "subscribe"),
        ('127.0.0.1:1 - mid:26 - "x" - authentication error - User "unit-7"', "authentication"),
        ('127.0.0.1:1 - mid:26 - "x" - unable to connect: authentication error', None),
        ("127.0.0.1:1 - cid:9 - TLS handshake error: EOF", "tls"),
        ("Server is ready", None),
    ],
)  # fmt: skip
def test_line_of_the_server_s_log_is_counted_by_its_reason(line: str, reason: str | None) -> None:
    assert refusal(line) == reason
