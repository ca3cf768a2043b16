"""Tests what a card says of the streaming file."""

from __future__ import annotations

from rnnx.bundle.directory import STREAM_NAME, read_directory
from rnnx.card.card import write_card
from tests.make_bundles import BUNDLES


def test_the_card_says_what_a_client_of_the_streaming_file_does() -> None:
    texts, sensor = (read_directory(BUNDLES / name) for name in ("texts", "sensor"))
    card = write_card(texts.config, texts.files)
    for said in ("Skip a chunk without positions", "Only the first chunk begins with 1", "`java`, `node`"):
        assert said in card
    of_numbers = write_card(sensor.config, sensor.files)
    assert "Skip a chunk without positions" in of_numbers
    assert "--streaming" not in of_numbers
    without = {name: data for name, data in texts.files.items() if name != STREAM_NAME}
    assert "## In chunks" not in write_card(texts.config, without)
