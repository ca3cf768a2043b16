"""Signs a bundle, and checks its signature, with the OpenSSF library `model-signing`.

Hashes find damage, and a signature finds malice. It is in `model.sig`, in the format of that library, and covers every
other file of the bundle. Keys are elliptic curve keys (P-256, P-384, P-521) in PEM; a certificate may name the signer.
Nothing is looked up in a network. The library is imported when something is signed or checked, and needs `[sign]`.
"""

from __future__ import annotations

import base64
import json
import os
import tempfile
from collections.abc import Mapping
from contextlib import redirect_stdout
from importlib import import_module
from io import StringIO
from pathlib import Path
from typing import Any

from rnnx.bundle.config import CONFIG_NAME
from rnnx.bundle.directory import SIGNATURE_NAME, hash_bytes, require_plain_name
from rnnx.errors import MissingExtraError, ModelError, UsageError, one_line
from rnnx.files.read import read_file

_PREDICATE = "https://model_signing/signature/v1.0"
_MOST_BYTES = 1 << 20  # of a signature, a key or a certificate; a signature has about 200 bytes a file
_CERTIFICATE = b"-----BEGIN CERTIFICATE-----"
_PRIVATE = b"PRIVATE KEY-----"
_ENCRYPTED = b"ENCRYPTED"  # in the first line of PKCS #8, and in a header of the older form


def sign_files(name: str, files: Mapping[str, bytes], key: Path, certificate: Path | None = None) -> bytes:
    """Signs the files of a bundle.

    Args:
        name: The name of the bundle, which is part of the signature.
        files: The content of every file, by name.
        key: The private key, in PEM and without a password.
        certificate: The certificate of the key, in PEM; those that lead to its root may follow.

    Returns:
        The content of `model.sig`.

    Raises:
        MissingExtraError: If the extra [sign] is not installed.
        UsageError: If the key or the certificate cannot be used.
    """
    signing, hashing = _import("model_signing.signing"), _import("model_signing.hashing")
    if _ENCRYPTED in require_key(key):
        # Certificates and their keys have no password in the library, and there may be nobody to ask for one.
        raise UsageError(
            f"{key}: the private key has a password, and rnnx takes one without; write such a key, which only you can "
            f"read, and delete it after the export: (umask 077; openssl pkey -in {key} -out plain.pem)"
        )
    config = signing.Config()
    try:
        if certificate is None:
            config.use_elliptic_key_signer(private_key=key)
        else:
            config.use_certificate_signer(
                private_key=key, signing_certificate=certificate, certificate_chain=[certificate]
            )
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise UsageError(
            f"{key}: it cannot be used to sign ({one_line(error, 200)}); rnnx takes a private key of an elliptic "
            "curve, in PEM and without a password: openssl ecparam -name prime256v1 -genkey -noout -out key.pem"
        ) from error
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary) / name
        for file, data in files.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)
        signature = folder / SIGNATURE_NAME
        hashes = hashing.Config().set_ignored_paths(paths=[SIGNATURE_NAME], ignore_git_paths=False)
        config.set_hashing_config(hashes).sign(folder, signature)
        return signature.read_bytes()


def require_key(key: Path) -> bytes:
    """Returns the content of a key or certificate.

    Raises:
        UsageError: If it cannot be read.
    """
    try:
        return read_file(key, _MOST_BYTES)
    except (OSError, ModelError) as error:
        raise UsageError(f"{key}: the key cannot be read ({one_line(error, 200)})") from error


def check_signature(folder: Path, key: Path) -> dict[str, str]:
    """Makes sure that a bundle is signed with a key, and that no file was altered, added or removed since.

    Args:
        folder: The folder of the bundle.
        key: The public key of the signer, or the certificate that the signer's certificate leads to, in PEM.

    Returns:
        The sha256 of each file that was signed, by name.

    Raises:
        MissingExtraError: If the extra [sign] is not installed.
        ModelError: If the bundle is not signed, not with this key, or its files are not those that were signed. The
            message names the files.
        UsageError: If the key cannot be used.
    """
    verifying, hashing = _import("model_signing.verifying"), _import("model_signing.hashing")
    data = require_key(key)
    if _PRIVATE in data:
        raise UsageError(
            f"{key}: a private key, and a signature is checked with the public one: openssl pkey -in {key} -pubout "
            "-out key.pub"
        )
    config = verifying.Config()
    try:
        if _CERTIFICATE in data:
            config.use_certificate_verifier(certificate_chain=[key])
        else:
            config.use_elliptic_key_verifier(public_key=key)
    except (ValueError, TypeError, AttributeError, OSError) as error:
        raise UsageError(f"{key}: no public key of an elliptic curve and no certificate, in PEM") from error
    try:
        signature = read_file(folder / SIGNATURE_NAME, _MOST_BYTES)
    except (OSError, ModelError) as error:
        raise ModelError(f"{folder}: it is not signed: there is no {SIGNATURE_NAME} that can be read") from error
    signed = _read_signed(folder, signature)
    _require_same_files(folder, signed)
    # The library reads the signature again, from a copy, so that it is the one that was read here.
    with tempfile.TemporaryDirectory() as temporary, redirect_stdout(StringIO()):
        copy = Path(temporary) / SIGNATURE_NAME
        copy.write_bytes(signature)
        hashes = hashing.Config().set_ignored_paths(paths=[SIGNATURE_NAME], ignore_git_paths=False)
        try:
            config.set_hashing_config(hashes).verify(folder, copy)
        except Exception as error:
            # The library and the ones below it raise errors of many classes for a signature that is not right.
            raise ModelError(f"{folder}: its signature is not one of the key {key.name} ({_reason(error)})") from error
    return signed


def _reason(error: Exception) -> str:
    return one_line(error, 200) if str(error) else type(error).__name__


def _read_signed(folder: Path, signature: bytes) -> dict[str, str]:
    """Returns the names and hashes in a signature, which is not checked yet."""
    try:
        payload: Any = json.loads(base64.b64decode(json.loads(signature)["dsseEnvelope"]["payload"]))
        predicate = payload["predicate"]
        kind = payload["predicateType"], predicate["serialization"]["method"], predicate["serialization"]["hash_type"]
        resources = {str(entry["name"]): str(entry["digest"]) for entry in predicate["resources"]}
    except (KeyError, TypeError, ValueError, RecursionError) as error:
        raise ModelError(f"{folder}: {SIGNATURE_NAME} is broken; sign the bundle again") from error
    if kind != (_PREDICATE, "files", "sha256"):
        raise ModelError(f"{folder}: {SIGNATURE_NAME} is of another kind, {kind!r:.120}; sign the bundle with rnnx")
    for name in resources:
        require_plain_name(folder / SIGNATURE_NAME, name)
    if CONFIG_NAME not in resources:
        raise ModelError(f"{folder}: {SIGNATURE_NAME} does not cover {CONFIG_NAME}; sign the bundle with rnnx")
    return resources


def _require_same_files(folder: Path, signed: Mapping[str, str]) -> None:
    """Compares the files of a folder with those that were signed, and names all that differ."""
    found = {
        Path(root, file).relative_to(folder).as_posix()
        for root, folders, files in os.walk(folder)
        for file in (*files, *(name for name in folders if Path(root, name).is_symlink()))
    } - {SIGNATURE_NAME}
    altered = []
    for name in sorted(found & signed.keys()):
        try:
            is_same = hash_bytes(read_file(folder / name, folder=folder)) == signed[name]
        except OSError:
            is_same = False
        if not is_same:
            altered.append(name)
    differences = (
        ("altered", altered),
        ("missing", sorted(signed.keys() - found)),
        ("added", sorted(found - signed.keys())),
    )
    if any(names for _, names in differences):
        what = "; ".join(f"{word}: {', '.join(names)}" for word, names in differences if names)
        raise ModelError(f"{folder}: not as it was signed: {what}")


def _import(module: str) -> Any:
    try:
        return import_module(module)
    except ModuleNotFoundError as error:
        package = (error.name or module).partition(".")[0].replace("_", "-")
        raise MissingExtraError(f"{package} is not installed: pip install 'rnnx[sign]'") from error
