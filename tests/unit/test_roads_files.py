"""Files of roads: OSM XML and GeoJSON, packed or not, good and bad."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dispatch import road_files
from dispatch.road_files import RoadSettings, read_roads
from dispatch.road_graph import ROAD_CLASSES, RoadGraph
from dispatch.road_speeds import AS_DRIVEN, driven, limit_of
from streams.errors import ConfigError

OSM = """<?xml version='1.0' encoding='UTF-8'?>
<osm version="0.6">
  <node id="11" lat="31.20" lon="121.40"/><node id="12" lat="31.20" lon="121.41"/>
  <node id="13" lat="31.21" lon="121.41"><tag k="highway" v="crossing"/></node>
  <node id="14" lat="31.50" lon="121.90"/>
  <way id="1"><nd ref="11"/><nd ref="12"/><nd ref="13"/>
    <tag k="highway" v="secondary"/><tag k="maxspeed" v="60"/></way>
  <way id="2"><nd ref="13"/><nd ref="11"/>
    <tag k="highway" v="tertiary"/><tag k="oneway" v="-1"/></way>
  <way id="3"><nd ref="11"/><nd ref="13"/><tag k="highway" v="footway"/></way>
  <way id="4"><nd ref="13"/><nd ref="99"/><nd ref="12"/><tag k="highway" v="service"/></way>
  <way id="5"><nd ref="11"/><nd ref="13"/><tag k="building" v="yes"/></way>
</osm>"""


def links_of(graph: RoadGraph) -> set[tuple[int, int]]:
    return {(int(u), int(v)) for u, v in zip(graph.start, graph.end, strict=True)}


def write(folder: Path, name: str, text: str = OSM) -> Path:
    path = folder / name
    if name.endswith(".gz"):
        path.write_bytes(gzip.compress(text.encode()))
    elif name.endswith(".zip"):
        with zipfile.ZipFile(path, "w") as packed:
            packed.writestr("readme.txt", "roads")
            packed.writestr("town.osm", text)
    else:
        path.write_text(text)
    return path


@pytest.mark.parametrize("name", ["town.osm", "town.osm.gz", "town.zip"])
def test_osm_is_read_plain_and_packed(tmp_path: Path, name: str) -> None:
    graph = read_roads(write(tmp_path, name))
    assert graph.nodes == 3, "the node without a road is not there"
    assert links_of(graph) == {(0, 1), (1, 0), (1, 2), (2, 1), (0, 2)}
    first = list(graph.start).index(0)
    assert graph.metres[first] == pytest.approx(953, abs=1), "0.01 degrees of longitude at 31.2"
    assert graph.metres[first] / graph.seconds[first] == pytest.approx(60 / 3.6 * AS_DRIVEN)
    assert ROAD_CLASSES[graph.road_class[first]] == "secondary"


def test_geojson_joins_lines_at_their_common_points(tmp_path: Path) -> None:
    def line(properties: dict[str, object], *points: tuple[float, ...]) -> dict[str, object]:
        geometry = {"type": "LineString", "coordinates": points}
        return {"type": "Feature", "properties": properties, "geometry": geometry}

    features = [
        line({"highway": "primary", "maxspeed": 50}, (121.40, 31.2), (121.41, 31.2)),
        line({"oneway": True}, (121.41, 31.2, 4.0), (121.41, 31.21)),
        {"type": "Feature", "properties": None, "geometry": {"type": "Point", "coordinates": []}},
    ]
    text = json.dumps({"type": "FeatureCollection", "features": features})
    graph = read_roads(write(tmp_path, "town.geojson", text))
    assert links_of(graph) == {(0, 1), (1, 0), (1, 2)}


bad = {
    "empty.osm": "",
    "cut.osm": OSM[:300],
    "no_roads.osm": '<osm version="0.6"></osm>',
    "other.osm": "<gpx></gpx>",
    "latitude.osm": OSM.replace('lat="31.20"', 'lat="north"'),
    "range.osm": OSM.replace('lat="31.20"', 'lat="131.20"'),
    "nan.osm": OSM.replace('lat="31.20"', 'lat="nan"'),
    "number.osm": OSM.replace('id="11"', 'id="99999999999999999999999"'),
    "reference.osm": OSM.replace('ref="11"', 'reference="11"'),
    "entity.osm": '<!DOCTYPE osm [<!ENTITY a "aaaa">]>' + OSM.split("\n", 1)[1],
    "text.geojson": "hello",
    "list.geojson": "[]",
    "feature.geojson": '{"type": "Feature", "features": []}',
    "swapped.geojson": '{"type": "FeatureCollection", "features": [{"geometry": {"type": '
    '"LineString", "coordinates": [[31.2, 121.4], [31.2, 121.5]]}}]}',
    "flat.geojson": '{"type": "FeatureCollection", "features": [{"geometry": {"type": '
    '"LineString", "coordinates": [31.2, 121.4]}}]}',
    "roads.csv": "a,b",
}


@pytest.mark.parametrize("name", bad)
def test_bad_file_is_refused_by_its_name(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match=name):
        read_roads(write(tmp_path, name, bad[name]))


def test_packed_file_that_is_none_is_refused_by_its_name(tmp_path: Path) -> None:
    for name in ("town.zip", "town.osm.gz"):
        path = tmp_path / name
        path.write_bytes(b"PK\x03\x04 and no more")
        with pytest.raises(ConfigError, match=name):
            read_roads(path)
    with pytest.raises(ConfigError, match=r"absent\.osm"):
        read_roads(tmp_path / "absent.osm")


def test_bomb_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(road_files, "MOST_BYTES", 10_000)
    path = write(tmp_path, "bomb.osm.gz", OSM.replace("</osm>", " " * 5_000_000 + "</osm>"))
    with pytest.raises(ConfigError, match="more than 10000 bytes"):
        read_roads(path)


@given(st.binary(max_size=300))
def test_garbage_raises_nothing_but_a_refusal(tmp_path_factory: pytest.TempPathFactory,
                                              garbage: bytes) -> None:  # fmt: skip
    folder = tmp_path_factory.mktemp("garbage")
    for name in ("a.osm", "a.geojson", "a.osm.gz", "a.zip"):
        (folder / name).write_bytes(garbage)
        with pytest.raises(ConfigError):
            read_roads(folder / name)


def test_kept_graph_is_taken_while_the_file_is_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(road_files, "WORTH_KEEPING_S", 0.0)
    path, keep = write(tmp_path, "town.osm"), tmp_path / "state" / "roads.npz"
    first = read_roads(path, keep)
    assert keep.is_file()
    monkeypatch.setattr(road_files, "_read", lambda _: pytest.fail("it was read again"))
    again = read_roads(path, keep)
    assert links_of(again) == links_of(first)
    assert list(again.seconds) == list(first.seconds)
    monkeypatch.undo()
    shorter = OSM.replace('<nd ref="12"/><nd ref="13"/>', '<nd ref="12"/>')
    assert links_of(read_roads(write(tmp_path, "town.osm", shorter), keep)) != links_of(first)


def test_kept_graph_that_is_damaged_is_read_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(road_files, "WORTH_KEEPING_S", 0.0)
    path, keep = write(tmp_path, "town.osm"), tmp_path / "roads.npz"
    first = read_roads(path, keep)
    whole = keep.read_bytes()
    for damaged in (whole[:200], b"", whole[:900] + b"\xff" * 60 + whole[960:]):
        keep.write_bytes(damaged)
        assert links_of(read_roads(path, keep)) == links_of(first)


def test_settings_without_a_file_have_no_roads_and_with_one_drive_by_them(tmp_path: Path) -> None:
    assert RoadSettings().open(tmp_path) is None
    settings = RoadSettings(file=str(write(tmp_path, "town.osm")), emergency_factor=2.0)
    roads = settings.open(tmp_path)
    assert roads is not None
    slow = RoadSettings(file=settings.file, emergency_factor=1.0).open(tmp_path)
    assert slow is not None
    one, other = (31.2, 121.4), (31.2, 121.41)
    assert roads.times_to(other).seconds(one) == pytest.approx(
        (slow.times_to(other).seconds(one) or 0) / 2
    )
    with pytest.raises(ConfigError, match=r"absent\.osm"):
        RoadSettings(file=str(tmp_path / "absent.osm")).open(tmp_path)


@pytest.mark.parametrize(
    ("text", "kmh"),
    [("50", 50), ("30 mph", 48.28), ("60 km/h", 60), ("none", 130), ("CN:urban", 50),
     ("80;60", 60), ("signals", None), ("", None), ("0", None), ("9000", None), ("-30", None)],
)  # fmt: skip
def test_limit_is_read_in_its_unit(text: str, kmh: float | None) -> None:
    assert limit_of(text) == (None if kmh is None else pytest.approx(kmh, abs=0.01))


@pytest.mark.parametrize(
    ("tags", "directions"),
    [({"oneway": "yes"}, (True, False)), ({"oneway": "-1"}, (False, True)),
     ({"oneway": "no"}, (True, True)), ({"junction": "roundabout"}, (True, False)),
     ({"highway": "motorway"}, (True, False)), ({"highway": "motorway", "oneway": "no"},
                                                (True, True))],
)  # fmt: skip
def test_direction_follows_from_the_tags(
    tags: dict[str, str], directions: tuple[bool, bool]
) -> None:
    road = driven({"highway": "residential"} | tags)
    assert road is not None
    assert (road.forth, road.back) == directions


@pytest.mark.parametrize(
    ("tags", "taken"),
    [({"access": "no"}, False), ({"access": "private", "emergency": "yes"}, True),
     ({"access": "no", "motor_vehicle": "yes"}, True), ({"motor_vehicle": "no"}, False),
     ({"oneway": "reversible"}, False), ({"highway": "construction"}, False),
     ({"highway": "road"}, True), ({"highway": "primary_link"}, True)],
)  # fmt: skip
def test_road_is_taken_where_an_ambulance_may_drive(tags: dict[str, str], taken: bool) -> None:
    assert (driven({"highway": "service"} | tags) is not None) == taken
