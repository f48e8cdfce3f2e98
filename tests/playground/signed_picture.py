"""PNGs with Content Credentials, made and validated by their authors' own library."""

import datetime as dt
import io
import json

import c2pa  # type: ignore[import-untyped]  # it comes without types
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_MADE_BY_A_MODEL = "trainedAlgorithmicMedia"
_SOURCE_TYPES = "http://cv.iptc.org/newscodes/digitalsourcetype/"
_CREATED = {"action": "c2pa.created", "digitalSourceType": _SOURCE_TYPES + _MADE_BY_A_MODEL}
_MANIFEST = {
    "claim_generator_info": [{"name": "an image API", "version": "1"}],
    "title": "a paper fox",
    "format": "image/png",
    "assertions": [{"label": "c2pa.actions", "data": {"actions": [_CREATED]}}],
}


def signed(png: bytes) -> bytes:
    """Sign a PNG as an API would, with a certificate that is made here."""
    chain, key = _certificates()
    info = c2pa.C2paSignerInfo(
        alg=c2pa.C2paSigningAlg.ES256, sign_cert=chain, private_key=key, ta_url=None
    )
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(json.dumps(_MANIFEST)) as builder:
        target = io.BytesIO()
        builder.sign(signer, "image/png", io.BytesIO(png), target)
        return target.getvalue()


def failures(png: bytes) -> set[str]:
    """Validate the credentials of a PNG; return the codes of what does not hold.

    That the certificate is made here, and so not trusted by any verifier, is left out.
    """
    with c2pa.Reader("image/png", io.BytesIO(png)) as reader:
        found = json.loads(reader.json())
    codes = {one["code"] for one in found.get("validation_status", [])}
    return codes - {"signingCredential.untrusted"}


def _certificates() -> tuple[bytes, bytes]:
    """Return a certificate with its issuer's behind it, and the private key, as PEM."""
    root_key, key = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    root = _certificate("root", root_key, issuer="root", issuer_key=root_key, is_root=True)
    leaf = _certificate("signer", key, issuer="root", issuer_key=root_key, is_root=False)
    chain = b"".join(one.public_bytes(serialization.Encoding.PEM) for one in (leaf, root))
    return chain, key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def _certificate(
    name: str,
    key: ec.EllipticCurvePrivateKey,
    *,
    issuer: str,
    issuer_key: ec.EllipticCurvePrivateKey,
    is_root: bool,
) -> x509.Certificate:
    now = dt.datetime.now(dt.UTC)
    unused = (
        "content_commitment",
        "key_encipherment",
        "data_encipherment",
        "key_agreement",
        "encipher_only",
        "decipher_only",
    )
    usage = x509.KeyUsage(
        digital_signature=not is_root,
        key_cert_sign=is_root,
        crl_sign=is_root,
        **dict.fromkeys(unused, False),
    )
    builder = (
        x509.CertificateBuilder()
        .subject_name(_named(name))
        .issuer_name(_named(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=is_root, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()),
            critical=False,
        )
    )
    if not is_root:
        purposes = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION])
        builder = builder.add_extension(purposes, critical=False)
    return builder.sign(issuer_key, hashes.SHA256())


def _named(name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "tests of Darkroom"),
            x509.NameAttribute(NameOID.COMMON_NAME, name),
        ]
    )
