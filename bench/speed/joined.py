"""Measures the speed-up from joining small recurrences into one Scan.

Each cell of the table is the time of the form with one Scan per layer divided by the time of the form with one Scan for
all: above 1, joining is faster. The networks have a vocabulary of 10,000 and an Embedding of 32. One thread; the forms
take turns, warm; medians. Each form is compared with the float64 reference before it is timed.
`rnnx.rewrites.join.MAX_WIDTH` follows from this table.

    python -m bench.speed.joined [--masked] [--width 64]
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from bench import machine

if TYPE_CHECKING:
    import keras

    from bench.subjects import Floats
    from rnnx.reference import Network
    from rnnx.runtime.session import Session
    from rnnx.text.tokenizer import Ids

_SEED = 0


def main() -> None:
    """Measures every network and prints a table."""
    arguments = _parse()
    machine.restrict(1)
    import numpy as np

    from bench.speed.measure import require_right, time_runs
    from bench.subjects import VOCABULARY_SIZE
    from rnnx.keras_models.read_network import read_network
    from rnnx.runtime.session import Session

    kind = "masked" if arguments.masked else "unmasked"
    print(
        f"{arguments.length} steps, {kind}, joined up to {arguments.width}; {machine.cpu_model()}, {machine.today()}\n"
    )
    print(f"| network | {' | '.join(f'B{batch}' for batch in arguments.batches)} |")
    print(f"|---|{'---:|' * len(arguments.batches)}")
    rng = np.random.default_rng(_SEED)
    for name, build in networks().items():
        if arguments.networks and not any(word in name for word in arguments.networks):
            continue
        model = build(arguments.masked)
        network = read_network(model)
        widths = {"separate": 0, "joined": arguments.width}
        sessions = {form: Session(_form(model, network, width), device="cpu") for form, width in widths.items()}
        cells = []
        for batch in arguments.batches:
            ids = rng.integers(1, VOCABULARY_SIZE, (batch, arguments.length), dtype=np.int32)
            if arguments.masked:
                lengths = rng.integers(1, arguments.length + 1, (batch, 1))
                ids = np.where(np.arange(arguments.length)[::-1] < lengths, ids, np.int32(0))
            expected = network.predict(ids)
            runs = {form: partial(_run, session) for form, session in sessions.items()}
            for run in runs.values():
                require_right(expected, run(ids))
            times, _ = time_runs(runs, ids, 5, arguments.seconds)
            cells.append(f"{np.median(times['separate']) / np.median(times['joined']):.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _run(session: Session, ids: Ids) -> Floats:
    return session.run(ids)[0]


def networks() -> dict[str, Callable[[bool], keras.Model]]:
    """Returns a builder for each network, by name; it takes whether ids of zero are masked."""
    import keras
    from keras import layers

    from bench.subjects import FEATURES, VOCABULARY_SIZE

    def build(masked: bool, *body: keras.Layer) -> keras.Model:
        keras.utils.set_random_seed(_SEED)
        ids = keras.Input((None,), dtype="int32", name="ids")
        embedding = layers.Embedding(VOCABULARY_SIZE, FEATURES, mask_zero=masked)
        return keras.Sequential([ids, embedding, *body, layers.Dense(1, activation="sigmoid")])

    def stack(count: int, units: int) -> Callable[[bool], keras.Model]:
        returns_sequences = [True] * (count - 1) + [False]
        return lambda masked: build(
            masked, *(layers.SimpleRNN(units, return_sequences=returns) for returns in returns_sequences)
        )

    def both(units: int) -> Callable[[bool], keras.Model]:
        return lambda masked: build(masked, layers.Bidirectional(layers.SimpleRNN(units)))

    def pooled(units: int) -> Callable[[bool], keras.Model]:
        return lambda masked: build(
            masked,
            layers.Bidirectional(layers.SimpleRNN(units, return_sequences=True)),
            layers.GlobalAveragePooling1D(),
        )

    def both_twice(units: int) -> Callable[[bool], keras.Model]:
        return lambda masked: build(
            masked,
            layers.Bidirectional(layers.SimpleRNN(units, return_sequences=True)),
            layers.Bidirectional(layers.SimpleRNN(units)),
        )

    built = {f"both directions of {units}": both(units) for units in (16, 32, 48, 64)}
    built |= {f"both directions of {units}, mean": pooled(units) for units in (16, 32, 64)}
    built |= {f"both directions of {units}, twice": both_twice(units) for units in (16, 32)}
    sizes = ((2, 16), (4, 16), (2, 32), (4, 32), (2, 64), (4, 64))
    return built | {f"{count} layers of {units}": stack(count, units) for count, units in sizes}


def _form(model: keras.Model, network: Network, width: int) -> bytes:
    """Exports the Scan form, with recurrences joined up to a width."""
    from rnnx.export.forms import build_forms
    from rnnx.rewrites import join

    limit, join.MAX_WIDTH = join.MAX_WIDTH, width
    try:
        data: bytes = build_forms(model, network)["model.batch.onnx"].model.SerializeToString()
    finally:
        join.MAX_WIDTH = limit
    return data


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Compares recurrences joined into one Scan with one Scan each.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 32, 128])
    parser.add_argument("--length", type=int, default=300, help="the steps of a row")
    parser.add_argument("--masked", action="store_true", help="draw rows of random lengths, padded in front and masked")
    parser.add_argument(
        "--networks",
        nargs="+",
        metavar="WORD",
        help="measure only networks that have one of these words in their names",
    )
    parser.add_argument("--width", type=int, default=10**6, help="join recurrences up to this width; by default all")
    parser.add_argument("--seconds", type=float, default=1.0, help="the time for each cell")
    return parser.parse_args()


if __name__ == "__main__":
    main()
