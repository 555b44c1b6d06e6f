"""The ECG block: lossless for any integers, any leads, any damage refused by one error."""

import zlib
from collections.abc import Callable

import msgspec
import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.ecg_block import (
    CHOICE_FRAMES,
    MAX_SAMPLES,
    EcgBlockError,
    EcgSetup,
    Frame,
    FrameEncoder,
    Lead,
    decode_frame,
    describe,
    encode_frame,
)

TWELVE = ("I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6")
EXTREMES = (-(2**31), 2**31 - 1, -(2**15), 2**15 - 1, -(2**15) - 1, 2**15, 0, 1, -1)
Integers = npt.NDArray[np.int32]


def setup_of(*names: str, hz: float = 500.0, **scale: object) -> EcgSetup:
    return describe(hz, tuple(Lead(name, 1000.0, **scale) for name in names))  # type: ignore[arg-type]


def heartbeat(length: int = 100, leads: int = 8, seed: int = 1) -> Integers:
    """Return (length, leads) smooth leads with noise, in microvolts."""
    random = np.random.default_rng(seed)
    time = np.arange(length)[:, None]
    shape = 800 * np.exp(-(((time - 50) / 6.0) ** 2)) + 40 * np.sin(time / 15)
    noise = random.normal(0, 3, (length, leads))
    samples: Integers = (shape * random.uniform(-1, 1, leads) + noise).astype(np.int32)
    return samples


def twelve_lead(length: int = 100, seed: int = 1) -> Integers:
    """Return (length, 12) in the order of `TWELVE`, limb leads rounded as carts do."""
    measured = heartbeat(length, 8, seed)
    i, ii = measured[:, 0], measured[:, 1]
    limb = (i, ii, ii - i, -(i + ii) // 2, (2 * i - ii) // 2, (2 * ii - i) // 2)
    return np.column_stack((*limb, measured[:, 2:])).astype(np.int32)


def assert_comes_back(setup: EcgSetup, samples: Integers, first_sample: int = 0) -> bytes:
    data = encode_frame(setup, first_sample, samples)
    frame = decode_frame(setup, data)
    assert frame.first_sample == first_sample
    assert frame.samples.dtype == np.int32
    assert np.array_equal(frame.samples, samples)
    return data


def test_frame_of_12_leads_at_200_ms_stays_below_a_packet_and_a_third_of_raw() -> None:
    samples = twelve_lead(100)
    data = assert_comes_back(setup_of(*TWELVE), samples, 123_456_789_012)
    assert len(data) < 1100
    assert len(data) < samples.size * 2 / 3


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(1, 120), min_size=1, max_size=25),
    step=st.sampled_from([0.0, 2.5, 4.88]),
    seed=st.integers(0, 1000),
)
def test_frames_of_one_encoder_come_back_alone_in_any_order_whatever_changes_between(
    lengths: list[int], step: float, seed: int
) -> None:
    random = np.random.default_rng(seed)
    setup = setup_of(*TWELVE, step=step)
    encoder = FrameEncoder(setup)
    coded = []
    for number, length in enumerate(lengths):
        samples = twelve_lead(length, seed + number) * random.choice([1, 1, 50_000])
        if step and random.random() < 0.7:
            samples = np.floor(samples * step + 0.5)
        samples = np.roll(samples, random.integers(0, 12), axis=1).astype(np.int32)
        coded.append((samples, encoder.encode(1000 * number, samples)))
    random.shuffle(coded)
    for samples, data in coded:
        assert np.array_equal(decode_frame(setup, data).samples, samples)


def test_encoder_chooses_anew_when_leads_change_places() -> None:
    encoder, swapped = FrameEncoder(setup_of(*TWELVE)), twelve_lead()[:, ::-1]
    for number in range(CHOICE_FRAMES):
        encoder.encode(100 * number, twelve_lead(seed=number))
    anew = encoder.encode(100 * CHOICE_FRAMES, swapped)
    assert anew == encode_frame(setup_of(*TWELVE), 100 * CHOICE_FRAMES, swapped)


def test_derived_leads_that_follow_from_i_and_ii_cost_next_to_nothing() -> None:
    eight = [0, 1, 6, 7, 8, 9, 10, 11]
    samples = twelve_lead(100)
    names = [TWELVE[column] for column in eight]
    alone = encode_frame(setup_of(*names), 0, samples[:, eight])
    assert len(encode_frame(setup_of(*TWELVE), 0, samples)) <= len(alone) + 8


def test_derived_leads_in_any_case_and_order_with_extra_leads_are_predicted() -> None:
    order = np.random.default_rng(3).permutation(15)
    names = [name.lower() for name in (*TWELVE, "vx", "vy", "vz")]
    samples = np.column_stack((twelve_lead(100), heartbeat(100, 3, seed=9)))
    straight = encode_frame(setup_of(*names), 0, samples)
    mixed = assert_comes_back(setup_of(*(names[n] for n in order)), samples[:, order])
    assert len(mixed) < len(straight) * 1.1


def test_derived_leads_with_different_gains_and_baselines_are_predicted() -> None:
    samples = twelve_lead(100)
    gains = [1000.0, 500.0, 2000.0, *[1000.0] * 9]
    baselines = [5, -70, 400, 33, *[0] * 8]
    scaled = np.rint(samples * np.array(gains) / 1000 + np.array(baselines)).astype(np.int32)
    leads = tuple(
        Lead(name, gain, baseline)
        for name, gain, baseline in zip(TWELVE, gains, baselines, strict=True)
    )
    other_names = tuple(Lead(f"c{lead.name}", lead.gain, lead.baseline) for lead in leads)
    predicted = assert_comes_back(describe(500, leads), scaled)
    assert len(predicted) < len(encode_frame(describe(500, other_names), 0, scaled)) * 0.9


@pytest.mark.parametrize(
    "scales",
    [
        {"III": Lead("III", 1e-300)},
        {"I": Lead("I", 1e300)},
        {"II": Lead("II", -1000.0, physical_unit="mmHg")},
        {"aVF": Lead("aVF", 1000.0, physical_unit="NU")},
    ],
)
def test_derived_leads_that_cannot_be_predicted_are_coded_plainly(scales: dict[str, Lead]) -> None:
    setup = describe(500, tuple(scales.get(name, Lead(name, 1000.0)) for name in TWELVE))
    assert_comes_back(setup, twelve_lead(50))


def test_lead_that_is_no_limb_lead_despite_its_name_is_coded_plainly() -> None:
    samples = twelve_lead(100)
    samples[:, 2] = heartbeat(100, 1, seed=77)[:, 0] * 3
    assert_comes_back(setup_of(*TWELVE), samples)


def test_second_lead_of_one_name_is_coded_plainly() -> None:
    assert_comes_back(setup_of("I", "II", "III", "III", "I"), twelve_lead(60)[:, [0, 1, 2, 6, 0]])


@pytest.mark.parametrize("toward_zero", [False, True])
def test_samples_that_are_whole_steps_are_counted_in_steps(toward_zero: bool) -> None:
    exact = twelve_lead(100) // 4 * 4.88
    samples = (np.trunc(exact) if toward_zero else np.floor(exact + 0.5)).astype(np.int32)
    plain = assert_comes_back(setup_of(*TWELVE), samples)
    stepped = setup_of(*TWELVE, step=4.88, step_toward_zero=toward_zero)
    assert len(assert_comes_back(stepped, samples)) < len(plain) * 0.8
    samples[7, 4] += 1  # one sample off the steps: that lead alone is coded as it is
    assert_comes_back(stepped, samples)


def test_invalid_samples_come_back_as_their_integer_and_are_known_as_invalid() -> None:
    samples = twelve_lead(100)
    samples[20:40, 3] = -32768
    samples[:, 8] = -32768
    setup = setup_of(*TWELVE, invalid=-32768)
    frame = decode_frame(setup, assert_comes_back(setup, samples))
    assert np.array_equal(frame.valid, samples != -32768)


def test_lead_without_a_mark_of_invalid_samples_is_valid_throughout() -> None:
    leads = (Lead("A", 1.0), Lead("B", 1.0, invalid=-128))
    samples = np.array([[-128, -128], [5, 6]], np.int32)
    setup = describe(100, leads)
    frame = decode_frame(setup, encode_frame(setup, 0, samples))
    assert frame.valid.tolist() == [[True, False], [True, True]]


finite = st.floats(-1e6, 1e6, allow_nan=False).filter(lambda number: abs(number) > 1e-6)
any_integer = st.one_of(
    st.integers(-3, 3),
    st.integers(-2000, 2000),
    st.sampled_from(EXTREMES),
    st.integers(-(2**31), 2**31 - 1),
)


@st.composite
def leads_of(draw: st.DrawFn, name: str) -> Lead:
    return Lead(
        name,
        draw(finite),
        draw(any_integer),
        draw(st.sampled_from(["mV", "mv", "NU"])),
        invalid=draw(st.none() | any_integer),
        step=draw(st.just(0.0) | st.floats(1.01, 1e4)),
        step_toward_zero=draw(st.booleans()),
    )


@st.composite
def setups(draw: st.DrawFn) -> EcgSetup:
    names = draw(st.lists(st.sampled_from([*TWELVE, "avr", "x"]), min_size=1, max_size=16))
    return describe(draw(st.floats(100, 2000)), tuple(draw(leads_of(name)) for name in names))


@st.composite
def recordings(draw: st.DrawFn) -> tuple[EcgSetup, Integers]:
    setup = draw(setups())
    length = draw(st.integers(1, 40))
    spread = draw(st.sampled_from([2, 50, 40_000, 2**31 - 1]))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    shape = (length, len(setup.leads))
    samples = random.integers(-spread, spread, shape, endpoint=True).astype(np.int32)
    for row, column, value in draw(
        st.lists(st.tuples(st.integers(0, 39), st.integers(0, 15), any_integer), max_size=6)
    ):
        samples[row % length, column % len(setup.leads)] = value
    return setup, samples


@settings(deadline=None)
@given(recordings(), st.integers(0, 2**63 - 1))
def test_frame_of_any_integers_and_leads_comes_back(
    recording: tuple[EcgSetup, Integers], first_sample: int
) -> None:
    setup, samples = recording
    assert_comes_back(setup, samples, first_sample)


@settings(deadline=None)
@given(recordings(), st.data())
def test_frame_cut_short_or_with_flipped_bits_is_refused(
    recording: tuple[EcgSetup, Integers], data: st.DataObject
) -> None:
    setup, samples = recording
    good = encode_frame(setup, 0, samples)
    with pytest.raises(EcgBlockError):
        decode_frame(setup, good[: data.draw(st.integers(0, len(good) - 1))])
    bad = bytearray(good)
    for bit in data.draw(st.sets(st.integers(0, len(good) * 8 - 1), min_size=1, max_size=3)):
        bad[bit // 8] ^= 1 << bit % 8
    with pytest.raises(EcgBlockError):
        decode_frame(setup, bad)
    with pytest.raises(EcgBlockError):
        decode_frame(setup, good + b"\0")


@settings(deadline=None)
@given(setups(), st.binary(max_size=200))
def test_garbage_is_refused(setup: EcgSetup, garbage: bytes) -> None:
    with pytest.raises(EcgBlockError):
        decode_frame(setup, garbage)


def with_true_checksum(setup: EcgSetup, data: bytes) -> bytes:
    """Return the frame as a malicious or broken encoder would send it: checksum right."""
    scales = b"".join(
        np.float64(lead.gain).tobytes()
        + np.int32(lead.baseline).tobytes()
        + np.float64(lead.step).tobytes()
        + bytes([lead.step_toward_zero])
        + lead.name.encode()
        for lead in setup.leads
    )
    seed = zlib.crc32(scales, zlib.crc32(setup.setup_id.encode()))
    checksum = zlib.crc32(data[17:], zlib.crc32(data[:13], seed))
    return data[:13] + checksum.to_bytes(4, "little") + data[17:]


def test_checksum_of_the_format_is_the_documented_one() -> None:
    setup = setup_of(*TWELVE, step=4.88)
    data = encode_frame(setup, 5, twelve_lead(40))
    assert with_true_checksum(setup, data) == data


@settings(deadline=None)
@given(recordings(), st.data())
def test_damage_under_a_right_checksum_raises_no_other_error(
    recording: tuple[EcgSetup, Integers], data: st.DataObject
) -> None:
    setup, samples = recording
    bad = bytearray(encode_frame(setup, 0, samples))
    for place in data.draw(st.sets(st.integers(0, len(bad) - 1), max_size=4)):
        bad[place] = data.draw(st.integers(0, 255))
    cut = bytes(bad[: data.draw(st.integers(17, len(bad)))])
    try:
        frame = decode_frame(setup, with_true_checksum(setup, cut))
    except EcgBlockError:
        return
    assert frame.samples.shape[1] == len(setup.leads)


def test_frame_that_inflates_beyond_its_announced_size_is_refused() -> None:
    setup = setup_of("A")
    bomb = zlib.compressobj(9, zlib.DEFLATED, -15)
    body = b"\0" + b"\0\0" + bomb.compress(bytes(50_000_000)) + bomb.flush()
    head = bytes([1, 0x80, 10, 0]) + bytes(8) + b"\1" + bytes(4)
    with pytest.raises(EcgBlockError, match="not the 9 bytes"):
        decode_frame(setup, with_true_checksum(setup, head + body))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda data: b"", "shorter than a header"),
        (lambda data: b"\x09" + data[1:], "version 9 is not 1"),
        (lambda data: data[:12] + b"\x05" + data[13:], "5 leads: the setup has 12"),
        (lambda data: data[:-1], "checksum differs"),
    ],
)
def test_damaged_frame_is_refused_with_its_reason(
    change: Callable[[bytes], bytes], words: str
) -> None:
    setup = setup_of(*TWELVE)
    with pytest.raises(EcgBlockError, match=words):
        decode_frame(setup, change(encode_frame(setup, 0, twelve_lead())))


@pytest.mark.parametrize("change", [{"gain": 500.0}, {"baseline": 1}, {"name": "III"}])
def test_frame_of_another_setup_is_refused(change: dict[str, object]) -> None:
    one, other = Lead("II", 1000.0), msgspec.structs.replace(Lead("II", 1000.0), **change)
    data = encode_frame(EcgSetup("same", 500, (one,)), 0, np.zeros((10, 1), np.int32))
    with pytest.raises(EcgBlockError, match="another setup"):
        decode_frame(EcgSetup("same", 500, (other,)), data)


@pytest.mark.parametrize(
    ("first_sample", "samples"),
    [
        (-1, np.zeros((10, 1), np.int32)),
        (2**63, np.zeros((10, 1), np.int32)),
        (0, np.zeros((0, 1), np.int32)),
        (0, np.zeros((10, 2), np.int32)),
        (0, np.zeros((MAX_SAMPLES + 1, 1), np.int32)),
        (0, np.full((10, 1), 2**31, np.int64)),
    ],
)
def test_samples_that_do_not_fit_are_refused_when_encoded(
    first_sample: int, samples: Integers
) -> None:
    with pytest.raises(ValueError, match=r"64-bit|shape|32 bits"):
        encode_frame(setup_of("A"), first_sample, samples)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Lead("A", 0.0),
        lambda: Lead("A", float("nan")),
        lambda: Lead("A", 1.0, baseline=2**31),
        lambda: Lead("A", 1.0, step=1.0),
        lambda: Lead("A", 1.0, step=float("nan")),
        lambda: describe(0.0, (Lead("A", 1.0),)),
        lambda: describe(500.0, ()),
        lambda: describe(500.0, (Lead("A", 1.0),) * 17),
    ],
)
def test_setup_with_impossible_scale_is_refused(make: Callable[[], object]) -> None:
    with pytest.raises(ValueError, match=r"lead|gain|sampling"):
        make()


def test_setup_survives_messagepack_and_still_decodes() -> None:
    setup = setup_of(*TWELVE, invalid=-32768, step=2.5)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(setup), type=EcgSetup)
    samples = twelve_lead()
    assert np.array_equal(decode_frame(again, encode_frame(setup, 0, samples)).samples, samples)


def test_setup_ids_of_the_same_leads_are_the_same() -> None:
    assert setup_of(*TWELVE).setup_id == setup_of(*TWELVE).setup_id
    assert setup_of(*TWELVE).setup_id != setup_of(*TWELVE, hz=250).setup_id


def golden_setup(**scale: object) -> EcgSetup:
    leads = tuple(Lead(name, 1000.0, **scale) for name in ("I", "II", "III", "aVR", "V1"))  # type: ignore[arg-type]
    return EcgSetup("golden", 500.0, leads)


def golden_samples(step: float = 1.0) -> Integers:
    time = np.arange(12)
    i, ii, v1 = 40 * time - 200, 3 * (time - 6) ** 3, -(time**2)
    units = np.column_stack((i, ii, ii - i, -(i + ii) // 2, v1))
    return np.floor(units * step + 0.5).astype(np.int32)


def golden_extremes() -> Integers:
    samples = golden_samples()
    samples[3, 0], samples[4, 4] = -(2**31), 2**31 - 1
    return samples


GOLDEN: dict[str, tuple[EcgSetup, Integers, int, str]] = {
    "plain and derived": (
        golden_setup(),
        golden_samples(),
        7,
        "01c10c0007000000000000000583245e9ae40038ff78fd00000b6080834b9bfbb3dd9519543c7226"
        "3032c30103023032600300",
    ),
    "steps": (
        golden_setup(step=4.88),
        golden_samples(4.88),
        500,
        "01e10c00f40100000000000005570d5b2c1f00e40038ff78fd00000b6080834b9bfbb3dd9519543c"
        "72263032c30103023032600300",
    ),
    "wide": (
        golden_setup(baseline=-9, invalid=-(2**31)),
        golden_extremes(),
        1099511627776,
        "01c30c00000000000001000005f6ff7d4f100041ff81fd49feb10109008dc1bd0d40400086e1f7dc"
        "001a131c26d050e9fc540c203100bbb08b996e8e4f8e44140acf3332d73317776c4b9b9275eb3ef0"
        "a8a6a6748989f3a237d6fadadb0064c425e28be14d889b10bf097113e237218213",
    ),
}


@pytest.mark.parametrize("name", sorted(GOLDEN))
def test_recorded_frame_of_the_first_release_still_decodes(name: str) -> None:
    setup, samples, first_sample, recorded = GOLDEN[name]
    frame: Frame = decode_frame(setup, bytes.fromhex(recorded))
    assert frame.first_sample == first_sample
    assert np.array_equal(frame.samples, samples)
