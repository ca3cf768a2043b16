"""Tests that a bundle can be signed, and that nothing else than what was signed is accepted with a key."""

from __future__ import annotations

import datetime
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

pytest.importorskip("model_signing", reason="needs the extra [sign]")
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

import rnnx
from rnnx.bundle.directory import hash_bytes, read_directory, require_replaceable, write_directory
from rnnx.bundle.signature import check_signature, sign_files
from rnnx.cli import run
from rnnx.errors import ModelError, UsageError
from tests.make_bundles import BUNDLES

Capture = pytest.CaptureFixture[str]


def save_key(folder: Path, name: str, key: ec.EllipticCurvePrivateKey) -> tuple[Path, Path]:
    private, public = folder / f"{name}.pem", folder / f"{name}.pub"
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    public.write_bytes(
        key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    )
    return private, public


@pytest.fixture
def keys(tmp_path: Path) -> tuple[Path, Path]:
    """Returns a private key and its public key."""
    return save_key(tmp_path, "signer", ec.generate_private_key(ec.SECP256R1()))


def sign(name: str, out: Path, key: Path, certificate: Path | None = None) -> Path:
    """Writes a committed bundle again, signed."""
    directory = read_directory(BUNDLES / name)
    write_directory(out, directory.config, directory.files, lambda files: sign_files(name, files, key, certificate))
    return out


@pytest.fixture
def signed(tmp_path: Path, keys: tuple[Path, Path]) -> Path:
    """Returns a signed bundle."""
    return sign("default", tmp_path / "bundle", keys[0])


def test_a_signed_bundle_is_accepted(signed: Path, keys: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    assert run(["verify", str(signed), "--key", str(keys[1])]) == 0
    assert "every file is signed with" in capsys.readouterr().out
    (tmp_path / "text.txt").write_text("a joy")
    assert run(["infer", "--model", str(signed), "--key", str(keys[1]), str(tmp_path / "text.txt")]) == 0
    assert rnnx.load(signed, key=keys[1]).predict(["a joy"])[0].label in ("neg", "pos")
    require_replaceable(signed)  # the signature is a file of ours


def test_the_library_itself_accepts_it(signed: Path, keys: tuple[Path, Path]) -> None:
    command = [
        sys.executable,
        "-m",
        "model_signing",
        "verify",
        "key",
        str(signed),
        "--signature",
        str(signed / "model.sig"),
    ]
    command += ["--public_key", str(keys[1])]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  # our own command
    assert answer.returncode == 0, answer.stderr + answer.stdout


def alter(bundle: Path) -> None:
    (bundle / "parity.json").write_bytes((bundle / "parity.json").read_bytes() + b" ")


def alter_with_its_hash(bundle: Path) -> None:
    config = json.loads((bundle / "config.json").read_text())
    data = (bundle / "vocabulary.txt").read_bytes()[:-1] + b"x\n"
    (bundle / "vocabulary.txt").write_bytes(data)
    config["files"]["vocabulary.txt"] = hash_bytes(data)
    (bundle / "config.json").write_text(json.dumps(config))


def remove(bundle: Path) -> None:
    (bundle / "golden.json").unlink()


def add(bundle: Path) -> None:
    (bundle / "testdata" / ".gitignore").write_text("")


def add_a_link(bundle: Path) -> None:
    (bundle / "more").symlink_to(bundle / "testdata")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (alter, "altered: parity.json"),
        (alter_with_its_hash, "altered: config.json, vocabulary.txt"),
        (remove, "missing: golden.json"),
        (add, "added: testdata/.gitignore"),
        (add_a_link, "added: more"),
    ],
)
def test_a_change_is_named(
    signed: Path, keys: tuple[Path, Path], change: Callable[[Path], None], what: str, capsys: Capture
) -> None:
    change(signed)
    assert run(["verify", str(signed), "--key", str(keys[1])]) == 4
    error = capsys.readouterr().err
    assert what in error
    assert error.count("\n") == 1
    with pytest.raises(ModelError, match="not as it was signed"):
        rnnx.load(signed, key=keys[1])


def test_another_key_is_refused(signed: Path, tmp_path: Path, capsys: Capture) -> None:
    _, public = save_key(tmp_path, "other", ec.generate_private_key(ec.SECP384R1()))
    assert run(["verify", str(signed), "--key", str(public)]) == 4
    assert "its signature is not one of the key other.pub" in capsys.readouterr().err


def test_a_signature_of_other_files_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    """Whoever alters a file and its hash in the signature has no key to sign that."""
    import base64

    alter(signed)
    signature = json.loads((signed / "model.sig").read_text())
    payload = json.loads(base64.b64decode(signature["dsseEnvelope"]["payload"]))
    for entry in payload["predicate"]["resources"]:
        if entry["name"] == "parity.json":
            entry["digest"] = hash_bytes((signed / "parity.json").read_bytes())
    signature["dsseEnvelope"]["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    (signed / "model.sig").write_text(json.dumps(signature))
    with pytest.raises(ModelError, match="its signature is not one of the key"):
        check_signature(signed, keys[1])


@pytest.mark.parametrize("content", [None, b"", b"{}", b"[]", b"\xff", b"[" * 100_000])
def test_a_bundle_without_a_signature_is_refused(
    signed: Path, keys: tuple[Path, Path], content: bytes | None, capsys: Capture
) -> None:
    (signed / "model.sig").unlink()
    if content is not None:
        (signed / "model.sig").write_bytes(content)
    assert run(["infer", "--model", str(signed), "--key", str(keys[1]), "x.txt"]) == 4
    assert "model.sig" in capsys.readouterr().err


def test_a_file_that_was_replaced_after_the_check_is_refused(signed: Path, keys: tuple[Path, Path]) -> None:
    hashes_of_files = check_signature(signed, keys[1])
    alter_with_its_hash(signed)
    with pytest.raises(ModelError, match="not those that were signed"):
        read_directory(signed, hashes_of_files)


def test_a_key_that_is_none_is_refused(signed: Path, keys: tuple[Path, Path], tmp_path: Path, capsys: Capture) -> None:
    other = tmp_path / "ed25519.pem"
    other.write_bytes(
        ed25519.Ed25519PrivateKey.generate().private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    for key in (keys[0], tmp_path / "none.pem", other):
        assert run(["verify", str(signed), "--key", str(key)]) == 2
        assert capsys.readouterr().err.count("\n") == 1
    for key in (keys[1], tmp_path / "none.pem", other):
        with pytest.raises(UsageError):
            sign_files("x", {"x": b""}, key)


@pytest.mark.parametrize("form", [serialization.PrivateFormat.PKCS8, serialization.PrivateFormat.TraditionalOpenSSL])
def test_a_key_with_a_password_is_refused_with_a_way_out(
    signed: Path, tmp_path: Path, form: serialization.PrivateFormat, capsys: Capture
) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    locked = tmp_path / "locked.pem"
    locked.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, form, serialization.BestAvailableEncryption(b"secret"))
    )
    with pytest.raises(UsageError, match="the private key has a password") as refused:
        sign_files("x", {"x": b""}, locked)
    assert f"openssl pkey -in {locked} -out plain.pem" in str(refused.value)
    assert run(["verify", str(signed), "--key", str(locked)]) == 2
    assert "locked.pem: a private key, and a signature is checked with the public one" in capsys.readouterr().err
    if shutil.which("openssl"):
        command = ["openssl", "pkey", "-in", str(locked), "-passin", "pass:secret", "-out", str(tmp_path / "plain.pem")]
        subprocess.run(command, check=True)  # noqa: S603  # a fixed command
        assert sign_files("x", {"config.json": b""}, tmp_path / "plain.pem")


def make_certificate(
    name: str, key: ec.EllipticCurvePrivateKey, issuer: x509.Certificate | None, issuer_key: ec.EllipticCurvePrivateKey
) -> x509.Certificate:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer.subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.KeyUsage(*(i in (0, 5) for i in range(9))), critical=True)
    )
    if issuer is not None:
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CODE_SIGNING]), critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def test_a_certificate_names_the_signer(tmp_path: Path, capsys: Capture) -> None:
    root_key, key, other_key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(3))
    root = make_certificate("root", root_key, None, root_key)
    leaf = make_certificate("signer", key, root, root_key)
    stranger = make_certificate("root", other_key, None, other_key)
    files = {}
    for name, certificate in (("root", root), ("leaf", leaf), ("stranger", stranger)):
        files[name] = tmp_path / f"{name}.crt"
        files[name].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    private, _ = save_key(tmp_path, "signer", key)
    bundle = sign("default", tmp_path / "bundle", private, files["leaf"])
    assert run(["verify", str(bundle), "--key", str(files["root"])]) == 0
    assert run(["verify", str(bundle), "--key", str(files["stranger"])]) == 4
    capsys.readouterr()
    with pytest.raises(UsageError):
        sign_files("x", {"x": b""}, private, files["root"])  # the certificate of another key


def test_a_certificate_needs_a_key(capsys: Capture) -> None:
    assert run(["export", "x.keras", "--certificate", "x.crt"]) in (2, 4)
    assert run(["infer", "-", "--follow", "--key", "x.pub"]) == 2
    assert "check the bundle first: rnnx verify" in capsys.readouterr().err


def test_a_signature_without_the_extra_names_it(
    signed: Path, keys: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: Capture
) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "model_signing"]:
        monkeypatch.setitem(sys.modules, name, None)
    assert run(["verify", str(signed), "--key", str(keys[1])]) == 1
    assert "model-signing is not installed: pip install 'rnnx[sign]'" in capsys.readouterr().err


def test_nobody_is_contacted_and_nothing_is_written(signed: Path, keys: tuple[Path, Path], tmp_path: Path) -> None:
    """Runs where there is no network, with a home directory that stays empty."""
    home = tmp_path / "home"
    home.mkdir()
    unshare = [shutil.which("unshare") or "unshare", "-rn"]
    if subprocess.run([*unshare, "true"], check=False).returncode != 0:  # noqa: S603  # a fixed command
        pytest.skip("this machine gives no network namespace")
    answer = subprocess.run(  # noqa: S603  # our own command
        [*unshare, sys.executable, "-m", "rnnx", "verify", str(signed), "--key", str(keys[1])],
        env={"HOME": str(home), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(Path(rnnx.__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    assert not list(home.iterdir())
