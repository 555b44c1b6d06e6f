"""The ECG block and its peers, each as frames of one length that decode alone.

A peer gets what it needs to do well: FLAC one encoder per record at its highest level, its stream
header not counted; pcodec and the raw coders each frame of the record as one array.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec
import numpy as np
import pyflac
import zstandard
from pcodec import ChunkConfig, standalone

from streams.ecg_block import EcgSetup, FrameEncoder, decode_frame, describe
from streams.ecg_leads import Samples

FRAME_SECONDS = 0.2
EIGHT = ("i", "ii", "v1", "v2", "v3", "v4", "v5", "v6")
TWELVE = ("i", "ii", "iii", "avr", "avl", "avf", *EIGHT[2:])


@dataclass(frozen=True)
class TwelveLead:
    """A 12-lead record in the order of `TWELVE`.

    Attributes:
        name: Its name.
        setup: The twelve leads.
        samples: (n, 12) ADC integers.
    """

    name: str
    setup: EcgSetup
    samples: Samples

    @property
    def seconds(self) -> float:
        """Its length."""
        return len(self.samples) / self.setup.sampling_frequency_hz

    @property
    def eight(self) -> Samples:
        """The leads that the other four follow from."""
        return self.samples[:, [TWELVE.index(name) for name in EIGHT]]

    def frames(self, samples: Samples) -> list[Samples]:
        """Cut samples of this record into frames of `FRAME_SECONDS`; the last may be shorter."""
        length = self.frame_length
        return [samples[at : at + length] for at in range(0, len(samples), length)]

    @property
    def frame_length(self) -> int:
        """Samples of a lead in a frame."""
        return max(1, round(self.setup.sampling_frequency_hz * FRAME_SECONDS))


Coded = list[bytes]


@dataclass(frozen=True)
class Codec:
    """One row of the comparison.

    Attributes:
        name: What it is, and of how many leads.
        leads: 12, or 8 where the other four are left out.
        encode: A record to frames.
        decode: The frames of a record back to (n, leads) samples.
    """

    name: str
    leads: int
    encode: Callable[[TwelveLead], Coded]
    decode: Callable[[TwelveLead, Coded], Samples]

    def source(self, record: TwelveLead) -> Samples:
        """Return what must come back."""
        return record.samples if self.leads == 12 else record.eight


def _block(name: str, *, steps: bool) -> Codec:
    def setup_of(record: TwelveLead) -> EcgSetup:
        return record.setup if steps else without_steps(record.setup)

    def encode(record: TwelveLead) -> Coded:
        encoder, length = FrameEncoder(setup_of(record)), record.frame_length
        return [
            encoder.encode(number * length, frame)
            for number, frame in enumerate(record.frames(record.samples))
        ]

    def decode(record: TwelveLead, coded: Coded) -> Samples:
        setup = setup_of(record)
        return np.concatenate([decode_frame(setup, data).samples for data in coded])

    return Codec(name, 12, encode, decode)


def without_steps(setup: EcgSetup) -> EcgSetup:
    """Return the setup as it is where nothing is known of steps."""
    leads = tuple(msgspec.structs.replace(lead, step=0.0) for lead in setup.leads)
    return describe(setup.sampling_frequency_hz, leads)


def _framewise(
    name: str,
    leads: int,
    encode: Callable[[Samples], bytes],
    decode: Callable[[bytes, int], Samples],
) -> Codec:
    """Return a codec that knows one frame at a time; `decode` also gets the number of leads."""

    def encode_all(record: TwelveLead) -> Coded:
        source = record.samples if leads == 12 else record.eight
        return [encode(frame) for frame in record.frames(source)]

    def decode_all(_record: TwelveLead, coded: Coded) -> Samples:
        return np.concatenate([decode(data, leads) for data in coded])

    return Codec(name, leads, encode_all, decode_all)


def _raw(frame: Samples) -> bytes:
    return frame.astype("<i2").tobytes()


def _from_raw(data: bytes, leads: int) -> Samples:
    return np.frombuffer(data, "<i2").reshape(-1, leads).astype(np.int32)


def _zstd() -> Codec:
    packer, unpacker = zstandard.ZstdCompressor(level=3), zstandard.ZstdDecompressor()
    return _framewise(
        "zstd -3 on raw, 12 leads",
        12,
        lambda frame: packer.compress(_raw(frame)),
        lambda data, leads: _from_raw(unpacker.decompress(data), leads),
    )


def _pcodec(leads: int) -> Codec:
    config = ChunkConfig(compression_level=8)

    def encode(frame: Samples) -> bytes:
        # Lead after lead, so that its own differences in time see neighbours in time.
        flat = np.ascontiguousarray(frame.T).reshape(-1).astype(np.int16)
        return bytes(standalone.simple_compress(flat, config))

    def decode(data: bytes, leads: int) -> Samples:
        flat = np.asarray(standalone.simple_decompress(data))
        return flat.reshape(leads, -1).T.astype(np.int32)

    return _framewise(f"pcodec -8 on flat samples, {leads} leads", leads, encode, decode)


MOST_FLAC_CHANNELS = 8


def _flac(leads: int) -> Codec:
    """FLAC holds at most 8 channels: 8 leads are one stream, 12 are two of 6."""
    streams = -(-leads // MOST_FLAC_CHANNELS)
    width = leads // streams

    def encode(record: TwelveLead) -> Coded:
        source = (record.samples if leads == 12 else record.eight).astype(np.int16)
        parts = (source[:, at : at + width] for at in range(0, leads, width))
        return [data for part in parts for data in _flac_stream(record, part)]

    def decode(_record: TwelveLead, coded: Coded) -> Samples:
        size = len(coded) // streams
        parts = (b"".join(coded[at : at + size]) for at in range(0, len(coded), size))
        return np.hstack([_from_flac(part) for part in parts]).astype(np.int32)

    return Codec(f"FLAC -8, {leads} leads", leads, encode, decode)


def _flac_stream(
    record: TwelveLead, samples: np.ndarray[tuple[int, int], np.dtype[np.int16]]
) -> Coded:
    """Return the stream's header, then a frame per entry."""
    header, frames = bytearray(), []

    def written(data: bytes, _size: int, count: int, _frame: int) -> None:
        if count:
            frames.append(bytes(data))
        else:
            header.extend(data)

    encoder = pyflac.StreamEncoder(
        sample_rate=round(record.setup.sampling_frequency_hz),
        write_callback=written,
        compression_level=8,
        blocksize=record.frame_length,
        streamable_subset=False,
    )
    encoder.process(samples)
    encoder.finish()
    return [bytes(header), *frames]


def _from_flac(stream: bytes) -> Samples:
    parts: list[Samples] = []
    # pyflac's OneShotDecoder stops when its input is read, before the last frames are decoded.
    decoder = pyflac.StreamDecoder(lambda audio, *_: parts.append(audio.copy()))
    decoder.process(stream)
    decoder.finish()
    return np.concatenate(parts)


def flac_header_bytes(codec: Codec, coded: Coded) -> int:
    """Return the bytes of stream headers among the coded, which count as description."""
    if not codec.name.startswith("FLAC"):
        return 0
    streams = -(-codec.leads // MOST_FLAC_CHANNELS)
    return sum(len(coded[at]) for at in range(0, len(coded), len(coded) // streams))


OURS = "Forerun's ECG block, 12 leads"
OURS_WITHOUT_STEPS = "the same, told of no steps"
FLAC_EIGHT = "FLAC -8, 8 leads"


def all_codecs() -> Sequence[Codec]:
    """Return our codec and its peers."""
    return (
        _framewise("raw int16, 12 leads", 12, _raw, _from_raw),
        _framewise(
            "zlib -1 on raw, 12 leads",
            12,
            lambda frame: zlib.compress(_raw(frame), 1),
            lambda data, leads: _from_raw(zlib.decompress(data), leads),
        ),
        _zstd(),
        _flac(12),
        _flac(8),
        _pcodec(12),
        _pcodec(8),
        _block(OURS, steps=True),
        _block(OURS_WITHOUT_STEPS, steps=False),
    )
