"""A p2pshare client in plain Python: stock grpcio, code made from the .proto, nothing else of the project.

Starts an index and a peer that shares files, logs in over HTTP, gets a grant, fetches the files over gRPC with TLS and
checks their BLAKE3 hashes. Exits with 0 only if all of it worked, and a wrong grant was refused.
"""

import argparse
import base64
import hashlib
import importlib
import json
import os
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import urllib.request

import grpc
from blake3 import blake3
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from grpc_tools import protoc

ROOT = pathlib.Path(__file__).resolve().parents[2]
PASSWORD = "correct horse battery staple"


def generate_code(folder: pathlib.Path):
    proto = ROOT / "proto" / "proto"
    arguments = ["protoc", f"-I{proto}", f"--python_out={folder}", f"--grpc_python_out={folder}"]
    if protoc.main(arguments + [str(proto / "p2pshare" / "v1" / "transfer.proto")]) != 0:
        sys.exit("the code could not be made from the .proto")
    sys.path.insert(0, str(folder))
    messages = importlib.import_module("p2pshare.v1.transfer_pb2")
    services = importlib.import_module("p2pshare.v1.transfer_pb2_grpc")
    return messages, services


class Process:
    """A program of the project that says on standard output when it is ready."""

    def __init__(self, *command: str, ready: str, env: dict):
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env)
        for line in self.process.stdout:
            if ready in line:
                self.line = line.strip()
                return
        sys.exit(f"{command[0]} ended before it was ready")

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=30) != 0:
            sys.exit("a program did not stop cleanly")


def call(url: str, method: str, path: str, body=None, token=None):
    headers = {"content-type": "application/json"}
    if token:
        headers["authorization"] = f"Bearer {token}"
    data = json.dumps(body).encode() if body is not None else None
    request = urllib.request.Request(url + path, data=data, headers=headers, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def peer_channel(peer: str, address: str) -> grpc.Channel:
    """A channel to a peer, whose certificate must have the key that its id names."""
    host, port = address.removeprefix("tcp://").rsplit(":", 1)
    pem = server_certificate(host.strip("[]"), int(port))
    certificate = x509.load_pem_x509_certificate(pem)
    key = certificate.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    shown = base64.b32encode(hashlib.sha256(key).digest()).decode().lower().rstrip("=")
    assert shown == peer, f"the certificate is that of {shown}, not of {peer}"
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    name = names.get_values_for_type(x509.DNSName)[0]
    return grpc.secure_channel(
        f"{host}:{port}",
        grpc.ssl_channel_credentials(root_certificates=pem),
        options=[("grpc.ssl_target_name_override", name), ("grpc.max_receive_message_length", 4 << 20)],
    )


def server_certificate(host: str, port: int) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    with socket.create_connection((host, port), timeout=30) as plain:
        with context.wrap_socket(plain) as secure:
            return ssl.DER_cert_to_PEM_cert(secure.getpeercert(binary_form=True)).encode()


def fetch(messages, stub, content: str, grant: str) -> bytes:
    metadata = [("authorization", f"Bearer {grant}")]
    request = messages.FetchRequest(content_id=bytes.fromhex(content))
    received = bytearray()
    for answer in stub.Fetch(request, metadata=metadata, timeout=60):
        if answer.WhichOneof("event") == "segment":
            assert answer.segment.offset == len(received), "segments come in order"
            received += answer.segment.data
    return bytes(received)


def fetch_many(messages, stub, located: list[dict]) -> bytes:
    """The contents one after the other, in one call."""
    grants = [one["sources"][0].get("grant", one["grant"]) for one in located]
    contents = [
        messages.SmallContent(content_id=bytes.fromhex(one["content"]), length=one["size"], grant=grant)
        for one, grant in zip(located, grants)
    ]
    request = messages.FetchManyRequest(contents=contents)
    metadata = [("authorization", f"Bearer {grants[0]}")]
    received = bytearray()
    for answer in stub.FetchMany(request, metadata=metadata, timeout=60):
        if answer.WhichOneof("event") == "segment":
            assert answer.segment.offset == len(received), "nothing is left out"
            received += answer.segment.data
    return bytes(received)


def run(binaries: pathlib.Path, folder: pathlib.Path):
    messages, services = generate_code(folder)
    index_program, peer_program = str(binaries / "p2pshare-index"), str(binaries / "p2pshare-peer")
    env = {**os.environ, "P2PSHARE_PASSWORD": PASSWORD}

    files = folder / "Shared"
    files.mkdir()
    contents = {
        "empty": b"",
        "small.txt": b"hello from a stock client\n",
        "other.txt": b"and another one\n",
        "large.bin": os.urandom(3 * (1 << 20) + 1),
    }
    for name, data in contents.items():
        (files / name).write_bytes(data)

    index = Process(
        index_program, "serve", "--listen", "127.0.0.1:0", "--data-dir", str(folder / "index"),
        ready="listening on", env=env,
    )
    url = index.line.split("listening on ")[1].split()[0]
    peer_options = ["--index", url, "--data-dir", str(folder / "peer")]

    def peer(*arguments: str):
        subprocess.run([peer_program, *peer_options, *arguments], check=True, env=env, stdout=subprocess.DEVNULL)

    peer("register", "alice")
    peer("share", str(files))
    serving = Process(
        peer_program, *peer_options, "serve", "--listen", "127.0.0.1:0", "--ui", "off", ready="listening on", env=env,
    )

    call(url, "POST", "/v1/users", {"username": "guest", "password": PASSWORD})
    login = call(url, "POST", "/v1/sessions", {"username": "guest", "password": PASSWORD})
    token = login["token"]
    for name, data in contents.items():
        content = blake3(data).hexdigest()
        located = call(url, "POST", "/v1/grants", {"contents": [content]}, token)["contents"][0]
        assert located["size"] == len(data), located
        source = located["sources"][0]
        with peer_channel(source["peer"], source["addresses"][0]) as channel:
            stub = services.TransferStub(channel)
            # A source that shares with a group only comes with a grant of its own.
            grant = source.get("grant", located["grant"])
            received = fetch(messages, stub, content, grant)
            assert blake3(received).hexdigest() == content, f"{name} is not what was asked for"
            other = blake3(b"something else").hexdigest()
            try:
                fetch(messages, stub, other, grant)
                sys.exit("a grant for one content fetched another")
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.PERMISSION_DENIED, error
        print(f"{name}: {len(received)} bytes, verified")

    small = [contents["small.txt"], contents["other.txt"]]
    ids = [blake3(data).hexdigest() for data in small]
    located = call(url, "POST", "/v1/grants", {"contents": ids}, token)["contents"]
    source = located[0]["sources"][0]
    with peer_channel(source["peer"], source["addresses"][0]) as channel:
        received = fetch_many(messages, services.TransferStub(channel), located)
        assert received == b"".join(small), received
    print(f"two small files in one call: {len(received)} bytes")

    call(url, "DELETE", "/v1/sessions/current", None, token)
    try:
        call(url, "GET", "/v1/me", None, token)
        sys.exit("the token was accepted after logout")
    except urllib.error.HTTPError as error:
        assert error.code == 401, error
    serving.stop()
    index.stop()
    print("the stock Python client: 5 passed, 0 failed")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binaries", type=pathlib.Path, required=True)
    binaries = parser.parse_args().binaries.resolve()
    with tempfile.TemporaryDirectory(prefix="p2pshare-python-") as folder:
        run(binaries, pathlib.Path(folder))


if __name__ == "__main__":
    main()
