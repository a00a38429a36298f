"""Holds a live index against its own OpenAPI document, with Schemathesis.

Starts an index with a user who has a peer, files, a group and an invite, and lets Schemathesis make thousands of
requests: as this user, and as nobody. Exits with 0 only if there was no answer of 500 or above, no status that the
document does not name, no body or media type other than it says, and nothing accepted that it forbids.
"""

import argparse
import base64
import concurrent.futures
import hashlib
import json
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

# Not the example of the document, with which the runs would delete the account.
PASSWORD = "a password that nobody generates"
CONTENT = "0af3c1e0" * 8
CHECKS = [
    "not_a_server_error", "status_code_conformance", "content_type_conformance", "response_headers_conformance",
    "response_schema_conformance", "negative_data_rejection", "unsupported_method", "allow_header_conformance",
]
# They end what the run needs, the session or the peer with its files; the run as nobody makes them too.
ENDING = ["log_out", "log_out_everywhere", "leave", "forget_peer"]
# Many requests from one address are the point here.
OPTIONS = [
    "--store", "memory:", "--log", "error", "--logins-per-address", "0", "--logins-per-account", "0",
    "--registrations-per-address", "0", "--grants-per-user", "0",
]


class Index:
    """An index on a free port, until the end of the `with` block."""

    def __init__(self, program: pathlib.Path):
        command = [str(program), "serve", "--listen", "127.0.0.1:0", *OPTIONS]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        self.url = self.process.stdout.readline().strip().rpartition(" ")[2]
        self.token = None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=60) != 0:
            sys.exit("the index did not stop cleanly")

    def call(self, method: str, path: str, body=None):
        headers = {"content-type": "application/json"}
        if self.token:
            headers["authorization"] = f"Bearer {self.token}"
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            text = answer.read()
        return json.loads(text) if text else None


def unpadded(encode, data: bytes) -> str:
    return encode(data).decode().rstrip("=")


def announce(index: Index, user: str) -> str:
    """Announces a peer with a new key; gives its id."""
    key = ec.generate_private_key(ec.SECP256R1())
    public = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    peer = hashlib.sha256(public).digest()
    index_key = index.call("GET", "/v1/index")["public_keys"][0]
    index_key = base64.urlsafe_b64decode(index_key + "=")
    address, issued_at = "tcp://192.0.2.7:7411", int(time.time() * 1000)

    def number(value: int) -> bytes:
        return value.to_bytes(8, "big")

    def text(value: str) -> bytes:
        return number(len(value)) + value.encode()

    statement = b"p2pshare announce v1\0" + hashlib.sha256(index_key).digest()[:16] + text(user) + peer
    statement += number(1) + text(address) + number(issued_at)
    peer_id = unpadded(base64.b32encode, peer).lower()
    index.call("PUT", f"/v1/peers/{peer_id}", {
        "public_key": unpadded(base64.urlsafe_b64encode, public),
        "addresses": [address],
        "issued_at": issued_at,
        "signature": unpadded(base64.urlsafe_b64encode, key.sign(statement, ec.ECDSA(hashes.SHA256()))),
    })
    return peer_id


def fill(index: Index) -> dict:
    """Makes what requests can be about; gives the names of it by kind."""
    for user in ["alice", "bob"]:
        index.call("POST", "/v1/users", {"username": user, "password": PASSWORD})
    index.token = index.call("POST", "/v1/sessions", {"username": "alice", "password": PASSWORD})["token"]
    # Several, since some are given away or deleted on the way.
    groups = ["film-club", "friends", "chess", "choir", "garden"]
    for group in groups:
        index.call("POST", "/v1/groups", {"name": group})
        index.call("POST", f"/v1/groups/{group}/members", {"username": "bob"})
    peer = announce(index, "alice")
    entries = [
        {"path": "music/Dvořák/09 Largo.flac", "content": CONTENT, "size": 4711},
        {"path": "music/list.txt", "content": CONTENT[::-1], "size": 1, "visibility": "group:film-club"},
        {"path": "hidden.bin", "content": CONTENT, "size": 4711, "visibility": "unlisted"},
    ]
    index.call("POST", f"/v1/peers/{peer}/files", {"changes": [{"publish": entry} for entry in entries]})
    invites = [index.call("POST", "/v1/invites", {"group": "film-club"})["invite"]["id"] for _ in range(3)]
    return {
        "peers": [peer], "contents": [CONTENT, CONTENT[::-1]], "users": ["alice", "bob"],
        "groups": groups, "members": ["bob"], "invites": invites, "words": ["music", "dvorak -x", "09"],
    }


# Which names stand where: the operation, its parameter, the kind.
PLACES = [
    ("announce", "id", "peers"), ("heartbeat", "id", "peers"), ("publish", "id", "peers"), ("entries", "id", "peers"),
    ("content", "id", "contents"), ("add_source", "id", "contents"), ("add_source", "peer", "peers"),
    ("remove_source", "id", "contents"), ("remove_source", "peer", "peers"), ("browse", "name", "users"),
    ("search", "q", "words"), ("members", "name", "groups"), ("add_member", "name", "groups"),
    ("remove_member", "name", "groups"), ("remove_member", "user", "members"), ("transfer_group", "name", "groups"),
    ("revoke_invite", "id", "invites"), ("change_user", "name", "users"),
]


def config(names: dict) -> str:
    """Schemathesis' configuration: most requests are about something that is there."""
    lines = ["[dictionaries]"]
    lines += [f"{kind}.values = {json.dumps(values, ensure_ascii=False)}" for kind, values in names.items()]
    for operation in dict.fromkeys(operation for operation, _, _ in PLACES):
        lines += ["[[operations]]", f'include-operation-id = "{operation}"']
        for owner, parameter, kind in PLACES:
            if owner == operation:
                lines.append(f'parameters.{parameter} = {{ dictionary = "{kind}", probability = 0.7 }}')
    return "\n".join(lines) + "\n"


def run(index: Index, folder: pathlib.Path, seconds: int, seed: int, options: list) -> bool:
    program = pathlib.Path(sys.executable).with_name("st")
    command = [
        program, "--config-file", folder / "schemathesis.toml", "run", index.url + "/openapi.json",
        "--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--max-time", seconds, "--seed", seed,
        # Not with several workers: CPython 3.11 counts the recursion of all threads together where it should not.
        "--workers", 1, "--continue-on-failure", "--warnings", "off", "--no-color", *options,
    ]
    done = subprocess.run(
        [str(part) for part in command], cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    # Whole, for two runs go on at a time.
    print(done.stdout, end="", flush=True)
    return done.returncode == 0


def unheard(index: Index) -> list:
    """Calls that never gave what they are for, so that nothing of it was held against the document."""
    with urllib.request.urlopen(index.url + "/metrics", timeout=30) as answer:
        counted = answer.read().decode()
    document = index.call("GET", "/openapi.json")
    missing = []
    for path, item in document["paths"].items():
        for method, operation in item.items():
            gives = any("content" in said for status, said in operation["responses"].items() if status < "300")
            done = f'requests_total{{method="{method.upper()}",route="{path}",status="2'
            if gives and operation["operationId"] not in ENDING and done not in counted:
                missing.append(f"{method.upper()} {path}")
    return missing


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--index", type=pathlib.Path, required=True, help="the program p2pshare-index")
    arguments.add_argument("--seconds", type=int, default=40, help="for each of the two runs")
    arguments.add_argument("--seed", type=int, default=1)
    given = arguments.parse_args()
    with tempfile.TemporaryDirectory() as folder, Index(given.index.resolve()) as index:
        folder = pathlib.Path(folder)
        (folder / "schemathesis.toml").write_text(config(fill(index)))
        as_user = ["--header", f"Authorization: Bearer {index.token}"]
        for operation in ENDING:
            as_user += ["--exclude-operation-id", operation]
        with concurrent.futures.ThreadPoolExecutor() as both:
            held = list(both.map(lambda who: run(index, folder, given.seconds, given.seed, who), [as_user, []]))
        # Or it was no run as this user.
        index.call("GET", "/v1/me")
        if silent := unheard(index):
            sys.exit(f"never done: {', '.join(silent)}")
    sys.exit(0 if all(held) else "the index does not do what its OpenAPI document says")


main()
