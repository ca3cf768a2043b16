"""Loads a bundle for inference, by its name or path, or from the pickle of a predictor."""

from __future__ import annotations

from pathlib import Path

from rnnx.bundle.config import ModelConfig
from rnnx.bundle.directory import digest, open_directory
from rnnx.bundle.find_model import DEFAULT_MODEL, find_directory
from rnnx.errors import ModelError
from rnnx.infer.arguments import require_count
from rnnx.infer.needed_files import files_for
from rnnx.infer.predictor import Predictor
from rnnx.runtime.session import Device, require_device


def load(
    model: str | Path = DEFAULT_MODEL,
    *,
    device: Device = "auto",
    batch_size: int | None = None,
    threads: int | None = None,
    key: str | Path | None = None,
) -> Predictor:
    """Loads a bundle for inference.

    Args:
        model: The name of a shipped model, or the path of a bundle.
        device: `auto` takes CUDA if it is available and a batch is large enough; `cuda` never falls back to the CPU.
        batch_size: Texts that run together; 64 on the CPU and 1024 on CUDA if None.
        threads: Batches that run at once; if None, as many as there are cores on the CPU, and one on CUDA.
        key: The path of the signer's public key, or of the certificate that the signer's leads to, in PEM. A bundle
            that is not signed with it is refused. None for no check.

    Raises:
        DeviceError: If CUDA is asked for and not available.
        MissingExtraError: If onnxruntime is not installed; with a key, if the extra [sign] is not.
        ModelError: If there is no such model, or it is broken or altered, or not signed with the key.
        UsageError: If `device`, `batch_size`, `threads` or `key` is not one of the allowed values.
    """
    require_device(device)
    rows = require_count("batch_size", batch_size)
    path = find_directory(model)
    signed = None
    if key is not None:
        from rnnx.bundle.signature import check_signature  # needs the extra [sign]

        signed = check_signature(path, Path(key))
    directory = open_directory(path, lambda config: files_for(config, device, rows), signed)
    return Predictor(directory, device=device, batch_size=batch_size, threads=threads)


def require_digest(model: str, config: ModelConfig, expected: str) -> None:
    """Makes sure that a model is the one that another process has chosen.

    Args:
        model: Its name or path, for the message.
        config: The config that was read here.
        expected: `rnnx.bundle.directory.digest` of the model that is expected.

    Raises:
        ModelError: If it is another one.
    """
    if digest(config) != expected:
        raise ModelError(
            f"{model}: not the model that was asked for (its hash is {digest(config)[:12]}, not {expected[:12]}); "
            "give this machine the same files and the same version of rnnx"
        )


def restore(model: str, expected: str, device: Device, batch_size: int | None, threads: int | None) -> Predictor:
    """Makes a predictor from its pickle."""
    predictor = load(model, device=device, batch_size=batch_size, threads=threads)
    require_digest(model, predictor.config, expected)
    return predictor
