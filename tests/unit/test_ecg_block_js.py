"""The browser's decoder of the ECG block: the same samples as in Python, the same refusals."""

import json
import shutil
import subprocess
from pathlib import Path

import msgspec
import numpy as np
import numpy.typing as npt
import pytest

from streams.ecg_block import EcgSetup, Lead, describe, encode_frame

DECODER = Path(__file__).parents[2] / "streams" / "static" / "ecg_block.js"
NAMES = ("v1", "avr", "II", "I", "aVL", "III", "avf", "V2", "x")

DECODE_ALL = """
import { readFileSync } from "node:fs";
const { decodeFrame, EcgBlockError } = await import(process.argv[1]);
const answers = [];
for (const { setup, frame } of JSON.parse(readFileSync(0, "utf8"))) {
  try {
    const found = await decodeFrame(setup, new Uint8Array(Buffer.from(frame, "hex")));
    answers.push({
      first: found.firstSample,
      leads: found.leads.map((values) => Array.from(values)),
      valid: found.valid.map((values) => Array.from(values)),
    });
  } catch (error) {
    if (!(error instanceof EcgBlockError)) throw error;
    answers.push({ refused: error.message });
  }
}
console.log(JSON.stringify(answers));
"""

Case = tuple[EcgSetup, bytes]


def decode_in_node(cases: list[Case]) -> list[dict[str, object]]:
    """Run the decoder of the pages over all cases in one process of node."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed: the browser's decoder cannot be run here")
    asked = [
        {"setup": json.loads(msgspec.json.encode(setup)), "frame": frame.hex()}
        for setup, frame in cases
    ]
    answer = subprocess.run(
        [node, "--input-type=module", "-e", DECODE_ALL, DECODER.as_uri()],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    decoded: list[dict[str, object]] = json.loads(answer.stdout)
    return decoded


def recordings() -> list[tuple[EcgSetup, int, npt.NDArray[np.int32]]]:
    """Return setups and samples of every kind: steps, wide values, other gains, extremes."""
    random = np.random.default_rng(20)
    made = []
    for number in range(60):
        leads = tuple(
            Lead(
                name,
                float(random.choice([1000.0, 1000.0, 200.0, 30061.27])),
                int(random.choice([0, 0, 1024, -161790])),
                invalid=[None, -32768, 0][number % 3],
                step=[0.0, 4.88, 90.18][number // 3 % 3],
                step_toward_zero=bool(number & 1),
            )
            for name in NAMES[: number % len(NAMES) + 1]
        )
        length = int(random.integers(1, 120))
        spread = [3, 300, 30_000, 2**31 - 1][number % 4]
        samples = random.integers(-spread, spread, (length, len(leads)), endpoint=True)
        if number % 2:
            samples = np.cumsum(samples, axis=0)
        if leads[0].step:
            exact = samples * leads[0].step
            rounded = np.trunc(exact) if number & 1 else np.floor(exact + 0.5)
            samples = rounded.astype(np.int64) + [lead.baseline for lead in leads]
        if number % 5 == 0:
            samples[length // 2] = -(2**31)
        within = np.clip(samples, -(2**31), 2**31 - 1).astype(np.int32)
        made.append((describe(500.0, leads), int(random.integers(0, 2**53)), within))
    return made


def test_frames_of_every_kind_decode_in_node_to_the_same_samples() -> None:
    cases = recordings()
    answers = decode_in_node([(s, encode_frame(s, at, samples)) for s, at, samples in cases])
    for (setup, first_sample, samples), answer in zip(cases, answers, strict=True):
        assert answer["first"] == first_sample
        assert np.array_equal(np.array(answer["leads"]).T, samples)
        marks = [lead.invalid for lead in setup.leads]
        valid = [[value != mark for value, mark in zip(row, marks, strict=True)] for row in samples]
        assert np.array_equal(np.array(answer["valid"]).T.astype(bool), np.array(valid))


def test_damaged_frames_are_refused_in_node_with_one_error() -> None:
    setup = describe(500.0, tuple(Lead(name, 1000.0) for name in NAMES))
    samples = np.random.default_rng(1).integers(-900, 900, (100, len(NAMES)))
    good = encode_frame(setup, 0, samples)
    flipped = [good[:n] + bytes([good[n] ^ 0x40]) + good[n + 1 :] for n in range(0, len(good), 7)]
    cut = [good[:n] for n in range(0, len(good), 11)]
    other = describe(250.0, setup.leads)
    answers = decode_in_node([*((setup, bad) for bad in (*flipped, *cut)), (other, good)])
    assert all("refused" in answer for answer in answers)
