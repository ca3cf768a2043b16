"""What joining small recurrences into one Scan gains: the Scan form with one Scan per layer over the Scan form joined.

Above 1, joined is faster. Vocabulary 10,000, Embedding 32, one thread, interleaved, warm, medians; each form's output
is compared with the float64 reference before it is timed. `rnnx.rewrites.join.MAX_WIDTH` follows from this table.

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
    """Measures, prints Markdown."""
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
        sessions = [Session(_form(model, network, width), device="cpu") for width in (0, arguments.width)]
        cells = []
        for batch in arguments.batches:
            ids = rng.integers(1, VOCABULARY_SIZE, (batch, arguments.length), dtype=np.int32)
            if arguments.masked:
                lengths = rng.integers(1, arguments.length + 1, (batch, 1))
                ids = np.where(np.arange(arguments.length)[::-1] < lengths, ids, np.int32(0))
            expected = network.predict(ids)
            runs = {str(i): partial(_run, session) for i, session in enumerate(sessions)}
            for run in runs.values():
                require_right(expected, run(ids))
            times, _ = time_runs(runs, ids, 5, arguments.seconds)
            cells.append(f"{np.median(times['0']) / np.median(times['1']):.2f}")
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


def _run(session: Session, ids: Ids) -> Floats:
    return session.run(ids)[0]


def networks() -> dict[str, Callable[[bool], keras.Model]]:
    """By name; each takes whether zeros are masked."""
    import keras
    from keras import layers

    from bench.subjects import FEATURES, VOCABULARY_SIZE

    def build(masked: bool, *body: keras.Layer) -> keras.Model:
        keras.utils.set_random_seed(_SEED)
        ids = keras.Input((None,), dtype="int32", name="ids")
        embedding = layers.Embedding(VOCABULARY_SIZE, FEATURES, mask_zero=masked)
        return keras.Sequential([ids, embedding, *body, layers.Dense(1, activation="sigmoid")])

    def stack(count: int, units: int) -> Callable[[bool], keras.Model]:
        below = [(units, True)] * (count - 1)
        return lambda m: build(m, *(layers.SimpleRNN(u, return_sequences=s) for u, s in [*below, (units, False)]))

    def both(units: int) -> Callable[[bool], keras.Model]:
        return lambda m: build(m, layers.Bidirectional(layers.SimpleRNN(units)))

    def pooled(units: int) -> Callable[[bool], keras.Model]:
        half = layers.SimpleRNN
        return lambda m: build(
            m, layers.Bidirectional(half(units, return_sequences=True)), layers.GlobalAveragePooling1D()
        )

    def both_twice(units: int) -> Callable[[bool], keras.Model]:
        half = layers.SimpleRNN
        return lambda m: build(
            m, layers.Bidirectional(half(units, return_sequences=True)), layers.Bidirectional(half(units))
        )

    built = {f"both directions of {u}": both(u) for u in (16, 32, 48, 64)}
    built |= {f"both directions of {u}, mean": pooled(u) for u in (16, 32, 64)}
    built |= {f"both directions of {u}, twice": both_twice(u) for u in (16, 32)}
    return built | {
        f"{n} layers of {u}": stack(n, u) for n, u in ((2, 16), (4, 16), (2, 32), (4, 32), (2, 64), (4, 64))
    }


def _form(model: keras.Model, network: Network, width: int) -> bytes:
    """The Scan form, joined up to a width."""
    from rnnx.export.forms import build_forms
    from rnnx.rewrites import join

    limit, join.MAX_WIDTH = join.MAX_WIDTH, width
    try:
        data: bytes = build_forms(model, network)["model.batch.onnx"].model.SerializeToString()
    finally:
        join.MAX_WIDTH = limit
    return data


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Recurrences joined into one Scan, beside one Scan each.")
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4, 8, 32, 128])
    parser.add_argument("--length", type=int, default=300, help="steps")
    parser.add_argument("--masked", action="store_true", help="rows of random lengths, padded in front and masked")
    parser.add_argument("--networks", nargs="+", metavar="WORD", help="only those with one of these in their name")
    parser.add_argument("--width", type=int, default=10**6, help="join up to this width; default all")
    parser.add_argument("--seconds", type=float, default=1.0, help="per cell")
    return parser.parse_args()


if __name__ == "__main__":
    main()
