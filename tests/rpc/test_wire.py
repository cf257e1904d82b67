"""What calls look like on the wire: processes of the version before read the same bytes."""

from argosy.gateway.stream.connection import WATCH
from argosy.rpc.peer import path_of
from argosy.rpc.poke import POKE
from argosy.rpc.signing import Signer, Verifier, proof, stream_keys

KEY, CALLEE, CALLER_NONCE, CALLEE_NONCE = (letter * 16 for letter in (b"k", b"w", b"a", b"b"))
# As they were before calls of all kinds were signed.
PROOF = "876c05df1793d24a96fbb6039177782297086e7e3a06bde3daa07ec611b772de"
REQUESTS = [
    "0a036f6e65122027e616afd17e5e18c8754ab28abc5c2bd075592ab87d3cf62a3d3204cf3cbf10",
    "0a0374776f12205a09639ee70992ca28db6c99516b7656b8508a5eabf8029261efc8adf3baabc6",
]
RESPONSE = "0a0379657312208a27a119e991f70f65774602306b401c228ae8d661df53590e0e8aebb90379ce"


def test_methods_have_the_names_that_they_had() -> None:
    assert [path_of(POKE), path_of(WATCH)] == ["/argosy.rpc.v2.Worker/Poke", "/argosy.rpc.v2.Watch/Watch"]


def test_a_proof_and_messages_have_the_bytes_that_they_had() -> None:
    keys = stream_keys(KEY, path_of(POKE), CALLEE, CALLER_NONCE, CALLEE_NONCE)
    signer = Signer(keys.requests)

    assert proof(KEY, path_of(POKE), CALLER_NONCE).hex() == PROOF
    assert [signer.sign(b"one").hex(), signer.sign(b"two").hex()] == REQUESTS
    assert Verifier(keys.responses).body_of(bytes.fromhex(RESPONSE)) == b"yes"
